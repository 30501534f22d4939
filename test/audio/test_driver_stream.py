# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Sound of other drivers: bytes to samples, stamps to times, gaps to jumps of the index."""

from __future__ import annotations

import numpy as np
import pytest

from av_perception.audio.driver_stream import (
    FORMATS,
    DriverStream,
    DriverStreamConfig,
    full_scale,
    samples_from_bytes,
)
from av_perception.errors import UserError
from av_perception.robot_head.profile import MicrophoneArray

RATE = 48000
WANTED = np.array([0.0, 0.5, -0.5, -1.0, 0.25])


def packed(sample_format: str) -> bytes:
    """WANTED by Python's own integers and struct, one sample at a time."""
    import struct

    kind = sample_format[0]
    bits = int(''.join(c for c in sample_format if c.isdigit()))
    order = 'big' if sample_format.endswith('BE') else 'little'
    if kind == 'F':
        code = ('>' if order == 'big' else '<') + ('f' if bits == 32 else 'd')
        return b''.join(struct.pack(code, value) for value in WANTED)
    integers = [
        int(value * 2 ** (bits - 1)) + (2 ** (bits - 1) if kind == 'U' else 0) for value in WANTED
    ]
    return b''.join(integer.to_bytes(bits // 8, order, signed=kind == 'S') for integer in integers)


@pytest.mark.parametrize('sample_format', FORMATS)
def test_every_format_gives_the_planted_samples(sample_format):
    np.testing.assert_allclose(
        samples_from_bytes(packed(sample_format), sample_format), WANTED, atol=1e-9
    )


@pytest.mark.parametrize('sample_format', [f for f in FORMATS if '8' not in f.strip('LBE')])
def test_cut_samples_are_refused(sample_format):
    with pytest.raises(ValueError, match='whole number'):
        samples_from_bytes(packed(sample_format)[:-1], sample_format)


def test_an_unknown_format_is_named_with_the_known_ones():
    with pytest.raises(ValueError, match='S16LE'):
        samples_from_bytes(b'', 'MP3')


def test_unsigned_and_wide_integers_have_the_same_scale():
    np.testing.assert_allclose(full_scale(np.array([0, 128, 255], np.uint8)), [-1, 0, 127 / 128])
    np.testing.assert_allclose(full_scale(np.array([-(2**31), 2**30], np.int32)), [-1, 0.5])


def stream(jitter_s=0.0, stamps='first', lost=(), seed=0, chunks=400, size=1024):
    """Chunks of one stream whose first sample was captured at second 1, and their true times.

    They are delivered with exponential delays.
    """
    random, made, truth = np.random.default_rng(seed), [], []
    driver = DriverStream(DriverStreamConfig(stamps))
    for k in range(chunks):
        start_ns = 10**9 + round(1e9 * k * size / RATE)
        if k in lost:
            continue
        stamp = (
            start_ns
            if stamps == 'first'
            else start_ns + round(1e9 * size / RATE) + round(1e9 * random.exponential(jitter_s))
        )
        made.append(driver.push(stamp, RATE, np.zeros((size, 4), np.float32)))
        truth.append(start_ns)
    return made, np.array(truth), driver


def test_stamps_of_the_first_sample_are_kept():
    chunks, truth, driver = stream()
    np.testing.assert_allclose([c.stamp_ns for c in chunks], truth, atol=1)
    assert [c.first_sample for c in chunks] == list(range(0, 1024 * 400, 1024)) and not any(
        driver.counters.values()
    )


def test_stamps_of_receipt_are_moved_to_the_first_sample_and_smoothed():
    jitter_s = 0.01
    chunks, truth, _ = stream(jitter_s, 'receipt')
    errors_s = 1e-9 * (np.array([c.stamp_ns for c in chunks]) - truth)[100:]
    assert abs(errors_s.mean() - jitter_s) < 0.004, (
        'late by the mean delay, which latency_ms can take away'
    )
    assert errors_s.std() < 0.25 * jitter_s, 'raw stamps jitter by all of it'


def test_the_latency_of_a_driver_is_subtracted():
    driver = DriverStream(DriverStreamConfig(latency_s=0.05))
    assert driver.push(10**9, RATE, np.zeros((480, 1))).stamp_ns == 950_000_000


@pytest.mark.parametrize('stamps', ['first', 'receipt'])
def test_a_gap_is_a_jump_of_the_index(stamps):
    lost = range(50, 60)
    chunks, truth, driver = stream(0.0, stamps, lost, chunks=120)
    assert driver.counters['gaps'] == 1
    assert chunks[50].first_sample - chunks[49].first_sample == pytest.approx(11 * 1024, abs=2)
    np.testing.assert_allclose([c.stamp_ns for c in chunks], truth, atol=1e5)


def test_a_clock_set_back_and_another_rate_are_counted_and_the_index_never_goes_back():
    driver = DriverStream()
    firsts = [
        driver.push(stamp, rate, np.zeros((480, 2))).first_sample
        for stamp, rate in (
            (10**9, 48000),
            (10**9 + 10_000_000, 48000),
            (5 * 10**8, 48000),
            (5 * 10**8 + 10_000_000, 16000),
        )
    ]
    assert firsts == sorted(firsts) and (
        driver.counters['stamps back'],
        driver.counters['changes of sample rate'],
    ) == (1, 1)


@pytest.mark.parametrize('rate, count', [(0, 10), (10**7, 10), (48000, 0)])
def test_absurd_buffers_are_refused(rate, count):
    with pytest.raises(ValueError):
        DriverStream().push(0, rate, np.zeros((count, 2)))


@pytest.mark.parametrize(
    'changes', [{'stamps': 'never'}, {'latency_s': -1.0}, {'gap_s': 0.0}, {'correction': 2.0}]
)
def test_bad_settings_are_refused(changes):
    with pytest.raises(ValueError):
        DriverStreamConfig(**changes)


def test_a_device_with_more_channels_gives_those_that_the_profile_names():
    corners = ((0.1, 0.0, 0.0), (0.0, 0.1, 0.0))
    array = MicrophoneArray(corners, device_channels=(1, 3))
    np.testing.assert_array_equal(array.pick(np.arange(10).reshape(2, 5)), [[1, 3], [6, 8]])
    assert array.num_device_channels == 4
    for profile, channels in ((MicrophoneArray(corners), 6), (array, 3)):
        with pytest.raises(UserError, match='device_channels'):
            profile.pick(np.zeros((1, channels)))
    with pytest.raises(ValueError, match='device_channels'):
        MicrophoneArray(corners, device_channels=(1, 1))
    with pytest.raises(ValueError, match='channel_map'):
        MicrophoneArray(corners, channel_map=('front_left',))
