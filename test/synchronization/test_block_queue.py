# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Which blocks of sound a frame gets, and when nothing more can come."""

from __future__ import annotations

import numpy as np

from av_perception.audio.direction_bins import BinBlock
from av_perception.synchronization.block_queue import BlockQueue

MS = 1_000_000
START = 10**9


def block(ms):
    nothing = np.zeros((0, 5, 4), np.complex64)
    empty = np.zeros(0, int)
    kept = np.zeros((0, 5), bool)
    return BinBlock(START + ms * MS, 0.9, empty, nothing, kept, np.zeros(0), (True,) * 4)


def taken(queue, ms):
    blocks = queue.take(START + ms * MS)
    return None if blocks is None else [round((b.stamp_ns - START) / MS) for b in blocks]


def test_a_frame_gets_what_lies_behind_it_once():
    queue = BlockQueue()
    queue.push([block(ms) for ms in (0, 40, 80, 120)])
    assert taken(queue, 100) == [0, 40]
    assert taken(queue, 119) == []
    assert taken(queue, 120) == [80]
    assert taken(queue, 160) == [120]


def test_a_frame_is_decided_once_the_next_block_would_be_too_late_for_it():
    queue = BlockQueue()
    assert not queue.is_decided(START)
    queue.push([block(0)])
    assert queue.is_decided(START + 75 * MS)
    assert not queue.is_decided(START + 85 * MS), 'a block at 40 ms is still to come'
    queue.push([block(40)])
    assert queue.is_decided(START + 85 * MS)


def test_without_sound_there_is_nothing_to_wait_for():
    queue = BlockQueue()
    assert queue.is_deaf(START) and taken(queue, 0) is None
    queue.push([block(0)])
    assert not queue.is_deaf(START + 400 * MS)
    assert queue.is_deaf(START + 600 * MS) and taken(queue, 600) is None


def test_a_stream_that_begins_anew_drops_what_waited():
    queue = BlockQueue()
    queue.push([block(5000), block(5040)])
    queue.push([block(0)])
    assert taken(queue, 40) == [0]
    assert taken(queue, 80) == []


def test_sound_of_a_clock_that_is_far_ahead_is_no_silence():
    """Regression: a frame got an empty list of it, as if nobody spoke in what is heard."""
    queue = BlockQueue()
    queue.push([block(1_000_000 + 40 * k) for k in range(5)])
    assert taken(queue, 0) is None
    queue = BlockQueue()
    queue.push([block(2000)])
    assert taken(queue, 0) == [], 'images that are late by two seconds'
