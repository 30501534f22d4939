# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The loop of both steps: in which order, and what comes out."""

from __future__ import annotations

import numpy as np
import pytest
from speech_priors import planted_prior

from av_perception.enhancement.alternation import KnownSpeech, PossibleSpeech, alternate
from av_perception.enhancement.noise_model import cost_of, maximize, start_noise
from av_perception.enhancement.posterior import Posterior

FRAMES = 5
BINS = 12


@pytest.fixture
def start():
    random = np.random.default_rng(0)
    power = random.exponential(2.0, (FRAMES, BINS)).astype(np.float32)
    model = start_noise(np.full_like(power, 0.5), 0, random)
    return Posterior(planted_prior(BINS, 2), power, model)


def speech_of(seed, count=1):
    variance = np.random.default_rng(seed).exponential(1.0, (count, FRAMES, BINS))
    return PossibleSpeech(variance.astype(np.float32))


def test_a_recording_hears_speech_before_noise_and_a_stream_noise_before_speech(start):
    models = []

    def step(posterior):
        models.append(posterior.model)
        return speech_of(len(models))

    alternate(start, step, 2)
    assert models[0] is start.model
    models.clear()
    found = alternate(start, step, 2, speech_of(0))
    first = maximize(start.power, start.model, speech_of(0).variance)
    np.testing.assert_array_equal(models[0].noise, first.noise)
    np.testing.assert_array_equal(found.model.noise, models[1].noise)
    np.testing.assert_array_equal(found.speech.variance, speech_of(2).variance)


def test_what_is_known_needs_no_round(start):
    known = KnownSpeech(speech_of(0))
    found = alternate(start, known, 0, known.speech)
    assert found.model is start.model
    np.testing.assert_array_equal(found.gain, known.speech.gain(start.model))


def test_the_cost_that_is_watched_never_rises(start):
    costs = []

    def watch(speech, before, after):
        costs.append([cost_of(start.power, model, speech.variance) for model in (before, after)])

    alternate(start, KnownSpeech(speech_of(3, 4)), 10, watch=watch)
    assert len(costs) == 10
    assert np.all(np.diff(np.ravel(costs)) <= 1e-4)


def test_gains_are_averaged_over_the_possibilities_as_they_are_weighed(start):
    two = speech_of(1, 2)
    single = [PossibleSpeech(one[None]).gain(start.model) for one in two.variance]
    np.testing.assert_allclose(two.gain(start.model), np.mean(single, axis=0), rtol=1e-6)
    weights = np.array([np.linspace(0, 1, FRAMES), np.linspace(1, 0, FRAMES)], np.float32)
    found = PossibleSpeech(two.variance, weights).gain(start.model)
    expected = weights[0][:, None] * single[0] + weights[1][:, None] * single[1]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
