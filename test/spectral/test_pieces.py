# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Pieces of a recording that fade into each other."""

from __future__ import annotations

import numpy as np
import pytest

from av_perception.spectral.pieces import join_pieces


@pytest.mark.parametrize('count', [0, 1, 3, 4, 10, 11, 17, 18, 24, 100])
@pytest.mark.parametrize('columns', [(), (2,)])
def test_what_is_left_as_it_is_comes_back(count, columns):
    """Weights of the two pieces at a seam add up to one, whatever the length."""
    sound = np.random.default_rng(0).normal(size=(count, *columns))
    asked = []

    def piece(start, end):
        asked.append((start, end))
        return sound[start:end].copy()

    joined = join_pieces(piece, count, 10, 3)
    np.testing.assert_allclose(joined, sound, atol=1e-12)
    assert joined.shape == sound.shape
    assert max(end - start for start, end in asked) <= 10
    assert asked[0][0] == 0 and asked[-1][1] == count


def test_a_seam_goes_from_one_piece_to_the_next_in_a_line():
    made = iter([np.zeros(10, np.float32), np.ones(9, np.float32)])
    joined = join_pieces(lambda start, end: next(made), 15, 10, 4)
    np.testing.assert_allclose(joined[6:10], [0.125, 0.375, 0.625, 0.875])
    assert not joined[:6].any() and (joined[10:] == 1).all()
    assert joined.dtype == np.float32
