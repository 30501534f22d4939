# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Factorization: a cost that never rises, planted factors, fixed backgrounds."""

import numpy as np
import pytest
from scipy.special import kl_div

from av_perception.spectral.nmf import (
    COSTS,
    Factors,
    divergence,
    fit_nmf,
    random_factors,
    update_activations,
    update_dictionary,
)


def spectrogram(seed=0, size=(12, 30), rank=3):
    """Noisy power around planted factors, positive and over four decades."""
    random = np.random.default_rng(seed)
    model = random.gamma(0.5, size=(size[0], rank)) @ random.gamma(0.5, size=(rank, size[1]))
    return (model + 1e-3) * random.exponential(size=size) + 1e-6


@pytest.mark.parametrize('cost', COSTS)
@pytest.mark.parametrize('samples', [0, 1, 4])
def test_no_update_raises_the_cost(cost, samples):
    random = np.random.default_rng(1)
    observed = spectrogram()
    background = random.gamma(0.3, size=(samples, *observed.shape)) if samples else 0.0
    factors = random_factors(observed, 4, random)
    before = divergence(observed, factors.model + background, cost)
    first = before
    for _ in range(60):
        for update in (update_dictionary, update_activations):
            factors = update(observed, factors, cost, background)
            after = divergence(observed, factors.model + background, cost)
            assert after <= before + 1e-10 * abs(before)
            before = after
    assert before < 0.9 * first


@pytest.mark.parametrize('cost', COSTS)
def test_the_gradient_vanishes_at_the_end(cost):
    observed = spectrogram(2)
    factors = random_factors(observed, 2, np.random.default_rng(3))
    for _ in range(20000):
        factors = update_activations(observed, factors, cost)
    step = 1e-6
    for k, t in [(0, 0), (1, 7), (0, 20)]:
        activations = factors.activations
        change = np.zeros_like(activations)
        change[k, t] = step * activations[k, t]
        above = divergence(observed, factors.dictionary @ (activations + change), cost)
        below = divergence(observed, factors.dictionary @ (activations - change), cost)
        assert abs(above - below) / (2 * step) < 1e-4 * divergence(observed, factors.model, cost)


def test_costs_in_closed_form():
    observed, model = np.array([[1.0, 4.0]]), np.array([[2.0, 2.0]])
    ratio = observed / model
    expected = (ratio - np.log(ratio) - 1).sum()
    assert divergence(observed, model, 'itakura-saito') == pytest.approx(expected)
    expected = kl_div(observed, model).sum()
    assert divergence(observed, model, 'kullback-leibler') == pytest.approx(expected)
    assert divergence(observed, model, 'euclidean') == 2.5
    silence = divergence(np.zeros((1, 1)), np.array([[0.5]]), 'kullback-leibler')
    assert silence == pytest.approx(0.5)
    for cost in COSTS:
        assert divergence(observed, observed, cost) == pytest.approx(0.0, abs=1e-15)


@pytest.mark.parametrize('cost', COSTS)
def test_planted_factors_are_fitted(cost):
    random = np.random.default_rng(4)
    observed = random.uniform(0.1, 1, (8, 2)) @ random.uniform(0.1, 1, (2, 40))
    fitted = fit_nmf(observed, random_factors(observed, 2, random), cost, 4000)
    np.testing.assert_allclose(fitted.model, observed, rtol=0.02)
    np.testing.assert_allclose(fitted.dictionary.sum(axis=0), 1.0)
    assert len(fitted.cost) == 4001
    assert (np.diff(fitted.cost) <= 1e-10 * fitted.cost[0]).all()


def test_a_known_background_is_not_learnt():
    """The factors explain what is left."""
    random = np.random.default_rng(5)
    speech = random.gamma(0.5, size=(8, 60)) + 0.01
    noise = random.uniform(0.1, 1, (8, 1)) @ random.uniform(0.5, 1, (1, 60))
    start = random_factors(speech + noise, 1, random)
    fitted = fit_nmf(speech + noise, start, 'itakura-saito', 3000, speech)
    np.testing.assert_allclose(fitted.model, noise, rtol=0.05)


def test_scale_goes_along():
    observed = spectrogram(6)
    start = random_factors(observed, 3, np.random.default_rng(7))
    louder = Factors(start.dictionary, 1e6 * start.activations)
    fitted = fit_nmf(observed, start, 'itakura-saito', 30)
    loud = fit_nmf(1e6 * observed, louder, 'itakura-saito', 30)
    np.testing.assert_allclose(loud.activations, 1e6 * fitted.activations, rtol=1e-6)


@pytest.mark.parametrize('cost', COSTS)
def test_silence_and_unused_components_stay_finite(cost):
    observed = spectrogram(8)
    observed[:, 5] = 0
    observed[3] = 0
    start = random_factors(observed, 3, np.random.default_rng(9))
    start.activations[1] = 0
    fitted = fit_nmf(observed, start, cost, 50)
    assert np.isfinite(fitted.model).all() and (fitted.activations[1] == 0).all()
    assert np.isfinite(fitted.cost).all()
    nothing = fit_nmf(
        0 * observed, random_factors(0 * observed, 2, np.random.default_rng(0)), cost, 5
    )
    assert np.isfinite(nothing.model).all()


def test_a_start_has_the_level_of_what_is_observed():
    observed = spectrogram(10)
    start = random_factors(observed, 3, np.random.default_rng(0))
    assert start.model.mean() == pytest.approx(observed.mean())
    normalized = Factors(3 * start.dictionary, start.activations).normalized()
    np.testing.assert_allclose(normalized.model, 3 * start.model)


@pytest.mark.parametrize('bad', [-1.0, np.nan])
def test_what_is_no_spectrogram_is_an_error(bad):
    observed = spectrogram()
    start = random_factors(observed, 2, np.random.default_rng(0))
    observed[0, 0] = bad
    with pytest.raises(ValueError, match='not negative'):
        fit_nmf(observed, start, 'euclidean', 1)
    with pytest.raises(ValueError, match='itakura-saito, kullback-leibler, euclidean'):
        divergence(observed, observed, 'cosine')
