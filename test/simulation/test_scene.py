# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Scenes: what is malformed is one clear line; turns, paths and voices are what the scene says."""

import subprocess
import zipfile

import numpy as np
import pytest
import soundfile
import yaml

from av_perception.errors import UserError
from av_perception.robot_head import load_head
from av_perception.robot_head.camera_calibration import CameraCalibration
from av_perception.simulation import assets, load_scene
from av_perception.simulation.activity import voice_activity
from av_perception.simulation.clips import audio_stream
from av_perception.simulation.conversation import draw_turns, plan_turns, utter
from av_perception.simulation.scene import ConversationConfig, Scene, TalkerConfig

RATE = 16000
TALKER = {'id': 1, 'voice': 'narrator', 'photo': 'obama', 'waypoints': [[0.0, 1.5, 0.0, 0.1]]}


def scene_file(folder, talker=None, **changes):
    path = folder / 'mine.yaml'
    path.write_text(
        yaml.safe_dump({'duration': 4.0, 'talkers': [{**TALKER, **(talker or {})}], **changes})
    )
    return path


@pytest.mark.parametrize('name', ['three_talkers', 'short', 'crossing', 'partial_view'])
def test_shipped_scenes_load(name):
    scene = load_scene(name)
    assert scene.name == name and scene.load_head().name == 'simulated'


@pytest.mark.parametrize(
    'talker, words',
    [
        ({'voice': 'nobody'}, ['voice', 'nobody', 'narrator']),
        ({'photo': 'nobody.png', 'face': [0, 0, 9, 9]}, ['photo', 'nobody.png', 'astronaut']),
        ({'photo': 'nobody.png'}, ['face']),
        ({'face': [0, 0, 0, 9]}, ['face']),
        ({'clip': 'a.mpg'}, ['either a voice or a clip']),
        ({'voice': ''}, ['either a voice or a clip']),
        (
            {'voice': '', 'photo': '', 'clip': '$AV_NOT_SET/a.mpg', 'face': [0, 0, 9, 9]},
            ['AV_NOT_SET', 'a.mpg'],
        ),
        ({'waypoints': []}, ['waypoints']),
        ({'waypoints': [[0.0, 1.0, 0.0]]}, ['waypoints[0]', '4 values']),
        ({'waypoints': [[0.0, 1.5, 0.0, 0.0], [0.0, 1.6, 0.0, 0.0]]}, ['must grow']),
        ({'waypoints': [[0.0, float('nan'), 0.0, 0.0]]}, ['finite']),
        ({'waypoints': [[0.0, 9.0, 0.0, 0.0]]}, ['talker 1', 'outside the room', '0.0 s']),
        ({'waypoints': [[0.0, 1.5, 0.0, 0.0], [4.0, 1.5, 4.0, 0.0]]}, ['outside the room']),
        ({'waypoints': [[0.0, 0.1, 0.0, 0.0]]}, ['nearer than 0.4 m']),
        ({'turns': [[1.0, 1.0]]}, ['turns']),
        ({'turns': [[1.0, 2.0], [1.5, 3.0]]}, ['turns']),
        ({'id': -1}, ['id']),
        ({'hat': 'red'}, ["'hat'"]),
    ],
)
def test_malformed_talker_is_named(talker, words, tmp_path):
    with pytest.raises(UserError) as caught:
        load_scene(scene_file(tmp_path, talker))
    assert '\n' not in str(caught.value)
    for word in ['mine.yaml', *words]:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    'change, word',
    [
        ({'duration': 0.0}, 'duration'),
        ({'duration': 'long'}, 'duration'),
        ({'seed': -1}, 'seed'),
        ({'talkers': []}, 'at least one'),
        ({'talkers': [TALKER, TALKER]}, 'repeat'),
        ({'room': {'size': [5.0, 4.0]}}, '3 values'),
        ({'room': {'t60': -1.0}}, 't60'),
        ({'room': {'t60': 0.01}}, 'too short'),
        ({'room': {'head_position': [9.0, 1.0, 1.0]}}, 'head_position'),
        ({'room': {'snr_db': 500.0}}, 'snr_db'),
        ({'conversation': {'turn': [3.0, 1.0]}}, 'turn'),
        ({'conversation': {'overlap': 0.9}}, 'overlap'),
    ],
)
def test_malformed_scene_is_named(change, word, tmp_path):
    with pytest.raises(UserError, match=word):
        load_scene(scene_file(tmp_path, **change))


def test_head_without_microphones_or_talker_without_photo(tmp_path):
    with pytest.raises(UserError, match='needs a photo'):
        load_scene(scene_file(tmp_path, {'photo': ''})).load_head()
    deaf = {
        'name': 'deaf',
        'camera': {'width': 64, 'height': 64, 'focal': [60, 60], 'center': [32, 32]},
    }
    (tmp_path / 'deaf.yaml').write_text(yaml.safe_dump(deaf))
    with pytest.raises(UserError, match='no microphones'):
        load_scene(scene_file(tmp_path, head='deaf.yaml')).load_head()


def test_a_head_with_raw_cameras_is_not_rendered(tmp_path):
    """Its images would be drawn rectified, and then be rectified once more."""
    camera = load_head('simulated').camera
    for side in ('left', 'right'):
        CameraCalibration.rectified(camera, side == 'right').write(tmp_path / f'{side}.yaml', side)
    head = {
        'name': 'raw',
        'microphones': {'coordinates': [[0.1, 0, 0], [-0.1, 0, 0]]},
        'camera': {'calibration': ['left.yaml', 'right.yaml']},
    }
    (tmp_path / 'raw.yaml').write_text(yaml.safe_dump(head))
    with pytest.raises(UserError, match='raw has raw cameras'):
        load_scene(scene_file(tmp_path, head=str(tmp_path / 'raw.yaml'))).load_head()
    with pytest.raises(UserError, match='duration'):
        load_scene(scene_file(tmp_path)).with_duration(-3.0)


def test_files_are_found_beside_the_scene(tmp_path):
    soundfile.write(str(tmp_path / 'me.wav'), np.zeros(RATE), RATE)
    assert load_scene(scene_file(tmp_path, {'voice': 'me.wav'})).talkers[0].voice == str(
        tmp_path / 'me.wav'
    )


def test_path_passes_its_waypoints_without_overshoot_and_holds_its_ends():
    talker = TalkerConfig(
        1,
        ((1.0, 1.0, 0.0, 0.0), (2.0, 2.0, 0.0, 0.0), (4.0, 2.0, 0.0, 0.0), (5.0, 1.5, 1.0, 0.0)),
        voice='narrator',
    )
    path = talker.positions(np.linspace(0, 6, 601))
    np.testing.assert_allclose(
        path[[0, 100, 200, 400, 500, 600], 0], [1.0, 1.0, 2.0, 2.0, 1.5, 1.5], atol=1e-12
    )
    np.testing.assert_allclose(path[200:401, 0], 2.0, atol=1e-12)  # a stop is a stop
    assert path[:, 0].max() <= 2.0 + 1e-12
    assert np.linalg.norm(np.diff(path, axis=0), axis=1).max() < 0.03
    assert talker.positions(3.0).shape == (3,)


def test_drawn_turns_alternate_and_overlap_as_asked():
    config = ConversationConfig((1.5, 4.0), 0.15, 0.5)
    turns = draw_turns(config, 3000.0, [1, 2, 3], np.random.default_rng(0), {})
    order = sorted((start, end, key) for key, value in turns.items() for start, end in value)
    assert all(a[2] != b[2] for a, b in zip(order, order[1:]))
    assert all(a[1] <= b[0] for value in turns.values() for a, b in zip(value, value[1:]))
    grid = np.arange(0, 3000, 0.05)
    count = sum(((grid >= start) & (grid < end)).astype(int) for start, end, _ in order)
    assert abs((count > 1).sum() / (count > 0).sum() - 0.15) < 0.03
    assert 0.02 < (count == 0).mean() < 0.3 and count.max() <= 3
    shares = [sum(e - s for s, e in value) for value in turns.values()]
    assert max(shares) / min(shares) < 1.2


def test_turns_repeat_with_the_seed_and_differ_without():
    talkers = tuple(TalkerConfig(k, ((0.0, 1.5, 0.0, 0.0),), voice='narrator') for k in (1, 2))
    scene = Scene(20.0, talkers)
    assert plan_turns(scene, 5, {}) == plan_turns(scene, 5, {}) != plan_turns(scene, 6, {})
    assert all(end <= 20.0 for value in plan_turns(scene, 5, {}).values() for _, end in value)
    alone = plan_turns(Scene(20.0, talkers[:1]), 0, {})[1]
    assert len(alone) > 2 and all(a[1] < b[0] for a, b in zip(alone, alone[1:]))


def bursts(*intervals, duration=3.0, noise=0.0):
    random = np.random.default_rng(0)
    time = np.arange(int(duration * RATE)) / RATE
    sound = np.any([(time >= start) & (time < end) for start, end in intervals], axis=0)
    return random.normal(0, 0.1, len(time)) * sound + random.normal(0, 1, len(time)) * noise


def test_activity_is_the_sound_itself_with_short_gaps_bridged():
    active = voice_activity(bursts((0.5, 1.0), (1.2, 1.6), (2.2, 2.5), noise=0.0005), RATE)
    edges = np.flatnonzero(np.diff(active.astype(int))) / RATE
    np.testing.assert_allclose(edges, [0.5, 1.6, 2.2, 2.5], atol=0.03)
    assert not voice_activity(np.zeros(RATE), RATE).any()
    assert not voice_activity(bursts((1.0, 1.005), noise=0.0), RATE)[: RATE // 2].any()


def test_uttered_voice_sounds_in_its_turns_only():
    voice = bursts((0.4, 1.0), (1.9, 2.8), noise=0.0003)
    speech = utter(voice, ((0.5, 2.0), (3.0, 4.5)), 5.0, RATE, restart=False)
    time = np.arange(len(speech.samples)) / RATE
    outside = (time < 0.45) | ((time > 2.05) & (time < 2.95)) | (time > 4.55)
    assert not speech.active[outside].any() and not speech.samples[outside].any()
    assert speech.active[int(0.6 * RATE)]
    assert speech.active[int(3.1 * RATE)]
    assert abs(np.sqrt(np.mean(speech.samples[speech.active] ** 2)) - 1) < 0.35
    again = utter(voice, ((0.0, 2.0), (2.5, 4.5)), 5.0, RATE, restart=True)
    np.testing.assert_allclose(
        again.samples[2000:30000],
        again.samples[2000 + int(2.5 * RATE) : 30000 + int(2.5 * RATE)],
        atol=1e-9,
    )


def test_sound_is_read_out_of_a_program_stream():
    pack = b'\0\0\1\xba' + b'!' * 8
    video = b'\0\0\1\xe0' + (5).to_bytes(2, 'big') + b'\x0fabcd'
    plain = b'\0\0\1\xc0' + (6).to_bytes(2, 'big') + b'\x0ffirst'
    stamped = (
        b'\0\0\1\xc0' + (16).to_bytes(2, 'big') + b'\xff\xff\x60\x20' + b'\x21tttt' + b' second'
    )
    both = b'\0\0\1\xc0' + (15).to_bytes(2, 'big') + b'\x31ttttddddd' + b' last'
    assert (
        audio_stream(pack + video + plain + pack + stamped + both + b'\0\0\1\xb9' + plain)
        == b'first second last'
    )
    assert audio_stream(b'nothing here') == b''


def test_failed_download_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv('AV_PERCEPTION_CACHE', str(tmp_path))
    failure = subprocess.CompletedProcess([], 1, '', 'some lines\nERROR: no network')
    monkeypatch.setattr(subprocess, 'run', lambda *_, **__: failure)
    with pytest.raises(UserError, match='ERROR: no network.*check the network') as caught:
        assets.ensure_assets(names=('obama',))
    assert '\n' not in str(caught.value)


def test_asset_is_unpacked_once(monkeypatch, tmp_path):
    monkeypatch.setenv('AV_PERCEPTION_CACHE', str(tmp_path))
    commands = []

    def fake_pip(command, **_):
        commands.append(command)
        with zipfile.ZipFile(
            f'{command[command.index("--dest") + 1]}/scikit_image-9-none.whl', 'w'
        ) as wheel:
            wheel.writestr('skimage/data/astronaut.png', b'picture')
        return subprocess.CompletedProcess(command, 0, '', '')

    monkeypatch.setattr(subprocess, 'run', fake_pip)
    seen = []
    for _ in range(2):
        folder = assets.ensure_assets(lambda fraction, text: seen.append(text), ('astronaut',))
    assert (folder / 'astronaut.png').read_bytes() == b'picture'
    assert len(commands) == 1
    assert len(seen) == 1
    assert list(folder.iterdir()) == [folder / 'astronaut.png']
