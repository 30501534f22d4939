# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The gate: weights and radii of any numbers, features that do not know place and direction."""

from __future__ import annotations

import numpy as np
import pytest

from av_perception.motion_forecast.constant_velocity import (
    ConstantVelocityConfig,
    forecast_straight,
)
from av_perception.motion_forecast.history import Histories
from av_perception.motion_forecast.imm import ImmConfig, ImmForecast
from av_perception.motion_forecast.path_gate import (
    NUM_EXPERTS,
    NUM_FEATURES,
    NUM_OUTPUTS,
    WINDOWS_S,
    Gate,
    expert_weights,
    features,
    gaussian_radii,
    line_experts,
    region_radii,
    shipped_gate,
)

HORIZONS = 0.2 * np.arange(1, 11)


def people(seed=0, count=4):
    random = np.random.default_rng(seed)
    ages = np.tile(0.1 * np.arange(16, -1, -1.0), (count, 1))
    velocity = random.normal(0, 0.8, (count, 1, 3))
    positions = random.normal(0, 2, (count, 1, 3)) - ages[..., None] * velocity
    positions = positions + random.normal(0, 0.03, positions.shape)
    root = random.normal(0, 0.03, (count, 1, 3, 3))
    covariances = np.broadcast_to(root @ root.swapaxes(2, 3), (count, 17, 3, 3)) + 1e-4 * np.eye(3)
    return Histories(ages, positions, covariances)


def believing(expert, log_radii=(0.0, 0.0)):
    """A gate that believes one expert whatever it sees."""
    bias = np.zeros(NUM_OUTPUTS)
    bias[expert] = 50.0
    bias[NUM_EXPERTS] = log_radii[0]
    bias[NUM_EXPERTS + 3] = log_radii[1]
    zeros = np.zeros(NUM_FEATURES)
    return Gate(
        zeros,
        zeros + 1,
        np.zeros((NUM_FEATURES, 2)),
        np.zeros(2),
        np.zeros((2, NUM_OUTPUTS)),
        bias,
    )


def test_lines_are_those_of_constant_velocity():
    known = people()
    made = line_experts(known, HORIZONS)
    for k, window_s in enumerate(WINDOWS_S):
        config = ConstantVelocityConfig(window_s=window_s)
        expected = forecast_straight(known, HORIZONS, config).means[..., :2]
        np.testing.assert_allclose(made[:, k], expected, atol=1e-9)


def test_weights_are_positive_and_sum_to_one():
    outputs = np.random.default_rng(0).normal(0, 30, (50, NUM_OUTPUTS))
    weights = expert_weights(outputs)
    assert (weights >= 0).all()
    np.testing.assert_allclose(weights.sum(1), 1.0)


def test_the_outer_radius_is_never_inside_the_inner_one():
    outputs = np.random.default_rng(0).normal(0, 2, (50, NUM_OUTPUTS))
    radii = region_radii(outputs, HORIZONS) * gaussian_radii()
    assert np.isfinite(radii).all() and (radii > 0).all()
    assert (radii[..., 1] > radii[..., 0]).all()


@pytest.mark.parametrize('expert', range(NUM_EXPERTS))
def test_a_gate_that_believes_one_expert_gives_its_forecast(expert):
    known = people()
    forecast = ImmForecast(known, HORIZONS, ImmConfig(), believing(expert))
    if expert < NUM_EXPERTS - 1:
        expected = line_experts(known, HORIZONS)[:, expert]
    else:
        expected = forecast.chain.means[..., :2]
    np.testing.assert_allclose(forecast.paths.means[..., :2], expected, atol=1e-9)


def test_radii_scale_the_covariance_and_the_draws():
    known = people()
    gate = believing(NUM_EXPERTS - 1, np.log([0.8, 0.9]))
    forecast = ImmForecast(known, HORIZONS, ImmConfig(), gate)
    plain = ImmForecast(known, HORIZONS, ImmConfig())
    np.testing.assert_allclose(
        forecast.paths.covariances[..., :2, :2], 0.81 * plain.chain.covariances[..., :2, :2]
    )
    inner, outer = gaussian_radii()
    np.testing.assert_allclose(forecast.radii[..., 0], inner * 0.8 / 0.9)
    np.testing.assert_allclose(forecast.radii[..., 1], outer)
    draws, plain_draws = (f.draw(3, np.random.default_rng(0)) for f in (forecast, plain))
    means = plain.paths.means[:, None, :, :2]
    np.testing.assert_allclose(
        draws[..., :2] - means, np.sqrt(0.72) * (plain_draws[..., :2] - means), atol=1e-9
    )


def test_wide_regions_make_nobody_run():
    """Walks of who stood once led 7 m away within 2 s."""
    wide = ImmForecast(people(), HORIZONS, ImmConfig(), believing(NUM_EXPERTS - 1, (3.0, 3.0)))
    plain = ImmForecast(people(), HORIZONS, ImmConfig())
    drawn, chain = (one.draw(50, np.random.default_rng(0)) for one in (wide, plain))
    np.testing.assert_allclose(drawn[..., :2], chain[..., :2], atol=1e-9)


def test_features_do_not_know_place_and_direction():
    known = people()
    turn = np.array([[0.6, -0.8, 0.0], [0.8, 0.6, 0.0], [0.0, 0.0, 1.0]])
    turned = Histories(
        known.ages, known.positions @ turn.T + 5.0, turn @ known.covariances @ turn.T
    )
    both = [features(one, ImmForecast(one, HORIZONS, ImmConfig()).now) for one in (known, turned)]
    assert both[0].shape == (4, NUM_FEATURES)
    np.testing.assert_allclose(*both, atol=1e-6)


def test_a_missing_place_is_no_place_at_the_origin():
    known = people()
    holes = Histories(known.ages.copy(), known.positions.copy(), known.covariances.copy())
    for array in (holes.ages, holes.positions, holes.covariances):
        array[:, 4] = np.nan
    far = Histories(known.ages, known.positions + 1000.0, known.covariances)
    gone = Histories(holes.ages, holes.positions + 1000.0, holes.covariances)
    near, away = (
        features(one, ImmForecast(one, HORIZONS, ImmConfig()).now) for one in (holes, gone)
    )
    np.testing.assert_allclose(near, away, atol=1e-5)
    assert not np.allclose(features(far, ImmForecast(far, HORIZONS, ImmConfig()).now), away)


def test_the_shipped_gate_fits_and_gives_everybody_finite_forecasts():
    forecast = ImmForecast(people(3, 50), HORIZONS, ImmConfig(), shipped_gate())
    assert np.isfinite(forecast.paths.means).all()
    assert (np.linalg.eigvalsh(forecast.paths.covariances) > 0).all()
