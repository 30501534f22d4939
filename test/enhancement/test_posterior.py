# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Gradients against finite differences, curvature against its definition, Fisher steps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from speech_priors import RandomVae, complex_normal, planted_latents, planted_prior

from av_perception.enhancement.noise_model import start_noise
from av_perception.enhancement.posterior import Posterior, fisher_step

FRAMES = 9


def in_double(prior):
    """A random network with double precision, for differences."""
    prior._inner = prior._inner.astype(float)
    prior._outer = prior._outer.astype(float)
    return prior


def posterior_of(prior, seed=0, noise=0.3):
    random = np.random.default_rng(seed)
    latents = planted_latents(prior, FRAMES, random).astype(float)
    power = np.abs(complex_normal(prior.decode(latents) + noise, random)) ** 2
    model = start_noise(np.full_like(power, noise), 0, random)
    model = replace(model, speech_gain=np.exp(0.3 * random.standard_normal(FRAMES)))
    return Posterior(prior, power, model), latents + 0.3 * random.standard_normal(latents.shape)


def differences(function, latents, step=1e-5):
    """(T, L) central differences of a sum."""
    found = np.zeros(latents.shape)
    for index in np.ndindex(*latents.shape):
        moved = np.zeros(latents.shape)
        moved[index] = step
        found[index] = (function(latents + moved) - function(latents - moved)) / (2 * step)
    return found


@pytest.mark.parametrize('seed', [0, 1])
def test_the_gradient_is_that_of_the_misfit(seed):
    posterior, latents = posterior_of(in_double(RandomVae(seed=seed)), seed)
    expected = differences(lambda z: posterior.misfit(z).sum(), latents)
    np.testing.assert_allclose(posterior.gradient(latents), expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(posterior.fisher(latents)[0], expected, rtol=1e-5, atol=1e-5)


def test_the_misfit_is_the_negative_log_joint():
    prior = planted_prior(num_bins=12, num_latents=2, memory=0.6)
    posterior, latents = posterior_of(prior)
    total = 0.0
    before = np.zeros(2)
    for t in range(FRAMES):
        variance = posterior.model.total(prior.decode(latents))[t]
        total += np.sum(posterior.power[t] / variance + np.log(variance))
        spread = 1.0 if t == 0 else 1 - 0.6**2
        total += 0.5 * np.sum((latents[t] - 0.6 * before) ** 2 / spread + np.log(spread))
        before = latents[t]
    assert posterior.misfit(latents).sum() == pytest.approx(total)


def test_the_curvature_is_the_mean_of_the_outer_products_of_gradients():
    """Fisher information: E[grad grad'] over recordings drawn at these latents."""
    prior = in_double(RandomVae())
    posterior, latents = posterior_of(prior)
    curvature = posterior.fisher(latents)[1]
    variance = posterior.model.total(prior.decode(latents))
    random = np.random.default_rng(5)
    outer = 0.0
    draws = 4000
    for _ in range(draws):
        power = variance * random.standard_exponential(variance.shape)
        slope = replace(posterior, power=power).likelihood_gradient(latents)
        outer = outer + slope[:, :, None] * slope[:, None, :] / draws
    expected = curvature - np.eye(prior.num_latents)
    scale = np.sqrt(np.einsum('tii,tjj->tij', expected, expected))
    assert np.abs(outer - expected).max() < 0.15 * scale.max()


@pytest.mark.parametrize('memory', [0.0, 0.8])
def test_fisher_steps_lower_the_misfit_until_the_gradient_is_gone(memory):
    prior = planted_prior(num_bins=40, num_latents=3, memory=memory)
    posterior, latents = posterior_of(prior)
    latents = latents + 2.0
    misfit = posterior.misfit(latents).sum()
    for _ in range(30):
        latents = fisher_step(posterior, latents)
        after = posterior.misfit(latents).sum()
        assert after <= misfit + 1e-6 * abs(misfit)
        misfit = after
    if not memory:  # (with memory, later priors pull as well)
        assert np.abs(posterior.gradient(latents)).max() < 0.05


def test_a_few_fisher_steps_reach_what_gradient_steps_need_hundreds_for():
    prior = planted_prior(num_bins=60, num_latents=3)
    posterior, start = posterior_of(prior)
    fisher = start
    for _ in range(4):
        fisher = fisher_step(posterior, fisher)
    slow = start
    for _ in range(300):
        slow = slow - 0.01 * posterior.gradient(slow)
    assert posterior.misfit(fisher).sum() < posterior.misfit(slow).sum() + 0.5


def test_from_the_optimum_nothing_moves():
    posterior, latents = posterior_of(planted_prior(num_bins=40, num_latents=3))
    for _ in range(50):
        latents = fisher_step(posterior, latents)
    np.testing.assert_allclose(fisher_step(posterior, latents), latents, atol=1e-3)


def test_without_any_speech_heard_latents_go_to_the_prior():
    prior = planted_prior(num_bins=40, num_latents=3)
    posterior, latents = posterior_of(prior)
    silent = replace(posterior.model, speech_gain=np.full(FRAMES, 1e-9))
    posterior = replace(posterior, model=silent)
    for _ in range(5):
        latents = fisher_step(posterior, latents)
    np.testing.assert_allclose(latents, 0.0, atol=1e-3)
