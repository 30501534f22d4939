# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Which faces the heads of nearer people may cover, by their boxes alone."""

from __future__ import annotations

import numpy as np

# A nearer head, from its box (1 x 1.3): what it covers goes so far beyond, in widths of the box.
_HEAD_ASIDE = 0.25
_HEAD_ABOVE = 0.4
_MIDDLE = (0.7, 0.7)  # of a box, as a fraction of its width and height: the face for sure
_BESIDE = (1.6, 1.3)  # likewise: a head that reaches there is beside or before the face


def heads_reach(boxes: np.ndarray, patch_fraction: tuple[float, float]) -> np.ndarray:
    """Measure how far the heads of some faces reach into the middles of others.

    Parameters
    ----------
    boxes
        (N, 4) left, top, width and height [px].
    patch_fraction
        Width and height of the middle, as fractions of the box.

    Returns
    -------
    np.ndarray
        (N, N) share of the middle of face n (row) that the head around face m (column) covers;
        0 on the diagonal.
    """
    size = boxes[:, 2:] * np.array(patch_fraction)
    middle = boxes[:, :2] + (boxes[:, 2:] - size) / 2
    beyond = boxes[:, 2:3] * np.array([_HEAD_ASIDE, _HEAD_ABOVE])
    top = boxes[:, :2] - beyond
    bottom = boxes[:, :2] + boxes[:, 2:] + beyond * [1, 0]
    low = np.maximum(middle[:, None], top)
    high = np.minimum((middle + size)[:, None], bottom)
    shares = np.prod(np.maximum(high - low, 0.0), axis=2) / np.prod(size, axis=1)[:, None]
    np.fill_diagonal(shares, 0.0)
    return shares


def are_beside_nearer(boxes: np.ndarray) -> np.ndarray:
    """Tell which of the faces (N, 4) have the head of a larger one beside or before them: (N,)."""
    return covered_shares(boxes, _BESIDE) > 0


def covered_shares(boxes: np.ndarray, patch_fraction: tuple[float, float] = _MIDDLE) -> np.ndarray:
    """Guess from boxes alone how much of each face the head of a larger one covers.

    Parameters
    ----------
    boxes, patch_fraction
        As for `heads_reach`.

    Returns
    -------
    np.ndarray
        (N,) shares of the faces' middles.
    """
    reach = heads_reach(boxes, patch_fraction)
    larger = boxes[:, 2] > boxes[:, 2:3]
    return np.where(larger, reach, 0.0).max(axis=1, initial=0.0)
