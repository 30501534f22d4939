# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Sound that is too quiet for the detector of voice is told, live and of recordings."""

from __future__ import annotations

import numpy as np
import pytest

from av_perception.audio import quiet_sound
from av_perception.audio.bin_stream import BinStream, direction_likelihood
from av_perception.audio.quiet_sound import TOO_QUIET, quiet_sentence, window_levels
from av_perception.audio.sound_problems import sound_problems
from av_perception.interfaces import AudioChunk
from av_perception.robot_head import load_head

RATE = 16000
MICROPHONES = load_head('simulated').microphones


def words(level_dbfs, seconds=6.0, floor_dbfs=-90.0):
    """(N, 4): bursts of noise of a level, every other half second, in noise of another."""
    rng = np.random.default_rng(0)
    count = round(seconds * RATE)
    is_loud = (np.arange(count) * 2 // RATE) % 2 == 0
    level = np.where(is_loud, 10 ** (level_dbfs / 20), 10 ** (floor_dbfs / 20))
    return (level[:, None] * rng.normal(size=(count, 4))).astype(np.float32)


@pytest.mark.parametrize(
    ('level_dbfs', 'floor_dbfs', 'is_told'),
    [(-58, -90, True), (-30, -90, False), (-58, -58, False), (-70, -75, False)],
)
def test_quiet_words_are_told_but_neither_loud_ones_nor_a_silent_room(
    level_dbfs, floor_dbfs, is_told
):
    """Regression: a microphone of low gain heard nobody, and nothing said so."""
    samples = words(level_dbfs, floor_dbfs=floor_dbfs)
    problems = [p for p in sound_problems(samples, RATE, MICROPHONES) if 'dBFS' in p]
    assert bool(problems) == is_told
    if is_told:
        assert 'have -58 dBFS' in problems[0] and 'raise the gain' in problems[0]


def test_a_stream_tells_it_again_and_again(monkeypatch):
    monkeypatch.setattr(quiet_sound, '_JUDGED_S', 1.0)
    samples = words(-58, seconds=2.3)
    stream = BinStream(direction_likelihood(MICROPHONES), RATE, voice=NoVoice())
    for first in range(0, len(samples), 1600):
        chunk = AudioChunk(10**9 + first * 62500, RATE, first, samples[first : first + 1600])
        stream.push(chunk)
    assert stream.counters[TOO_QUIET] == 2
    assert 'raise the gain' in stream.reason_of(TOO_QUIET)
    assert stream.reason_of('gaps in the sound') == ''


def test_nothing_and_digital_silence_are_not_called_quiet():
    assert quiet_sentence(np.zeros(0)) == quiet_sentence(np.zeros(9)) == ''
    assert len(window_levels(np.zeros((10, 4)), RATE)) == 0


class NoVoice:
    """A detector that hears none."""

    def reset(self):
        """Do nothing."""

    def push(self, samples, chunk=None):
        """Do nothing."""

    def probability(self, start, end):
        """None."""
        return 0.0
