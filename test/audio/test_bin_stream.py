# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Bins of one sound for several listeners: those of one listener, computed once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from av_perception.audio.bin_stream import (
    TOO_LATE,
    BinStream,
    SharedBinStream,
    direction_likelihood,
)
from av_perception.audio.direction_bins import DirectionBins, DirectionBinsConfig
from av_perception.errors import UserError
from av_perception.interfaces import AudioChunk
from av_perception.robot_head.profile import MicrophoneArray

RATE = 16000
CHUNK = 512
START_NS = 10**12
ARRAY = MicrophoneArray(((0.05, 0.0, 0.0), (-0.05, 0.0, 0.0)))
CONFIG = DirectionBinsConfig(voice_activity=False)
LIKELIHOOD = direction_likelihood(ARRAY, CONFIG)


def noise_chunks(count: int, start_ns: int = START_NS, rate: int = RATE) -> list[AudioChunk]:
    sound = np.random.default_rng(0).normal(size=(count * CHUNK, 2)).astype(np.float32)
    return [
        AudioChunk(
            start_ns + round(1e9 * first / rate), rate, first, 0.1 * sound[first : first + CHUNK]
        )
        for first in range(0, count * CHUNK, CHUNK)
    ]


@pytest.fixture
def shared():
    return SharedBinStream(LIKELIHOOD, RATE, CONFIG)


def pushed(stream, chunks) -> list:
    return [block for chunk in chunks for block in stream.push(chunk)]


def assert_same(blocks, expected) -> None:
    assert [b.stamp_ns for b in blocks] == [b.stamp_ns for b in expected]
    for block, other in zip(blocks, expected):
        np.testing.assert_array_equal(block.bins, other.bins)
        np.testing.assert_array_equal(block.unit, other.unit)


def test_what_somebody_has_pushed_is_known_by_stamp_and_place(shared):
    first, second = noise_chunks(2)
    assert shared.heard(first.stamp_ns, first.first_sample) is None
    blocks = shared.push(first)
    assert shared.heard(first.stamp_ns, first.first_sample) is blocks
    assert shared.heard(second.stamp_ns, second.first_sample) is None
    assert shared.heard(first.stamp_ns, second.first_sample) is None


def test_every_listener_gets_what_one_alone_gets_computed_once(shared, monkeypatch):
    chunks = noise_chunks(40)
    expected = pushed(BinStream(LIKELIHOOD, RATE, CONFIG), chunks)
    calls = []
    push = DirectionBins.push
    monkeypatch.setattr(
        DirectionBins, 'push', lambda self, chunk: (calls.append(chunk), push(self, chunk))[1]
    )
    first = pushed(shared, chunks[:20]) + pushed(shared, chunks[20:])
    second = pushed(shared, chunks)
    assert len(expected) > 20 and len(calls) == len(chunks)
    assert_same(first, expected)
    assert all(mine is theirs for mine, theirs in zip(second, first, strict=True))


def test_listeners_in_threads_of_their_own_all_get_every_block(shared):
    chunks = noise_chunks(100)
    with ThreadPoolExecutor(4) as pool:
        heard = list(pool.map(lambda _: pushed(shared, chunks), range(4)))
    expected = pushed(BinStream(LIKELIHOOD, RATE, CONFIG), chunks)
    for blocks in heard:
        assert_same(blocks, expected)


def test_sound_that_the_faster_listener_left_out_is_counted_for_the_slower(shared):
    chunks = noise_chunks(30)
    pushed(shared, chunks[:5] + chunks[10:])
    assert pushed(shared, chunks[5:10]) == []
    assert shared.counters[TOO_LATE] == 5


def test_a_stream_that_begins_again_is_heard_again(shared):
    chunks = noise_chunks(60)
    first, again = pushed(shared, chunks), pushed(shared, chunks)
    assert all(mine is theirs for mine, theirs in zip(first, again, strict=True))
    earlier = noise_chunks(60, START_NS - 10 * 10**9)
    expected = pushed(BinStream(LIKELIHOOD, RATE, CONFIG), earlier)
    assert_same(pushed(shared, earlier), expected)


def test_another_rate_starts_afresh_and_the_slower_listener_does_not_undo_it(shared):
    chunks = noise_chunks(10)
    last_ns = chunks[-1].stamp_ns + 10**9
    other = noise_chunks(20, last_ns, 32000)
    pushed(shared, chunks)
    blocks = pushed(shared, other)
    pushed(shared, chunks[-3:])
    assert shared.sample_rate == 32000
    assert pushed(shared, other) == blocks and blocks


def test_a_stamp_that_steps_back_a_little_loses_nothing_where_the_index_goes_on(shared):
    chunks = noise_chunks(20)
    late = [replace(chunk, stamp_ns=chunk.stamp_ns - 300_000_000) for chunk in chunks[10:]]
    plain = BinStream(LIKELIHOOD, RATE, CONFIG)
    assert_same(pushed(shared, chunks[:10] + late), pushed(plain, chunks[:10] + late))
    assert shared.counters == plain.counters


def test_what_cannot_be_heard_is_refused_for_every_listener(shared):
    bad = replace(noise_chunks(1)[0], samples=np.zeros((CHUNK, 3), np.float32))
    for _ in range(2):
        with pytest.raises(UserError, match='channel count'):
            shared.push(bad)
