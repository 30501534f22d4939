# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Upright boxes in images: (..., 4) arrays of left, top, width and height [px]."""

from __future__ import annotations

import numpy as np

_LEAST_AREA = 1e-9  # [px^2] that an overlap is divided by: two empty boxes do not overlap


def centers(boxes: np.ndarray) -> np.ndarray:
    """Centers (..., 2) [px] of boxes (..., 4)."""
    return boxes[..., :2] + boxes[..., 2:] / 2


def far_corners(boxes: np.ndarray) -> np.ndarray:
    """Right and bottom borders (..., 2) [px] of boxes (..., 4)."""
    return boxes[..., :2] + boxes[..., 2:]


def areas(boxes: np.ndarray) -> np.ndarray:
    """Areas (...) [px^2] of boxes (..., 4)."""
    return boxes[..., 2:].prod(-1)


def center_and_size(boxes: np.ndarray) -> np.ndarray:
    """Boxes (..., 4) as center and size (..., 4) [px]; the inverse of `from_center_and_size`."""
    return np.concatenate([centers(boxes), boxes[..., 2:]], axis=-1)


def from_center_and_size(centered: np.ndarray, least_size: float = 0.0) -> np.ndarray:
    """Boxes from their centers and sizes.

    Parameters
    ----------
    centered
        (..., 4) center x, y, width and height [px].
    least_size
        [px] that widths and heights are at least.

    Returns
    -------
    np.ndarray
        (..., 4) boxes.
    """
    size = np.maximum(centered[..., 2:], least_size)
    return np.concatenate([centered[..., :2] - size / 2, size], axis=-1)


def box_overlap(boxes_a: np.ndarray, boxes_b: np.ndarray) -> np.ndarray:
    """Intersection over union of all pairs of boxes.

    Parameters
    ----------
    boxes_a, boxes_b
        (A, 4) and (B, 4).

    Returns
    -------
    np.ndarray
        (A, B) in [0, 1]; 0 for empty boxes.
    """
    common = intersections(boxes_a, boxes_b)
    union = areas(boxes_a)[:, None] + areas(boxes_b) - common
    return common / np.maximum(union, _LEAST_AREA)


def grown(boxes: np.ndarray, margin: np.ndarray) -> np.ndarray:
    """Boxes (..., 4) with so much more (..., 2) or (..., 1) [px] on either side."""
    return np.concatenate([boxes[..., :2] - margin, boxes[..., 2:] + 2 * margin], axis=-1)


def intersection_over_smaller(boxes_a: np.ndarray, boxes_b: np.ndarray) -> np.ndarray:
    """Share of the smaller box of each pair that lies in the other.

    Parameters
    ----------
    boxes_a, boxes_b
        (A, 4) and (B, 4).

    Returns
    -------
    np.ndarray
        (A, B) in [0, 1]: 1 for a box inside another, however large; 0 for empty boxes.
    """
    smaller = np.minimum(areas(boxes_a)[:, None], areas(boxes_b))
    return intersections(boxes_a, boxes_b) / np.maximum(smaller, _LEAST_AREA)


def intersections(boxes_a: np.ndarray, boxes_b: np.ndarray) -> np.ndarray:
    """Intersect boxes: common areas (A, B) [px^2] of boxes (A, 4) and (B, 4)."""
    low = np.maximum(boxes_a[:, None, :2], boxes_b[None, :, :2])
    high = np.minimum(far_corners(boxes_a)[:, None], far_corners(boxes_b)[None])
    return np.maximum(high - low, 0).prod(-1)


def suppress_overlaps(
    boxes: np.ndarray, scores: np.ndarray, least_score: float, most_overlap: float
) -> np.ndarray:
    """Greedy non-maximum suppression: of boxes that overlap, the one with the best score stays.

    Parameters
    ----------
    boxes, scores
        (N, 4) and (N,).
    least_score
        Boxes with this score or less go.
    most_overlap
        Intersection over union with a better box above which a box goes.

    Returns
    -------
    np.ndarray
        Indices of the boxes that stay, best score first, of equal ones the first in `boxes` first.
    """
    order = np.argsort(-scores, kind='stable')
    order = order[scores[order] > least_score]
    ordered = boxes[order]
    stays = np.ones(len(order), bool)
    for place in range(len(order)):
        if stays[place]:  # one row at a time: a damaged network may give ten thousand boxes
            overlap = box_overlap(ordered[place : place + 1], ordered[place + 1 :])[0]
            stays[place + 1 :] &= overlap <= most_overlap
    return order[stays]
