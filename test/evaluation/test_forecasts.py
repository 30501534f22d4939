# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Figures of forecasts on arrays made by hand, with exact values."""

from __future__ import annotations

import numpy as np
import pytest

from av_perception.evaluation.forecasts import (
    average_displacement,
    average_pairwise_distance,
    coverage,
    final_displacement,
    joint_error,
    squared_deviations,
)

# Two forecasts of two moments in three numbers, and what happened.
TRUTH = np.zeros((2, 3))
FIRST = np.array([[3.0, 4.0, 0.0], [0.0, 0.0, 1.0]])  # 5 and 1 away
SECOND = np.array([[0.0, 2.0, 0.0], [6.0, 8.0, 0.0]])  # 2 and 10 away
BOTH = np.stack([FIRST, SECOND])


def test_ade_is_of_the_best_forecast():
    assert average_displacement(BOTH, TRUTH) == pytest.approx(3.0)


def test_fde_is_of_the_forecast_that_ends_nearest():
    assert final_displacement(BOTH, TRUTH) == pytest.approx(1.0)
    assert final_displacement(BOTH[1:], TRUTH) == pytest.approx(10.0)


def test_ade_of_several_is_not_above_that_of_any():
    random = np.random.default_rng(0)
    many = random.normal(size=(5, 10, 4, 6))
    truth = random.normal(size=(5, 4, 6))
    best = average_displacement(many, truth)
    for k in range(10):
        assert (best <= average_displacement(many[:, k : k + 1], truth) + 1e-12).all()


def test_apd_is_the_distance_of_whole_futures():
    # The difference is (3, 2, 0, -6, -8, 1).
    assert average_pairwise_distance(BOTH) == pytest.approx(np.sqrt(9 + 4 + 36 + 64 + 1))


def test_apd_of_equal_forecasts_and_of_one_is_zero():
    assert average_pairwise_distance(np.stack([FIRST, FIRST])) == 0.0
    assert average_pairwise_distance(BOTH[:1]) == 0.0


def test_apd_of_three_is_the_mean_over_pairs():
    three = np.array([0.0, 3.0, 12.0]).reshape(3, 1, 1)
    assert average_pairwise_distance(three) == pytest.approx((3 + 12 + 9) / 3)


def test_joint_errors_are_those_of_the_forecast_with_the_best_ade():
    forecasts = np.zeros((1, 2, 1, 6))
    forecasts[0, 0, 0] = [3.0, 4.0, 0.0, 0.0, 0.0, 1.0]
    forecasts[0, 1, 0] = [30.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    np.testing.assert_allclose(joint_error(forecasts, np.zeros((1, 1, 6))), [[3.0]])


def test_deviations_are_counted_in_sigmas():
    squared = squared_deviations(np.zeros(2), np.diag([4.0, 9.0]), np.array([2.0, 3.0]))
    assert squared == pytest.approx(2.0)


def test_intervals_of_a_gaussian_hold_what_they_should():
    random = np.random.default_rng(0)
    squared = (random.standard_normal((40000, 2, 2)) ** 2).sum(-1)
    # In two dimensions half the squared distance is exponential.
    for level in (0.68, 0.95):
        radius = np.sqrt(-2 * np.log(1 - level))
        np.testing.assert_allclose(coverage(squared, radius), level, atol=0.01)


def test_coverage_counts_exactly():
    squared = np.array([[0.0, 5.0], [3.9, 5.0], [4.1, 0.0]])
    np.testing.assert_allclose(coverage(squared, 2.0), [2 / 3, 1 / 3])
    own = np.array([[2.0, 3.0], [1.0, 3.0], [3.0, 3.0]])
    np.testing.assert_allclose(coverage(squared, own), [2 / 3, 1.0])
