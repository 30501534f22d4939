# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Recorded sequences: as they lie in a folder, compared as scenes are."""

from __future__ import annotations

import json

import numpy as np
import pytest

from av_perception.benchmarks.box_sequences import (
    SequenceSpace,
    detector_rates,
    measure_sequences,
    read_sequences,
)
from av_perception.benchmarks.comparison import TRACKERS
from av_perception.cli.main import main
from av_perception.errors import UserError
from av_perception.recording.mot_text import MotTable, SequenceInfo
from av_perception.robot_head.profile import load_head
from av_perception.simulation.box_scenes import BoxScene, BoxSceneConfig, box_scene
from av_perception.tracking.state_space.image_plane import ImagePlane, ImagePlaneConfig

CAMERA = load_head('simulated').camera


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A generated scene, written as a sequence of the challenge."""
    scene = box_scene(BoxSceneConfig(people=2, duration_s=4.0, clutter=0.2), CAMERA, 7)
    folder = tmp_path_factory.mktemp('sequences') / 'walk'
    for name, table in (('det', scene.detections), ('gt', scene.truth)):
        (folder / name).mkdir(parents=True)
        table.write(folder / name / f'{name}.txt')
    scene.info.write(folder / 'seqinfo.ini', 'walk')
    return folder


def test_both_layouts_are_read_alike(folder, tmp_path):
    [nested] = read_sequences([folder])
    nested.scene.write(tmp_path / 'walk')
    [flat] = read_sequences([tmp_path / 'walk'])
    assert flat.name == nested.name == 'walk'
    assert flat.scene.info == nested.scene.info
    assert np.allclose(flat.scene.truth.box, nested.scene.truth.box, atol=0.01)


def test_rates_of_a_planted_detector_are_counted():
    everywhere = np.array([[10.0 * i, 5.0, 8.0, 8.0] for i in range(10)])
    frames = np.arange(1, 11)
    truth = MotTable.of(frames, np.ones(10, int), everywhere)
    found = MotTable.of(frames[:8], -np.ones(8, int), everywhere[:8])
    false = MotTable.of([1, 2, 3, 4, 5], [-1] * 5, np.tile([300.0, 300, 20, 20], (5, 1)))
    rows = np.concatenate([found.box, false.box])
    order = np.argsort(np.concatenate([found.frame, false.frame]), kind='stable')
    detections = MotTable.of(
        np.concatenate([found.frame, false.frame])[order], -np.ones(13, int), rows[order]
    )
    scene = BoxScene(truth, detections, SequenceInfo(25.0, 640, 480, 10))
    assert detector_rates(scene) == pytest.approx((0.8, 0.5))


@pytest.mark.slow
def test_everybody_is_tracked_by_every_tracker(folder):
    pytest.importorskip('stonesoup', reason='needs the extra comparison')
    pytest.importorskip('trackeval', reason='needs the extra evaluation')
    results = list(measure_sequences(read_sequences([folder])))
    assert [result.tracker for result in results] == list(TRACKERS)
    assert {result.scene for result in results} == {'walk'}
    assert min(result.mota for result in results) > 0.6


def test_peers_are_told_the_noise_that_the_tracker_has(folder):
    [sequence] = read_sequences([folder])
    space = SequenceSpace(sequence)
    _, noise = space.frames(sequence.scene)[0]
    width, height = sequence.scene.detections.box[0, 2:]
    assert noise[0] == pytest.approx(
        np.diag([0.05 * width, 0.05 * height, 0.1 * width, 0.1 * height]) ** 2
    )


def test_boxes_of_people_err_more_along_their_width():
    head = load_head('simulated')
    plain = ImagePlane(ImagePlaneConfig(), head)
    wide = ImagePlane(ImagePlaneConfig(width_error_ratio=3.0), head)
    faces = type('Faces', (), {'boxes': np.array([[10.0, 20, 30, 90]])})
    once = plain.measure(faces).noise[0].diagonal()
    assert wide.measure(faces).noise[0].diagonal() == pytest.approx(once * [9, 1, 9, 1])


@pytest.mark.parametrize('missing', ['det', 'gt'])
def test_folder_without_a_file_is_refused(folder, tmp_path, missing):
    [sequence] = read_sequences([folder])
    sequence.scene.write(tmp_path / 'half')
    (tmp_path / 'half' / f'{missing}.txt').unlink()
    with pytest.raises(UserError, match=f'neither {missing}/{missing}.txt'):
        read_sequences([tmp_path / 'half'])


@pytest.mark.slow
def test_command_compares_sequences(folder, tmp_path, capsys):
    pytest.importorskip('stonesoup', reason='needs the extra comparison')
    pytest.importorskip('trackeval', reason='needs the extra evaluation')
    files = ['--json', str(tmp_path / 'a.json'), '--plot', str(tmp_path / 'a.png')]
    assert main(['benchmark', 'tracking', '--sequences', str(folder), *files]) == 0
    figures = json.loads((tmp_path / 'a.json').read_text())
    assert [row['tracker'] for row in figures['summary']] == list(TRACKERS)
    assert 'walk' in capsys.readouterr().out


def test_pictures_of_scenes_are_not_drawn_of_sequences(folder, capsys):
    args = ['benchmark', 'tracking', '--sequences', str(folder), '--picture', 'a.png']
    assert main(args) == 2
    assert 'leave out --sequences' in capsys.readouterr().err
