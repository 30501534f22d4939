# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Tracks and sound to who speaks: whatever comes first, and whatever does not come."""

from __future__ import annotations

import math
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

from av_perception.audio.bin_stream import BinStream, direction_likelihood
from av_perception.audio.direction_bins import DirectionBinsConfig
from av_perception.diarization.joint_activity_config import JointActivityConfig
from av_perception.diarization.speaking_estimator import (
    VAVIT,
    WITHOUT_SOUND,
    SpeakingEstimator,
    SpeakingEstimatorConfig,
    track_directions,
)
from av_perception.diarization.speaking_filter import SpeakingFilter
from av_perception.geometry.rigid_transform import RigidTransform, direction_from_angles
from av_perception.interfaces import AudioChunk, TrackFrame

HERE = RigidTransform()
PEOPLE = {1: -30, 2: 40}
BINS = DirectionBinsConfig(voice_activity=False)  # planted voices are no speech to Silero
LIKELIHOOD = direction_likelihood(SQUARE, BINS)
SOUND = planted_voices(PEOPLE.values(), ((0.4, 1.2), (1.0, 1.7)))
CHUNKS = chunks_of(SOUND)
FRAMES = frames_of(PEOPLE, 50)


class Listener(SpeakingEstimator):
    """An estimator with bins of its own."""

    def __init__(self, likelihood=LIKELIHOOD, **changes):
        super().__init__(
            SpeakingEstimatorConfig(**{'audio_wait_s': math.inf, **changes}), likelihood
        )
        self.bins = BinStream(LIKELIHOOD, RATE, BINS)

    def hear(self, chunk):
        self.take_blocks(self.bins.push(chunk))


def answers(frames=FRAMES, chunks=CHUNKS, sound_delay_s=0.0, pose=HERE, **changes):
    """Statuses of all frames; sound arrives so much later (earlier below 0) than its stamp."""
    speaking = Listener(**changes)
    events = [(frame.stamp_ns, frame) for frame in frames]
    events += [(chunk.stamp_ns + round(1e9 * sound_delay_s), chunk) for chunk in chunks]
    said = []
    for now_ns, what in sorted(events, key=lambda event: event[0]):
        if isinstance(what, AudioChunk):
            speaking.hear(what)
        else:
            speaking.follow(what, pose, now_ns)
        said += speaking.poll(now_ns)
    said += speaking.flush()
    assert [frame for frame, _ in said] == list(frames)
    return [status for _, status in said], speaking


def who(status):
    return {s.id for s in status.statuses if s.speaking}


def at(said, second):
    """The status at a second of the sound."""
    return said[round(second * 1e9 / PERIOD_NS)]


def test_each_voice_is_the_nearest_persons_and_both_may_speak():
    said, speaking = answers()
    assert who(at(said, 0.2)) == set()
    assert who(at(said, 0.8)) == {1}
    assert who(at(said, 1.15)) == {1, 2}
    assert who(at(said, 1.6)) == {2}
    assert [status.stamp_ns for status in said] == [frame.stamp_ns for frame in FRAMES]
    assert not speaking.counters


@pytest.mark.parametrize('sound_delay_s', [-3.0, -0.1, 0.013, 0.1, 3.0])
def test_what_is_said_does_not_depend_on_what_comes_first(sound_delay_s):
    assert answers(sound_delay_s=sound_delay_s)[0] == answers()[0]


def test_look_ahead_says_the_same_earlier_and_does_not_depend_on_order_either():
    joint = JointActivityConfig(look_ahead_s=0.08)
    ahead, _ = answers(joint=joint)
    late, _ = answers(joint=joint, sound_delay_s=1.0)
    assert ahead == late
    last = [max(k for k, s in enumerate(said) if 1 in who(s)) for said in (ahead, answers()[0])]
    assert last[0] < last[1]


def test_method_vavit_is_the_filter_of_audio_shares_alone():
    frames = [
        TrackFrame(f.stamp_ns, (track_at(1, -30, 0.9 * (k > 10)),), k > 5)
        for k, f in enumerate(FRAMES)
    ]
    said, speaking = answers(frames, method=VAVIT)
    published = SpeakingFilter()
    assert said == [published.step(frame) for frame in frames]
    assert not speaking.is_waiting and 1 in who(said[-1])


def test_a_head_that_hears_no_directions_gets_method_vavit():
    speaking = Listener(None)
    speaking.follow(FRAMES[0], None, 0)
    assert speaking.method == VAVIT and len(speaking.poll(0)) == 1


def heard_by_tracker(frame):
    """The same frame; the tracker gives person 2 all of the sound."""
    tracks = tuple(replace(t, audio_responsibility=float(t.id == 2)) for t in frame.tracks)
    return replace(frame, tracks=tracks, voice_active=True)


def test_without_sound_tracks_wait_once_and_get_the_status_of_vavit():
    speaking = Listener(audio_wait_s=0.1)
    frames = [heard_by_tracker(frame) for frame in FRAMES]
    speaking.follow(frames[0], HERE, frames[0].stamp_ns)
    assert not speaking.poll(frames[0].stamp_ns + 90_000_000)
    said = speaking.poll(frames[0].stamp_ns + 100_000_000)
    for frame in frames[1:]:
        speaking.follow(frame, HERE, frame.stamp_ns + 100_000_000)
        said += speaking.poll(frame.stamp_ns + 100_000_000)
    assert len(said) == len(frames) and who(said[-1][1]) == {2}
    assert speaking.counters[WITHOUT_SOUND] == len(frames) - 13  # beyond the first half second


def test_when_sound_comes_back_tracks_wait_for_it_again():
    speaking = Listener(audio_wait_s=0.1)
    speaking.follow(FRAMES[0], HERE, 0)
    speaking.poll(10**9)
    for chunk in CHUNKS[: len(CHUNKS) // 4]:
        speaking.hear(chunk)
    speaking.follow(FRAMES[25], HERE, 2 * 10**9)
    assert not speaking.poll(2 * 10**9)


def test_a_gap_in_the_sound_is_bridged_for_half_a_second_and_ends():
    gap = [c for c in CHUNKS if not 0.8 < (c.stamp_ns - START_NS) * 1e-9 < 1.4]
    frames = [heard_by_tracker(frame) for frame in FRAMES]
    said, speaking = answers(frames, gap)
    assert who(at(said, 0.76)) == who(at(said, 1.2)) == {1}
    assert who(at(said, 1.36)) == {2}  # of vavit
    assert speaking.counters[WITHOUT_SOUND] > 0
    assert [len(status.statuses) for status in said] == [2] * len(frames)


def test_sound_that_ends_leaves_nobody_without_status():
    said, _ = answers(chunks=CHUNKS[:60])
    assert len(said) == len(FRAMES)


@pytest.mark.parametrize('place', [np.nan, np.inf, 0.0])
def test_a_track_without_a_direction_is_silent_and_harms_nobody(place):
    lost = replace(track_at(9, 0), mean=np.full(6, place), covariance=np.full((6, 6), np.nan))
    frames = [replace(frame, tracks=(lost, *frame.tracks)) for frame in FRAMES]
    said, _ = answers(frames)
    for with_lost, without in zip(said, answers()[0]):
        assert with_lost.statuses[1:] == without.statuses
        assert with_lost.statuses[0].id == 9 and not with_lost.statuses[0].speaking
        assert 0 < with_lost.statuses[0].probability < 0.5


def test_people_who_come_and_go_get_a_status_in_each_of_their_frames():
    frames = []
    for k, frame in enumerate(FRAMES):
        kept = [t for t in frame.tracks if (k // 7 + t.id) % 3]
        extra = [track_at(100 + k, 120)] if k % 5 == 0 else []
        frames.append(replace(frame, tracks=(*kept, *extra)))
    said, _ = answers(frames)
    for frame, status in zip(frames, said):
        assert [s.id for s in status.statuses] == [t.id for t in frame.tracks]
        assert all(0 <= s.probability <= 1 for s in status.statuses)
        assert all(s.since_ns <= status.stamp_ns for s in status.statuses)


def test_a_turned_and_moved_array_hears_where_people_are_in_its_own_frame():
    turned = RigidTransform.from_xyz_rpy((0.3, -0.2, 0.1), (0.0, 0.0, np.radians(50)))
    tracks = tuple(
        replace(
            track_at(i, 0),
            mean=np.r_[
                turned.apply(2.0 * direction_from_angles(np.radians(azimuth), 0.0)), np.zeros(3)
            ],
        )
        for i, azimuth in PEOPLE.items()
    )
    frames = [replace(frame, tracks=tracks) for frame in FRAMES]
    directions = track_directions(frames[0], turned)
    for i, azimuth in PEOPLE.items():
        expected = direction_from_angles(np.radians(azimuth), 0.0)
        np.testing.assert_allclose(directions[i], expected, atol=1e-12)
    said, _ = answers(frames, pose=turned)
    assert who(at(said, 0.8)) == {1} and who(at(said, 1.6)) == {2}


def test_where_the_array_is_unknown_the_directions_of_before_hold():
    speaking = Listener()
    said = []
    for chunk in CHUNKS:
        speaking.hear(chunk)
    for k, frame in enumerate(FRAMES):
        speaking.follow(frame, HERE if k < 20 else None, 0)
        said += speaking.poll(0)
    said += speaking.flush()
    assert [status for _, status in said] == answers()[0]


# What is heard between one frame and the next, as much ahead as sound is of tracks.
CHUNKS_UNTIL = {
    frame.stamp_ns: [
        c
        for c in CHUNKS
        if frame.stamp_ns - PERIOD_NS < c.stamp_ns - 10 * 16_000_000 <= frame.stamp_ns
    ]
    for frame in FRAMES
}


def test_a_recording_that_starts_again_is_judged_anew():
    speaking = Listener(audio_wait_s=0.1)
    rounds = []
    for _ in range(2):
        said = []
        for frame in FRAMES:
            for chunk in CHUNKS_UNTIL[frame.stamp_ns]:
                speaking.hear(chunk)
            speaking.follow(frame, HERE, frame.stamp_ns)
            said += speaking.poll(frame.stamp_ns)
        said += speaking.flush()
        rounds.append([who(status) for _, status in said])
    assert rounds[0] == rounds[1] and {1, 2} in rounds[1]


def test_tracks_of_a_new_round_do_not_wait_for_sound_that_came_before_them():
    """A bag that is played again: its first sound overtakes its first tracks."""
    speaking = Listener(audio_wait_s=math.inf)
    for chunk in CHUNKS:
        speaking.hear(chunk)
    for frame in FRAMES:
        speaking.follow(frame, HERE, 0)
    assert len(speaking.poll(0)) == len(FRAMES)
    for chunk in CHUNKS[:6]:
        speaking.hear(chunk)
    speaking.follow(FRAMES[0], HERE, 0)
    speaking.follow(FRAMES[1], HERE, 0)
    said = [frame.stamp_ns for frame, _ in speaking.poll(0)]
    assert said[-2:] == [FRAMES[0].stamp_ns, FRAMES[1].stamp_ns] and not speaking.is_waiting


def test_sound_without_tracks_is_kept_for_ten_seconds_at_most():
    speaking = Listener()
    long = np.tile(SOUND, (7, 1))
    for chunk in chunks_of(long, 4096):
        speaking.hear(chunk)
    assert speaking.counters['sounds without tracks'] > 90
    assert len(speaking._blocks) == 250


def test_thresholds_change_at_once_and_the_method_stays():
    speaking = Listener()
    speaking.reconfigure(
        SpeakingEstimatorConfig(method=VAVIT, joint=JointActivityConfig(on=0.9, off=0.1))
    )
    assert speaking.method == 'joint' and speaking._joint.config.on == 0.9


def test_delays_drop_short_bursts_of_the_joint_method_too():
    slow, _ = answers(joint=JointActivityConfig(on_delay_s=0.4))
    onset = [next(k for k, s in enumerate(said) if 1 in who(s)) for said in (slow, answers()[0])]
    assert onset[0] - onset[1] == 10
    assert at(slow, 1.1).statuses[0].since_ns == at(answers()[0], 1.1).statuses[0].since_ns


@pytest.mark.parametrize(
    'changes', [{'method': 'magic'}, {'audio_wait_s': -1.0}, {'deaf_after_s': 0.0}]
)
def test_wrong_configurations_are_refused(changes):
    with pytest.raises(ValueError):
        SpeakingEstimatorConfig(**changes)
