# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A whole small scene rendered to a recording, from generated voices and pictures.

Files, truth, repeatability.
"""

import dataclasses
import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
import soundfile
import yaml

from av_perception.cli.main import main
from av_perception.errors import UserError
from av_perception.recording.source_sounds import read_sources
from av_perception.simulation import load_scene, simulate
from av_perception.simulation.scene import RoomConfig
from av_perception.simulation.scene_noise import SceneNoise, shaped_like

RATE = 16000
HEAD = {
    'name': 'small',
    'microphones': {'coordinates': [[0.0, 0.05, 0.0], [0.0, -0.05, 0.0]], 'sample_rate': RATE},
    'camera': {
        'width': 160,
        'height': 120,
        'focal': [110.0, 110.0],
        'center': [79.5, 59.5],
        'baseline': 0.1,
        'position': [0.05, 0.05, 0.06],
        'frame_rate': 10.0,
    },
}
DATA = Path(
    os.environ.get('AV_PERCEPTION_DATA', Path(__file__).resolve().parents[3] / 'shared' / 'data')
)


@pytest.fixture
def scene_folder(tmp_path):
    random = np.random.default_rng(0)
    talkers = []
    for key, color in ((4, (60, 90, 170)), (9, (170, 90, 60))):
        time = np.arange(2 * RATE) / RATE
        soundfile.write(
            str(tmp_path / f'{key}.wav'),
            0.3 * random.normal(size=len(time)) * (np.sin(2 * np.pi * 3 * time) > -0.9),
            RATE,
        )
        image = np.full((300, 300, 3), 200, np.uint8)
        cv2.ellipse(image, (150, 100), (40, 55), 0, 0, 360, color, -1)
        cv2.rectangle(image, (110, 150), (190, 300), color, -1)
        cv2.imwrite(str(tmp_path / f'{key}.png'), image)
        talkers.append(
            {'id': key, 'voice': f'{key}.wav', 'photo': f'{key}.png', 'face': [115, 55, 70, 95]}
        )
    talkers[0].update(waypoints=[[0.0, 1.5, 0.4, 0.05]], turns=[[0.2, 1.0]])
    talkers[1].update(
        waypoints=[[0.0, 2.0, -0.5, 0.05], [2.0, 2.0, -0.1, 0.05]], turns=[[1.2, 1.9]]
    )
    scene = {
        'duration': 2.0,
        'seed': 3,
        'head': 'small.yaml',
        'room': {'t60': 0.0, 'snr_db': 40.0},
        'talkers': talkers,
    }
    (tmp_path / 'scene.yaml').write_text(yaml.safe_dump(scene))
    (tmp_path / 'small.yaml').write_text(yaml.safe_dump(HEAD))
    return tmp_path


@pytest.mark.slow
def test_recording_holds_sound_images_and_truth(scene_folder):
    seen = []
    recording = simulate(
        load_scene(scene_folder / 'scene.yaml'),
        scene_folder / 'out',
        progress=lambda f, text: seen.append(f),
    )
    assert seen == sorted(seen) and seen[-1] == 1.0
    assert recording.head.name == 'small'
    assert (scene_folder / 'out' / 'head.yaml').is_file()
    assert recording.origin == {'scene': 'scene', 'seed': 3, 'duration': 2.0}
    assert recording.num_samples == 2 * RATE
    assert recording.num_channels == 2
    assert recording.num_frames == 20
    assert recording.has_right
    assert len(list(recording.images())) == 20
    truth = recording.truth
    assert len(truth) == 40 and truth.visible.all()
    np.testing.assert_allclose(np.unique(truth.time_s), np.arange(20) / 10, atol=1e-6)
    np.testing.assert_allclose(truth.position[truth.id == 4], np.tile([1.5, 0.4, 0.05], (20, 1)))
    still, walker = truth.speaking[truth.id == 4], truth.speaking[truth.id == 9]
    assert still[3:10].all()
    assert not still[:2].any()
    assert not still[11:].any()
    assert walker[13:19].all()
    assert not walker[:12].any()
    sound = recording.read_audio(0, 2 * RATE)
    assert 0.01 < sound[4000:15000].std() < 0.2 and sound[:2000].std() < 0.002


@pytest.mark.slow
def test_drawn_head_is_where_the_truth_says(scene_folder):
    """The reddish head of talker 4 lies where its true center is projected, in both images."""
    recording = simulate(load_scene(scene_folder / 'scene.yaml'), scene_folder / 'out')
    camera = recording.head.camera
    point = camera.base_from_optical.inverse().apply(np.array([1.5, 0.4, 0.05]))
    _, _, left, right = next(recording.images())
    pixel = camera.project(point)
    for image, expected in ((left, pixel[0]), (right, pixel[0] - camera.disparity(point[2]))):
        row = image[int(round(pixel[1]))].astype(int)
        columns = np.flatnonzero(row[:, 2] - row[:, 0] > 60)
        assert abs(columns.mean() - expected) < 1.0


@pytest.mark.slow
def test_same_seed_same_contents_other_seed_other_noise(scene_folder):
    scene = load_scene(scene_folder / 'scene.yaml').with_duration(0.6)
    first, again, other = (
        simulate(scene, scene_folder / name, seed=seed)
        for name, seed in (('a', 7), ('b', 7), ('c', 8))
    )
    assert np.array_equal(first.read_audio(0, RATE), again.read_audio(0, RATE))
    assert not np.array_equal(first.read_audio(0, RATE), other.read_audio(0, RATE))
    for (_, _, left, right), (_, _, left_again, right_again) in zip(
        first.images(), again.images()
    ):
        assert np.array_equal(left, left_again) and np.array_equal(right, right_again)
    assert (scene_folder / 'a' / 'truth.csv').read_text() == (
        scene_folder / 'b' / 'truth.csv'
    ).read_text()


def without_camera(scene_folder):
    """The same scene for ears alone, which is quick to render."""
    microphones = {k: v for k, v in HEAD.items() if k != 'camera'}
    (scene_folder / 'small.yaml').write_text(yaml.safe_dump(microphones))
    return load_scene(scene_folder / 'scene.yaml')


def noise_alone(scene, folder, *noise):
    """(N, channels) what a scene's room and microphones add to its voices."""
    simulate(dataclasses.replace(scene, noise=noise), folder, keep_parts=True)
    return read_sources(folder).noise


def test_images_and_noise_add_up_to_the_mixture(scene_folder):
    scene = dataclasses.replace(
        without_camera(scene_folder), noise=(SceneNoise('diffuse', 10.0, 'white'),)
    )
    recording = simulate(scene, scene_folder / 'out', keep_parts=True)
    sources = read_sources(scene_folder / 'out')
    assert sorted(sources.images) == sorted(sources.dry) == [4, 9]
    total = sum(sources.images.values()) + sources.noise
    mixture = recording.read_audio(0, 2 * RATE)
    # The mixture has 16 bits, each of the three parts 24.
    assert np.abs(total - mixture).max() <= 0.5 / 2**15 + 3 / 2**23
    assert all(image.std() > 0.01 for image in sources.images.values())
    # The dry voice is silent where its turn is over; its image is it, 1.6 m later.
    assert not sources.dry[4][int(1.1 * RATE) :].any()
    heard = np.correlate(sources.images[4][3000:20000, 0], sources.dry[4][3000:19800], 'valid')
    assert abs(np.argmax(np.abs(heard)) - 1.55 / 343 * RATE) < 3


def test_keeping_the_parts_changes_no_sample(scene_folder):
    scene = without_camera(scene_folder)
    plain = simulate(scene, scene_folder / 'a')
    parted = simulate(scene, scene_folder / 'b', keep_parts=True)
    assert np.array_equal(plain.read_audio(0, 2 * RATE), parted.read_audio(0, 2 * RATE))
    with pytest.raises(UserError, match='--images'):
        read_sources(scene_folder / 'a')
    simulate(scene, scene_folder / 'b')  # an older recording leaves nothing behind
    assert not (scene_folder / 'b' / 'sources').exists()


def test_noise_of_a_scene_has_its_level_and_its_place(scene_folder):
    scene = dataclasses.replace(
        without_camera(scene_folder), room=RoomConfig(t60=0.0, snr_db=90.0), duration=1.0
    )
    left = noise_alone(scene, scene_folder / 'a', SceneNoise('point', 5.0, 'fan', (0.0, 1.5, 0.0)))
    around = noise_alone(scene, scene_folder / 'b', SceneNoise('diffuse', 5.0))
    more = noise_alone(scene, scene_folder / 'c', SceneNoise('diffuse', -5.0))
    # Speech has the level 0.06 at the microphones, unless it would clip.
    level_db = 20 * np.log10(left.std() / 0.06)
    assert abs(level_db + 5.0) < 0.5
    assert abs(20 * np.log10(more.std() / around.std()) - 10.0) < 0.5
    # The point is on the line of the two microphones, 10 cm apart, nearer to the first.
    cross = np.correlate(left[1000:15000, 1], left[1010:14990, 0], 'valid')
    assert np.argmax(np.abs(cross)) - 10 == round(0.1 / 343 * RATE)
    # From all around there is no such delay: no lag of the cross-correlation stands out.
    around_peak = np.correlate(around[1000:15000, 1], around[1010:14990, 0], 'valid')
    assert abs(np.argmax(np.abs(around_peak)) - 10) < round(0.1 / 343 * RATE)


@pytest.mark.parametrize(
    'noise, words',
    [
        ({'kind': 'loud', 'snr_db': 10.0}, 'diffuse or point'),
        ({'kind': 'point', 'snr_db': 10.0}, 'needs a position'),
        ({'kind': 'diffuse', 'snr_db': 10.0, 'position': [1.0, 0.0, 0.0]}, 'position'),
        ({'kind': 'point', 'snr_db': 10.0, 'position': [40.0, 0.0, 0.0]}, 'outside the room'),
        ({'kind': 'diffuse', 'snr_db': 500.0}, 'snr_db'),
        ({'kind': 'diffuse', 'snr_db': 10.0, 'sound': 'no.wav'}, 'no file'),
    ],
)
def test_noise_that_cannot_be_is_refused(noise, words, scene_folder):
    path = scene_folder / 'scene.yaml'
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), 'noise': [noise]}))
    with pytest.raises(UserError, match=words):
        load_scene(path)


def test_noise_file_that_is_none_is_named(scene_folder):
    (scene_folder / 'hum.wav').write_bytes(b'nonsense')
    scene = without_camera(scene_folder)
    noise = SceneNoise('diffuse', 10.0, str(scene_folder / 'hum.wav'))
    with pytest.raises(UserError, match='hum.wav is not a readable sound file'):
        simulate(dataclasses.replace(scene, noise=(noise,)), scene_folder / 'out')


def test_speech_shaped_noise_has_the_spectrum_of_the_voices():
    random = np.random.default_rng(1)
    low = np.convolve(random.normal(size=4 * RATE), np.ones(8) / 8, 'same')
    noise = shaped_like([low, np.zeros(4 * RATE)], 8 * RATE, random)
    bands = [np.abs(np.fft.rfft(sound)[: len(sound) // 4 + 1]) ** 2 for sound in (low, noise)]
    shares = [[part.sum() / band.sum() for part in np.array_split(band, 8)] for band in bands]
    np.testing.assert_allclose(shares[0], shares[1], rtol=0.25, atol=0.01)


def test_head_without_camera_gives_sound_alone(scene_folder):
    recording = simulate(without_camera(scene_folder), scene_folder / 'out')
    assert recording.num_frames == 0
    assert not recording.truth.visible.any()
    assert len(recording.truth) == 2 * 50


@pytest.mark.slow
def test_picture_that_mp4_spoils_is_stored_without_loss(scene_folder, monkeypatch):
    monkeypatch.setattr('av_perception.simulation.simulator.LOWEST_VIDEO_PSNR_DB', 200.0)
    recording = simulate(
        load_scene(scene_folder / 'scene.yaml').with_duration(0.4), scene_folder / 'out'
    )
    assert (scene_folder / 'out' / 'left' / '000003.png').is_file()
    assert not (scene_folder / 'out' / 'left.mp4').exists()
    assert len(list(recording.images())) == 4


@pytest.mark.parametrize(
    'spoilt, words',
    [('4.wav', '4.wav is not a readable sound'), ('4.png', '4.png is not a readable image')],
)
def test_spoilt_asset_is_named(spoilt, words, scene_folder):
    (scene_folder / spoilt).write_bytes(b'nonsense')
    with pytest.raises(UserError, match=words):
        simulate(load_scene(scene_folder / 'scene.yaml'), scene_folder / 'out')


def test_silent_voice_is_refused(scene_folder):
    soundfile.write(str(scene_folder / '4.wav'), np.zeros(RATE), RATE)
    with pytest.raises(UserError, match='silent'):
        simulate(load_scene(scene_folder / 'scene.yaml'), scene_folder / 'out')


@pytest.mark.slow
@pytest.mark.skipif(not (DATA / 'av_grid').is_dir(), reason='AV_PERCEPTION_DATA holds no av_grid')
def test_clip_of_a_talking_face_moves_while_its_voice_sounds(monkeypatch, tmp_path):
    monkeypatch.setenv('AV_PERCEPTION_DATA', str(DATA))
    scene = load_scene('grid').with_duration(4.0)
    still = dataclasses.replace(
        scene.talkers[0], waypoints=((0.0, 1.3, 0.0, 0.05),), turns=((1.5, 3.5),)
    )
    recording = simulate(dataclasses.replace(scene, talkers=(still,)), tmp_path / 'out')
    speaking = recording.truth.speaking
    assert speaking[52:70].mean() > 0.8
    assert not speaking[:37].any()
    assert recording.truth.visible.all()
    camera = recording.head.camera
    u, v = camera.project(
        camera.base_from_optical.inverse().apply(recording.truth.position[0])
    ).astype(int)
    mouth = np.array(
        [
            cv2.blur(left[v + 5 : v + 30, u - 15 : u + 15], (5, 5))
            for _, _, left, _ in recording.images()
        ],
        float,
    )
    motion = np.abs(np.diff(mouth, axis=0)).mean(axis=(1, 2, 3))
    assert motion[52:70].mean() > 2 * motion[5:35].mean()


@pytest.mark.slow
def test_command_renders_and_writes_its_figures(scene_folder, capsys):
    figures_file = scene_folder / 'figures.json'
    words = ['simulate', str(scene_folder / 'scene.yaml'), '-o', str(scene_folder / 'out')]
    words += ['--seed', '5', '--duration', '1', '--json', str(figures_file)]
    assert main(words) == 0
    figures = json.loads(figures_file.read_text())
    assert (figures['seed'], figures['duration_s'], figures['images'], figures['talkers']) == (
        5,
        1.0,
        10,
        2,
    )
    assert 0 < figures['speech_share'] < 1 and figures['visible_share'] == 1.0
    (scene_folder / 'file').write_text('not a folder')
    assert main([*words[:3], str(scene_folder / 'file')]) == 2
    assert 'cannot write the recording' in capsys.readouterr().err
