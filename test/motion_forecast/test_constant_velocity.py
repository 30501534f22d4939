# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Least squares against polyfit, exact limits, and the covariance against many draws."""

from __future__ import annotations

import numpy as np
import pytest

from av_perception.motion_forecast.constant_velocity import (
    ConstantVelocityConfig,
    forecast_straight,
    line_weights,
)
from av_perception.motion_forecast.history import Histories
from av_perception.motion_forecast.path_gaussian import PathGaussian

HORIZONS = np.array([0.2, 1.0, 2.0])
ON_LINE = ConstantVelocityConfig(from_newest=False)


def noisy(count=11, seed=0, people=3, noise=0.05):
    random = np.random.default_rng(seed)
    ages = np.sort(random.uniform(0.0, 1.0, (people, count)))[:, ::-1].copy()
    ages[:, -1] = 0.0
    positions = random.normal(0.0, noise, (people, count, 3))
    positions -= ages[..., None] * np.array([1.0, -0.5, 0.0])
    covariances = np.tile(noise**2 * np.eye(3), (people, count, 1, 1))
    return Histories(ages, positions, covariances)


def test_the_line_is_that_of_polyfit():
    known = noisy()
    means = forecast_straight(known, HORIZONS, ON_LINE).means
    for person in range(3):
        fit = np.polyfit(-known.ages[person], known.positions[person], 1)
        np.testing.assert_allclose(means[person], HORIZONS[:, None] * fit[0] + fit[1], atol=1e-9)


def test_from_the_newest_place_it_has_the_velocity_of_the_line():
    known = noisy()
    means = forecast_straight(known, HORIZONS, ConstantVelocityConfig()).means
    for person in range(3):
        velocity = np.polyfit(-known.ages[person], known.positions[person], 1)[0]
        expected = known.positions[person, -1] + HORIZONS[:, None] * velocity
        np.testing.assert_allclose(means[person], expected, atol=1e-9)


def test_places_older_than_the_window_and_missing_ones_do_not_count():
    known = noisy(12)
    known.positions[:, 0] += 100.0
    known.ages[:, 0] = 1.5
    known.ages[:, 5] = np.nan
    known.positions[:, 5] = np.nan
    kept = [k for k in range(12) if k not in (0, 5)]
    short = Histories(known.ages[:, kept], known.positions[:, kept], known.covariances[:, kept])
    np.testing.assert_allclose(
        forecast_straight(known, HORIZONS, ON_LINE).means,
        forecast_straight(short, HORIZONS, ON_LINE).means,
        atol=1e-9,
    )


def test_one_place_stays():
    one = noisy(1)
    forecast = forecast_straight(one, HORIZONS, ConstantVelocityConfig())
    np.testing.assert_allclose(forecast.means, np.repeat(one.positions, 3, 1))
    assert (np.linalg.eigvalsh(forecast.covariances) > 0).all()


def test_the_covariance_is_that_of_the_errors_when_people_walk_straight():
    config = ConstantVelocityConfig(
        from_newest=False, correlation=1.0, stand=0.0, walk=0.0, height=0.0
    )
    many = noisy(people=6000, seed=3)
    times = np.linspace(1.0, 0.0, 11)
    ages = np.tile(times, (6000, 1))
    truth = np.array([1.0, -0.5, 0.0])
    positions = np.random.default_rng(4).normal(0, 0.05, (6000, 11, 3)) - times[:, None] * truth
    forecast = forecast_straight(Histories(ages, positions, many.covariances), HORIZONS, config)
    errors = forecast.means - HORIZONS[:, None] * truth
    for k in range(3):
        np.testing.assert_allclose(
            np.cov(errors[:, k].T), forecast.covariances[0, k], atol=1e-4 + 0.05 * 0.02 * (k + 1)
        )


def test_damping_ends_at_the_velocity_over_the_damping():
    known = noisy(noise=0.0)
    config = ConstantVelocityConfig(damping=0.5)
    end = forecast_straight(known, np.array([60.0]), config).means[:, 0]
    np.testing.assert_allclose(end, np.tile([2.0, -1.0, 0.0], (3, 1)), atol=1e-6)


def test_uncertainty_grows_with_the_horizon():
    spread = forecast_straight(noisy(), np.arange(1, 11) * 0.2, ConstantVelocityConfig())
    traces = np.trace(spread.covariances, axis1=2, axis2=3)
    assert (np.diff(traces, axis=1) > 0).all()


def test_weights_of_places_sum_to_one_and_of_velocities_to_zero():
    now, ahead = line_weights(noisy(), 1.0)
    np.testing.assert_allclose(now.sum(1), 1.0)
    np.testing.assert_allclose(ahead.sum(1), 0.0, atol=1e-9)


def test_draws_keep_their_direction_and_have_the_covariance():
    covariances = np.array([[np.diag([0.04, 0.01, 0.0]), np.diag([0.16, 0.04, 0.01])]])
    gaussian = PathGaussian(np.zeros((1, 2, 3)), covariances)
    walks = gaussian.draw(20000, np.random.default_rng(0))[0]
    np.testing.assert_allclose(np.cov(walks[:, 1].T), covariances[0, 1], atol=5e-3)
    np.testing.assert_allclose(walks[:, 1, :2], 2 * walks[:, 0, :2], atol=1e-9)


@pytest.mark.parametrize('change', [{'window_s': 0.0}, {'damping': -1.0}])
def test_senseless_configurations_are_refused(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        ConstantVelocityConfig(**change)
