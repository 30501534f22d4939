# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Boxes against counted pixels, and suppression against OpenCV's."""

import cv2
import numpy as np
import pytest

from av_perception.geometry.boxes import (
    areas,
    box_overlap,
    center_and_size,
    centers,
    far_corners,
    from_center_and_size,
    intersection_over_smaller,
    intersections,
    suppress_overlaps,
)


def random_boxes(count, seed=0):
    """(count, 4) of whole pixels, inside 40 x 40."""
    random = np.random.default_rng(seed)
    return np.column_stack(
        [random.integers(0, 20, (count, 2)), random.integers(0, 20, (count, 2))]
    ).astype(float)


def mask(box):
    left, top, width, height = box.astype(int)
    picture = np.zeros((40, 40), bool)
    picture[top : top + height, left : left + width] = True
    return picture


def test_overlaps_are_those_of_counted_pixels():
    boxes_a, boxes_b = random_boxes(12), random_boxes(9, 1)
    for a, b in np.ndindex(12, 9):
        first, second = mask(boxes_a[a]), mask(boxes_b[b])
        common, union = (first & second).sum(), (first | second).sum()
        smaller = min(first.sum(), second.sum())
        assert intersections(boxes_a, boxes_b)[a, b] == common
        assert box_overlap(boxes_a, boxes_b)[a, b] == pytest.approx(common / max(union, 1))
        share = intersection_over_smaller(boxes_a, boxes_b)[a, b]
        assert share == pytest.approx(common / max(smaller, 1))


def test_a_box_inside_another():
    inner, outer = np.array([[4.0, 4, 2, 2]]), np.array([[0.0, 0, 10, 10]])
    assert intersection_over_smaller(inner, outer)[0, 0] == 1.0
    assert box_overlap(inner, outer)[0, 0] == pytest.approx(0.04)


def test_no_boxes():
    assert box_overlap(np.zeros((0, 4)), random_boxes(3)).shape == (0, 3)
    assert len(suppress_overlaps(np.zeros((0, 4)), np.zeros(0), 0.5, 0.3)) == 0


def test_centers_corners_and_sizes():
    box = np.array([10.0, 20.0, 4.0, 6.0])
    np.testing.assert_array_equal(centers(box), [12, 23])
    np.testing.assert_array_equal(far_corners(box), [14, 26])
    np.testing.assert_array_equal(center_and_size(box), [12, 23, 4, 6])
    np.testing.assert_array_equal(from_center_and_size(center_and_size(box)), box)
    np.testing.assert_array_equal(from_center_and_size(np.zeros(4), 1.0), [-0.5, -0.5, 1, 1])
    np.testing.assert_array_equal(areas(np.stack([box, 2 * box])), [24, 96])


@pytest.mark.parametrize('seed', range(20))
def test_suppression_is_that_of_opencv(seed):
    random = np.random.default_rng(seed)
    boxes = np.column_stack([random.uniform(0, 60, (40, 2)), random.uniform(5, 30, (40, 2))])
    scores = random.permutation(40) / 40
    expected = cv2.dnn.NMSBoxes(boxes.tolist(), scores.tolist(), 0.2, 0.3)
    np.testing.assert_array_equal(suppress_overlaps(boxes, scores, 0.2, 0.3), expected)
    assert 3 < len(expected) < 32


def test_of_equal_scores_the_first_box_stays():
    boxes = np.array([[0.0, 0, 10, 10], [50.0, 0, 10, 10], [1.0, 0, 10, 10]])
    assert suppress_overlaps(boxes, np.full(3, 0.9), 0.5, 0.3).tolist() == [0, 1]
