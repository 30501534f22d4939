# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Voice that several listeners of one sound hear, computed once."""

from __future__ import annotations

import numpy as np
import pytest

from av_perception.audio import voice_activity
from av_perception.audio.voice_activity import SharedVoiceActivity, VoiceActivity, _highest, mono
from av_perception.interfaces import AudioChunk

SIZE = 256
CHUNK_NS = 16_000_000
RANDOM = np.random.default_rng(5)


class Planted:
    """Remembers, as the network does: what it says depends on all since the last reset."""

    calls = 0

    def __init__(self, sample_rate):
        self.reset()

    def reset(self):
        self.state = 0.0

    def process(self, window):
        type(self).calls += 1
        self.state = 0.5 * self.state + float(np.abs(np.asarray(window)).mean())
        return self.state % 1.0


@pytest.fixture(autouse=True)
def planted(monkeypatch):
    monkeypatch.setattr(voice_activity, '_detector_class', lambda: Planted)
    monkeypatch.setattr(Planted, 'calls', 0)


def chunk(number, first=None, stamp_ns=None):
    samples = np.random.default_rng(number).uniform(-1, 1, (SIZE, 1)).astype(np.float32)
    stamp_ns = number * CHUNK_NS + 10**9 if stamp_ns is None else stamp_ns
    return AudioChunk(stamp_ns, 16000, SIZE * number if first is None else first, samples)


def push(listener, sound):
    listener.push(sound.samples[:, 0], sound)


def probabilities(listener, count):
    return [listener.probability(SIZE * n, SIZE * n + 640) for n in range(count)]


def test_two_listeners_hear_what_one_alone_hears_at_the_cost_of_one():
    alone, shared = VoiceActivity(), SharedVoiceActivity()
    first, second = shared.listener(), shared.listener()
    for n in range(40):
        push(alone, chunk(n))
    calls = Planted.calls
    for n in range(40):  # the second one is up to ten chunks behind
        push(first, chunk(n))
        if n % 10 == 9:
            for late in range(n - 9, n + 1):
                push(second, chunk(late))
    assert Planted.calls == 2 * calls
    expected = probabilities(alone, 38)
    assert probabilities(first, 38) == expected
    assert probabilities(second, 38) == expected


def test_who_joins_later_hears_the_same_at_positions_of_its_own():
    shared = SharedVoiceActivity()
    first = shared.listener()
    for n in range(7):
        push(first, chunk(n))
    second = shared.listener()
    for n in range(7, 20):
        push(second, chunk(n))  # now it is the one who comes first
        push(first, chunk(n))
    calls = Planted.calls
    assert calls == 20 // 2
    assert probabilities(second, 10) == [
        first.probability(SIZE * (n + 7), SIZE * (n + 7) + 640) for n in range(10)
    ]


def test_after_a_gap_all_begin_anew_together():
    shared = SharedVoiceActivity()
    listeners = [shared.listener(), shared.listener()]
    for n in range(9):
        for listener in listeners:
            push(listener, chunk(n))
    alone = VoiceActivity()
    for n in range(200, 220):
        push(alone, chunk(n))
        for listener in listeners:
            if n == 200:
                listener.reset()
            push(listener, chunk(n))
    expected = probabilities(alone, 18)
    assert [probabilities(listener, 18) for listener in listeners] == [expected] * 2


def test_a_bag_that_is_played_again_is_heard_again():
    shared = SharedVoiceActivity()
    listener = shared.listener()
    for _ in range(2):
        listener.reset()
        alone = VoiceActivity()
        for n in range(100):
            push(listener, chunk(n))
            push(alone, chunk(n))
        assert probabilities(listener, 98) == probabilities(alone, 98)


def test_a_driver_whose_index_stays_zero_goes_on():
    shared = SharedVoiceActivity()
    first, second = shared.listener(), shared.listener()
    alone = VoiceActivity()
    for n in range(30):
        sound = chunk(n, first=0)
        for each in (first, second, alone):
            push(each, sound)
    assert probabilities(first, 28) == probabilities(second, 28) == probabilities(alone, 28)


def test_chunks_are_needed_to_tell_what_was_heard_already():
    with pytest.raises(ValueError, match='give the chunk'):
        SharedVoiceActivity().listener().push(np.zeros(SIZE, np.float32))


def test_the_highest_probability_is_that_of_all_windows_that_end_in_the_stretch():
    """Sought from the newest window back; the plain answer looks at all of them."""
    random = np.random.default_rng(3)
    windows = [(512 * n, float(random.random())) for n in range(40)]
    for start in range(-600, 40 * 512, 173):
        for end in (start, start + 300, start + 640, start + 5000):
            inside = [probability for stop, probability in windows if start < stop <= end]
            before = [probability for stop, probability in windows if stop <= start]
            expected = max(inside, default=before[-1] if before else 0.0)
            assert _highest(windows, start, end) == expected


@pytest.mark.parametrize('channels', [1, 2, 4, 7, 16])
def test_of_several_channels_the_mean_is_heard(channels):
    samples = RANDOM.normal(size=(256, channels)).astype(np.float32)
    np.testing.assert_allclose(mono(samples), samples.mean(axis=1), rtol=1e-6, atol=1e-7)
    assert mono(samples).dtype == np.float32
    assert mono(samples[:0]).shape == (0,)
    np.testing.assert_array_equal(mono(samples[:, 0]), samples[:, 0])
