# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What is drawn of each person: the box, the projected head or a direction; and the palette."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest
from human_frames import BOX, frames, person

from av_perception.geometry.rigid_transform import RigidTransform
from av_perception.interfaces import HeadPoseEstimate, HeadPoseFrame, LifeState
from av_perception.robot_head import load_head
from av_perception.robot_head.camera_calibration import CameraCalibration
from av_perception.visualization.colors import (
    PALETTE,
    bgr_of,
    color_of,
    darken,
    lighten,
    unit,
)
from av_perception.visualization.epipolar_picture import LINES, epipolar_picture
from av_perception.visualization.overlay import EYE_WIDTH, PersonDrawing, draw_overlay
from av_perception.visualization.people import HEAD_HALF_SIZE_M, people_to_draw

CAMERA = dataclasses.replace(
    load_head('simulated').camera, position=(0.1, 0.0, 0.2), orientation_rpy_deg=(0.0, 0.0, 0.0)
)


def at(place, number=1, **options):
    """Somebody whose head is at a place in the base frame."""
    track, status = person(number, **options)
    return dataclasses.replace(track, mean=np.array([*place, 0, 0, 0], float)), status


def drawn(*people, pose=None):
    return people_to_draw(*frames(40, *people), CAMERA, pose)


def test_somebody_straight_ahead_is_at_the_center_in_the_size_of_a_head():
    (drawing,) = drawn(at((2.1, 0.0, 0.2)))
    x, y, half_width, half_height = drawing.ellipse
    assert (x, y) == pytest.approx(CAMERA.center)
    assert half_width == pytest.approx(HEAD_HALF_SIZE_M[0] * CAMERA.focal[0] / 2)
    assert half_height == pytest.approx(HEAD_HALF_SIZE_M[1] * CAMERA.focal[1] / 2)
    assert drawing.range_m == pytest.approx(2.0) and drawing.direction is None


@pytest.mark.parametrize('left, up', [(0.5, 0.0), (-0.5, 0.0), (0.0, 0.3), (0.3, -0.2)])
def test_left_is_left_and_up_is_up(left, up):
    (drawing,) = drawn(at((2.1, left, 0.2 + up)))
    expected = (
        CAMERA.center[0] - CAMERA.focal[0] * left / 2,
        CAMERA.center[1] - CAMERA.focal[1] * up / 2,
    )
    assert drawing.ellipse[:2] == pytest.approx(expected)


@pytest.mark.parametrize(
    'place, direction',
    [
        ((-2.0, 1.0, 0.2), (-1.0, 0.0)),
        ((-2.0, -1.0, 0.2), (1.0, 0.0)),
        ((0.1, 0.0, 1.2), (0.0, -1.0)),
        ((0.15, 0.0, -0.8), (0.0, 1.0)),
    ],
)
def test_who_is_beside_or_behind_the_camera_is_a_direction(place, direction):
    (drawing,) = drawn(at(place))
    assert drawing.ellipse is None
    assert drawing.direction == pytest.approx(direction, abs=1e-12)


def test_the_box_of_a_seen_face_is_passed_on():
    seen, unseen = drawn(at((2, 0, 0.2)), at((2, 1, 0.2), 2, seen=False))
    assert seen.box == tuple(BOX) and seen.seen and not seen.predicted
    assert unseen.box is None and not unseen.seen and unseen.predicted


def test_only_the_active_are_drawn_and_in_their_order():
    people = [
        at((2, 0, 0), number, state=state)
        for number, state in enumerate(
            (LifeState.ACTIVE, LifeState.TENTATIVE, LifeState.SLEEPING, LifeState.ACTIVE), 1
        )
    ]
    assert [drawing.id for drawing in drawn(*people)] == [1, 4]


def test_who_has_no_status_does_not_speak():
    talker = at((2, 0, 0), 1, speaks=True)
    silent = at((2, 1, 0), 2)
    track_frame, speaking = frames(40, talker, silent)
    speaking = dataclasses.replace(speaking, statuses=speaking.statuses[:1])
    first, second = people_to_draw(track_frame, speaking, CAMERA)
    assert (first.speaking, first.speaking_probability, first.heard) == (True, 0.9, True)
    assert (second.speaking, second.speaking_probability) == (False, 0.0)


def test_a_turned_head_sees_what_is_beside_the_robot():
    turned = RigidTransform.from_xyz_rpy([0, 0, 0], [0, 0, np.pi / 2])
    base_from_optical = turned @ CAMERA.base_from_optical
    (left,) = drawn(at((0.0, 2.1, 0.2)), pose=base_from_optical)
    assert left.ellipse[:2] == pytest.approx(CAMERA.center) and left.range_m == pytest.approx(2)
    (ahead,) = drawn(at((2.0, 0.0, 0.2)), pose=base_from_optical)
    assert ahead.ellipse is None and ahead.direction[0] > 0, 'ahead is now to the right'


@pytest.mark.parametrize('seed', range(3))
def test_the_drawn_place_is_the_projection_for_any_place_before_the_camera(seed):
    random = np.random.default_rng(seed)
    for _ in range(20):
        optical = np.array([*random.uniform(-2, 2, 2), random.uniform(0.2, 8)])
        (drawing,) = drawn(at(CAMERA.base_from_optical.apply(optical)))
        assert drawing.ellipse[:2] == pytest.approx(CAMERA.project(optical))
        assert drawing.range_m == pytest.approx(np.linalg.norm(optical))


def test_colors_repeat_after_the_palette_and_are_mirrored_for_opencv():
    for number in range(1, 3 * len(PALETTE)):
        assert color_of(number) == color_of(number + len(PALETTE)) != color_of(number + 1)
        assert bgr_of(number) == tuple(reversed(color_of(number)))
    assert color_of(np.int64(1)) == PALETTE[0]


@pytest.mark.parametrize('color', PALETTE)
def test_colors_are_mixed_between_black_and_white(color):
    assert lighten(color, 0) == darken(color, 0) == color
    assert lighten(color, 1) == (255, 255, 255) and darken(color, 1) == (0, 0, 0)
    half = lighten(color, 0.5)
    assert all(before <= after <= 255 for before, after in zip(color, half))
    assert unit(color) == pytest.approx(np.array(color) / 255)


def test_lines_of_an_epipolar_picture_run_through_both_images():
    camera = load_head('simulated').camera
    shape = (camera.height, camera.width, 3)
    sides = [CameraCalibration.rectified(camera, is_right) for is_right in (False, True)]
    picture = epipolar_picture(np.full(shape, 100, np.uint8), np.zeros(shape, np.uint8), *sides)
    assert picture.shape == (camera.height, 2 * camera.width, 3)
    rows = [round(row) for row in np.linspace(0, camera.height, LINES + 2)[1:-1]]
    inside = picture[:, [camera.width // 2, 3 * camera.width // 2]].astype(int)
    colored = np.ptp(inside, axis=2).max(axis=1) > 100
    assert np.flatnonzero(colored).tolist() == rows
    between = picture[rows[0] + 5 : rows[1] - 4]
    assert (between[:, 20 : camera.width - 20] == 100).all()
    assert (between[:, camera.width + 20 :] == 0).all()
    assert cv2.countNonZero(picture[..., 0]) > 0


def test_an_arrow_goes_out_of_a_face_whose_turn_is_known():
    track, speaking = person(1)
    rotation = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])  # looks to the robot's left
    heads = HeadPoseFrame(0, (HeadPoseEstimate(1, rotation, facing=True),))
    (drawing,) = people_to_draw(*frames(40, (track, speaking)), CAMERA, heads=heads)
    assert drawing.gaze[2] < drawing.gaze[0] and drawing.facing
    image = np.zeros((480, 640, 3), np.uint8)
    without = draw_overlay(image, [dataclasses.replace(drawing, gaze=None)])
    assert (draw_overlay(image, [drawing]) != without).any()
    unknown = HeadPoseFrame(0, (HeadPoseEstimate(1),))
    (drawing,) = people_to_draw(*frames(40, (track, speaking)), CAMERA, heads=unknown)
    assert drawing.gaze is None and not drawing.facing


def test_arrows_that_are_not_finite_are_not_drawn():
    image = np.zeros((480, 640, 3), np.uint8)
    plain = PersonDrawing(1, box=(100, 100, 50, 60))
    hostile = dataclasses.replace(plain, gaze=(np.nan, 0, 1e30, 0))
    np.testing.assert_array_equal(draw_overlay(image, [hostile]), draw_overlay(image, [plain]))


def test_whom_the_robot_looks_at_has_an_eye_on_the_label():
    tracks, speaking = frames(40, at((2.1, 0.0, 0.2), 1), at((2.1, 0.5, 0.2), 2))
    first, second = people_to_draw(tracks, speaking, CAMERA, looked_at=2)
    assert (first.looked_at, second.looked_at) == (False, True)
    image = np.zeros((CAMERA.height, CAMERA.width, 3), np.uint8)
    with_eye = draw_overlay(image, [second])
    without = draw_overlay(image, [dataclasses.replace(second, looked_at=False)])
    changed = np.abs(with_eye.astype(int) - without).any(axis=2)
    rows, columns = np.nonzero(changed)
    assert changed.any() and np.ptp(rows) < 30 and np.ptp(columns) < 2 * EYE_WIDTH
