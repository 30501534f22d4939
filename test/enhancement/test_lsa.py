# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The classic gain: limits, streams and blocks, and what it does to a planted voice."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad

from av_perception.enhancement.lsa import LsaConfig, LsaGain, log_spectral_gain
from av_perception.enhancement.lsa_stream import LsaStream

RATE = 16000
CONFIG = LsaConfig()


def voice_and_noise(seconds=3.0, snr_db=5.0, seed=0):
    """Bursts of tones that glide, after a pause of 0.4 s, and white noise."""
    random = np.random.default_rng(seed)
    time = np.arange(round(seconds * RATE)) / RATE
    phase = 2 * np.pi * np.cumsum(200 + 60 * np.sin(3 * time)) / RATE
    voice = sum(np.sin(k * phase) / k for k in range(1, 12))
    voice = voice * (np.sin(2 * np.pi * 1.3 * time) < 0)  # a pause comes first
    noise = random.standard_normal(len(time))
    noise *= voice.std() / noise.std() * 10 ** (-snr_db / 20)
    return 0.1 * voice, 0.1 * noise


def streamed(samples, cuts, config=CONFIG):
    stream = LsaStream(config)
    pieces = [stream.push(piece) for piece in np.split(samples, cuts)]
    return np.concatenate([*pieces, stream.finish()])[: len(samples)]


def snr_db(found, voice):
    return 10 * np.log10(np.sum(voice**2) / np.sum((found - voice) ** 2))


@pytest.mark.parametrize(('snr', 'ratio'), [(0.01, 0.3), (1.0, 1.0), (1.0, 5.0), (30.0, 20.0)])
def test_the_gain_is_that_of_the_paper(snr, ratio):
    """xi / (1 + xi) exp(int_v^inf exp(-t) / t dt / 2), the integral by quadrature."""
    v = ratio * snr / (1 + snr)
    integral = quad(lambda t: np.exp(-t) / t, v, np.inf)[0]
    expected = snr / (1 + snr) * np.exp(0.5 * integral)
    found = log_spectral_gain(np.array(snr), np.array(ratio))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_noise_is_less_and_the_voice_stays():
    voice, noise = voice_and_noise()
    found = streamed(voice + noise, [])
    assert snr_db(found, voice) > snr_db(voice + noise, voice) + 5
    pauses = np.abs(voice) == 0
    pauses[: RATE // 2] = False
    assert np.mean(found[pauses] ** 2) < 0.1 * np.mean(noise[pauses] ** 2)


def test_a_voice_without_noise_comes_back():
    voice, _ = voice_and_noise()
    assert snr_db(streamed(voice, []), voice) > 15


@pytest.mark.parametrize('cuts', [[1, 2, 700], [128, 256, 9000], list(range(37, 40000, 997))])
def test_a_stream_gives_what_the_whole_gives(cuts):
    voice, noise = voice_and_noise(seconds=2.5)
    np.testing.assert_allclose(
        streamed(voice + noise, cuts), streamed(voice + noise, []), atol=1e-12
    )


def test_nothing_that_comes_later_changes_what_came_out():
    voice, noise = voice_and_noise(seconds=1.0)
    sound = voice + noise
    other = sound.copy()
    other[9000:] = 0.9
    reach = 9000 - CONFIG.transform.size
    np.testing.assert_array_equal(streamed(sound, [])[:reach], streamed(other, [])[:reach])


def test_delay_is_less_than_a_window():
    stream = LsaStream(CONFIG)
    given = len(stream.push(np.zeros(16000)))
    assert 16000 - given <= CONFIG.transform.size


@pytest.mark.parametrize('count', [0, 1, 127, 128, 513])
def test_a_sound_of_a_few_samples_is_answered(count):
    sound = 0.1 * np.random.default_rng(0).standard_normal(count)
    found = streamed(sound, [])
    assert found.shape == (count,) and np.isfinite(found).all()


def test_silence_stays_silence():
    assert not streamed(np.zeros(8000), []).any()


def test_a_clipped_sound_is_answered():
    voice, noise = voice_and_noise(seconds=1.0)
    found = streamed(np.clip(20 * (voice + noise), -1, 1), [])
    assert np.isfinite(found).all() and np.abs(found).max() < 2


def test_what_is_known_to_be_noise_is_taken_away():
    power = np.ones((50, 257))
    power[30:, 40] = 1000.0  # stands out: a voice
    known = np.zeros_like(power)
    known[30:, 40] = 1000.0
    free = LsaGain(CONFIG).update(power)
    told = LsaGain(CONFIG).update(power, known)
    assert free[31, 40] > 0.9 and told[31:, 40].max() < 0.3


@pytest.mark.parametrize(
    'change', [{'snr_memory': 1.0}, {'least_gain_db': 1.0}, {'least_snr_db': float('nan')}]
)
def test_senseless_settings_are_refused(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        LsaConfig(**change)
