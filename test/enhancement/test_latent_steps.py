# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Each E-step against a posterior that is known: that of a log-linear prior, by importance."""

from __future__ import annotations

import numpy as np
import pytest
from speech_priors import complex_normal, planted_latents, planted_prior

from av_perception.enhancement.chains import ChainStep, whitening
from av_perception.enhancement.latent_steps import METHODS, LatentStepConfig, make_step
from av_perception.enhancement.noise_model import start_noise
from av_perception.enhancement.posterior import Posterior
from av_perception.enhancement.variational import EncoderStep, GaussianStep

FRAMES = 24
NOISE = 0.5


def scene(memory=0.0, tunable=False, bins=60, seed=0):
    random = np.random.default_rng(seed)
    prior = planted_prior(bins, 2, memory, tunable)
    latents = planted_latents(prior, FRAMES, random)
    power = np.abs(complex_normal(prior.decode(latents) + NOISE, random)) ** 2
    model = start_noise(np.full(power.shape, NOISE), 0, random)
    heard = np.maximum(power - NOISE, 0.02 * power)
    return Posterior(prior, power, model), heard


def exact_moments(posterior):
    """Means and variances (T, L) on a grid of latents: brute force, frames on their own."""
    axis = np.linspace(-4, 4, 61)
    grid = np.stack(np.meshgrid(axis, axis, indexing='ij'), axis=-1).reshape(-1, 2)
    logs = np.empty((len(grid), FRAMES))
    for index, point in enumerate(grid.astype(np.float32)):
        logs[index] = -posterior.misfit(np.tile(point, (FRAMES, 1)))
    weights = np.exp(logs - logs.max(axis=0))
    weights /= weights.sum(axis=0)
    mean = np.einsum('gt,gl->tl', weights, grid)
    return mean, np.einsum('gt,gl->tl', weights, grid**2) - mean**2


def sampled(method, posterior, heard, calls, steps=0, samples=8, rate=0.05):
    random = np.random.default_rng(1)
    config = LatentStepConfig(steps, samples, rate, encoder_rate=rate)
    step = make_step(method, posterior.prior, heard, config, random)
    found = [step(posterior) for _ in range(calls)]
    return np.concatenate(found[calls // 2 :])


@pytest.fixture(scope='module')
def known():
    posterior, heard = scene()
    return posterior, heard, *exact_moments(posterior)


@pytest.mark.slow
@pytest.mark.parametrize(('method', 'spread'), [('mala', 0.15), ('mcem', 0.2), ('ldem', 0.3)])
def test_chains_have_the_moments_of_the_posterior(known, method, spread):
    posterior, heard, mean, variance = known
    draws = sampled(method, posterior, heard, calls=40, steps=8)
    assert np.abs((draws.mean(axis=0) - mean) / np.sqrt(variance)).mean() < 0.2
    assert abs(np.log(draws.var(axis=0) / variance)).mean() < spread


def test_unadjusted_chains_are_too_wide_by_half_a_step():
    """On N(0, 1) the stationary variance of the Langevin chain is 1 / (1 - step / 2)."""
    posterior, heard = scene()
    silent = start_noise(np.full(posterior.power.shape, 1e9), 0, np.random.default_rng(0))
    posterior = Posterior(posterior.prior, posterior.power, silent)
    step = ChainStep(np.zeros((FRAMES, 2), np.float32), 'ldem', 20, 20, np.random.default_rng(2))
    draws = np.concatenate([step(posterior) for _ in range(20)][4:])
    assert draws.var() == pytest.approx(1 / (1 - 0.1 / 2), rel=0.02)


def test_point_estimates_lie_at_the_mode(known):
    posterior, heard, *_ = known
    for method in ('peem', 'adam'):
        point = sampled(method, posterior, heard, calls=30)[-1]
        slope, curvature = posterior.fisher(point)
        away = np.linalg.solve(curvature, slope[..., None])[..., 0]
        assert np.abs(away).max() < 0.02, method


def test_gaussians_have_the_moments_of_the_posterior(known):
    posterior, heard, mean, variance = known
    draws = sampled('vem', posterior, heard, calls=80)
    assert np.abs((draws.mean(axis=0) - mean) / np.sqrt(variance)).mean() < 0.25
    assert abs(np.log(draws.var(axis=0) / variance)).mean() < 0.3


def test_a_tuned_encoder_comes_nearer_to_the_posterior_and_its_decoder_stays(known):
    *_, mean, _ = known
    posterior, heard = scene(tunable=True)
    slope = posterior.prior.slope.copy()
    untuned = posterior.prior.encode(heard)[0]
    draws = sampled('vem', posterior, heard, calls=150)
    tuned = draws.mean(axis=0)
    assert np.abs(tuned - mean).mean() < 0.6 * np.abs(untuned - mean).mean()
    np.testing.assert_array_equal(posterior.prior.slope, slope)


def test_the_method_decides_by_what_the_prior_can():
    random = np.random.default_rng(0)
    for tunable, kind in ((False, GaussianStep), (True, EncoderStep)):
        posterior, heard = scene(tunable=tunable)
        step = make_step('vem', posterior.prior, heard, LatentStepConfig(), random)
        assert isinstance(step, kind)


def test_the_slopes_of_the_encoder_are_those_of_the_bound():
    """Against finite differences of J with the same draws."""
    posterior, heard = scene(tunable=True)
    prior = posterior.prior

    def bound(parameters):
        mean, variance = prior.with_encoder(parameters).encode(heard)
        mean, variance = mean.astype(float), variance.astype(float)
        draw = np.random.default_rng(3).standard_normal(mean.shape).astype(np.float32)
        latents = mean + np.sqrt(variance) * draw
        total = posterior.model.total(prior.decode(latents))
        cost = np.sum(posterior.power / total + np.log(total))
        return cost + 0.5 * np.sum(variance + mean**2 - 1 - np.log(variance))

    step = EncoderStep(prior, heard, 1, 1, 0.01, np.random.default_rng(3))
    slopes = step._slopes(posterior)
    for name in ('constant', 'log_variance'):
        for index in range(2):
            moved = []
            for sign in (1, -1):
                parameters = prior.encoder_parameters()
                parameters[name] = parameters[name].copy()
                parameters[name][index] += sign * 1e-2
                moved.append(bound(parameters))
            expected = (moved[0] - moved[1]) / 2e-2
            assert slopes[name][index] == pytest.approx(expected, rel=0.02, abs=0.05)


def test_whitening_is_a_root_of_the_inverse_curvature(known):
    posterior, *_ = known
    latents = np.zeros((FRAMES, 2), np.float32)
    root = whitening(posterior, latents)
    curvature = posterior.fisher(latents)[1]
    product = root @ root.swapaxes(1, 2) @ curvature
    np.testing.assert_allclose(product, np.tile(np.eye(2), (FRAMES, 1, 1)), atol=1e-4)


@pytest.mark.parametrize('method', METHODS)
@pytest.mark.parametrize('memory', [0.0, 0.9])
def test_every_method_fits_better_than_the_encoder_alone(method, memory):
    posterior, heard = scene(memory=memory, seed=4)
    encoded = posterior.prior.encode(heard)[0]
    draws = sampled(method, posterior, heard, calls=12, samples=2)
    assert draws.shape[1:] == encoded.shape and np.isfinite(draws).all()
    before = posterior.misfit(encoded).sum()
    after = np.mean([posterior.misfit(z).sum() for z in draws])
    # (draws lie about the mode: each latent costs half a nat)
    allowed = 0.5 * encoded.size if method not in ('amortized', 'peem', 'adam') else 1e-3
    assert after <= before + allowed


def test_senseless_work_is_refused():
    for change in ({'steps': -1}, {'samples': 0}, {'rate': 0.0}, {'encoder_rate': -1}):
        with pytest.raises(ValueError, match=next(iter(change))):
            LatentStepConfig(**change)
    posterior, heard = scene()
    with pytest.raises(ValueError, match='amortized, peem'):
        make_step('magic', posterior.prior, heard, LatentStepConfig(), np.random.default_rng(0))
