# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Chunks that come twice, chunks that no microphone gives, and loud noise: counted by name."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from av_perception.audio.front_end import AudioFrontEnd, AudioFrontEndConfig
from av_perception.audio.input_stream import InputStream
from av_perception.interfaces import AudioChunk

RATE = 16000
SIZE = 320
START_NS = 10**12


def chunk(number, samples):
    stamp_ns = START_NS + round(1e9 * number * SIZE / RATE)
    return AudioChunk(stamp_ns, RATE, number * SIZE, samples)


def sounds(count, level=0.01, channels=4):
    random = np.random.default_rng(0)
    return random.normal(0, level, (count, SIZE, channels)).astype(np.float32)


@pytest.fixture()
def stream():
    """(the stream, its counters)."""
    counters = Counter()
    return InputStream(4, RATE, RATE, counters), counters


def test_a_chunk_that_comes_twice_is_heard_once(stream):
    """Regression: the second one was heard as sound that followed."""
    listener, counters = stream
    heard = []
    for number, samples in enumerate(sounds(10)):
        for _ in range(2):
            heard.append(listener.push(chunk(number, samples))[0])
    np.testing.assert_array_equal(np.concatenate(heard), sounds(10).reshape(-1, 4))
    assert +counters == Counter({'chunks that came twice': 10})
    assert listener.stamp_ns(9 * SIZE) == chunk(9, None).stamp_ns


def test_other_sound_with_the_same_stamp_is_no_repetition(stream):
    """A driver that stamps several buffers alike and leaves the index at 0."""
    listener, counters = stream
    heard = [listener.push(AudioChunk(START_NS, RATE, 0, samples))[0] for samples in sounds(5)]
    assert sum(map(len, heard)) == 5 * SIZE
    assert 'chunks that came twice' not in +counters


@pytest.mark.parametrize('size, is_dropped', [(1.0, False), (32768.0, False), (1e30, True)])
def test_samples_whose_power_overflows_are_dropped(stream, size, is_dropped):
    """Regression: samples of 1e30 became infinite and filled the log with warnings."""
    listener, counters = stream
    samples, restarted = listener.push(chunk(0, np.full((SIZE, 4), size, np.float32)))
    assert (len(samples) == 0) == is_dropped and not restarted
    assert counters['chunks dropped for absurd samples'] == is_dropped


class Nobody:
    """A voice detector that hears no voice, or nothing but voice."""

    def __init__(self, probability):
        self._probability = probability

    def reset(self):
        """Nothing to forget."""

    def push(self, samples, chunk):
        """Nothing to hear."""

    def probability(self, start, end):
        """The same for all blocks."""
        return self._probability


def loud_blocks(level, voice, count=50):
    front_end = AudioFrontEnd(AudioFrontEndConfig(), 4, RATE, Nobody(voice))
    features = [
        block
        for number, samples in enumerate(sounds(count, level))
        for block in front_end.push(chunk(number, samples))
    ]
    return front_end.counters['blocks of loud noise'], len(features)


def test_loud_noise_is_counted():
    """Regression: white noise that drowned everybody was named nowhere."""
    counted, num_blocks = loud_blocks(0.2, 0.0)
    assert num_blocks - 4 >= counted > 0.7 * num_blocks


@pytest.mark.parametrize('level, voice, count', [(0.01, 0.0, 50), (0.2, 0.9, 50), (0.2, 0.0, 8)])
def test_faint_noise_loud_voices_and_claps_are_not(level, voice, count):
    assert loud_blocks(level, voice, count)[0] == 0
