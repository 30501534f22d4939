# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""All stages offline.

On a rendered scene, on a folder made by other hands, with one camera, with sound alone.
"""

from __future__ import annotations

import json
import shutil

import cv2
import numpy as np
import pytest
import soundfile
import yaml
from offline_runs import offline_run

from av_perception.cli.main import main
from av_perception.evaluation.metrics import evaluate
from av_perception.paths import share_directory
from av_perception.pipelines.full import START_NS, OfflinePipeline
from av_perception.recording import Recording, TrackTable
from av_perception.recording.collect import collect_tracks
from av_perception.recording.mot_text import MotTable
from av_perception.robot_head import load_head
from av_perception.simulation.cache import simulated_recording

FRAMES, SECONDS = 75, 3.0


@pytest.fixture(scope='module')
def rendered():
    """Seven seconds of two talkers."""
    return simulated_recording('short')


@pytest.fixture(scope='module')
def foreign(rendered, tmp_path_factory):
    """The first three seconds as somebody else would store them.

    WAV, numbered PNG, an own head file, clocks that start late.
    """
    folder = tmp_path_factory.mktemp('foreign')
    head = yaml.safe_load((share_directory() / 'config' / 'heads' / 'simulated.yaml').read_text())
    (folder / 'bench.yaml').write_text(
        yaml.safe_dump(head | {'name': 'bench', 'base_frame': 'torso'})
    )
    description = {
        'head': 'bench.yaml',
        'sample_rate': 16000,
        'frame_rate': 25.0,
        'audio_start': 5.0,
        'video_start': 5.0,
    }
    (folder / 'recording.yaml').write_text(yaml.safe_dump(description))
    soundfile.write(
        folder / 'audio.wav',
        rendered.read_audio(0, round(SECONDS * 16000)),
        16000,
        subtype='FLOAT',
    )
    for side in ('left', 'right'):
        (folder / side).mkdir()
    for index, _, left, right in rendered.images():
        if index == FRAMES:
            break
        cv2.imwrite(str(folder / 'left' / f'{index:06d}.png'), left)
        cv2.imwrite(str(folder / 'right' / f'{index:06d}.png'), right)
    return folder


def tracked(recording):
    return collect_tracks(OfflinePipeline(recording).run(), START_NS)


@pytest.fixture(scope='module')
def foreign_tracks(foreign):
    """What the pipeline says of them; computed once."""
    return tracked(Recording.open(foreign))


@pytest.mark.slow
def test_a_scene_is_tracked(rendered):
    metrics = evaluate(offline_run('short').tracks, rendered.truth)
    assert metrics.mota > 0.9 and all(metrics.ids_kept.values())
    assert metrics.position_rmse_m < 0.1 and metrics.der < 0.25


@pytest.mark.slow
def test_a_folder_made_by_other_hands_gives_the_same_tracks(foreign, foreign_tracks):
    assert Recording.open(foreign).head.base_frame == 'torso'
    ours, theirs = offline_run('short').tracks, foreign_tracks
    same = ours.time_s < SECONDS - 0.05
    rows = min(np.count_nonzero(same), len(theirs))
    assert rows > 100
    np.testing.assert_allclose(theirs.time_s[:rows] - 5.0, ours.time_s[same][:rows], atol=1e-6)
    np.testing.assert_array_equal(theirs.id[:rows], ours.id[same][:rows])
    np.testing.assert_allclose(theirs.position[:rows], ours.position[same][:rows], atol=1e-3)


@pytest.mark.slow
def test_the_same_recording_gives_the_same_tracks_bit_for_bit(foreign, foreign_tracks):
    first, second = foreign_tracks, tracked(Recording.open(foreign))
    for column in ('time_s', 'id', 'position', 'velocity', 'covariance', 'speaking_probability'):
        np.testing.assert_array_equal(getattr(first, column), getattr(second, column))


@pytest.mark.slow
def test_one_camera_gives_directions_with_honest_range(rendered, foreign, tmp_path):
    folder = shutil.copytree(foreign, tmp_path / 'mono')
    shutil.rmtree(folder / 'right')
    tracks = tracked(Recording.open(folder))
    last = tracks.time_s > tracks.time_s.max() - 0.02
    truth = rendered.truth
    now = np.abs(truth.time_s - (tracks.time_s.max() - 5.0)) < 0.02
    assert np.count_nonzero(last) == 2
    for position, covariance in zip(tracks.position[last], tracks.covariance[last]):
        nearest = truth.position[now][
            np.argmin(np.linalg.norm(truth.position[now] - position, axis=1))
        ]
        bearing_error = np.arctan2(position[1], position[0]) - np.arctan2(nearest[1], nearest[0])
        assert abs(np.degrees(bearing_error)) < 2
        assert abs(position[0] - nearest[0]) < 4 * np.sqrt(covariance[0]) + 0.05


@pytest.mark.slow
def test_images_alone_are_tracked_and_written_for_other_tools(foreign, tmp_path):
    folder = tmp_path / 'images'
    shutil.copytree(foreign, folder)
    (folder / 'audio.wav').unlink()
    (folder / 'recording.yaml').write_text('{head: bench.yaml, frame_rate: 25.0}')
    boxes = tmp_path / 'boxes.txt'
    assert main(['track', str(folder), '--mot', str(boxes)]) == 0
    table = MotTable.read(boxes)
    assert set(table.id.tolist()) == {1, 2} and table.frame.max() == FRAMES
    assert not TrackTable.read(folder / 'tracks.csv').speaking.any()


@pytest.mark.slow
def test_sound_alone_finds_who_speaks_by_direction(foreign, tmp_path):
    """One of the two speaks in these three seconds."""
    folder = shutil.copytree(foreign, tmp_path / 'sound')
    for side in ('left', 'right'):
        shutil.rmtree(folder / side)
    recording = Recording.open(folder)
    assert 'this is sound alone' in recording.problem  # for recording.yaml speaks of images
    tracks = tracked(recording)
    assert set(tracks.id) == {1} and not tracks.seen.any() and tracks.speaking.any()
    azimuth = np.degrees(
        np.arctan2(tracks.position[tracks.heard, 1], tracks.position[tracks.heard, 0])
    )
    assert (
        tracks.heard.sum() > 25 and np.abs(azimuth - np.degrees(np.arctan2(0.40, 1.4))).max() < 5
    )


@pytest.mark.slow
def test_the_verbs_work_together(foreign, tmp_path, capsys):
    assert (
        main(
            [
                'track',
                str(foreign),
                '-o',
                str(tmp_path / 'tracks.csv'),
                '--json',
                str(tmp_path / 'run.json'),
            ]
        )
        == 0
    )
    tracks = TrackTable.read(tmp_path / 'tracks.csv')
    assert set(tracks.id) == {1, 2}
    said = capsys.readouterr()
    assert 'people [1, 2]' in said.out.replace('\n', ' ') and 'disparity' not in said.err
    assert json.loads((tmp_path / 'run.json').read_text())['problems'] == []


@pytest.mark.slow
def test_track_tells_when_no_face_had_a_disparity(foreign, tmp_path, capsys):
    """A stranger's recording without right images, or with the images swapped."""
    missing, swapped = (
        shutil.copytree(foreign, tmp_path / name) for name in ('missing', 'swapped')
    )
    shutil.rmtree(missing / 'right')
    (swapped / 'left').rename(swapped / 'other')
    (swapped / 'right').rename(swapped / 'left')
    (swapped / 'other').rename(swapped / 'right')
    for folder, cause in (
        (missing, 'the right video is missing'),
        (swapped, 'left and right swapped? baseline?'),
    ):
        assert (
            main(
                [
                    'track',
                    str(folder),
                    '-o',
                    str(tmp_path / 'tracks.csv'),
                    '--json',
                    str(tmp_path / 'run.json'),
                ]
            )
            == 0
        )
        (problem,) = json.loads((tmp_path / 'run.json').read_text())['problems']
        assert (
            problem.startswith('0 of ') and 'faces had a disparity' in problem and cause in problem
        )
        assert f'problem: {problem}' in capsys.readouterr().err


@pytest.mark.parametrize(
    'arguments, message',
    [
        (['track', '/nowhere'], 'there is no recording'),
        (['demo', '--scene', 'nowhere'], 'three_talkers'),
        (['demo', '--recording', '/nowhere'], 'there is no recording'),
        (['evaluate', '/nowhere.csv', '/nowhere'], '/nowhere'),
        (['localize', '/nowhere.wav', '--head', 'simulated'], '/nowhere.wav'),
        (['calibrate', 'acoustic', '--head', 'nowhere', '-o', 'x.npz'], 'known:'),
        (['replay', '/nowhere'], 'no bag'),
        (['up', 'nowhere'], 'known:'),
    ],
)
def test_a_wrong_argument_gives_one_line_and_status_2(arguments, message, capsys):
    assert main(arguments) == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert (
        len(error) == 1 and error[0].startswith('av-perception: error: ') and message in error[0]
    )


def test_a_malformed_scene_is_named(tmp_path, capsys):
    scene = tmp_path / 'scene.yaml'
    scene.write_text('duration: [ten')
    assert main(['demo', '--scene', str(scene)]) == 2
    assert 'scene.yaml' in capsys.readouterr().err


def test_the_profiles_that_ship_are_valid():
    for path in sorted((share_directory() / 'config' / 'heads').glob('*.yaml')):
        assert load_head(path.stem).name == path.stem


@pytest.mark.parametrize(
    'arguments, message',
    [(['--plot', '/nowhere/x.png'], '/nowhere'), (['-o', '/nowhere/tracks.csv'], '/nowhere')],
)
def test_track_says_before_the_work_what_it_cannot_write(foreign, capsys, arguments, message):
    """Regression: a plot or tracks into no folder failed after all the work."""
    assert main(['track', str(foreign), *arguments]) == 2
    assert message in capsys.readouterr().err
