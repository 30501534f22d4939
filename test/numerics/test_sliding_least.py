# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The sliding minimum is that of the rows which a plain ring holds."""

from __future__ import annotations

import numpy as np
import pytest

from av_perception.numerics.sliding_least import SlidingLeast


@pytest.mark.parametrize('num_rows', [1, 2, 3, 7, 50])
@pytest.mark.parametrize('taken_back', [0.0, 0.2, 0.6])
def test_it_is_the_least_of_the_rows_in_a_ring(num_rows, taken_back):
    rng = np.random.default_rng(num_rows)
    sliding = SlidingLeast(num_rows, 4)
    ring = np.full((num_rows, 4), np.inf)
    place = 0
    np.testing.assert_array_equal(sliding.least, ring.min(axis=0))
    for _ in range(5 * num_rows + 20):
        if rng.random() < taken_back:
            sliding.take_back()
            place = (place - 1) % num_rows
            ring[place] = np.inf
        else:
            row = rng.normal(size=4)
            sliding.push(row)
            row_is_kept = row.copy()
            row[:] = -1e9  # whoever made it may use it for something else
            ring[place] = row_is_kept
            place = (place + 1) % num_rows
        np.testing.assert_array_equal(sliding.least, ring.min(axis=0))
