# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Long-term spectra of voices: against the mean of planted ones, and whom they favor."""

import numpy as np
import pytest

from av_perception.separation.voice_spectra import VoiceSpectra

LOUDNESS = np.array([4.0, 1.0, 1.0])


def test_a_spectrum_ends_at_the_mean_of_what_the_person_owned():
    """After many times the memory; the weight 1 makes the ratio of the shapes visible."""
    random = np.random.default_rng(1)
    voices = VoiceSpectra(memory=50.0, weight=1.0)
    one, other = np.array([3.0, 1.0, 1.0]), np.array([1.0, 1.0, 8.0])
    for _ in range(2000):
        voices.favor((1, 2), LOUDNESS, 2)
        owned = np.stack([one, other]) * random.exponential(size=(2, 3))
        voices.learn(owned, np.array([1.0, 0.5]))
    found = voices.favor((1, 2), LOUDNESS, 2)
    shapes = np.stack([one / one.sum(), other / other.sum()])
    np.testing.assert_allclose(found, shapes / shapes.max(axis=0), rtol=0.5)
    assert np.argmax(found, axis=0).tolist() == [0, 0, 1]


def test_one_step_is_that_of_the_equation():
    voices = VoiceSpectra(memory=10.0, weight=0.5)
    voices.favor((7,), LOUDNESS, 2)
    own = np.array([[1.0, 5.0, 0.0]])
    voices.learn(own, np.array([0.4]))
    part = 0.4 * (1 - np.exp(-0.2))
    expected = LOUDNESS + part * (own[0] - LOUDNESS)
    found = voices.favor((7, 8), LOUDNESS, 2)
    shapes = np.stack([expected / expected.sum(), LOUDNESS / LOUDNESS.sum()])
    np.testing.assert_allclose(found, (shapes / shapes.max(axis=0)) ** 0.5, rtol=1e-6)


def test_level_favors_nobody_and_neither_does_a_newcomer():
    voices = VoiceSpectra(memory=10.0, weight=1.0)
    for _ in range(200):
        voices.favor((1, 2), LOUDNESS, 2)
        voices.learn(np.stack([100 * LOUDNESS, LOUDNESS]), np.ones(2))
    found = voices.favor((1, 2, 3), LOUDNESS, 2)
    np.testing.assert_allclose(found, 1.0, rtol=1e-3)


def test_who_is_silent_keeps_their_spectrum_and_who_leaves_is_forgotten():
    voices = VoiceSpectra(memory=10.0, weight=1.0)
    own = np.array([[1.0, 9.0, 1.0], [4.0, 1.0, 1.0]])
    for _ in range(100):
        voices.favor((1, 2), LOUDNESS, 2)
        voices.learn(own, np.ones(2))
    before = voices.favor((1, 2), LOUDNESS, 2)
    voices.learn(np.ones((2, 3)), np.zeros(2))
    np.testing.assert_allclose(voices.favor((1, 2), LOUDNESS, 2), before)
    voices.favor((2,), LOUDNESS, 2)
    np.testing.assert_allclose(voices.favor((1, 2), LOUDNESS, 2), 1.0, rtol=1e-3)


@pytest.mark.parametrize('weight', [0.0, 0.6])
def test_silence_and_single_strong_bins_are_finite(weight):
    voices = VoiceSpectra(memory=10.0, weight=weight)
    voices.favor((1, 2), np.zeros(3), 2)
    voices.learn(np.zeros((2, 3)), np.ones(2))
    found = voices.favor((1, 2), np.array([1e9, 0.0, 0.0]), 2)
    assert np.isfinite(found).all() and (found > 0).all() and (found <= 1).all()
