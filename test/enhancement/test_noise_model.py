# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The M-step: its cost never rises, and with speech that is constant it is plain NMF."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from speech_priors import complex_normal

from av_perception.enhancement.noise_model import cost_of, maximize, start_noise
from av_perception.spectral.nmf import Factors, fit_nmf

FRAMES = 40
BINS = 30


def planted(seed=0, samples=2):
    """Power, guess of the noise, samples of the variance of speech."""
    random = np.random.default_rng(seed)
    spectra = random.gamma(0.5, 1.0, (BINS, 3))
    noise = (spectra @ random.gamma(0.5, 1.0, (3, FRAMES))).T + 0.01
    speech = np.exp(random.normal(0, 1.5, (FRAMES, BINS)))
    power = np.abs(complex_normal(speech + noise, random)) ** 2
    guess = noise * np.exp(random.normal(0, 0.5, noise.shape))
    draws = speech * np.exp(random.normal(0, 0.3, (samples, FRAMES, BINS)))
    return power, guess, draws


@pytest.mark.parametrize('rank', [0, 1, 4])
@pytest.mark.parametrize('samples', [1, 5])
def test_the_cost_never_rises(rank, samples):
    power, guess, draws = planted(samples=samples)
    model = start_noise(guess, rank, np.random.default_rng(1))
    cost = cost_of(power, model, draws)
    first = cost
    for _ in range(40):
        model = maximize(power, model, draws)
        after = cost_of(power, model, draws)
        assert after <= cost + 1e-9 * abs(cost)
        cost = after
    assert cost < first - 10


def test_each_rule_alone_never_raises_the_cost():
    """Also from a start far away: gains a hundred times too large or too small."""
    power, guess, draws = planted()
    for scale in (0.01, 100.0):
        model = start_noise(guess, 2, np.random.default_rng(1))
        model = replace(
            model, speech_gain=scale * model.speech_gain, guess_gain=model.guess_gain / scale
        )
        before = cost_of(power, model, draws)
        assert cost_of(power, maximize(power, model, draws), draws) < before


def test_without_speech_and_guess_it_is_itakura_saito_nmf():
    power, guess, draws = planted()
    nothing = np.zeros_like(draws[:1])
    model = start_noise(1e-30 * guess, 3, np.random.default_rng(2))
    factors = Factors(model.factors.dictionary, 1e31 * model.factors.activations)
    model = replace(model, factors=factors)
    expected = fit_nmf(power.T, factors, 'itakura-saito', 5)
    for _ in range(5):
        model = maximize(power, model, nothing)
    np.testing.assert_allclose(model.noise, expected.model.T, rtol=1e-6)


def test_loudness_of_each_frame_is_found():
    random = np.random.default_rng(3)
    speech = np.exp(random.normal(0, 1, (FRAMES, 400)))
    loudness = np.exp(random.normal(0, 1, FRAMES))
    power = np.abs(complex_normal(loudness[:, None] * speech, random)) ** 2
    model = start_noise(np.full_like(power, 1e-6), 0, random)
    for _ in range(50):
        model = maximize(power, model, speech[None])
    assert np.abs(np.log(model.speech_gain / loudness)).mean() < 0.06


def test_a_steady_hum_that_the_guess_has_not_is_learnt():
    power, guess, draws = planted()
    power = power.copy()
    power[:, 7] += 50.0
    model = start_noise(guess, 2, np.random.default_rng(4))
    for _ in range(60):
        model = maximize(power, model, draws)
    assert 0.7 < np.median(model.noise[:, 7]) / 50.0 < 1.3


def test_single_precision_does_as_well():
    power, guess, draws = (x.astype(np.float32) for x in planted())
    model = start_noise(guess, 3, np.random.default_rng(1))
    assert model.noise.dtype == np.float32
    for _ in range(20):
        before = cost_of(power, model, draws)
        model = maximize(power, model, draws)
        assert cost_of(power, model, draws) <= before + 1e-5 * abs(before)
    assert model.noise.dtype == np.float32


def test_weighed_samples_count_as_often_as_their_weights_say():
    random = np.random.default_rng(3)
    shape = (12, 20)
    power = random.exponential(size=shape)
    variance = random.exponential(size=(3, *shape)) + 0.1
    start = start_noise(random.exponential(size=shape) + 0.1, 2, random)
    copies = variance[[0, 0, 0, 1, 1, 2]]
    expected = maximize(power, start, copies)
    weights = np.tile(np.array([3.0, 2.0, 1.0])[:, None], (1, len(power)))
    found = maximize(power, start, variance, weights)
    np.testing.assert_allclose(found.noise, expected.noise)
    np.testing.assert_allclose(found.speech_gain, expected.speech_gain)
