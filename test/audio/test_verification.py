# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The front end against planted transfer functions and the textbook recursion.

2 to 16 microphones, three sample rates, gaps.
"""

import itertools

import numpy as np
import pytest
from cross_relations import reference_taps

from av_perception.audio.dp_rtf import CrossRelationRls, DpRtfConfig, relative_transfer
from av_perception.audio.front_end import AudioFrontEnd, AudioFrontEndConfig
from av_perception.audio.propagation import free_field_response
from av_perception.audio.sub_bands import subband_vectors
from av_perception.geometry.rigid_transform import direction_from_angles
from av_perception.interfaces import AudioChunk

QUIET = AudioFrontEndConfig(voice_activity=False)
HOP_S = 0.008


def planted(rng, channels, taps, num_frames, snr_db):
    """White sound through decaying convolutive transfer functions.

    Returns first taps (bins, channels) and frames (frames, bins, channels).
    """
    filters = (
        rng.standard_normal((3, channels, taps)) + 1j * rng.standard_normal((3, channels, taps))
    ) * 0.5 ** np.arange(taps)
    filters[:, :, 0] = (1 + rng.random((3, channels))) * np.exp(
        2j * np.pi * rng.random((3, channels))
    )
    source = rng.standard_normal((num_frames + taps - 1, 3)) + 1j * rng.standard_normal(
        (num_frames + taps - 1, 3)
    )
    frames = sum(
        source[taps - 1 - q : taps - 1 - q + num_frames, :, None] * filters[None, :, :, q]
        for q in range(taps)
    )
    noise = rng.standard_normal(frames.shape) + 1j * rng.standard_normal(frames.shape)
    return filters[:, :, 0], frames + noise * np.sqrt(np.mean(np.abs(frames) ** 2) / 2) * 10 ** (
        -snr_db / 20
    )


def textbook_rls(signals, taps, forgetting, start=1e-9):
    """First taps by the covariance-form recursion over the cross-relations, with a_1(0) = 1.

    signals: (frames, channels) of one bin; one rank-one update per pair and frame.
    """
    num_frames, channels = signals.shape
    padded = np.concatenate([np.zeros((taps - 1, channels)), signals])
    weights = np.zeros(channels * taps - 1, complex)
    covariance = np.eye(channels * taps - 1) / start
    for p in range(num_frames):
        covariance = covariance / forgetting
        window = padded[p : p + taps][::-1]
        for i, j in itertools.combinations(range(channels), 2):
            row = np.zeros((channels, taps), complex)
            row[j], row[i] = window[:, i], -window[:, j]
            target, row = -row.ravel()[0], row.ravel()[1:]
            gain = covariance @ row.conj() / (1 + row @ covariance @ row.conj())
            weights = weights + gain * (target - row @ weights)
            covariance = covariance - np.outer(gain, row @ covariance)
    return np.concatenate([[1.0], weights])[::taps]


@pytest.mark.parametrize('channels, taps', [(2, 2), (3, 3)])
def test_the_information_form_equals_the_textbook_recursion(channels, taps):
    rng = np.random.default_rng(0)
    frames = rng.standard_normal((60, 2, channels)) + 1j * rng.standard_normal((60, 2, channels))
    config = DpRtfConfig(num_taps=taps, memory_s=0.2, loading=0.0)
    estimator = CrossRelationRls(config, 2, channels, HOP_S)
    estimator.update(frames)
    for k, found in enumerate(reference_taps(estimator, slice(None), taps)):
        np.testing.assert_allclose(
            found, textbook_rls(frames[:, k], taps, np.exp(-HOP_S / 0.2)), rtol=1e-5, atol=1e-6
        )


@pytest.mark.parametrize('channels', [2, 3, 4, 8, 16])
def test_planted_ratios_are_within_one_percent_at_30_db(channels):
    truth, frames = planted(np.random.default_rng(1), channels, 3, 1500, 30.0)
    estimator = CrossRelationRls(
        DpRtfConfig(num_taps=3, memory_s=10.0, loading=1e-6), 3, channels, HOP_S
    )
    for start in range(0, len(frames), 5):
        estimator.update(frames[start : start + 5])
    taps, residual = estimator.solve(slice(None))
    found, expected = relative_transfer(taps), relative_transfer(truth)
    assert np.linalg.norm(found - expected) < 0.01 * np.linalg.norm(expected)
    assert residual.max() < 0.1


@pytest.mark.parametrize('channels', [2, 16])
def test_one_tap_is_the_ratio_of_covariances(channels):
    """Instantaneous mixing: E[y x*] / E[|x|^2] for two microphones.

    For more it is that of the strongest component.
    """
    rng = np.random.default_rng(2)
    truth, frames = planted(rng, channels, 1, 400, 30.0)
    estimator = CrossRelationRls(
        DpRtfConfig(num_taps=1, memory_s=1e9, loading=0.0), 3, channels, HOP_S
    )
    estimator.update(frames)
    reference = reference_taps(estimator, slice(None), 1)
    if channels == 2:
        ratio = np.sum(frames[..., 1] * frames[..., 0].conj(), axis=0) / np.sum(
            np.abs(frames[..., 0]) ** 2, axis=0
        )
        np.testing.assert_allclose(reference[:, 1], ratio, rtol=1e-6)
    np.testing.assert_allclose(reference, truth / truth[:, :1], rtol=0.05)


def waves(positions, azimuth, rate, seconds, rng):
    """Bursts of noise, faint in between, from afar at microphones (I, 3), delayed exactly."""
    time = np.arange(round(seconds * rate)) / rate
    signal = rng.standard_normal(len(time)) * np.where(time % 0.6 < 0.4, 0.1, 1e-4)
    frequencies = np.fft.rfftfreq(len(signal), 1 / rate)
    response = free_field_response(
        positions, direction_from_angles(azimuth, 0.0)[None], frequencies
    )[0]
    return np.fft.irfft(np.fft.rfft(signal)[:, None] * response, len(signal), axis=0).astype(
        np.float32
    )


def features_of(samples, rate, front_end=None, first=0, size=1000):
    front_end = front_end or AudioFrontEnd(QUIET, samples.shape[1], rate)
    return [
        f
        for s in range(0, len(samples), size)
        for f in front_end.push(
            AudioChunk(
                10**18 + round((first + s) * 1e9 / rate), rate, first + s, samples[s : s + size]
            )
        )
    ]


def circle(channels):
    angle = 2 * np.pi * np.arange(channels) / channels
    return 0.04 * np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=-1)


def error(features, positions, azimuth):
    """Mean distance of the present features from the exact ones, over the loud blocks."""
    exact = relative_transfer(
        free_field_response(
            positions, direction_from_angles(azimuth, 0.0)[None], QUIET.stft.frequencies
        )
    )
    exact = subband_vectors(exact, QUIET.subbands)[0]
    loud = [f for f in features if f.valid.sum() > 10]
    assert len(loud) > 10
    return np.median([np.abs(f.vectors - exact)[f.present].mean() for f in loud])


@pytest.mark.slow
@pytest.mark.parametrize(
    'rate, channels', [(16000, 2), (16000, 16), (44100, 4), (48000, 4), (48000, 2)]
)
def test_plane_waves_give_the_exact_features_at_every_rate(rate, channels):
    positions = circle(channels)
    samples = waves(positions, 1.2, rate, 1.5, np.random.default_rng(3))
    assert error(features_of(samples, rate), positions, 1.2) < 0.04


@pytest.mark.parametrize('rate', [44100, 48000])
def test_a_gap_at_another_rate_is_counted_and_starts_afresh(rate):
    samples = waves(circle(3), -0.7, rate, 1.0, np.random.default_rng(4))
    front_end = AudioFrontEnd(QUIET, 3, rate)
    before = features_of(samples, rate, front_end)
    after = features_of(samples, rate, front_end, first=len(samples) + rate)
    assert front_end.counters['gaps in the sound'] == 1
    assert after[0].stamp_ns > before[-1].stamp_ns
    np.testing.assert_array_equal([f.vectors for f in after], [f.vectors for f in before])
