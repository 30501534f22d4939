# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Laws of the short-time Fourier transform and of Wiener filters, over random signals."""

from __future__ import annotations

import numpy as np
import pytest

from av_perception.spectral.stft import StftConfig, StreamingStft
from av_perception.spectral.transform import ShortTimeFourier, overlap_add, spectra_of
from av_perception.spectral.wiener import multichannel_filters, rank_one_filter, wiener_gains
from av_perception.spectral.windows import adds_up, hann, sine, sqrt_hann, synthesis_window

TRANSFORMS = [
    ShortTimeFourier(64, 16),
    ShortTimeFourier(64, 32, 'sine'),
    ShortTimeFourier(128, 32, 'hann'),
    ShortTimeFourier(60, 17),
]


def noise(count, channels=2, seed=0):
    return np.random.default_rng(seed).standard_normal((count, channels))


@pytest.mark.parametrize('transform', TRANSFORMS)
def test_the_transform_is_linear(transform):
    a, b = noise(300, seed=1), noise(300, seed=2)
    np.testing.assert_allclose(
        transform.forward(2 * a - 0.5 * b),
        2 * transform.forward(a) - 0.5 * transform.forward(b),
        atol=1e-12,
    )


@pytest.mark.parametrize('transform', TRANSFORMS)
def test_a_shift_by_a_hop_is_a_shift_by_a_frame(transform):
    samples = noise(300)
    shifted = np.concatenate([np.zeros((transform.hop, 2)), samples])
    spectra, later = transform.forward(samples), transform.forward(shifted)
    np.testing.assert_allclose(later[1 : len(spectra) + 1], spectra, atol=1e-12)
    np.testing.assert_allclose(later[0], 0, atol=1e-12)


@pytest.mark.parametrize('size, hop, window', [(64, 32, sine), (64, 16, sqrt_hann)])
def test_energy_is_kept_where_the_squares_of_the_window_add_up(size, hop, window):
    """Parseval: the frames hold the energy of the signal, times that of the windows over it."""
    transform = ShortTimeFourier(size, hop, window.__name__)
    samples = noise(500)
    spectra = np.abs(transform.forward(samples)) ** 2
    both_sides = 2 * spectra.sum(axis=1) - spectra[:, 0] - spectra[:, -1]
    overlap = (window(size) ** 2).sum() / hop
    np.testing.assert_allclose(
        both_sides.sum(axis=0) / size, overlap * (samples**2).sum(axis=0), rtol=1e-12
    )


@pytest.mark.parametrize('bin_index', [1, 7, 31])
def test_a_tone_in_the_middle_of_a_bin_is_in_it_and_its_neighbors_alone(bin_index):
    transform = ShortTimeFourier(64, 16, 'hann')
    tone = np.cos(2 * np.pi * bin_index * np.arange(640) / 64 + 0.3)[:, None]
    power = np.abs(transform.forward(tone)[10, :, 0]) ** 2
    assert power.argmax() == bin_index
    beyond = np.abs(np.arange(33) - bin_index) > 1
    assert power[beyond].max() < 1e-20 * power.max()
    frequency = transform.frequencies(16000)[bin_index]
    assert frequency == bin_index * 250


def test_a_delay_between_channels_is_a_slope_of_the_phase():
    random = np.random.default_rng(3)
    source = random.standard_normal(4000)
    delay = 3
    samples = np.column_stack([source[delay:], source[:-delay]])
    spectra = ShortTimeFourier(256, 64).forward(samples)[8:-8]
    cross = (spectra[..., 1] * np.conj(spectra[..., 0])).sum(axis=0)
    k = np.arange(1, 100)
    slope = np.polyfit(k, np.unwrap(np.angle(cross[k])), 1)[0]
    assert slope * 256 / (2 * np.pi) == pytest.approx(-delay, abs=0.05)


@pytest.mark.parametrize('transform', TRANSFORMS)
def test_no_change_of_the_spectra_gives_a_signal_nearer_to_them(transform):
    """The synthesis is the one of least squares: of inconsistent spectra, too."""
    random = np.random.default_rng(4)
    spectra = transform.forward(noise(200, 1)) + random.standard_normal(
        (transform.num_frames(200), transform.num_bins, 1)
    )

    def distance(samples):
        difference = np.abs(transform.forward(samples) - spectra) ** 2
        return 2 * difference.sum() - difference[:, 0].sum() - difference[:, -1].sum()

    best = transform.inverse(spectra, 200)
    for _ in range(20):
        assert distance(best) <= distance(best + 1e-3 * random.standard_normal((200, 1)))


@pytest.mark.parametrize('size, hop', [(8, 3), (8, 8), (12, 5)])
def test_overlapping_frames_add_up_one_by_one(size, hop):
    random = np.random.default_rng(5)
    frames, window = random.standard_normal((6, size)), random.standard_normal(size)
    expected = np.zeros(5 * hop + -(-size // hop) * hop)
    for index, frame in enumerate(frames):
        expected[index * hop : index * hop + size] += window * frame
    found = overlap_add(np.fft.rfft(frames, axis=1), window, hop)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_only_whole_windows_have_spectra():
    window = hann(16)
    assert len(spectra_of(noise(16), window, 4)) == 1
    assert len(spectra_of(noise(19), window, 4)) == 1
    assert len(spectra_of(noise(20), window, 4)) == 2


@pytest.mark.parametrize('channels', [1, 4])
def test_the_front_ends_stream_keeps_what_does_not_fill_a_window(channels):
    stream = StreamingStft(StftConfig(16000, 64, 32), channels)
    assert stream.push(np.zeros((63, channels), np.float32)).shape == (0, 32, channels)
    assert stream.push(np.zeros((1, channels), np.float32)).shape == (1, 32, channels)
    assert stream.push(np.zeros((31, channels), np.float32)).shape == (0, 32, channels)
    assert stream.push(np.zeros((97, channels), np.float32)).shape == (4, 32, channels)


@pytest.mark.parametrize('size, hop', [(64, 16), (60, 17), (64, 64)])
def test_synthesis_of_any_hop_adds_up_to_one(size, hop):
    window = sine(size)
    assert adds_up(window * synthesis_window(window, hop), hop)


@pytest.mark.parametrize('seed', range(3))
def test_no_linear_filter_beats_wieners(seed):
    random = np.random.default_rng(seed)
    steering = random.standard_normal(3) + 1j * random.standard_normal(3)
    root = random.standard_normal((3, 3)) + 1j * random.standard_normal((3, 3))
    noise_covariance = root @ root.conj().T + 0.1 * np.eye(3)
    variance = 0.7

    def error(filter_):
        gain = filter_.conj() @ steering
        return abs(1 - gain) ** 2 * variance + (filter_.conj() @ noise_covariance @ filter_).real

    best = rank_one_filter(steering, np.array(variance), noise_covariance)
    assert error(best) == pytest.approx(variance * (1 - best.conj() @ steering).real)
    for _ in range(50):
        change = random.standard_normal(3) + 1j * random.standard_normal(3)
        assert error(best) < error(best + 0.01 * change)


def test_gains_and_filters_share_the_mixture_among_any_number_of_sources():
    random = np.random.default_rng(6)
    variances = random.exponential(size=(4, 10, 20))
    np.testing.assert_allclose(wiener_gains(variances).sum(axis=0), 1)
    roots = random.standard_normal((4, 10, 3, 3)) + 1j * random.standard_normal((4, 10, 3, 3))
    covariances = roots @ np.conj(roots).swapaxes(-1, -2)
    filters = multichannel_filters(covariances)
    np.testing.assert_allclose(filters.sum(axis=0), np.tile(np.eye(3), (10, 1, 1)), atol=1e-9)
    # A source a thousand times as loud gets nearly all.
    covariances[2] *= 1e9
    assert np.abs(multichannel_filters(covariances)[2] - np.eye(3)).max() < 1e-3
