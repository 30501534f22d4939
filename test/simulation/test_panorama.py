# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The room all around: the view turns with the head, and has the wall's disparity."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from av_perception.robot_head import load_head
from av_perception.simulation.panorama import Panorama

CAMERA = dataclasses.replace(
    load_head('simulated').camera,
    width=160,
    height=120,
    focal=(110.0, 110.0),
    center=(79.5, 59.5),
    position=(0.0, 0.0, 0.0),
)
RADIUS_M = 3.0


@pytest.fixture(scope='module')
def panorama():
    return Panorama(CAMERA, RADIUS_M, 1.3)


def gray(image):
    return image.astype(float).mean(axis=2)


def shift_px(first, second, row, limit):
    """Columns by which the middle of a row of the first image lies further right in the second."""
    strip = slice(row - 4, row + 5)
    middle = slice(CAMERA.width // 2 - 20, CAMERA.width // 2 + 20)
    wanted = gray(first)[strip, middle]
    errors = {
        shift: np.mean(
            (gray(second)[strip, middle.start + shift : middle.stop + shift] - wanted) ** 2
        )
        for shift in range(-limit, limit + 1)
    }
    return min(errors, key=errors.__getitem__)


def test_the_view_turns_with_the_head(panorama):
    """A point at the image's middle lies f tan(angle) further right after a turn to the left."""
    angle = np.radians(12.0)
    before, after = panorama.views(0.5, 0.0)[0], panorama.views(0.5 + angle, 0.0)[0]
    assert shift_px(before, after, 60, 40) == pytest.approx(110 * np.tan(angle), abs=2)


def test_a_whole_turn_shows_the_same(panorama):
    for first, second in zip(panorama.views(0.3, 0.1), panorama.views(0.3 + 2 * np.pi, 0.1)):
        assert np.abs(gray(first) - gray(second)).mean() < 1.0


def test_the_disparity_is_that_of_the_wall(panorama):
    camera = dataclasses.replace(CAMERA, baseline=0.3)  # wide: whole pixels tell
    left, right = Panorama(camera, RADIUS_M, 1.3).views(1.0, 0.0)
    assert -shift_px(left, right, 60, 20) == pytest.approx(110 * 0.3 / RADIUS_M, abs=1.1)


def test_looking_down_shows_what_was_below(panorama):
    level, down = (gray(panorama.views(0.7, tilt)[0])[:, 60:100] for tilt in (0.0, 0.25))
    rows = range(10, 60)
    errors = {r: np.mean((down[56:64] - level[56 + r : 64 + r]) ** 2) for r in rows if r < 56}
    assert min(errors, key=errors.__getitem__) == pytest.approx(110 * np.tan(0.25), abs=3)


def test_nothing_is_black_anywhere(panorama):
    for pan in np.linspace(-np.pi, np.pi, 9):
        for tilt in (-0.5, 0.0, 0.5):
            assert gray(panorama.views(pan, tilt)[0]).min() > 5
