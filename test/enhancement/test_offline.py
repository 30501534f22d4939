# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Whole recordings: pieces fade into each other, whatever is in them is answered."""

from __future__ import annotations

import numpy as np
import pytest
from speech_priors import planted_prior, planted_speech

from av_perception.enhancement import offline
from av_perception.enhancement.engine import EngineConfig
from av_perception.enhancement.lsa import LsaConfig
from av_perception.enhancement.offline import (
    enhance_by_lsa,
    enhance_by_prior,
    finite_samples,
)
from av_perception.enhancement.prior import PRIOR_TRANSFORM, SpeechPrior, TunablePrior

RATE = 16000
QUICK = EngineConfig(iterations=2, rank=1)


def sound(seconds, seed=0, noise=0.05):
    """A planted voice in white noise, and the voice."""
    random = np.random.default_rng(seed)
    frames = PRIOR_TRANSFORM.num_frames(round(seconds * RATE))
    spectra, _ = planted_speech(planted_prior(), frames, random)
    voice = PRIOR_TRANSFORM.inverse(spectra, round(seconds * RATE))
    voice *= 0.5 / np.abs(voice).max()
    return voice + noise * voice.std() * 10 * random.standard_normal(len(voice)), voice


def snr_db(found, voice):
    return 10 * np.log10(np.sum(voice**2) / np.sum((found - voice) ** 2))


def test_planted_priors_are_what_they_should_be():
    assert isinstance(planted_prior(), SpeechPrior)
    assert not isinstance(planted_prior(), TunablePrior)
    assert isinstance(planted_prior(tunable=True), TunablePrior)


def test_a_planted_voice_gets_clearer():
    noisy, voice = sound(2.0)
    found = enhance_by_prior(noisy, planted_prior())
    assert found.shape == noisy.shape
    assert snr_db(found, voice) > snr_db(noisy, voice) + 3


def test_a_long_recording_is_cut_into_pieces_that_fade(monkeypatch):
    """Where gains are one, the recording itself comes out, over all seams."""
    monkeypatch.setattr(offline, '_PIECE', RATE)
    monkeypatch.setattr(offline, '_FADE', RATE // 4)

    class Open:
        gain = 1.0

    monkeypatch.setattr(offline, 'enhance_power', lambda *args, **more: Open())
    noisy, _ = sound(3.3)
    for count in (len(noisy), RATE, RATE + 1, RATE // 4, RATE // 4 + 1, 7 * RATE // 4):
        found = enhance_by_prior(noisy[:count], planted_prior(), QUICK)
        np.testing.assert_allclose(found, noisy[:count], atol=1e-12)


def test_pieces_do_not_ask_for_more_memory_than_one(monkeypatch):
    monkeypatch.setattr(offline, '_PIECE', RATE)
    seen = []
    inner = offline.enhance_power

    def noting(power, *args, **more):
        seen.append(len(power))
        return inner(power, *args, **more)

    monkeypatch.setattr(offline, 'enhance_power', noting)
    told = []
    enhance_by_prior(sound(4.0)[0], planted_prior(), QUICK, progress=told.append)
    assert max(seen) <= PRIOR_TRANSFORM.num_frames(RATE)
    assert told[-1] == pytest.approx(1.0) and np.all(np.diff(told) > 0)


@pytest.mark.parametrize('count', [0, 1, 255, 256, 1025])
def test_a_few_samples_are_answered(count):
    noisy = sound(0.1)[0][:count]
    for found in (enhance_by_prior(noisy, planted_prior(), QUICK), enhance_by_lsa(noisy)):
        assert found.shape == (count,) and np.isfinite(found).all()


def test_silence_stays_silence():
    silence = np.zeros(RATE)
    assert not enhance_by_prior(silence, planted_prior(), QUICK).any()
    assert not enhance_by_lsa(silence).any()


def test_a_clipped_recording_is_answered():
    noisy = np.clip(30 * sound(1.0)[0], -1, 1)
    for found in (enhance_by_prior(noisy, planted_prior(), QUICK), enhance_by_lsa(noisy)):
        assert np.isfinite(found).all() and np.abs(found).max() < 2


def test_samples_that_are_no_numbers_become_silence_and_are_counted():
    samples = np.array([0.1, np.nan, np.inf, -0.2])
    found, count = finite_samples(samples)
    np.testing.assert_array_equal(found, [0.1, 0.0, 0.0, -0.2])
    assert count == 2


def test_lsa_of_a_long_recording_in_blocks_is_that_of_the_whole(monkeypatch):
    noisy, _ = sound(2.0)
    whole = enhance_by_lsa(noisy, LsaConfig())
    monkeypatch.setattr(offline, '_LSA_BLOCK', 3000)
    np.testing.assert_allclose(enhance_by_lsa(noisy, LsaConfig()), whole, atol=1e-12)
