# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Short-time Fourier transform: against a plain sum, and back to the signal without loss."""

import numpy as np
import pytest

from av_perception.spectral.stft import StftConfig, StreamingStft
from av_perception.spectral.transform import (
    ShortTimeFourier,
    StreamingAnalysis,
    StreamingSynthesis,
)
from av_perception.spectral.windows import hann

CHOICES = [
    ShortTimeFourier(64, 16),
    ShortTimeFourier(64, 32, 'sine'),
    ShortTimeFourier(64, 24, 'hann'),
    ShortTimeFourier(60, 13, 'sqrt_hann'),
    ShortTimeFourier(16, 16, 'sine'),
]


def noise(count, channels=2, seed=0):
    return np.random.default_rng(seed).standard_normal((count, channels))


@pytest.mark.parametrize('transform', CHOICES)
def test_bins_are_plain_sums(transform):
    samples = noise(100)
    spectra = transform.forward(samples)
    assert spectra.shape == (transform.num_frames(100), transform.num_bins, 2)
    padded = np.concatenate([np.zeros((transform.lead, 2)), samples, np.zeros((200, 2))])
    n = np.arange(transform.size)
    for frame, k in [(0, 0), (1, transform.size // 2), (2, 5), (len(spectra) - 1, 3)]:
        part = padded[frame * transform.hop :][: transform.size]
        basis = transform.analysis_window * np.exp(-2j * np.pi * k * n / transform.size)
        np.testing.assert_allclose(spectra[frame, k], basis @ part, atol=1e-12)


@pytest.mark.parametrize('transform', CHOICES)
@pytest.mark.parametrize('count', [0, 1, 15, 64, 65, 257])
def test_a_recording_comes_back_from_its_first_sample_to_its_last(transform, count):
    samples = noise(count)
    back = transform.inverse(transform.forward(samples), count)
    np.testing.assert_allclose(back, samples, atol=1e-12)


def test_one_channel_without_an_axis_of_its_own():
    transform, samples = CHOICES[0], noise(100)[:, 0]
    spectra = transform.forward(samples)
    np.testing.assert_allclose(spectra, transform.forward(samples[:, None])[..., 0])
    np.testing.assert_allclose(transform.inverse(spectra, 100), samples, atol=1e-12)


def chunks(samples, seed):
    """Cut anyhow, empty chunks and single samples included."""
    cuts = np.random.default_rng(seed).integers(0, len(samples) + 1, 12)
    return np.split(samples, np.sort([0, 1, *cuts]))


@pytest.mark.parametrize('transform', CHOICES)
@pytest.mark.parametrize('count', [1, 50, 317])
def test_a_stream_in_odd_chunks_comes_back(transform, count):
    samples = noise(count, 3)
    analysis = StreamingAnalysis(transform.analysis_window, transform.hop, 3, transform.lead)
    synthesis = StreamingSynthesis(transform, 3)
    spectra, back = [], []
    for chunk in chunks(samples, count):
        spectra.append(analysis.push(chunk))
        back.append(synthesis.push(spectra[-1]))
        assert sum(map(len, back)) > sum(map(len, spectra)) * transform.hop - transform.size
    spectra.append(analysis.finish())
    back.append(synthesis.push(spectra[-1]))
    np.testing.assert_allclose(
        np.concatenate(spectra), transform.forward(samples), rtol=0, atol=1e-12
    )
    np.testing.assert_allclose(np.concatenate(back)[:count], samples, atol=1e-12)


def test_nothing_comes_of_nothing():
    transform = CHOICES[0]
    analysis = StreamingAnalysis(transform.analysis_window, transform.hop, 1)
    assert len(analysis.finish()) == 0
    assert len(StreamingSynthesis(transform, 1).push(np.zeros((0, 33, 1), complex))) == 0


def test_the_front_end_drops_the_constant_of_the_same_frames():
    """The same numbers to the last bit, of single and of double precision, cut anyhow."""
    config = StftConfig()
    window = hann(config.window).astype(np.float32)[:, None]
    for dtype in (np.float32, np.float64):
        samples = noise(3000).astype(dtype)
        transform = StreamingStft(config, 2)
        found = np.concatenate([transform.push(chunk) for chunk in chunks(samples, 5)])
        starts = range(0, len(samples) - config.window + 1, config.hop)
        frames = np.array([samples[start : start + config.window] * window for start in starts])
        assert found.shape == (len(frames), config.num_bins, 2)
        np.testing.assert_array_equal(found, np.fft.rfft(frames, axis=1)[:, 1:])


def test_frequencies():
    transform = ShortTimeFourier(256, 128)
    frequencies = transform.frequencies(16000)
    assert frequencies[0] == 0 and frequencies[-1] == 8000 and len(frequencies) == 129
    np.testing.assert_array_equal(frequencies[1:], StftConfig().frequencies)


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        ((63, 16), 'even'),
        ((64, 0), 'hop'),
        ((64, 65), 'hop'),
        ((64, 16, 'boxcar'), 'shape must be one of hann'),
    ],
)
def test_bad_choices_are_errors(arguments, words):
    with pytest.raises(ValueError, match=words):
        ShortTimeFourier(*arguments)


def test_a_wrong_number_of_frames_is_an_error():
    transform = CHOICES[0]
    with pytest.raises(ValueError, match='frames, not 3'):
        transform.inverse(np.zeros((3, 33), complex), 1000)


@pytest.mark.parametrize('group', [1, 3, 5])
def test_frames_in_groups_are_the_frames_one_by_one_each_when_its_group_is_complete(group):
    samples = noise(1000)
    window = hann(64)
    alone = StreamingAnalysis(window, 16, 2).push(samples)
    grouped = StreamingAnalysis(window, 16, 2, group=group)
    given, heard = [], 0
    for part in chunks(samples, seed=2):
        frames = grouped.push(part)
        assert len(frames) % group == 0
        heard += len(part)
        given.extend(frames)
        complete = max(0, (heard - 64) // 16 + 1)
        assert len(given) == complete - complete % group
    np.testing.assert_array_equal(np.array(given), alone[: len(given)])
