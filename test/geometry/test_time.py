# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Seconds and nanoseconds against exact fractions."""

from fractions import Fraction

import numpy as np
import pytest

from av_perception.geometry.time import nanoseconds, seconds

RANDOM = np.random.default_rng(0)
STAMPS = np.concatenate([RANDOM.integers(-(10**k), 10**k, 200) for k in (1, 9, 12, 15, 18)])


def test_seconds_are_the_nearest_number():
    exact = [float(Fraction(int(stamp), 10**9)) for stamp in STAMPS]
    assert [seconds(stamp) for stamp in STAMPS] == exact
    np.testing.assert_array_equal(seconds(STAMPS), exact)


def test_nanoseconds_are_the_nearest_integer():
    times = np.concatenate(
        [10.0**k * RANDOM.standard_normal(200) for k in range(-9, 10)]
        + [np.array([0.0, -(0.5**10), 0.5**10, 3 * 0.5**10])]
    )
    exact = [round(Fraction(float(time)) * 10**9) for time in times]
    assert [nanoseconds(time) for time in times] == exact
    np.testing.assert_array_equal(nanoseconds(times), exact)
    assert nanoseconds(times).dtype == np.int64


def test_there_and_back_within_a_month():
    stamps = RANDOM.integers(0, 30 * 86400 * 10**9, 1000)
    np.testing.assert_array_equal(nanoseconds(seconds(stamps)), stamps)


def test_numbers_give_numbers_of_python():
    assert type(seconds(np.int64(5))) is float and type(nanoseconds(np.float32(0.5))) is int
    assert nanoseconds(2) == 2 * 10**9
    assert seconds(np.zeros((0,), np.int64)).shape == (0,)


def test_a_large_time_keeps_its_nanoseconds():
    assert nanoseconds(1.7e9 + 0.5) == 1_700_000_000_500_000_000


@pytest.mark.parametrize('bad', [np.nan, np.inf, -np.inf])
def test_times_must_be_finite(bad):
    with pytest.raises(ValueError, match='finite'):
        nanoseconds(bad)
    with pytest.raises(ValueError, match='finite'):
        nanoseconds(np.array([0.0, bad]))


def test_times_of_an_array_fit_into_int64():
    with pytest.raises(ValueError, match='292 years'):
        nanoseconds(np.array([1e10]))
