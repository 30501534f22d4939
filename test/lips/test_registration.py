# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A mouth is laid over its rest, whatever its lips do."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from av_perception.lips.registration import registered

SIZE = 24
ROWS, COLUMNS = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
MOUTH = (COLUMNS / 6) ** 2 + (ROWS / 4) ** 2 < 1


def face(seed=0):
    """(96, 96) smooth skin, of which the middle is looked at."""
    random = np.random.default_rng(seed)
    skin = cv2.GaussianBlur(random.normal(size=(96, 96)), (0, 0), 4.0)
    return (60 * skin / np.abs(skin).max()).astype(np.float32)


def seen(skin, shift=(0.0, 0.0), growth=0.0, turn=0.0):
    """(24, 24) the middle of the skin, moved."""
    matrix = np.array([[1 + growth, -turn], [turn, 1 + growth]])
    middle = np.full(2, 47.5)
    offset = middle - matrix @ np.full(2, (SIZE - 1) / 2) + np.array(shift)
    whole = np.column_stack([matrix, offset])
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(skin, whole, (SIZE, SIZE), flags=flags)


@pytest.mark.parametrize(
    ('motion', 'share'),
    [
        ({'shift': (0.8, -0.6)}, 0.1),
        ({'shift': (-1.5, 1.0)}, 0.15),
        ({'growth': 0.06}, 0.2),
        ({'turn': 0.06}, 0.15),
        ({'shift': (0.5, 0.5), 'growth': -0.03, 'turn': -0.04}, 0.15),
    ],
)
@pytest.mark.parametrize('seed', range(2))
def test_a_crop_that_trembles_is_brought_back(motion, share, seed):
    skin = face(seed)
    rest = seen(skin)
    trembling = seen(skin, **motion)
    back = registered(trembling, rest, np.zeros((SIZE, SIZE)))
    inner = np.s_[4:-4, 4:-4]  # (what comes in at the rim was not seen)
    error = np.abs(back - rest)[inner].mean() / np.abs(trembling - rest)[inner].mean()
    assert error < share


def test_light_is_taken_out():
    rest = seen(face())
    dim = 0.85 * rest + 12.0
    found = registered(dim, rest, np.zeros((SIZE, SIZE)))
    assert np.abs(found - rest).mean() < 0.08 * np.abs(dim - rest).mean()


def test_lips_that_move_move_nothing_else():
    """Dark where it is known to move: the skin stays, and what the lips do is kept."""
    rest = seen(face())
    opened = np.where(MOUTH, rest - 60.0, rest).astype(np.float32)
    energy = np.where(MOUTH, 60.0**2, 0.0)
    found = registered(opened, rest, energy)
    assert np.abs(found - opened)[~MOUTH].mean() < 1.0
    assert (rest - found)[MOUTH].mean() == pytest.approx(60.0, rel=0.1)
