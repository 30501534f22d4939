# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Streams of people who come and go, against overlap-add of the whole recording."""

from __future__ import annotations

import numpy as np
import pytest

from av_perception.diarization.joint_activity import Activity
from av_perception.interfaces import AudioChunk
from av_perception.separation.frame_groups import FADE, SAMPLE_RATE, FrameGroups
from av_perception.separation.stream_synthesis import StreamSynthesis, VoiceChunk
from av_perception.spectral.transform import ShortTimeFourier

TRANSFORM = ShortTimeFourier(512, 128)
PRE_ROLL = 400  # samples
START_NS = 5_000_000_000
RISE = np.minimum((np.arange(4096) + 0.5) / FADE, 1.0)


def sound_of(count, seed=0):
    return 0.1 * np.random.default_rng(seed).standard_normal((count, 1)).astype(np.float32)


def groups_of(sound, gap=None, cut=700):
    """Groups of a sound; of gap (start, end) nothing is received."""
    source = FrameGroups(TRANSFORM, 1, SAMPLE_RATE)
    start, end = gap or (len(sound), len(sound))
    pieces = [(k, min(k + cut, start)) for k in range(0, start, cut)]
    pieces += [(k, min(k + cut, len(sound))) for k in range(end, len(sound), cut)]
    groups = []
    for first, last in pieces:
        stamp_ns = START_NS + round(first * 1e9 / SAMPLE_RATE)
        groups += source.push(AudioChunk(stamp_ns, SAMPLE_RATE, first, sound[first:last]))
    return groups + source.flush()


def speaks(key, speaking=True, probability=0.9):
    return {key: Activity(key, speaking, probability, 0)}


def run(groups, voices_of, activity_of, pre_roll=PRE_ROLL):
    """All pieces of streams, by id."""
    synthesis = StreamSynthesis(TRANSFORM, pre_roll / SAMPLE_RATE)
    streams: dict[int, list[VoiceChunk]] = {}
    for index, group in enumerate(groups):
        for piece in synthesis.push(group, voices_of(index, group), activity_of(index)):
            streams.setdefault(piece.id, []).append(piece)
    return streams


def whole(pieces):
    """One piece of pieces that must follow each other."""
    for before, after in zip(pieces[:-1], pieces[1:]):
        assert before.is_followed_by(after)
    return VoiceChunk.of_run(pieces)


def everything(index, group):
    return {3: group.spectra[:, :, 0]}


@pytest.mark.parametrize('count', [1, 127, 300, 5000, 5123])
def test_a_voice_that_is_all_of_the_sound_is_the_sound(count):
    sound = sound_of(count)
    streams = run(groups_of(sound), everything, lambda index: speaks(3))
    voice = whole(streams[3]).chunk
    assert voice.first_sample == 0 and voice.stamp_ns == START_NS
    assert len(voice.samples) == count
    assert (np.abs(voice.samples) <= np.abs(sound) + 1e-6).all(), 'only faded at its ends'
    np.testing.assert_allclose(voice.samples[FADE:-FADE], sound[FADE:-FADE], atol=1e-6)


@pytest.mark.parametrize('begin', [2, 9, 10])
def test_a_stream_begins_softly_a_pre_roll_before_its_person_is_known_to_speak(begin):
    sound = sound_of(6000)
    groups = groups_of(sound)
    streams = run(groups, everything, lambda index: speaks(3, index >= begin))
    voice = whole(streams[3]).chunk
    known = groups[begin].first_sample + len(groups[begin].gain)
    step = 2 * TRANSFORM.hop
    assert PRE_ROLL <= known - voice.first_sample < PRE_ROLL + 2 * step or not voice.first_sample
    start = voice.first_sample
    assert voice.stamp_ns == pytest.approx(START_NS + start * 1e9 / SAMPLE_RATE, abs=100)
    exact = sound[start : start + 2000] * RISE[:2000, None]
    np.testing.assert_allclose(voice.samples[:2000], exact, atol=1e-6)


def test_whoever_never_speaks_or_of_whom_nothing_is_known_has_no_stream():
    groups = groups_of(sound_of(4000))
    assert run(groups, everything, lambda index: speaks(3, False)) == {}
    assert run(groups, everything, lambda index: {}) == {}
    assert run(groups, lambda index, group: {}, lambda index: speaks(3)) == {}


def test_who_leaves_is_faded_over_by_the_windows_and_ends_with_their_last_sample():
    sound = sound_of(8000)
    groups = groups_of(sound)
    gone = 12
    streams = run(
        groups,
        lambda index, group: everything(index, group) if index < gone else {},
        lambda index: speaks(3) if index < gone else {},
    )
    pieces = streams[3]
    assert [piece.ended for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    assert (pieces[-1].speaking, pieces[-1].probability) == (False, 0.0)
    spectra = TRANSFORM.forward(sound)[:, :, 0]
    spectra[2 * gone :] = 0
    exact = TRANSFORM.inverse(spectra, len(sound))
    voice = whole(pieces).chunk.samples[:, 0]
    np.testing.assert_allclose(voice[FADE:], exact[FADE : len(voice)], atol=1e-6)
    assert np.abs(exact[: len(voice)][-300:]).max() > 1e-3
    assert not exact[len(voice) :].any(), 'nothing of the voice is lost'


def test_who_comes_back_before_the_end_keeps_the_stream_and_later_gets_another():
    groups = groups_of(sound_of(9000))

    def away(groups_away):
        def voices(index, group):
            return {} if index in groups_away else everything(index, group)

        return run(groups, voices, lambda index: speaks(3))[3]

    assert not any(piece.ended for piece in away([10]))
    pieces = away([10, 11, 12])
    last = next(k for k, piece in enumerate(pieces) if piece.ended)
    again = whole(pieces[last + 1 :])
    assert whole(pieces[: last + 1]).ended and not pieces[last].is_followed_by(pieces[last + 1])
    assert again.chunk.first_sample >= groups[13].first_sample


def test_streams_do_not_depend_on_each_other():
    sound, other = sound_of(5000), sound_of(5000, seed=1)
    groups = groups_of(sound)
    others = groups_of(other)
    alone = whole(run(groups, everything, lambda index: speaks(3))[3])

    def voices(index, group):
        broken = others[index].spectra[:, :, 0].copy()
        if index == 6:
            broken[:] = np.nan
        return {9: broken, **everything(index, group)}

    both = run(groups, voices, lambda index: speaks(3) | speaks(9))
    np.testing.assert_array_equal(whole(both[3]).chunk.samples, alone.chunk.samples)
    spoiled = np.flatnonzero(np.isnan(whole(both[9]).chunk.samples[:, 0]))
    first = groups[6].first_sample
    assert spoiled[0] >= first and spoiled[-1] < first + TRANSFORM.hop + TRANSFORM.size


def test_a_short_gap_becomes_silence_so_that_time_goes_on():
    sound = sound_of(12000)
    gap = (5000, 7000)
    voice = whole(run(groups_of(sound, gap), everything, lambda index: speaks(3))[3]).chunk
    assert voice.first_sample == 0 and len(voice.samples) == len(sound)
    assert not voice.samples[slice(*gap)].any()
    for kept in (slice(FADE, gap[0] - FADE), slice(gap[1] + FADE, len(sound) - FADE)):
        np.testing.assert_allclose(voice.samples[kept], sound[kept], atol=1e-6)


def test_the_microphone_goes_beside_the_voice_through_begin_gap_and_end():
    """A voice that is half of the sound is so in each sample, faded ones and silence included."""
    sound = sound_of(12000)
    synthesis = StreamSynthesis(TRANSFORM, PRE_ROLL / SAMPLE_RATE)
    pieces = []
    for index, group in enumerate(groups_of(sound, (5000, 7000))):
        heard = everything(index, group)
        half = {3: 0.5 * heard[3]}
        pieces += synthesis.push(group, half, speaks(3, index >= 8), heard)
    piece = whole(pieces)
    assert piece.microphone.shape == piece.chunk.samples.shape == (len(piece.chunk.samples), 1)
    np.testing.assert_allclose(0.5 * piece.microphone, piece.chunk.samples, atol=1e-7)
    both = piece.with_microphone
    np.testing.assert_array_equal(both.samples[:, :1], piece.chunk.samples)
    np.testing.assert_array_equal(both.samples[:, 1:], piece.microphone)
    assert both.first_sample == piece.chunk.first_sample


def test_a_pre_roll_does_not_reach_across_a_long_gap():
    sound = sound_of(18000)
    groups = groups_of(sound, (3000, 13000))
    begin = next(k for k, group in enumerate(groups) if group.first_sample >= 13000) + 1
    streams = run(groups, everything, lambda index: speaks(3, index >= begin), pre_roll=8000)
    voice = whole(streams[3]).chunk
    assert voice.first_sample == 13000
    inside = slice(FADE, -FADE)
    np.testing.assert_allclose(voice.samples[inside], sound[13000:][inside], atol=1e-6)


def test_a_state_is_that_of_its_moment_and_a_stream_goes_on_in_pauses():
    groups = groups_of(sound_of(5000))
    synthesis = StreamSynthesis(TRANSFORM, 0.0)
    for index, group in enumerate(groups[:8]):
        speaking = index == 3
        pieces = synthesis.push(group, everything(index, group), speaks(3, speaking, 0.1 * index))
        assert synthesis.has_stream(3) == (index >= 3) and not synthesis.has_stream(4)
        assert [(p.speaking, p.probability) for p in pieces] == (
            [(speaking, 0.1 * index)] if index >= 3 else []
        )


def test_pieces_follow_each_other_only_without_a_gap_and_before_the_end():
    def piece(first, ended=False):
        return VoiceChunk(1, AudioChunk(0, SAMPLE_RATE, first, sound_of(10)), True, 1.0, ended)

    assert piece(0).is_followed_by(piece(10))
    assert not piece(0).is_followed_by(piece(11))
    assert not piece(0).is_followed_by(piece(9))
    assert not piece(0, ended=True).is_followed_by(piece(10))
    run_of_two = VoiceChunk.of_run([piece(0), piece(10, ended=True)])
    assert run_of_two.ended and len(run_of_two.chunk.samples) == 20
