# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Resampling of a stream: what it keeps, what it removes, and how little it holds back."""

from __future__ import annotations

import numpy as np
import pytest
import soxr

from av_perception.audio.resampling import StreamingResampler

RATE = 16000
RATES = [8000, 22050, 32000, 44100, 48000, 96000]
EXACT_DB = -75.0


def tone(rate: int, frequency: float, num_samples: int) -> np.ndarray:
    return np.sin(2 * np.pi * frequency * np.arange(num_samples) / rate).astype(np.float32)


def decibel(samples: np.ndarray) -> float:
    """Mean power of samples against that of a tone of full scale."""
    return float(10 * np.log10(2 * np.mean(samples.astype(float) ** 2) + 1e-30))


@pytest.mark.parametrize('rate', RATES)
@pytest.mark.parametrize('share', [0.01, 0.1, 0.3, 0.4375])
def test_a_tone_of_the_band_is_the_same_tone_at_the_same_time(rate, share):
    frequency = share * min(rate, RATE)
    (output,) = StreamingResampler(rate, RATE, 1).push(tone(rate, frequency, rate)[:, None]).T
    expected = tone(RATE, frequency, len(output))
    inner = slice(RATE // 10, None)  # the first is that of a tone that begins from silence
    assert decibel((output - expected)[inner]) < EXACT_DB


@pytest.mark.parametrize('rate', [32000, 44100, 48000, 96000])
@pytest.mark.parametrize('frequency', [9000.0, 10000.0, 13000.0])
def test_a_tone_above_the_band_is_removed(rate, frequency):
    output = StreamingResampler(rate, RATE, 1).push(tone(rate, frequency, rate)[:, None])
    assert decibel(output[RATE // 10 :]) < EXACT_DB


@pytest.mark.parametrize('rate', RATES)
def test_it_agrees_with_a_resampler_that_knows_the_whole_sound(rate):
    random = np.random.default_rng(2)
    spectrum = np.fft.rfft(random.normal(size=rate))
    spectrum[int(0.43 * min(rate, RATE)) :] = 0.0  # a second long: bins are Hz
    sound = (0.1 * np.fft.irfft(spectrum, rate)).astype(np.float32)
    output = StreamingResampler(rate, RATE, 1).push(sound[:, None])[:, 0]
    expected = soxr.resample(sound, rate, RATE, quality='VHQ')[: len(output)]
    inner = slice(RATE // 10, -RATE // 10)
    assert decibel((output - expected)[inner]) < decibel(expected[inner]) + EXACT_DB + 5


@pytest.mark.parametrize('rate', [*RATES, 44101, 11025])
@pytest.mark.parametrize('chunk_s', [0.001, 0.008, 0.1])
def test_it_is_the_same_however_the_sound_is_cut_and_hardly_any_is_held_back(rate, chunk_s):
    sound = np.random.default_rng(1).normal(size=(rate, 2)).astype(np.float32)
    whole = StreamingResampler(rate, RATE, 2).push(sound)
    one = StreamingResampler(rate, RATE, 2)
    size = round(chunk_s * rate)
    pieces, num_outputs = [], 0
    for start in range(0, rate, size):
        pieces.append(one.push(sound[start : start + size]))
        num_outputs += len(pieces[-1])
        missing_s = min(rate, start + size) / rate - num_outputs / RATE
        assert missing_s <= one.lag_s + 1 / RATE < 0.004
    np.testing.assert_allclose(np.concatenate(pieces), whole, rtol=1e-5, atol=1e-6)


def test_after_clear_it_begins_anew():
    sound = np.random.default_rng(4).normal(size=(4410, 4)).astype(np.float32)
    one = StreamingResampler(44100, RATE, 4)
    first = one.push(sound)
    one.clear()
    assert np.array_equal(one.push(sound), first)


def test_channels_do_not_mix_and_a_constant_stays():
    sound = np.tile(np.float32([[0.5, 0.0, -0.25]]), (48000, 1))
    output = StreamingResampler(48000, RATE, 3).push(sound)[200:]
    np.testing.assert_allclose(output, np.tile([0.5, 0.0, -0.25], (len(output), 1)), atol=1e-5)


def test_nothing_in_nothing_out():
    assert StreamingResampler(44100, RATE, 4).push(np.zeros((0, 4), np.float32)).shape == (0, 4)


def test_a_day_of_sound_is_counted_to_the_sample():
    """Positions are whole numbers: they do not drift."""
    one = StreamingResampler(44100, RATE, 1)
    one.push(np.zeros((441, 1), np.float32))
    days = 44100 * 86400 // 441
    one._num_given += days * 160
    one._first += days * 441
    output = one.push(np.ones((4410, 1), np.float32))
    assert len(output) == 1600
    assert np.all(np.isfinite(output)) and output[-1] == pytest.approx(1.0, abs=1e-4)
