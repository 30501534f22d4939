# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A stream for each person, as stories: who speaks is heard, alone, from first word to the end."""

from dataclasses import replace

import numpy as np
import pytest
from planted_voices import (
    PERIOD_NS,
    RATE,
    SQUARE,
    START_NS,
    chunks_of,
    frames_of,
    planted_voices,
    track_at,
)

from av_perception.errors import UserError
from av_perception.geometry.rigid_transform import RigidTransform
from av_perception.interfaces import AudioChunk, TrackFrame
from av_perception.robot_head.profile import MicrophoneArray
from av_perception.separation.person_streams import (
    LATE_TRACKS,
    PersonStreams,
    PersonStreamsConfig,
)

AT_HOME = RigidTransform()  # the array is where the people are measured from
FOREVER = PersonStreamsConfig(track_wait_s=np.inf)


def run(chunks, frames, config=FOREVER):
    """Chunks and tracks in the order of their stamps; all that comes out."""
    streams = PersonStreams(SQUARE, RATE, config)
    events = [(c.stamp_ns + round(len(c.samples) * 1e9 / RATE), 1, c) for c in chunks]
    events += [(frame.stamp_ns, 0, frame) for frame in frames]
    pieces = []
    for _, kind, item in sorted(events, key=lambda event: event[:2]):
        pieces += streams.push(item) if kind else streams.follow(item, AT_HOME)
    return pieces + streams.flush(), streams


def stream_of(pieces, key, length):
    """((length,) samples laid where their index says, (length,) bool where there are any)."""
    sound = np.zeros(length)
    known = np.zeros(length, bool)
    for piece in pieces:
        if piece.id == key:
            first = piece.chunk.first_sample
            part = slice(first, first + len(piece.chunk.samples))
            assert not known[part].any(), 'no sample comes twice'
            sound[part] = piece.chunk.samples[:, 0]
            known[part] = True
    return sound, known


def si_sdr(estimate, reference):
    target = reference * (estimate @ reference) / (reference @ reference)
    return 10 * np.log10((target @ target) / np.sum((estimate - target) ** 2))


@pytest.fixture(scope='module')
def two_voices():
    """Two people who speak at once from 0.9 to 1.6 s, 70 degrees apart, and their streams."""
    active = [(0.3, 1.6), (0.9, 2.2)]
    sound = planted_voices([35.0, -35.0], active, 2.5)
    frames = frames_of({4: 35.0, 7: -35.0}, 66)
    pieces, _ = run(chunks_of(sound, 400), frames)
    return sound, pieces


def test_who_is_silent_is_fifteen_decibels_down(two_voices):
    sound, pieces = two_voices
    first, _ = stream_of(pieces, 4, len(sound))
    second, _ = stream_of(pieces, 7, len(sound))
    alone_first, alone_second = slice(6400, 14000), slice(27000, 34000)
    level_db = 20 * np.log10(first[alone_first].std() / sound[alone_first, 0].std())
    assert -2.0 < level_db < 0.5
    assert 20 * np.log10(second[alone_first].std() / sound[alone_first, 0].std()) < -15.0
    assert 20 * np.log10(first[alone_second].std() / sound[alone_second, 0].std()) < -15.0


def test_streams_follow_turns_that_are_shorter_than_a_status_lasts():
    """Regression: masks took who speaks from statuses, which hold a turn through its gaps."""
    turns = [(0.3, 0.8), (0.8, 1.1), (1.1, 1.5), (1.5, 1.8)]
    azimuths = (3.0, -3.0)
    parts = [
        sum(planted_voices([azimuth], [turn], 2.0, seed=5 + person) for turn in turns[person::2])
        for person, azimuth in enumerate(azimuths)
    ]
    sound = sum(parts)
    pieces, _ = run(chunks_of(sound, 320), frames_of({1: 3.0, 2: -3.0}, 54))
    for person, key in enumerate((1, 2)):
        found, _ = stream_of(pieces, key, len(sound))
        for number, (start, end) in enumerate(turns[1:], 1):
            # What lies within a window of the change may be anybody's.
            part = slice(round((start + 0.06) * RATE), round((end - 0.03) * RATE))
            level_db = 20 * np.log10(found[part].std() / sound[part, 0].std())
            if number % 2 == person:
                assert level_db > -2.0
            else:
                assert level_db < -14.5


def test_two_who_speak_at_once_are_six_decibels_apart():
    """Each voice rendered by itself is known: SI-SDR against it."""
    left = planted_voices([40.0], [(0.3, 2.4)], 2.5, seed=1)
    right = planted_voices([-40.0], [(0.3, 2.4)], 2.5, seed=2)
    sound = left + right
    pieces, _ = run(chunks_of(sound, 320), frames_of({1: 40.0, 2: -40.0}, 66))
    part = slice(8000, 36000)
    for key, own in ((1, left), (2, right)):
        found, _ = stream_of(pieces, key, len(sound))
        before = si_sdr(sound[part, 0], own[part, 0])
        assert si_sdr(found[part], own[part, 0]) > before + 6.0


@pytest.mark.parametrize('size', [97, 512, 4000])
def test_streams_do_not_depend_on_the_chunks(size, two_voices):
    sound, expected = two_voices
    found, _ = run(chunks_of(sound, size), frames_of({4: 35.0, 7: -35.0}, 66))
    for key in (4, 7):
        one, known = stream_of(found, key, len(sound))
        other, other_known = stream_of(expected, key, len(sound))
        assert np.array_equal(known, other_known)
        assert np.array_equal(one, other), 'bit for bit'


def test_the_microphone_beside_a_stream_is_that_of_the_sound(two_voices):
    sound, pieces = two_voices
    for key in (4, 7):
        own = [piece for piece in pieces if piece.id == key]
        first = own[0].chunk.first_sample
        heard = np.concatenate([piece.microphone[:, 0] for piece in own])
        expected = sound[first : first + len(heard), 0]
        inside = slice(512, -512)  # the first and last windows fade
        np.testing.assert_allclose(heard[inside], expected[inside], atol=1e-5)


def test_the_filter_of_all_microphones_does_not_depend_on_the_chunks_either():
    sound = planted_voices([40.0, -40.0], [(0.2, 0.9), (0.2, 0.9)], 1.0)
    config = PersonStreamsConfig(track_wait_s=np.inf, output='wiener')
    frames = frames_of({1: 40.0, 2: -40.0}, 28)
    one, other = (run(chunks_of(sound, size), frames, config)[0] for size in (97, 4000))
    for key in (1, 2):
        found, known = stream_of(one, key, len(sound))
        assert known.any() and found.std() > 0.005
        assert np.array_equal(found, stream_of(other, key, len(sound))[0])


@pytest.mark.parametrize(
    'wrong', [{'output': 'loud'}, {'filter_memory_s': 0.0}, {'track_wait_s': -1.0}]
)
def test_senseless_configurations_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        PersonStreamsConfig(**wrong)


def test_a_stream_begins_with_the_first_words_and_ends_with_the_track():
    active = [(0.8, 1.5), (0.0, 0.0)]
    sound = planted_voices([35.0, -35.0], active, 3.0)
    frames = frames_of({4: 35.0, 7: -35.0}, 48) + frames_of({7: -35.0}, 79)[48:]
    pieces, _ = run(chunks_of(sound), frames)
    assert {piece.id for piece in pieces} == {4}, 'who never spoke has no stream'
    stream, known = stream_of(pieces, 4, len(sound))
    begin, end = np.flatnonzero(known)[[0, -1]]
    assert 0.8 - 0.35 < begin / RATE < 0.8, 'the first word is in it'
    assert known[begin:end].all(), 'silence is a part of it'
    # Tracks are taken to be 0.12 s old; the windows take as long as they are.
    assert 1.88 < end / RATE < 1.88 + 0.12 + 0.12
    assert [piece.ended for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    first = pieces[0].chunk
    assert abs(first.stamp_ns - START_NS - first.first_sample * 62500) <= 2
    assert np.abs(stream[begin : begin + 16]).max() < 0.01


def test_speaking_is_told_with_the_sound(two_voices):
    _, pieces = two_voices
    ends = {p.chunk.first_sample + len(p.chunk.samples): p for p in pieces if p.id == 4}
    speaking = [end / RATE for end, piece in ends.items() if piece.speaking]
    assert 0.25 < min(speaking) < 0.6 and 1.4 < max(speaking) < 1.9
    assert all(0 <= piece.probability <= 1 for piece in pieces)


def test_another_id_takes_over_without_a_click():
    """Who is found again gets the old id back while speaking: one stream fades to the other."""
    sound = planted_voices([20.0], [(0.2, 2.4)], 2.5)
    frames = frames_of({3: 20.0}, 30) + frames_of({9: 20.0}, 66)[30:]
    pieces, _ = run(chunks_of(sound), frames)
    total = sum(stream_of(pieces, key, len(sound))[0] for key in (3, 9))
    change = round((30 * 0.04 + 0.12) * RATE)
    step = np.abs(np.diff(total, 2))
    usual = np.abs(np.diff(sound[:, 0], 2))[8000:36000].max()
    assert step[change - 3000 : change + 3000].max() < 1.1 * usual


def test_a_gap_in_the_sound_clicks_nowhere_and_shifts_nothing():
    sound = planted_voices([20.0], [(0.2, 2.4)], 2.5)
    chunks = [c for c in chunks_of(sound, 160) if not 16000 <= c.first_sample < 17600]
    pieces, streams = run(chunks, frames_of({3: 20.0}, 66))
    stream, known = stream_of(pieces, 3, len(sound))
    assert known[12000:-1000].all(), 'a short gap is silence'
    assert not stream[16000:17600].any()
    usual = np.abs(np.diff(sound[:, 0], 2))[8000:36000].max()
    assert np.abs(np.diff(stream, 2))[15000:19000].max() < 1.1 * usual
    after = slice(20000, 30000)
    assert np.corrcoef(stream[after], sound[after, 0])[0, 1] > 0.95
    assert streams.counters['gaps in the sound'] == 1


def test_a_long_gap_leaves_the_index_true():
    sound = planted_voices([20.0], [(0.2, 3.4)], 3.5)
    chunks = [c for c in chunks_of(sound, 160) if not 16000 <= c.first_sample < 28800]
    pieces, _ = run(chunks, frames_of({3: 20.0}, 92))
    stream, known = stream_of(pieces, 3, len(sound))
    assert not known[16100:28700].any()
    after = slice(36000, 50000)
    assert np.corrcoef(stream[after], sound[after, 0])[0, 1] > 0.95


@pytest.mark.slow
def test_streams_follow_people_who_walk():
    """One walks from 60 to 0 degrees in two seconds, tracks come with their velocities."""
    steps = 40
    parts, frames = [], []
    for k in range(steps):
        azimuth = 60.0 - 1.5 * k
        parts.append(planted_voices([azimuth], [(0.0, 2.0)], 2.0, seed=3)[640 * k : 640 * k + 640])
        track = track_at(1, azimuth)
        speed = track_at(1, azimuth - 1.0).mean[:3] - track.mean[:3]
        mean = np.concatenate([track.mean[:3], speed * 37.5])
        tracks = (replace(track, mean=mean), track_at(2, -50.0))
        frames.append(TrackFrame(START_NS + k * PERIOD_NS, tracks, False))
    walker = np.concatenate(parts)
    other = planted_voices([-50.0], [(0.0, 2.0)], 2.0, seed=8)[: len(walker)]
    pieces, _ = run(chunks_of((walker + other).astype(np.float32)), frames)
    found, _ = stream_of(pieces, 1, len(walker))
    part = slice(6400, 24000)
    gain_db = si_sdr(found[part], walker[part, 0]) - si_sdr(
        (walker + other)[part, 0].astype(float), walker[part, 0]
    )
    assert gain_db > 6.0


def test_sound_does_not_wait_for_tracks_that_do_not_come():
    sound = planted_voices([20.0], [(0.2, 1.4)], 1.5)
    streams = PersonStreams(SQUARE, RATE)
    pieces = []
    for frame in frames_of({3: 20.0}, 12):
        pieces += streams.follow(frame, AT_HOME, frame.stamp_ns)
    for chunk in chunks_of(sound):
        arrived_ns = chunk.stamp_ns + round(len(chunk.samples) * 62500)
        pieces += streams.push(chunk, arrived_ns)
        pieces += streams.poll(arrived_ns + 30_000_000)
        newest = max((p.chunk.first_sample + len(p.chunk.samples) for p in pieces), default=None)
        if newest is not None and chunk.first_sample / RATE < 1.3:
            late_s = (chunk.first_sample + len(chunk.samples) - newest) / RATE
            assert late_s <= 0.04, 'a window, and what is missing to two frames'
    assert newest is not None
    assert streams.track_counters[LATE_TRACKS] > 0
    # A second after the last tracks nobody is known any more.
    assert any(piece.id == 3 for piece in pieces)


@pytest.mark.parametrize('size', [160, 256])
def test_no_sample_comes_later_than_sixty_milliseconds(size):
    """In samples: from when one was captured until its chunk has been heard and it is given."""
    sound = planted_voices([20.0], [(0.0, 1.5)], 1.5)
    streams = PersonStreams(SQUARE, RATE)
    for frame in frames_of({3: 20.0}, 40):
        streams.follow(frame, AT_HOME, frame.stamp_ns)
    latest = 0
    expected = None
    for chunk in chunks_of(sound, size):
        heard = chunk.first_sample + len(chunk.samples)
        for piece in streams.push(chunk, chunk.stamp_ns + round(len(chunk.samples) * 62500)):
            first = piece.chunk.first_sample
            assert expected in (None, first), 'no sample is left out'
            # What is from before it was known that they speak comes at once, and late.
            latest = max(latest, heard - first if expected is not None else 0)
            expected = first + len(piece.chunk.samples)
    assert expected is not None and expected > 0.9 * len(sound)
    assert 512 <= latest <= 0.06 * RATE


def test_nobody_tracked_gives_nothing_and_costs_no_memory():
    sound = planted_voices([20.0], [(0.2, 1.4)], 1.5)
    pieces, streams = run(chunks_of(sound), frames_of({}, 40))
    assert pieces == [] and not streams.is_waiting


def test_tracks_that_are_not_finite_have_no_stream():
    sound = planted_voices([20.0], [(0.2, 1.4)], 1.5)
    lost = replace(track_at(5, 20.0), mean=np.full(6, np.nan))
    frames = [
        TrackFrame(frame.stamp_ns, (*frame.tracks, lost), False)
        for frame in frames_of({3: 20.0}, 40)
    ]
    pieces, _ = run(chunks_of(sound), frames)
    assert {piece.id for piece in pieces} == {3}
    assert all(np.isfinite(piece.chunk.samples).all() for piece in pieces)


def test_another_sample_rate_begins_anew():
    sound = planted_voices([20.0], [(0.2, 1.4)], 1.5)
    streams = PersonStreams(SQUARE, RATE, FOREVER)
    for chunk in chunks_of(sound)[:10]:
        streams.push(chunk)
    with pytest.raises(UserError, match='48000 Hz'):
        streams.push(AudioChunk(START_NS, 48000, 0, np.zeros((480, 4), np.float32)))
    streams.change_rate(48000)
    assert streams.sample_rate == 48000
    streams.push(AudioChunk(START_NS, 48000, 0, np.zeros((480, 4), np.float32)))


def test_one_microphone_cannot_tell_people_apart():
    with pytest.raises(UserError, match='2 to 16 microphones'):
        PersonStreams(MicrophoneArray(((0.0, 0.0, 0.0),)), RATE)
