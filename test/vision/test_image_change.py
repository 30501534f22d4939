# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What has changed in an image: all of it, something beside the known people, or nothing."""

from __future__ import annotations

import numpy as np
import pytest

from av_perception.vision.face_windows import people_windows
from av_perception.vision.image_change import ImageChange

SIZE = np.array([640, 480])
NOBODY = np.zeros((0, 4), int)


@pytest.fixture
def room():
    return np.random.default_rng(8).integers(40, 200, (480, 640, 3)).astype(np.uint8)


@pytest.fixture
def change(room):
    kept = ImageChange()
    kept.keep(room)
    return kept


def noisy(image, level):
    noise = np.random.default_rng(9).normal(0, level, image.shape)
    return np.clip(np.round(image + noise), 0, 255).astype(np.uint8)


def test_the_noise_of_a_dark_room_is_no_change(room, change):
    assert not change.is_new_beside(noisy(room, 6.0), NOBODY)
    assert not change.is_other(noisy(room, 6.0))


@pytest.mark.parametrize('place', [(0, 0), (311, 203), (615, 455)])
def test_a_face_of_a_block_is_a_change_wherever_it_comes(room, change, place):
    x, y = place
    room[y : y + 18, x : x + 14] = (120, 150, 200)
    assert change.is_new_beside(room, NOBODY)
    assert not change.is_other(room)


def test_a_change_within_a_window_is_none(room, change):
    room[100:160, 200:260] = 0
    assert not change.is_new_beside(room, np.array([[190, 90, 80, 80]]))
    assert change.is_new_beside(room, np.array([[230, 90, 80, 80]]))
    assert change.is_new_beside(room, np.array([[0, 0, 10, 10]]))


def test_a_light_is_a_change_of_all(room, change):
    assert change.is_other(room // 2)
    assert change.is_new_beside(room // 2, NOBODY)


def test_before_an_image_is_kept_all_is_other(room):
    assert ImageChange().is_other(room)


def test_images_of_another_size_are_other_ones(room, change):
    assert change.is_other(room[:240])


@pytest.mark.parametrize('size', [(5, 7, 3), (16, 16, 3), (33, 90, 3)])
def test_tiny_images_change_too(size):
    image = np.full(size, 90, np.uint8)
    change = ImageChange()
    change.keep(image)
    assert not change.is_new_beside(image, NOBODY)
    assert change.is_new_beside(image + 60, NOBODY)


def test_windows_of_people_hold_head_and_body_and_lie_in_the_image():
    windows = people_windows(np.array([[100.0, 100, 50, 65]]), SIZE)
    np.testing.assert_array_equal(windows[1], [35, 100, 180, 380])
    assert windows[0, 0] < 75 and windows[0, 0] + windows[0, 2] > 175
    random = np.random.default_rng(3)
    boxes = random.uniform(-900, 900, (200, 4))
    boxes[:, 2:] = np.exp(random.uniform(-3, 14, (200, 2)))
    windows = people_windows(boxes, SIZE)
    assert (windows[:, :2] >= 0).all() and (windows[:, 2:] >= 0).all()
    assert (windows[:, :2] + windows[:, 2:] <= SIZE).all()
