# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The benchmark of vision: its figures against planted errors, and the command from end to end."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from vision_scenes import CAMERA

from av_perception.benchmarks.embedding_accuracy import ClipFaces, read_clips, separation
from av_perception.benchmarks.vision_accuracy import Errors, nees_band
from av_perception.cli.main import main
from av_perception.errors import UserError
from av_perception.interfaces import Face
from av_perception.vision.box_noise import CENTERFACE
from av_perception.vision.face_detector import FaceDetections

CENTERS = np.array([[-0.4, 0.0, 2.0], [0.3, 0.1, 2.1]])


def face_at(position):
    width = CAMERA.focal[0] * 0.135 / position[2]
    box = np.array([*CAMERA.project(position) - width / 2, width, width])
    return Face(box, 0.9, np.zeros((5, 2)), position, 1e-4 * np.eye(3))


def test_the_band_holds_95_of_100_means():
    low, high = nees_band(50)
    means = np.random.default_rng(1).chisquare(3, (4000, 50)).mean(axis=1)
    assert np.mean((means >= low) & (means <= high)) == pytest.approx(0.95, abs=0.012)
    assert np.isnan(nees_band(0)).all()


def test_planted_errors_give_their_figures():
    """The errors of 1500 faces are drawn from what they state.

    One person is missed half of the time, and one face belongs to nobody.
    """
    random = np.random.default_rng(2)
    errors = Errors()
    for index in range(1000):
        seen = CENTERS[: 1 + index % 2]
        faces = [face_at(center + random.normal(0, 0.01, 3)) for center in seen]
        if index == 0:
            faces.append(face_at(np.array([0.6, 0.5, 2.0])))
        errors.add(faces, CENTERS, CAMERA)
    accuracy = errors.accuracy(2.0)
    assert np.mean(errors.is_found) == 0.75 and errors.false == 1
    assert accuracy.nees_band[0] < accuracy.nees < accuracy.nees_band[1]
    assert accuracy.depth_rmse_m == pytest.approx(0.01, rel=0.1)
    assert accuracy.components == pytest.approx((1, 1, 1), abs=0.12)
    assert accuracy.depth_error == pytest.approx(0.005, rel=0.1)


def test_errors_are_told_apart_by_their_direction():
    """One face is 3 deviations off to the right, 2 down and 1 towards the camera."""
    along = CENTERS[0] / np.linalg.norm(CENTERS[0])
    across = np.array([along[2], 0.0, -along[0]]) / np.hypot(along[0], along[2])
    down = np.cross(along, across)
    errors = Errors()
    errors.add([face_at(CENTERS[0] + 0.01 * (3 * across + 2 * down - along))], CENTERS, CAMERA)
    assert errors.accuracy(2.0).components == pytest.approx((9.0, 4.0, 1.0))


def test_two_faces_of_one_person_are_one_and_a_false_one():
    errors = Errors()
    errors.add([face_at(CENTERS[0]), face_at(CENTERS[0])], CENTERS, CAMERA)
    assert errors.false == 1 and np.mean(errors.is_found) == 0.5
    assert np.isnan(Errors().accuracy(2.0).nees)


class BrightnessEmbedder:
    """Describes a face by the brightness of the image's first pixel."""

    size = 2

    def embed(self, image_bgr, landmarks):
        angle = image_bgr[0, 0, 0] / 100 * np.pi / 2
        return np.array([[np.cos(angle), np.sin(angle)]])


class OneFace:
    """Finds a face in every image."""

    box_noise = CENTERFACE

    def detect(self, image_bgr):
        return FaceDetections(np.array([[10.0, 10, 50, 60]]), np.array([0.9]), np.zeros((1, 5, 2)))


def test_separation_of_planted_people():
    image = np.zeros((60, 80, 3), np.uint8)
    clips = [ClipFaces([image, image + 20], 50.0), ClipFaces([image + 100], 50.0)]
    found = separation(clips, OneFace(), BrightnessEmbedder(), 50.0)
    assert (found.faces, found.face_px) == (3, 50.0)
    shade = np.cos(0.1 * np.pi)
    other = np.cos(0.4 * np.pi)
    expected = [shade, shade, (0 + other) / 2, other]
    np.testing.assert_allclose(
        [found.same_lowest, found.same_mean, found.other_mean, found.other_highest],
        expected,
        atol=1e-9,
    )


def test_folders_without_clips_are_named(tmp_path):
    for folder in (tmp_path, tmp_path / 'absent'):
        with pytest.raises(UserError, match='0 clips'):
            read_clips(folder, OneFace())


@pytest.mark.slow
def test_the_command_writes_figures_and_a_picture(data_directory, tmp_path):
    """Small, from end to end: photographs of the simulation, clips of the data."""
    model = data_directory / 'models' / 'MobileFaceNet.onnx'
    small = ['--pairs', '5', '--distances', '2', '--face-sizes', '60']
    inputs = ['--clips', str(data_directory / 'av_grid'), '--embedding-model', str(model)]
    files = ['--json', str(tmp_path / 'v.json'), '--plot', str(tmp_path / 'v.png')]
    assert main(['benchmark', 'vision', *small, *inputs, *files]) == 0
    figures = json.loads((tmp_path / 'v.json').read_text())
    (measured,) = figures['front_end']['320x256']
    assert measured['recall'] > 0.9 and measured['false_faces'] == 0
    assert measured['stereo']['depth_error'] < 0.05
    for accuracy in (measured['stereo'], measured['mono']):
        assert accuracy['nees_band'][0] < accuracy['nees'] < accuracy['nees_band'][1]
    assert measured['mono']['depth_error'] < 0.2
    assert {'detection', 'matching', 'description'} <= measured['stages_ms'].keys()
    free, *covered = figures['covered']
    assert free['situation'] == 'free' and free['recall'] > 0.8
    assert any(situation['people'] for situation in covered)
    for situation in (free, *covered):
        if situation['people'] and situation['recall'] > 0:  # ten people need not stand so
            assert situation['nees'] < situation['nees_band'][1]
    (one,) = figures['embeddings']['MobileFaceNet']
    assert one['same_lowest'] > one['other_highest']
    assert cv2.imread(str(Path(tmp_path / 'v.png'))).shape[1] > 600


def test_a_size_that_is_none_is_named(capsys):
    assert main(['benchmark', 'vision', '--sizes', 'large']) == 2
    assert 'not of the form 416x320' in capsys.readouterr().err
