# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The modes against independent solutions: matrix exponentials, and a filter written in loops."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import expm
from scipy.stats import multivariate_normal

from av_perception.motion_forecast.history import Histories
from av_perception.motion_forecast.imm import ImmConfig, ImmForecast, filtered
from av_perception.motion_forecast.motion_modes import MODES, ModesConfig, MotionModes

CONFIG = ModesConfig()
EXPONENTS = (
    -CONFIG.stand_decay,
    0.0,
    -CONFIG.brake_decay,
    1j * CONFIG.turn_rate,
    -1j * CONFIG.turn_rate,
)


def generator(exponent):
    """Of x' = v, v' = exponent v in the complex plane."""
    a = np.zeros((4, 4))
    a[:2, 2:] = np.eye(2)
    z = complex(exponent)
    a[2:, 2:] = [[z.real, -z.imag], [z.imag, z.real]]
    return a


def histories(path, noise=0.03, period=0.1):
    """Of one person along (T, 2) places, the last now."""
    path = np.asarray(path, float)
    count = len(path)
    ages = period * np.arange(count - 1, -1, -1.0)
    positions = np.c_[path, np.full(count, 0.3)]
    covariances = np.tile(noise**2 * np.eye(3), (count, 1, 1))
    return Histories(ages[None], positions[None], covariances[None])


@pytest.mark.parametrize('step_s', [0.04, 0.1, 0.3])
def test_motion_is_the_matrix_exponential(step_s):
    motion, _ = MotionModes(CONFIG).matrices(np.array([step_s]))
    for mode, exponent in enumerate(EXPONENTS):
        np.testing.assert_allclose(motion[0, mode], expm(generator(exponent) * step_s), atol=1e-9)


@pytest.mark.parametrize('step_s, tolerance', [(0.04, 1e-3), (0.1, 5e-3), (50.0, 1e-6)])
def test_transitions_are_the_matrix_exponential_of_the_rates(step_s, tolerance):
    modes = MotionModes(CONFIG)
    moved = modes.transitions(np.array([step_s]))[0]
    np.testing.assert_allclose(moved, expm(modes._rates * step_s), atol=tolerance)
    np.testing.assert_allclose(moved.sum(1), 1.0, atol=1e-9)


def loop_filter(path, noise, period):
    """The same recursion, mode by mode and moment by moment."""
    modes = MotionModes(CONFIG)
    spread = (noise**2 * CONFIG.correlation_s / period + CONFIG.sway**2 + 1e-6) * np.eye(2)
    start = modes.start(path[:1], spread[None])
    mu, means, covs = start.probabilities[0], start.means[0], start.covariances[0]
    p = modes.transitions(np.array([period]))[0]
    motion, q = (m[0] for m in modes.matrices(np.array([period])))
    h = np.eye(2, 4)
    for place in path[1:]:
        prior = [sum(mu[i] * p[i, j] for i in range(5)) for j in range(5)]
        new_means, new_covs, logs = [], [], []
        for j in range(5):
            weights = [mu[i] * p[i, j] / prior[j] for i in range(5)]
            m0 = sum(w * m for w, m in zip(weights, means))
            c0 = sum(w * (c + np.outer(m - m0, m - m0)) for w, m, c in zip(weights, means, covs))
            m1 = motion[j] @ m0
            c1 = motion[j] @ c0 @ motion[j].T + q[j]
            s = h @ c1 @ h.T + spread
            gain = c1 @ h.T @ np.linalg.inv(s)
            new_means.append(m1 + gain @ (place - h @ m1))
            new_covs.append(c1 - gain @ h @ c1)
            logs.append(np.log(prior[j]) + multivariate_normal.logpdf(place, h @ m1, s))
        mu = np.exp(np.array(logs) - max(logs))
        mu, means, covs = mu / mu.sum(), np.array(new_means), np.array(new_covs)
    return mu, means, covs


def test_the_filter_is_that_of_loops():
    random = np.random.default_rng(1)
    path = np.cumsum(random.normal([0.08, 0.02], 0.03, (9, 2)), axis=0) + 2.0
    mu, means, covs = loop_filter(path, 0.03, 0.1)
    states = filtered(histories(path), MotionModes(CONFIG), CONFIG)
    np.testing.assert_allclose(states.probabilities[0], mu, atol=1e-9)
    np.testing.assert_allclose(states.means[0], means, atol=1e-9)
    np.testing.assert_allclose(states.covariances[0], covs, atol=1e-9)


def test_missing_places_are_passed_over():
    path = np.c_[0.1 * np.arange(12), np.ones(12)]
    whole = histories(path)
    kept = [0, 1, 2, 3, 5, 6, 9, 10, 11]
    gone = np.setdiff1d(np.arange(12), kept)
    holes = Histories(whole.ages.copy(), whole.positions.copy(), whole.covariances.copy())
    holes.ages[0, gone] = np.nan
    holes.positions[0, gone] = np.nan
    holes.covariances[0, gone] = np.nan
    short = Histories(whole.ages[:, kept], whole.positions[:, kept], whole.covariances[:, kept])
    with_holes = filtered(holes, MotionModes(CONFIG), CONFIG)
    without = filtered(short, MotionModes(CONFIG), CONFIG)
    np.testing.assert_allclose(with_holes.means, without.means, atol=1e-9)
    np.testing.assert_allclose(with_holes.probabilities, without.probabilities, atol=1e-9)


@pytest.mark.parametrize(
    'mode, path',
    [
        ('stand', np.tile([2.0, 1.0], (16, 1))),
        ('walk', np.c_[0.11 * np.arange(16), np.ones(16)]),
        ('left', 2 * np.exp(1j * 0.11 * np.arange(16))[:, None].view(float)),
        ('right', 2 * np.exp(-1j * 0.11 * np.arange(16))[:, None].view(float)),
    ],
)
def test_the_likeliest_mode_is_the_one_people_are_in(mode, path):
    states = filtered(histories(path, 0.005), MotionModes(CONFIG), CONFIG)
    assert MODES[states.probabilities[0].argmax()] == mode


def test_draws_have_the_moments_of_the_chain():
    path = np.c_[0.08 * np.arange(10), np.ones(10)]
    horizons = np.array([0.3, 1.0, 2.0])
    forecast = ImmForecast(histories(path), horizons, ImmConfig())
    walks = forecast.draw(20000, np.random.default_rng(0))[0]
    chain = forecast.chain
    np.testing.assert_allclose(walks.mean(0), chain.means[0], atol=0.02)
    for k in range(3):
        # Moments are matched at each step, so the chain's are near, not equal.
        np.testing.assert_allclose(
            np.cov(walks[:, k].T), chain.covariances[0, k], atol=0.02 + 0.1 * k * k * 0.05
        )


def test_the_same_walk_at_another_rate_is_known_as_well():
    """Places at twice the rate are not twice as much evidence: their errors are alike."""
    spreads = []
    for count in (9, 17):
        path = np.c_[np.linspace(0, 1.2, count), np.ones(count)]
        states = filtered(histories(path, period=1.6 / (count - 1)), MotionModes(CONFIG), CONFIG)
        spreads.append(np.sqrt(states.covariances[0, 1, [0, 2], [0, 2]]))
    np.testing.assert_allclose(*spreads, rtol=0.15)


def test_some_draws_stop_and_some_walk_on():
    path = np.c_[0.1 * np.arange(12), np.ones(12)]
    config = ImmConfig(modes=ModesConfig(brakes=0.5, halts=3.0))
    forecast = ImmForecast(histories(path), np.arange(1, 11) * 0.2, config)
    walks = forecast.draw(2000, np.random.default_rng(0))[0]
    speed = np.linalg.norm(walks[:, -1, :2] - walks[:, -2, :2], axis=1) / 0.2
    assert (speed < 0.3).mean() > 0.1
    assert (speed > 0.8).mean() > 0.2
