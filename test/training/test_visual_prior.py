# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A visual prior learnt from planted features is the one that they were planted with."""

from __future__ import annotations

import numpy as np
import pytest

from av_perception.audio_visual.features import VisualFeatures
from av_perception.audio_visual.visual_prior import log_density
from av_perception.training.visual_prior import nats_gained, train_visual_prior

LATENTS = 4


def talkers(count, r2, seed=0, frames=300):
    """Latents N(0, I), features that explain r2 of each, and two features that are noise."""
    random = np.random.default_rng(seed)
    turn = np.linalg.qr(np.random.default_rng(9).standard_normal((LATENTS, LATENTS)))[0]
    latents = []
    features = []
    for _ in range(count):
        z = random.standard_normal((frames, LATENTS))
        v = np.sqrt(r2) * z + np.sqrt(1 - r2) * random.standard_normal(z.shape)
        noise = random.standard_normal((frames, 2))
        values = np.concatenate([3 * v @ turn + 1, noise], axis=1)
        latents.append(z)
        features.append(VisualFeatures(values, np.ones(frames)))
    return latents, features


@pytest.mark.parametrize('r2', [0.0, 0.5, 0.8])
def test_planted_features_are_understood(r2):
    prior = train_visual_prior(*talkers(8, r2))
    np.testing.assert_allclose(prior.variance, 1 - r2, atol=0.06)
    latents, features = talkers(3, r2, seed=5)
    for z, v in zip(latents, features):
        mean, _ = prior.prior(v)
        assert np.mean((z - mean) ** 2) == pytest.approx(1 - r2, abs=0.1)


@pytest.mark.parametrize('r2', [0.0, 0.5, 0.8])
def test_nats_gained_are_those_of_gaussians(r2):
    prior = train_visual_prior(*talkers(8, r2))
    fixed = (np.zeros(LATENTS), np.ones(LATENTS))
    found = nats_gained(prior, *talkers(5, r2, seed=7), fixed)
    expected = -0.5 * LATENTS * np.log(1 - r2)
    assert found.mean() == pytest.approx(expected, abs=0.12)


def test_frames_that_are_not_believed_teach_nothing():
    latents, features = talkers(4, 0.8)
    expected = train_visual_prior([z[:200] for z in latents], [v[:200] for v in features])
    spoilt = []
    for one in features:
        values = one.values.copy()
        values[200:] = 50.0
        spoilt.append(VisualFeatures(values, np.arange(300) < 200))
    found = train_visual_prior(latents, spoilt)
    np.testing.assert_allclose(found.weight, expected.weight, atol=1e-5)
    np.testing.assert_allclose(found.variance, expected.variance, atol=1e-5)


def test_features_of_one_talker_alone_are_not_trusted_with_others():
    """What tells talkers apart rather than sounds widens the prior."""
    random = np.random.default_rng(0)
    latents = [random.standard_normal((200, 1)) + 3 * k for k in range(3)]
    features = [VisualFeatures(np.tile(np.eye(3)[k], (200, 1)), np.ones(200)) for k in range(3)]
    assert train_visual_prior(latents, features).variance[0] > 3


def test_a_constant_feature_does_no_harm():
    latents, features = talkers(4, 0.8)
    same = [
        VisualFeatures(np.concatenate([v.values, np.ones((300, 1))], axis=1), v.reliability)
        for v in features
    ]
    assert np.isfinite(train_visual_prior(latents, same).weight).all()


def test_nobody_seen_is_no_training():
    latents, features = talkers(1, 0.5)
    with pytest.raises(ValueError, match='two talkers'):
        train_visual_prior(latents, features)
    with pytest.raises(ValueError, match='same frames'):
        train_visual_prior(latents, [])


def test_where_nothing_is_seen_the_prior_is_standard():
    prior = train_visual_prior(*talkers(4, 0.8))
    unseen = VisualFeatures(np.full((2, LATENTS + 2), np.nan), np.ones(2))
    mean, variance = prior.prior(unseen)
    np.testing.assert_array_equal(mean, 0)
    np.testing.assert_array_equal(variance, 1)
    assert log_density(mean, variance, mean)[0] == pytest.approx(
        -0.5 * LATENTS * np.log(2 * np.pi)
    )
