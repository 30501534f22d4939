# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Interaural time differences.

Sign, sub-sample accuracy, what counts as a difference, streams that break.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from clustering_scenes import delayed_noise

from av_perception.errors import UserError
from av_perception.interfaces import AudioChunk
from av_perception.spectral.stft import StftConfig
from av_perception.two_microphones.time_differences import (
    TimeDifferenceConfig,
    TimeDifferenceExtractor,
)

LIMIT = 350e-6
ANY_SOUND = TimeDifferenceConfig(voice_activity=False, window_s=10.0)


def extract(sound, config=ANY_SOUND, pair=(0, 1), sample_rate=16000, chunk=500):
    """All blocks of a (samples, channels) sound."""
    extractor = TimeDifferenceExtractor(config, pair, LIMIT, sound.shape[1], sample_rate)
    return [
        block
        for start in range(0, len(sound), chunk)
        for block in extractor.push(
            AudioChunk(
                10**9 + start * 10**9 // sample_rate,
                sample_rate,
                start,
                sound[start : start + chunk],
            )
        )
    ], extractor


def noise(delay_s, seconds=1.5, seed=0, sample_rate=16000):
    """Noise, delay_s later at the first microphone, after half a second of near silence."""
    rng = np.random.default_rng(seed)
    sound = delayed_noise(round(seconds * sample_rate), (delay_s, 0.0), rng, sample_rate)
    sound[: sample_rate // 2] = 0
    return (sound + rng.normal(0, 1e-4, sound.shape)).astype(np.float32)


@pytest.mark.parametrize('delay_s', [-340e-6, -200e-6, -31e-6, 0.0, 12.3e-6, 100e-6, 300e-6])
def test_the_delay_is_found_within_a_microsecond_with_its_sign(delay_s):
    blocks, _ = extract(noise(delay_s))
    assert len(blocks[-1].values) >= 45
    np.testing.assert_allclose(blocks[-1].values[5:], delay_s, atol=1e-6)


def test_swapping_the_channels_swaps_the_sign():
    sound = noise(150e-6)
    a, b = extract(sound)[0][-1].values, extract(sound, pair=(1, 0))[0][-1].values
    np.testing.assert_allclose(a, -b, atol=1e-9)


def test_no_difference_lies_beyond_what_the_pair_can_have():
    blocks, _ = extract(noise(390e-6))
    assert (np.abs(blocks[-1].values) <= LIMIT).all() and len(blocks[-1].values) < 10, (
        'a peak outside the range is none'
    )


@pytest.mark.parametrize('sound', ['silence', 'steady', 'unrelated'])
def test_what_has_no_dominant_source_gives_nothing(sound):
    rng = np.random.default_rng(0)
    samples = {
        'silence': np.zeros((24000, 2)),
        'steady': np.tile(rng.normal(0, 0.05, (24000, 1)), 2),
        'unrelated': rng.normal(0, 0.05, (24000, 2)),
    }[sound]
    if sound == 'unrelated':
        samples[:8000] *= 1e-3
    blocks, _ = extract(samples.astype(np.float32))
    assert len(blocks) == 37 and len(blocks[-1].values) <= 2


def test_the_cut_into_chunks_does_not_matter():
    sound = noise(80e-6)
    whole, _ = extract(sound, chunk=len(sound))
    for chunk in (64, 777):
        pieces, _ = extract(sound, chunk=chunk)
        assert [b.stamp_ns for b in pieces] == pytest.approx([b.stamp_ns for b in whole], abs=2)
        np.testing.assert_allclose(pieces[-1].values, whole[-1].values, atol=1e-9)


def test_blocks_come_every_forty_milliseconds_and_look_back_as_far_as_they_say():
    blocks, _ = extract(noise(0.0), replace(ANY_SOUND, window_s=0.2))
    stamps = np.array([b.stamp_ns for b in blocks])
    assert np.ptp(np.diff(stamps)) <= 2 and np.diff(stamps)[0] == pytest.approx(40e6, abs=2)
    assert stamps[0] == 10**9 + 60_000_000, 'the end of two windows of 40 ms, 20 ms apart'
    for block in blocks:
        assert len(block.values) == len(block.stamps_ns) and (np.diff(block.stamps_ns) > 0).all()
        assert (
            not len(block.stamps_ns)
            or block.stamps_ns[-1] - block.stamps_ns[0] <= 0.2e9
            and block.stamps_ns[-1] < block.stamp_ns
        )


def test_other_sample_rates_are_resampled():
    blocks, _ = extract(noise(120e-6, sample_rate=48000), sample_rate=48000)
    np.testing.assert_allclose(blocks[-1].values[5:], 120e-6, atol=2e-6)


def test_broken_streams_are_counted_and_forgotten():
    sound = noise(60e-6)
    _, extractor = extract(sound)
    assert (
        extractor.push(AudioChunk(10**10, 16000, 24000, np.full((640, 2), np.nan, np.float32)))
        == []
    )
    blocks = extractor.push(
        AudioChunk(2 * 10**10, 16000, 10**6, sound[-1600:])
    )  # a gap: the past is no longer the window's
    assert (
        extractor.counters['chunks dropped for NaN'] == 1
        and extractor.counters['gaps in the sound'] == 1
    )
    assert all(len(b.values) <= 4 for b in blocks)
    with pytest.raises(UserError, match='expected'):
        extractor.push(AudioChunk(0, 16000, 0, np.zeros((10, 3), np.float32)))
    with pytest.raises(UserError, match='44100'):
        extractor.push(AudioChunk(0, 44100, 0, np.zeros((10, 2), np.float32)))


@pytest.mark.parametrize('pair', [(0, 0), (0, 2), (-1, 0)])
def test_a_pair_that_is_none_is_refused(pair):
    with pytest.raises(UserError, match='channels 0..1'):
        TimeDifferenceExtractor(ANY_SOUND, pair, LIMIT, 2, 16000)


@pytest.mark.parametrize(
    'options',
    [
        {'band_hz': (500.0, 300.0)},
        {'band_hz': (300.0, 9000.0)},
        {'min_peak': 1.0},
        {'min_bins': 0.0},
        {'frames_per_block': 0},
        {'window_s': 0.0},
        {'stft': StftConfig(8000, 320, 160), 'voice_activity': True, 'band_hz': (300.0, 3000.0)},
    ],
)
def test_configurations_that_cannot_be_are_refused(options):
    with pytest.raises(ValueError):
        TimeDifferenceConfig(**options)
