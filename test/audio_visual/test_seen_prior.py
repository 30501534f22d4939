# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The slot of the engine: vision in place of N(0, I), in every E-step."""

from __future__ import annotations

import numpy as np
import pytest
from speech_priors import complex_normal, planted_prior, planted_speech

from av_perception.audio_visual.features import VisualFeatures, nothing_seen
from av_perception.audio_visual.offline import enhance_seen, enhance_switched
from av_perception.audio_visual.seen_prior import (
    SeenPrior,
    TunableSeenPrior,
    blind_prior,
    seen_prior,
    switch_priors,
)
from av_perception.audio_visual.switch import SwitchConfig, see_by_switch
from av_perception.audio_visual.visual_prior import LinearVisualPrior, blended, log_density
from av_perception.dvae.spectra import PRIOR_TRANSFORM
from av_perception.enhancement.chains import ChainStep
from av_perception.enhancement.engine import EngineConfig, enhance_power
from av_perception.enhancement.latent_steps import METHODS
from av_perception.enhancement.noise_model import start_noise
from av_perception.enhancement.offline import enhance_by_prior
from av_perception.enhancement.posterior import Posterior

BINS = 60
LATENTS = 3


def exact_prior(r2):
    """p(z | v) of v = sqrt(r2) z + sqrt(1 - r2) n."""
    return LinearVisualPrior(
        np.sqrt(r2) * np.eye(LATENTS, dtype=np.float32),
        np.zeros(LATENTS, np.float32),
        np.full(LATENTS, 1 - r2, np.float32),
    )


def scene(r2=0.9, frames=60, tunable=False, seed=0):
    random = np.random.default_rng(seed)
    prior = planted_prior(BINS, LATENTS, 0.0, tunable)
    speech, latents = planted_speech(prior, frames, random)
    noise = complex_normal(np.full((frames, BINS), 8 * np.mean(np.abs(speech) ** 2)), random)
    values = np.sqrt(r2) * latents + np.sqrt(1 - r2) * random.standard_normal(latents.shape)
    return prior, speech, noise, VisualFeatures(values, np.ones(frames))


def error_of(prior, speech, noise, method):
    found = enhance_power(np.abs(speech + noise) ** 2, prior, EngineConfig(method=method))
    return np.sum(np.abs(found.gain * (speech + noise) - speech) ** 2)


@pytest.mark.parametrize('method', METHODS)
@pytest.mark.parametrize('tunable', [False, True])
def test_somebody_nobody_sees_is_heard_as_without_eyes(method, tunable):
    prior, speech, noise, features = scene(tunable=tunable)
    blind = seen_prior(prior, exact_prior(0.9), nothing_seen(len(features), LATENTS))
    power = np.abs(speech + noise) ** 2
    config = EngineConfig(method=method, iterations=2)
    with_slot = enhance_power(power, blind, config)
    without = enhance_power(power, prior, config)
    np.testing.assert_allclose(with_slot.gain, without.gain, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('method', METHODS)
def test_seeing_helps_every_method(method):
    prior, speech, noise, features = scene()
    seen = seen_prior(prior, exact_prior(0.9), features)
    assert error_of(seen, speech, noise, method) < 0.95 * error_of(prior, speech, noise, method)


def test_where_vision_is_exact_and_nothing_is_heard_latents_are_what_is_seen():
    prior, speech, noise, features = scene(r2=0.999)
    seen = seen_prior(prior, exact_prior(0.999), features)
    found = enhance_power(np.abs(1e-3 * speech + noise) ** 2, seen, EngineConfig())
    np.testing.assert_allclose(found.latents[0], seen.prior(found.latents[0])[0], atol=0.15)


def test_half_a_belief_has_the_moments_of_the_mixture():
    random = np.random.default_rng(0)
    mean = np.array([[1.5, -0.5]])
    variance = np.array([[0.2, 0.6]])
    draws = np.where(
        random.random((200_000, 1)) < 0.3,
        mean + np.sqrt(variance) * random.standard_normal((200_000, 2)),
        random.standard_normal((200_000, 2)),
    )
    center, spread = blended(mean, variance, np.array([0.3]))
    np.testing.assert_allclose(center[0], draws.mean(axis=0), atol=0.01)
    np.testing.assert_allclose(spread[0], draws.var(axis=0), atol=0.02)


def test_the_encoder_meets_vision_as_gaussians_do():
    prior, speech, _, features = scene()
    visual = exact_prior(0.9)
    seen = seen_prior(prior, visual, features, vision_weight=1.0)
    mean, variance = prior.encode(np.abs(speech) ** 2)
    found = seen.encode(np.abs(speech) ** 2)
    there, spread = visual.prior(features)
    precision = 1 / variance + 1 / spread - 1
    np.testing.assert_allclose(found[1], 1 / precision, rtol=1e-5)
    expected = (mean / variance + there / spread) / precision
    np.testing.assert_allclose(found[0], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('spread', [0.1, 1.0, 40.0])  # (the last meets the limit)
def test_slopes_of_the_encoder_go_through_the_meeting(spread):
    prior, speech, _, _ = scene(tunable=True, frames=4)
    random = np.random.default_rng(1)
    mean = random.standard_normal((4, LATENTS))
    seen = TunableSeenPrior(prior, mean, np.full((4, LATENTS), spread))
    power = np.abs(speech) ** 2
    upstream = random.standard_normal((2, 4, LATENTS))

    def loss(parameters):
        center, variance = seen.with_encoder(parameters).encode(power)
        return np.sum(upstream[0] * center + upstream[1] * np.log(variance))

    slopes = seen.encoder_gradient(power, *upstream)
    start = seen.encoder_parameters()
    for name in ('constant', 'log_variance'):
        for index in range(LATENTS):
            moved = []
            for sign in (1, -1):
                values = {key: one.astype(float) for key, one in start.items()}
                values[name][index] += sign * 1e-2
                moved.append(loss(values))
            expected = (moved[0] - moved[1]) / 2e-2
            assert slopes[name][index] == pytest.approx(expected, rel=0.02, abs=0.02)


def test_what_does_not_fit_is_refused():
    prior, *_, features = scene()
    with pytest.raises(ValueError, match='of 3 features and 3 latents, not of 2 and 3'):
        seen_prior(prior, exact_prior(0.5), VisualFeatures(np.ones((5, 2)), np.ones(5)))
    with pytest.raises(ValueError, match='on their own'):
        seen_prior(planted_prior(BINS, LATENTS, 0.9), exact_prior(0.5), features)


def test_the_density_is_that_of_the_gaussian():
    from scipy.stats import multivariate_normal

    z = np.array([0.3, -1.0])
    expected = multivariate_normal([0.1, 0.2], np.diag([0.5, 2.0])).logpdf(z)
    found = log_density(np.array([[0.1, 0.2]]), np.array([[0.5, 2.0]]), z[None])
    assert found[0] == pytest.approx(expected)


def test_a_long_recording_sees_each_piece_at_its_time():
    prior = planted_prior(PRIOR_TRANSFORM.num_bins, LATENTS)
    random = np.random.default_rng(0)
    samples = 0.1 * random.standard_normal(17 * 16000)
    asked = []

    def seen(times):
        asked.append((times[0], times[-1]))
        return nothing_seen(len(times), LATENTS)

    config = EngineConfig(method='amortized', iterations=1, rank=0)
    found = enhance_seen(samples, prior, exact_prior(0.5), seen, config)
    np.testing.assert_allclose(found, enhance_by_prior(samples, prior, config), atol=1e-5)
    assert asked[0][0] < 0.05 and asked[0][1] == pytest.approx(16.0, abs=0.1)
    assert asked[1][0] == pytest.approx(15.5, abs=0.1)
    assert asked[1][1] == pytest.approx(17.0, abs=0.1)


def test_both_kinds_are_made():
    prior, *_, features = scene(tunable=True)
    assert isinstance(seen_prior(prior, exact_prior(0.5), features), TunableSeenPrior)
    prior, *_, features = scene()
    assert type(seen_prior(prior, exact_prior(0.5), features)) is SeenPrior


@pytest.mark.parametrize('method', ['mcem', 'mala'])
def test_chains_stay_at_what_is_seen_where_nothing_is_heard(method):
    """The stationary distribution is then the visual prior itself (Kolmogorov and Smirnov)."""
    from scipy.stats import kstest

    prior, speech, _, features = scene(frames=20)
    visual = exact_prior(0.6)
    seen = seen_prior(prior, visual, features)
    random = np.random.default_rng(3)
    power = (np.abs(speech) ** 2).astype(np.float32)
    loud = start_noise(np.full_like(power, 1e9), 0, random)
    step = ChainStep(seen.prior(None)[0], method, 20, 20, random)
    posterior = Posterior(seen, power, loud)
    draws = np.stack([step(posterior) for _ in range(12)][2:])[::3]
    mean, variance = visual.prior(features)
    white = (draws - mean) / np.sqrt(variance)
    assert kstest(white.ravel(), 'norm').statistic < 0.03


def test_eyes_of_a_switch_compete_with_themselves_at_another_moment():
    prior, _, _, features = scene()
    visual = exact_prior(0.9)
    other = VisualFeatures(features.values[::-1], features.reliability[::-1])
    modes = switch_priors(prior, visual, features, other)
    shut, mistimed, eyes = (one.prior(None) for one in modes)
    mean, variance = visual.prior(features)
    np.testing.assert_array_equal(eyes, (mean, variance))
    np.testing.assert_array_equal(mistimed, (mean[::-1], variance[::-1]))
    np.testing.assert_array_equal(shut, blind_prior(prior, visual, len(features)).prior(None))
    shut, eyes = (one.prior(None) for one in switch_priors(prior, visual, features))
    np.testing.assert_array_equal(eyes, (mean, variance))


def test_a_recording_is_enhanced_by_the_switch_at_the_level_that_priors_know():
    prior = planted_prior(PRIOR_TRANSFORM.num_bins, LATENTS)
    random = np.random.default_rng(1)
    samples = 0.1 * random.standard_normal(16000)
    shown = VisualFeatures(random.standard_normal((200, LATENTS)), np.ones(200))
    asked = []

    def seen(times):
        asked.append(len(times))
        return shown[: len(times)]

    config = SwitchConfig(iterations=1)
    found = enhance_switched(samples, prior, exact_prior(0.5), seen, config)
    spectra = PRIOR_TRANSFORM.forward(samples / np.abs(samples).max())
    gain = see_by_switch(
        np.abs(spectra) ** 2, prior, exact_prior(0.5), shown[: len(spectra)], config
    ).gain
    expected = np.abs(samples).max() * PRIOR_TRANSFORM.inverse(gain * spectra, len(samples))
    assert asked == [len(spectra)]
    np.testing.assert_allclose(found, expected, atol=1e-6)
