# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Variational EM with speech kept, of one prior and of two branches."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from speech_priors import complex_normal, planted_prior, planted_speech

from av_perception.audio_visual.moments import Branches, MomentsConfig, _Fit, enhance_by_moments
from av_perception.enhancement.engine import EngineConfig, enhance_power
from av_perception.enhancement.latent_steps import LatentStepConfig, step_from
from av_perception.enhancement.noise_model import start_noise

BINS = 80
LATENTS = 4
FRAMES = 60


def scene(seed=0, noise_level=1.0):
    random = np.random.default_rng(seed)
    prior = planted_prior(BINS, LATENTS)
    speech, latents = planted_speech(prior, FRAMES, random)
    noise = complex_normal(
        np.full(speech.shape, noise_level * np.mean(np.abs(speech) ** 2)), random
    )
    return prior, speech, noise, latents


def branches(apart=0.0, weight=0.5, is_learnt=True):
    means = np.stack([np.zeros(LATENTS), np.full(LATENTS, apart)])
    return Branches(means, np.array([1.0, 1.0]), weight, is_learnt)


def snr_db(found, voice):
    return 10 * np.log10(np.sum(np.abs(voice) ** 2) / np.sum(np.abs(found - voice) ** 2))


def test_a_voice_in_noise_becomes_clear():
    prior, speech, noise, _ = scene()
    mixture = speech + noise
    found = enhance_by_moments(np.abs(mixture) ** 2, prior)
    assert snr_db(found.gain * mixture, speech) > 4
    other = enhance_power(np.abs(mixture) ** 2, prior, EngineConfig()).gain
    assert snr_db(found.gain * mixture, speech) > snr_db(other * mixture, speech) - 2


@pytest.mark.parametrize('seed', range(3))
@pytest.mark.parametrize('two', [False, True])
def test_the_free_energy_of_point_estimates_never_rises(seed, two):
    prior, speech, noise, _ = scene(seed)
    config = MomentsConfig(iterations=15)
    own = branches(0.7) if two else None
    energy = enhance_by_moments(
        np.abs(speech + noise) ** 2, prior, config, branches=own
    ).free_energy
    assert np.all(np.diff(energy) <= 1e-5 * np.abs(energy[:-1]))


@pytest.mark.parametrize('method', ['mcem', 'mala', 'ldem', 'adam', 'amortized'])
def test_every_way_to_the_latents_serves(method):
    prior, speech, noise, _ = scene()
    mixture = speech + noise
    found = enhance_by_moments(np.abs(mixture) ** 2, prior, MomentsConfig(method=method))
    assert snr_db(found.gain * mixture, speech) > 3


def test_without_noise_speech_is_what_is_heard():
    prior, speech, *_ = scene()
    tiny = np.full(speech.shape, 1e-9)
    config = MomentsConfig(rank=0, iterations=2)
    found = enhance_by_moments(np.abs(speech) ** 2, prior, config, guess=tiny)
    assert np.median(found.gain) > 0.999


def test_the_moments_of_speech_are_those_of_two_gaussians():
    """Against the product of N_c(s; 0, gamma) and N_c(x; s, b) on a grid of s."""
    gamma, b, x = 0.7, 0.4, 1.1 - 0.6j
    axis = np.linspace(-5, 5, 601)
    grid = axis[:, None] + 1j * axis[None, :]
    density = np.exp(-(np.abs(grid) ** 2) / gamma - np.abs(x - grid) ** 2 / b)
    density /= density.sum()
    mean = np.sum(density * grid)
    spread = np.sum(density * np.abs(grid - mean) ** 2)
    share = gamma / (gamma + b)
    assert share * x == pytest.approx(mean, abs=1e-3)
    assert share * b == pytest.approx(spread, abs=1e-3)


def test_the_published_gain_of_a_frame_is_the_best_one():
    prior, speech, noise, _ = scene()
    power = (np.abs(speech + noise) ** 2).astype(np.float32)
    model = start_noise(np.full_like(power, 0.5), 0, np.random.default_rng(0))
    fit = _Fit(power, prior, model, None, power)
    step = step_from('amortized', prior.encode(power)[0], LatentStepConfig(), None)
    fit.advance(step, 1.0)
    best = fit._loudness.copy()
    variance = np.stack([prior.decode(z) for z in step(None)])

    def cost(loudness):
        spread = loudness[:, None] * variance[0]
        return (power / spread + np.log(spread)).sum(axis=1)

    for factor in (0.9, 1.1):
        assert np.all(cost(best) < cost(factor * best))


@pytest.mark.parametrize('hears', [True, False])
def test_one_branch_alone_is_its_prior(hears):
    prior, speech, noise, _ = scene()
    power = np.abs(speech + noise) ** 2
    two = branches(0.8, float(hears), is_learnt=False)
    found = enhance_by_moments(power, prior, branches=two)
    np.testing.assert_array_equal(found.hearing, float(hears))
    means = np.stack([two.means[1 - int(hears)]] * 2)
    alone = enhance_by_moments(power, prior, branches=replace(two, means=means))
    np.testing.assert_allclose(found.gain[:5], alone.gain[:5], atol=0.1)


def test_branches_that_are_alike_leave_the_choice_open():
    prior, speech, noise, _ = scene()
    found = enhance_by_moments(np.abs(speech + noise) ** 2, prior, branches=branches())
    np.testing.assert_allclose(found.hearing, 0.5, atol=1e-6)
    assert found.weight == pytest.approx(0.5)


def test_latents_near_the_eyes_are_chosen_by_the_eyes():
    random = np.random.default_rng(0)
    prior = planted_prior(BINS, LATENTS)
    latents = np.where(np.arange(FRAMES)[:, None] < 30, -2.0, 2.0) + 0.1 * random.standard_normal(
        (FRAMES, LATENTS)
    )
    speech = complex_normal(prior.decode(latents.astype(np.float32)), random)
    means = np.stack([np.full(LATENTS, -2.0), np.full(LATENTS, 2.0)])
    two = Branches(means, np.array([0.5, 0.5]))
    start = latents.astype(np.float32)
    found = enhance_by_moments(np.abs(speech) ** 2 + 1e-3, prior, branches=two, start=start)
    assert found.hearing[:30].min() > 0.9 and found.hearing[30:].max() < 0.1
    assert found.weight == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize('kind', ['silence', 'one frame', 'a click'])
def test_odd_recordings_are_answered(kind):
    prior = planted_prior(BINS, LATENTS)
    power = np.zeros((1 if kind == 'one frame' else 20, BINS))
    power[0] = {'silence': 0.0, 'one frame': 1.0, 'a click': 1e6}[kind]
    found = enhance_by_moments(power, prior, branches=branches(1.0))
    assert np.isfinite(found.gain).all() and np.isfinite(found.hearing).all()


@pytest.mark.parametrize('change', [{'iterations': 0}, {'rank': -1}, {'evidence_weight': 0.0}])
def test_senseless_settings_are_refused(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        MomentsConfig(**change)
