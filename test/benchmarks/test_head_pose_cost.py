# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The group whose head poses are paid for: everybody in the picture, each with a track."""

import numpy as np
import pytest

from av_perception.benchmarks.head_pose_cost import group_picture, group_tracks
from av_perception.benchmarks.head_pose_views import Talker
from av_perception.benchmarks.turned_faces import TexturedFace
from av_perception.robot_head.profile import CameraGeometry

CAMERA = CameraGeometry(640, 480, (450.0, 450.0), (320.0, 240.0))


def talker(shade):
    """A bright square in a gray photograph, and points at its corners."""
    photograph = np.full((288, 360, 3), 40, np.uint8)
    photograph[100:160, 150:210] = shade
    nothing = np.zeros((0, 3))
    face = TexturedFace(photograph, nothing, nothing[:, :2], np.zeros((0, 3), int))
    points = np.array([[150.0, 100.0, 0.0], [210.0, 160.0, 0.0]])
    return Talker('one', np.tile(points, (3, 1, 1)), face)


def test_everybody_of_a_group_is_where_the_boxes_say():
    shades = (120, 180, 240)
    image, boxes = group_picture([talker(shade) for shade in shades], CAMERA)
    assert image.shape == (480, 640, 3) and len(boxes) == 3
    for shade, (x, y, width, height) in zip(shades, boxes):
        inside = image[int(y) + 3 : int(y + height) - 3, int(x) + 3 : int(x + width) - 3]
        assert inside.size and (inside == shade).all()
        assert not (image[:, : int(x) - 3] == shade).any()


def test_tracks_of_a_group_lie_on_the_rays_of_their_boxes():
    boxes = np.array([[50.0, 200.0, 60.0, 80.0], [500.0, 100.0, 40.0, 50.0]])
    frame = group_tracks(boxes, CAMERA, 7)
    for track, box in zip(frame.tracks, boxes):
        optical = CAMERA.base_from_optical.inverse().apply(track.mean[:3])
        assert CAMERA.project(optical[None])[0] == pytest.approx(box[:2] + box[2:] / 2)
        assert track.last_seen_ns == 7 and (track.box == box).all()
