# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Standard deviations of boxes by the size of the face: closed forms, and who is beside whom."""

import numpy as np
import pytest

from av_perception.vision.box_noise import (
    BLAZEFACE,
    CENTERFACE,
    COVERED_GRID,
    COVERED_SPREAD,
    CROWDED_FACTOR,
    CROWDED_PX,
    YUNET,
    BoxNoise,
)

NOISE = BoxNoise((0.02, 0.04), (1.0, 0.5), small_px=30.0)


def stds(width, scale=1.0, noise=NOISE):
    return noise.center_stds(np.array([[100.0, 80.0, width, 1.3 * width]]), np.array([scale]))[0]


def test_both_parts_add_in_squares():
    assert stds(60.0) == pytest.approx(np.hypot([1.2, 2.4], [1.0, 0.5]))


def test_a_small_face_is_less_certain():
    assert stds(15.0) == pytest.approx(np.hypot([0.3, 0.6], [2.0, 1.0]))


def test_a_face_that_is_seen_at_half_its_size_is_half_as_certain():
    assert stds(60.0, 2.0) == pytest.approx(2 * stds(30.0))


@pytest.mark.parametrize('noise', [CENTERFACE, YUNET, BLAZEFACE])
def test_a_finer_look_is_never_less_certain(noise):
    widths = np.geomspace(10, 200, 30)
    scales = np.geomspace(0.75, 4.0, 20)
    boxes = np.zeros((len(widths), 4))
    boxes[:, 0] = 1e4 * np.arange(len(widths))
    boxes[:, 2:] = widths[:, None]
    of_scales = np.array([noise.center_stds(boxes, np.full(len(boxes), s)) for s in scales])
    assert np.all(np.diff(of_scales, axis=0) > 0)


@pytest.mark.parametrize('scale', [1.0, 2.0])
def test_beside_a_wider_box_the_grid_is_noisier_across(scale):
    def pair(gap_px):
        boxes = np.array([[100.0, 80, 20, 26], [120 + scale * gap_px, 80, 40, 52]])
        return NOISE.center_stds(boxes, np.full(2, scale))

    apart = pair(CROWDED_PX + 0.1)
    beside = pair(CROWDED_PX - 0.1)
    np.testing.assert_array_equal(beside[1], apart[1])
    assert beside[0, 1] == apart[0, 1]
    part = beside[0, 0] ** 2 - apart[0, 0] ** 2
    grid = apart[0, 0] ** 2 - (0.02 * 20) ** 2
    assert part == pytest.approx((CROWDED_FACTOR**2 - 1) * grid)


def test_a_covered_face_is_less_certain_most_across_and_where_it_is_small():
    box = np.array([[100.0, 80.0, 30.0, 39.0]])
    shares = np.linspace(0, 1, 11)
    found = np.concatenate([NOISE.center_stds(box, np.ones(1), share) for share in shares])
    assert np.all(np.diff(found, axis=0) > 0)
    spread = np.hypot([0.02, 0.04], COVERED_SPREAD * 0.25) * 30
    grid = np.array([1.0, 0.5]) * (1 + COVERED_GRID * 0.25)
    np.testing.assert_allclose(found[5], np.hypot(spread, grid))
    both = NOISE.center_stds(np.repeat(box, 2, axis=0), np.ones(2), np.array([0.0, 0.5]))
    np.testing.assert_allclose(both, found[[0, 5]])


def test_images_without_faces_have_no_noise():
    assert NOISE.center_stds(np.zeros((0, 4)), np.zeros(0)).shape == (0, 2)
