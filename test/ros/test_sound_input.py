# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Chunks wait for the one that completes a block, and blocks come no later for it."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from av_perception_msgs import msg as av

from av_perception.audio.front_end import AudioFrontEnd, AudioFrontEndConfig
from av_perception.geometry.time import nanoseconds
from av_perception.interfaces import AudioChunk
from av_perception.robot_head import load_head
from av_perception.ros.conversions import audio_chunk_to_msg
from av_perception.ros.sound_input import MOST_HELD_S, SoundInput

ARRAY = load_head('simulated').microphones
CONFIG = AudioFrontEndConfig(voice_activity=False)
START_NS = 10**18
RATE = 16000


class ListeningNode:
    """Stands in for a node: keeps messages until one is due, as a subscription does."""

    def __init__(self):
        self.diagnostics = SimpleNamespace(
            absorb=lambda *_: None, count=lambda *_: None, monitors=[]
        )
        self.num_wakings = 0
        self._waiting: list[av.AudioChunk] = []

    def subscribe(self, message_type, topic, receive, profile, backlog_s):
        self._receive = receive

    def wake_when(self, subscription, is_due):
        self._is_due = is_due

    def take(self, message: av.AudioChunk) -> None:
        self._waiting.append(message)
        if self._is_due(message):
            self.num_wakings += 1
            while self._waiting:
                self._receive(self._waiting.pop(0))


def chunks(chunk_s: float, rate: int = RATE, seconds: float = 3.0) -> list[AudioChunk]:
    """Noise of four microphones."""
    random = np.random.default_rng(5)
    size = round(chunk_s * rate)
    return [
        AudioChunk(
            START_NS + nanoseconds(first / rate),
            rate,
            first,
            random.normal(0.0, 0.05, (size, 4)).astype(np.float32),
        )
        for first in range(0, round(seconds * rate), size)
    ]


def heard(sound: list[AudioChunk], waits: bool) -> tuple[list[tuple[int, int]], int]:
    """Give (chunk with which it came, stamp) of each block, and how often a node was woken."""
    front_end = AudioFrontEnd(CONFIG, 4, sound[0].sample_rate)
    node = ListeningNode()
    came: list[tuple[int, int]] = []
    fed: list[int] = []
    sound_input = SoundInput(node, ARRAY, front_end)
    sound_input.listen(0.008, lambda blocks: came.extend((fed[-1], b.stamp_ns) for b in blocks))
    if not waits:
        node.wake_when(None, lambda message: True)
    for number, chunk in enumerate(sound):
        fed.append(number)
        node.take(audio_chunk_to_msg(chunk, 'array'))
    return came, node.num_wakings


@pytest.mark.parametrize('rate', [RATE, 44100, 48000])
@pytest.mark.parametrize('chunk_s', [0.008, 0.01, 0.016, 0.032, 0.1])
def test_each_block_comes_with_the_chunk_that_completes_it(chunk_s, rate):
    sound = chunks(chunk_s, rate)
    came, num_wakings = heard(sound, waits=True)
    at_once, _ = heard(sound, waits=False)
    assert [stamp for _, stamp in came] == [stamp for _, stamp in at_once]
    assert [number for number, _ in came] == [number for number, _ in at_once]
    if chunk_s < CONFIG.block_s / 2:
        # A resampler has the last millisecond only with the chunk after.
        assert num_wakings <= (1 if rate == RATE else 2) * len(came) + 5


def test_stamps_that_jitter_delay_no_block_by_more_than_a_chunk():
    random = np.random.default_rng(3)
    sound = [
        replace(chunk, stamp_ns=chunk.stamp_ns + round(random.normal(0, 1e6)))
        for chunk in chunks(0.008)
    ]
    came, num_wakings = heard(sound, waits=True)
    at_once, _ = heard(sound, waits=False)
    assert all(0 <= one[0] - other[0] <= 1 for one, other in zip(came, at_once, strict=True))
    assert num_wakings < len(sound) / 2


def test_stamps_that_stand_still_hold_up_no_more_than_a_block():
    sound = [replace(chunk, stamp_ns=START_NS) for chunk in chunks(0.008)]
    came, _ = heard(sound, waits=True)
    at_once, _ = heard(sound, waits=False)
    most = round(MOST_HELD_S / 0.008)
    assert len(came) >= len(at_once) - 1 > 10
    assert all(0 <= one[0] - other[0] <= most for one, other in zip(came, at_once))


@pytest.mark.parametrize('step_s', [-100.0, -0.5, 0.3, 100.0])
def test_after_a_gap_or_a_step_of_the_clock_blocks_come_in_time(step_s):
    sound = [
        replace(chunk, stamp_ns=chunk.stamp_ns + nanoseconds(step_s) * (number >= 200))
        for number, chunk in enumerate(chunks(0.008))
    ]
    came, _ = heard(sound, waits=True)
    at_once, _ = heard(sound, waits=False)
    assert [stamp for _, stamp in came] == [stamp for _, stamp in at_once]
    late = [one[0] - other[0] for one, other in zip(came, at_once, strict=True)]
    most = round(MOST_HELD_S / 0.008)
    assert max(late) <= most and max(late[-10:]) == 0


def test_a_chunk_that_cannot_be_judged_is_handed_on_at_once():
    """Else nobody would be told of chunks without samples, of which no block ends."""
    sound = chunks(0.008)
    node = ListeningNode()
    came: list = []
    front_end = AudioFrontEnd(CONFIG, 4, RATE)
    SoundInput(node, ARRAY, front_end).listen(0.008, came.extend)
    for chunk in sound[:20]:
        node.take(audio_chunk_to_msg(chunk, 'array'))
    assert came
    for broken in ({'samples': []}, {'channels': 0}, {'sample_rate': 0}):
        message = audio_chunk_to_msg(sound[20], 'array')
        for field, value in broken.items():
            setattr(message, field, value)
        with pytest.raises(ValueError):
            node.take(message)
