# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Paths by the SRNN: steps on a grid, generation step by step, and what a person alone decides."""

from __future__ import annotations

import numpy as np
import pytest

from av_perception.dvae.config import DvaeConfig
from av_perception.dvae.families import model_named
from av_perception.dvae.start import random_parameters
from av_perception.errors import UserError
from av_perception.motion_forecast.history import Histories
from av_perception.motion_forecast.path_dvae import (
    NUM_DRAWS,
    NUM_PAST,
    PathDvae,
    generated,
    path_steps,
    shipped_dvae,
)

HORIZONS = 0.2 * np.arange(1, 11)
CARD = {'radii': np.ones((10, 2)).tolist()}


def people(count=3, rate=10.0, seed=0):
    random = np.random.default_rng(seed)
    ages = np.tile(np.arange(round(1.6 * rate), -1, -1) / rate, (count, 1))
    velocity = random.normal(0, 0.8, (count, 1, 3))
    positions = random.normal(0, 2, (count, 1, 3)) - ages[..., None] * velocity
    covariances = np.tile(4e-4 * np.eye(3), (*ages.shape, 1, 1))
    return Histories(ages, positions, covariances), velocity[:, 0]


def a_model(seed=0):
    config = DvaeConfig(data_dim=2, latent_dim=3, hidden_dim=8, memory_dim=6, output='mean')
    kind = model_named('srnn')
    return kind(config, random_parameters(kind, config, seed))


@pytest.mark.parametrize('rate', [5.0, 7.0, 10.0, 25.0])
def test_steps_of_who_walks_straight_lie_along_x_at_any_rate(rate):
    known, velocity = people(rate=rate)
    steps = path_steps(known)
    speeds = np.linalg.norm(velocity[:, :2], axis=1)
    # Seven a second do not reach back for the whole of 1.6 s.
    np.testing.assert_allclose(steps.velocities[1:, :, 0], np.tile(speeds, (NUM_PAST - 1, 1)))
    np.testing.assert_allclose(steps.velocities[..., 1], 0.0, atol=1e-9)
    back = np.einsum('nij,j->ni', steps.rotations, [1.0, 0.0])
    np.testing.assert_allclose(back, velocity[:, :2] / speeds[:, None], atol=1e-9)


def test_holes_and_short_histories_hold_what_is_known():
    known, velocity = people()
    ages = known.ages.copy()
    positions = known.positions.copy()
    ages[:, :6] = ages[:, 9] = np.nan
    positions[:, :6] = positions[:, 9] = np.nan
    steps = path_steps(Histories(ages, positions, known.covariances))
    assert np.isfinite(steps.velocities).all()
    speeds = np.linalg.norm(velocity[:, :2], axis=1)
    np.testing.assert_allclose(steps.velocities[-5:, :, 0], np.tile(speeds, (5, 1)))
    np.testing.assert_allclose(steps.velocities[:2], 0.0)


def test_generation_is_the_models_own_decoding_in_generation_mode():
    """Without a past to encode, latents given, it is what `decode` does."""
    model = a_model()
    random = np.random.default_rng(1)
    past = random.normal(size=(NUM_PAST, 4, 2)).astype(np.float32)
    noise = random.normal(size=(NUM_PAST + 5, 4, 3)).astype(np.float32)
    made = generated(model, past, noise, 5)
    z = model.encode(past, noise[:NUM_PAST]).sample
    x = past
    for t in range(NUM_PAST, NUM_PAST + 5):
        # The prior and the decoder of the last step of a longer and longer sequence.
        padded = np.concatenate([x, np.zeros_like(x[:1])])
        grown = np.concatenate([z, np.zeros_like(z[:1])])
        prior = model.prior(grown, padded)
        last = prior.mean[-1] + np.exp(0.5 * prior.log_variance[-1]) * noise[t]
        z = np.concatenate([z, last[None]])
        x = np.concatenate([x, model.decode(z, padded)[-1:]])
    np.testing.assert_allclose(made, x[NUM_PAST:], atol=1e-5)


def test_radii_scale_the_covariance():
    known, _ = people()
    model = a_model()
    ones = PathDvae(model, CARD).forecast(known, HORIZONS)
    twos = PathDvae(model, {'radii': (2 * np.ones((10, 2))).tolist()}).forecast(known, HORIZONS)
    np.testing.assert_allclose(
        twos.paths.covariances[..., :2, :2], 4 * ones.paths.covariances[..., :2, :2]
    )
    np.testing.assert_allclose(twos.radii, ones.radii)
    assert ones.draws.shape == (3, NUM_DRAWS, 10, 2)


@pytest.mark.parametrize('card', [{}, {'radii': 3}, {'radii': [[1.0]]}, {'radii': [[1.0, -1.0]]}])
def test_weights_without_radii_are_refused(card):
    with pytest.raises(UserError, match='train'):
        PathDvae(a_model(), card)


def test_the_shipped_model_goes_on_and_others_change_nothing():
    known, velocity = people(4)
    made = shipped_dvae().forecast(known, HORIZONS)
    alone = shipped_dvae().forecast(known.rows(slice(1, 2)), HORIZONS)
    np.testing.assert_allclose(made.paths.means[1], alone.paths.means[0], atol=1e-5)
    moved = made.paths.means[:, 4, :2] - known.positions[:, -1, :2]
    speeds = np.linalg.norm(velocity[:, :2], axis=1)
    walking = speeds > 0.6
    assert walking.any()
    cosines = (moved * velocity[:, :2]).sum(1) / np.linalg.norm(moved, axis=1) / speeds
    assert (cosines[walking] > 0.9).all()
    assert (np.linalg.eigvalsh(made.paths.covariances) > 0).all()
    assert (np.diff(made.paths.covariances[:, :, 0, 0], axis=1) > -1e-3).all()


def test_any_horizons_run():
    known, _ = people(2)
    model = PathDvae(a_model(), CARD)
    for horizons in (np.array([0.05]), np.linspace(0.1, 5.0, 50)):
        assert np.isfinite(model.forecast(known, horizons, 40).draws).all()
