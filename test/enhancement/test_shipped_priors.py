# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The engine with the priors that ship, on a buzz like a voice in noise."""

from __future__ import annotations

import numpy as np
import pytest

from av_perception.dvae.speech_prior import load_prior
from av_perception.enhancement.engine import EngineConfig, enhance_power
from av_perception.enhancement.latent_steps import METHODS
from av_perception.enhancement.offline import enhance_by_prior
from av_perception.enhancement.posterior import Posterior
from av_perception.enhancement.prior import PRIOR_TRANSFORM, SpeechPrior, TunablePrior

RATE = 16000
NAMES = ('vae', 'wide_vae', 'rvae', 'dkf', 'srnn')
QUICK = ('amortized', 'peem')
# (the SRNN goes through its own output step by step: a gradient takes a tenth of a second)
CASES = [
    *((name, method) for name in ('vae', 'rvae') for method in METHODS),
    *((name, method) for name in ('wide_vae', 'dkf') for method in (*QUICK, 'vem')),
    *(('srnn', method) for method in QUICK),
]


def buzz(seconds=0.5):
    """Harmonics of a gliding pitch with two formants, in bursts, and white noise."""
    random = np.random.default_rng(0)
    time_s = np.arange(round(seconds * RATE)) / RATE
    phase = 2 * np.pi * np.cumsum(140 + 30 * np.sin(9 * time_s)) / RATE
    weight = [np.exp(-(((140 * k - 500) / 300) ** 2)) + 0.3 / k for k in range(1, 25)]
    voice = sum(w * np.sin(k * phase) for k, w in enumerate(weight, 1))
    voice = 0.2 * voice * (np.sin(2 * np.pi * 4 * time_s) < 0)
    return voice, 0.05 * random.standard_normal(len(time_s))


@pytest.fixture(scope='module', params=NAMES)
def prior(request):
    return load_prior(request.param)


def test_they_are_what_enhancement_asks_for(prior):
    assert isinstance(prior, SpeechPrior) and isinstance(prior, TunablePrior)


@pytest.mark.parametrize(('name', 'method'), CASES)
def test_no_m_step_raises_the_cost_and_gains_are_gains(name, method):
    prior = load_prior(name)
    voice, noise = buzz(0.25)
    power = np.abs(PRIOR_TRANSFORM.forward(voice + noise)) ** 2
    found = enhance_power(power, prior, EngineConfig(method=method, iterations=2))
    assert np.all(found.costs[:, 1] <= found.costs[:, 0] + 1e-5 * np.abs(found.costs[:, 0]))
    assert found.gain.min() >= 0 and found.gain.max() <= 1


@pytest.mark.parametrize('method', QUICK)
def test_a_buzz_in_noise_gets_clearer(prior, method):
    voice, noise = buzz()
    found = enhance_by_prior(voice + noise, prior, EngineConfig(method=method, iterations=1))
    before = np.sum(noise**2)
    after = np.sum((found - voice) ** 2)
    assert after < 0.5 * before


def test_gradients_in_the_latents_are_those_of_the_likelihood(prior):
    """Along a direction, by central differences in single precision."""
    voice, noise = buzz(0.2)
    power = np.abs(PRIOR_TRANSFORM.forward(voice + noise)) ** 2
    start = enhance_power(power, prior, EngineConfig(method='amortized', iterations=1))
    power = np.maximum(power, 1e-6).astype(np.float32)
    posterior = Posterior(prior, power, start.model)

    def misfit(latents):
        total = start.model.total(prior.decode(latents)).astype(float)
        return np.sum(power / total + np.log(total))

    latents = start.latents[0]
    random = np.random.default_rng(1)
    direction = random.standard_normal(latents.shape).astype(np.float32)
    slope = np.sum(posterior.likelihood_gradient(latents) * direction)
    step = 1e-2
    difference = misfit(latents + step * direction) - misfit(latents - step * direction)
    assert slope == pytest.approx(difference / (2 * step), rel=0.05, abs=2.0)
