# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Windows: closed forms, what they add up to, and the synthesis that undoes them."""

import numpy as np
import pytest
from scipy.signal import check_COLA, get_window

from av_perception.spectral.windows import (
    adds_up,
    hann,
    overlap_sum,
    sine,
    sqrt_hann,
    synthesis_window,
)


def test_shapes():
    np.testing.assert_allclose(hann(16), get_window('hann', 16), atol=1e-15)
    np.testing.assert_allclose(sqrt_hann(16) ** 2, hann(16), atol=1e-15)
    np.testing.assert_allclose(sine(16), get_window('cosine', 16, fftbins=False), atol=1e-15)


@pytest.mark.parametrize('size', [64, 60])
@pytest.mark.parametrize('hop', [8, 15, 16, 20, 30, 32, 48, 64])
def test_what_adds_up(size, hop):
    for window in (hann(size), sqrt_hann(size) ** 2, sine(size) ** 2, sqrt_hann(size)):
        assert adds_up(window, hop) == check_COLA(window, size, max(size - hop, 0), 1e-10)


def test_the_sum_over_shifts():
    np.testing.assert_array_equal(overlap_sum(np.array([1.0, 2, 3, 4, 5]), 2), [9.0, 6.0])
    np.testing.assert_allclose(overlap_sum(hann(64), 16), 2.0)


@pytest.mark.parametrize('hop', [1, 7, 16, 31, 32, 50])
def test_synthesis_undoes_analysis(hop):
    for window in (hann(64), sqrt_hann(64), sine(64)):
        product = window * synthesis_window(window, hop)
        np.testing.assert_allclose(overlap_sum(product, hop), 1.0, rtol=1e-12)


def test_root_hann_is_its_own_synthesis_at_half_overlap():
    np.testing.assert_allclose(synthesis_window(sqrt_hann(64), 32), sqrt_hann(64), atol=1e-15)


def test_a_sample_outside_of_all_windows_is_an_error():
    with pytest.raises(ValueError, match='shorten the hop'):
        synthesis_window(hann(64), 64)
