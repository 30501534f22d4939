# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Stories of whom to look at: what people do, and where the look goes."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from attention_stories import PERIOD_NS, START_NS, Story, person, voice

from av_perception.attention.config import AttentionConfig
from av_perception.attention.policy import AttentionPolicy
from av_perception.geometry.rigid_transform import angles_from_direction
from av_perception.interfaces import (
    AttentionReason,
    LifeState,
    SpeakingFrame,
    SpeakingStatus,
    TrackFrame,
)

LEFT = person(1, 20.0)
RIGHT = person(2, -20.0)
QUIET = {'arrival_s': 0.0}


def test_nobody_is_there():
    look = Story().goes_on(1.0, [])
    assert look.reason == AttentionReason.NOBODY and look.id == -1 and look.target is None


def test_one_talks():
    story = Story(**QUIET)
    look = story.goes_on(1.0, [LEFT, RIGHT], speaking=[1])
    assert (look.id, look.reason) == (1, AttentionReason.SPEAKS)
    np.testing.assert_allclose(look.target, LEFT.mean[:3], atol=1e-3)
    assert story.delay_s(1) <= 0.36
    assert look.since_ns == START_NS + round(story.delay_s(1) * 1e9)


def test_another_takes_over():
    story = Story(**QUIET)
    story.goes_on(2.0, [LEFT, RIGHT], speaking=[1])
    before = len(story.looks)
    look = story.goes_on(1.0, [LEFT, RIGHT], speaking=[2])
    assert (look.id, look.reason) == (2, AttentionReason.SPEAKS)
    waited = next(k for k, look in enumerate(story.looks[before:]) if look.id == 2)
    assert waited * 0.04 <= 0.4


def test_both_talk_and_the_look_stays():
    story = Story(**QUIET)
    story.goes_on(2.0, [LEFT, RIGHT], speaking=[1])
    story.goes_on(10.0, [LEFT, RIGHT], speaking=[1, 2])
    assert {look.id for look in story.looks[10:]} == {1}
    assert story.goes_on(0.5, [LEFT, RIGHT], speaking=[2]).id == 2


def test_a_pause_between_words_is_no_turn():
    story = Story(**QUIET)
    story.goes_on(1.0, [LEFT, RIGHT], speaking=[1])
    for _ in range(5):
        story.goes_on(0.2, [LEFT, RIGHT])
        story.goes_on(0.2, [LEFT, RIGHT], speaking=[2])
        story.goes_on(0.6, [LEFT, RIGHT], speaking=[1])
    assert {look.id for look in story.looks[10:]} == {1}


def test_a_cough_does_not_turn_the_head():
    story = Story(**QUIET)
    for _ in range(5):
        story.goes_on(0.2, [LEFT, RIGHT], speaking=[2])
        story.goes_on(0.8, [LEFT, RIGHT])
    assert {look.reason for look in story.looks} == {AttentionReason.NOBODY}


def test_a_voice_from_behind_is_looked_for_at_the_level_of_heads():
    story = Story(**QUIET)
    story.goes_on(2.0, [LEFT], speaking=[1])
    look = story.goes_on(0.5, [LEFT, voice(7, 150.0, elevation_deg=45.0)], speaking=[7])
    assert (look.id, look.reason) == (7, AttentionReason.HEARD)
    azimuth, elevation = np.degrees(angles_from_direction(look.target))
    assert azimuth == pytest.approx(150.0) and 0 < elevation < 10.0


def test_the_same_person_is_then_seen_and_keeps_the_look():
    story = Story(**QUIET)
    story.goes_on(1.0, [LEFT, voice(7, 150.0)], speaking=[7])
    since_ns = story.looks[-1].since_ns
    look = story.goes_on(1.0, [LEFT, person(7, 148.0)], speaking=[7])
    assert (look.id, look.reason, look.since_ns) == (7, AttentionReason.SPEAKS, since_ns)


def test_a_track_that_coasts_does_not_lead_the_look_away():
    story = Story(**QUIET)
    story.goes_on(1.0, [voice(7, 60.0)], speaking=[7])
    for azimuth in range(60, -60, -5):  # deaf while the neck turns, the track runs on
        look = story.goes_on(0.04, [voice(7, float(azimuth), heard=False)])
    assert look.id == 7
    assert np.degrees(angles_from_direction(look.target)[0]) == pytest.approx(60.0)
    look = story.goes_on(0.04, [person(7, 70.0)])  # found again, elsewhere
    assert np.degrees(angles_from_direction(look.target)[0]) == pytest.approx(70.0)


def test_who_was_found_by_voice_needs_less_speech():
    heard, known = Story(**QUIET), Story(**QUIET)
    heard.goes_on(1.0, [voice(7, 150.0)], speaking=[7])
    known.goes_on(1.0, [person(7, 30.0)], speaking=[7])
    assert known.delay_s(7) - heard.delay_s(7) == pytest.approx(0.2)


def test_who_was_woken_by_voice_needs_less_speech_too():
    asleep = person(7, 150.0, seen=False, heard=False, state=LifeState.SLEEPING)
    story = Story(**QUIET)
    story.goes_on(2.0, [asleep])
    assert story.goes_on(0.08, [person(7, 150.0, seen=False)], speaking=[7]).id == 7


def test_who_speaks_to_me_comes_before_who_speaks():
    story = Story(**QUIET)
    story.goes_on(2.0, [LEFT, RIGHT], speaking=[1, 2], facing={1: 0.1, 2: math.nan})
    assert story.looks[-1].reason == AttentionReason.SPEAKS
    look = story.goes_on(0.1, [LEFT, RIGHT], speaking=[1, 2], facing={1: 0.1, 2: 0.9})
    first = story.looks[-4].id
    other = 2 if first == 1 else 1
    story.goes_on(1.0, [LEFT, RIGHT], speaking=[1, 2], facing={first: 0.1, other: 0.9})
    look = story.looks[-1]
    assert (look.id, look.reason) == (other, AttentionReason.SPEAKS_TO_ME)


def test_gaze_that_nobody_knows_changes_nothing():
    with_nan, without = Story(), Story()
    for story, facing in ((with_nan, {1: math.nan, 2: math.nan}), (without, {})):
        story.goes_on(1.0, [LEFT, RIGHT], speaking=[1], facing=facing)
        story.goes_on(1.0, [LEFT, RIGHT], speaking=[2], facing=facing)
    assert [look.id for look in with_nan.looks] == [look.id for look in without.looks]


def test_a_newcomer_gets_a_glance_when_nobody_speaks():
    story = Story()
    story.goes_on(3.0, [LEFT])
    assert story.looks[0].reason == AttentionReason.ARRIVED
    look = story.goes_on(0.5, [LEFT, RIGHT])
    assert (look.id, look.reason) == (2, AttentionReason.ARRIVED)


def test_a_newcomer_does_not_interrupt_who_speaks():
    story = Story()
    story.goes_on(3.0, [LEFT], speaking=[1])
    story.goes_on(0.4, [LEFT, RIGHT])  # the speaker draws breath
    story.goes_on(2.0, [LEFT, RIGHT], speaking=[1])
    assert {look.id for look in story.looks} == {1}


def test_the_look_stays_with_who_spoke_and_ends_after_a_while():
    story = Story(hold_s=3.0, **QUIET)
    story.goes_on(1.0, [LEFT], speaking=[1])
    look = story.goes_on(2.0, [LEFT])
    assert (look.id, look.reason) == (1, AttentionReason.SPOKE)
    assert story.goes_on(1.2, [LEFT]).reason == AttentionReason.NOBODY


@pytest.mark.parametrize('asleep', [False, True])
def test_the_person_leaves(asleep):
    """Whether the track is gone at once, or sleeps for a while."""
    story = Story(lost_s=1.0, **QUIET)
    story.goes_on(1.0, [LEFT], speaking=[1])
    left = [dataclasses.replace(LEFT, state=LifeState.SLEEPING, seen=False)] if asleep else []
    assert story.goes_on(0.8, left).id == 1
    assert story.goes_on(0.4, left).reason == AttentionReason.NOBODY


def test_who_is_gone_needs_no_dwell():
    story = Story(min_dwell_s=3.0, **QUIET)
    story.goes_on(0.6, [LEFT, RIGHT], speaking=[1])
    assert story.goes_on(0.6, [RIGHT], speaking=[2]).id == 2


def test_a_look_lasts_for_the_dwell():
    story = Story(min_dwell_s=2.0, **QUIET)
    story.goes_on(0.4, [LEFT, RIGHT], speaking=[1])
    story.goes_on(1.6, [LEFT, RIGHT], speaking=[2])
    assert story.looks[-1].id == 1
    assert story.goes_on(0.8, [LEFT, RIGHT], speaking=[2]).id == 2


def test_ids_change_and_the_look_follows_the_person():
    story = Story(**QUIET)
    since_ns = story.goes_on(1.0, [voice(3, 100.0)], speaking=[3]).since_ns
    look = story.goes_on(0.04, [person(9, 104.0), RIGHT])
    assert look.id == 9 and look.since_ns == since_ns and look.reason != AttentionReason.NOBODY
    # Somebody elsewhere is not that person.
    other = Story(**QUIET)
    other.goes_on(1.0, [voice(3, 100.0)], speaking=[3])
    assert other.goes_on(0.04, [person(9, 70.0)]).id == 3


def test_a_gap_makes_speech_before_it_count_for_nothing():
    story = Story(**QUIET)
    story.goes_on(0.2, [LEFT], speaking=[1])
    story.stamp_ns += 5 * 10**9
    assert story.goes_on(0.2, [LEFT], speaking=[1]).reason == AttentionReason.NOBODY
    assert story.goes_on(0.2, [LEFT], speaking=[1]).id == 1


def test_late_frames_are_left_out_and_a_clock_set_back_starts_anew():
    story = Story(**QUIET)
    story.goes_on(1.0, [LEFT], speaking=[1])
    story.stamp_ns -= 10 * PERIOD_NS
    assert story.frame([LEFT], {1: 0.9}, {}) is None
    story.stamp_ns = START_NS - 5 * 10**9
    assert story.frame([LEFT], {1: 0.9}, {}).reason == AttentionReason.NOBODY


def test_what_is_not_finite_is_nobody_and_no_speech():
    story = Story(**QUIET)
    bad = dataclasses.replace(LEFT, mean=np.full(6, np.nan))
    at_the_head = dataclasses.replace(LEFT, id=4, mean=np.zeros(6))
    story.goes_on(1.0, [bad, at_the_head, RIGHT], speaking=[1, 4])
    assert {look.reason for look in story.looks} == {AttentionReason.NOBODY}
    for _ in range(20):
        story.frame([RIGHT], {2: math.nan}, {2: math.nan})
    assert story.looks[-1].reason == AttentionReason.NOBODY
    unknown = dataclasses.replace(RIGHT, covariance=np.full((6, 6), np.nan))
    assert np.isfinite(story.goes_on(1.0, [unknown], speaking=[2]).target).all()


def test_tentative_tracks_are_nobody():
    story = Story()
    tentative = dataclasses.replace(LEFT, state=LifeState.TENTATIVE)
    assert story.goes_on(1.0, [tentative], speaking=[1]).reason == AttentionReason.NOBODY


def test_directions_are_those_of_the_head_not_of_the_origin():
    """From a head at (2, -2, 0), two people on one ray of the origin are far apart."""
    near, far = person(3, 0.0), dataclasses.replace(person(9, 0.0), mean=np.eye(6)[0] * 6)
    frames = [TrackFrame(START_NS + k * PERIOD_NS, (near,), True) for k in range(20)]
    for origin, heir in ((np.zeros(3), 9), (np.array([2.0, -2.0, 0.0]), 3)):
        policy = AttentionPolicy(AttentionConfig(**QUIET))
        for frame in frames:
            speaking = SpeakingFrame(frame.stamp_ns, (SpeakingStatus(3, True, 0.9, 0),))
            policy.step(frame, speaking, origin=origin)
        gone = TrackFrame(START_NS + 20 * PERIOD_NS, (far,), True)
        assert policy.step(gone, SpeakingFrame(gone.stamp_ns, ()), origin=origin).id == heir


@pytest.mark.parametrize(
    'wrong',
    [
        {'speech_threshold': 0.0},
        {'facing_threshold': 1.5},
        {'min_speech_s': 0.0},
        {'found_by_voice_s': 0.3},
        {'hold_s': math.nan},
        {'yield_s': -1.0},
        {'max_gap_s': math.inf},
    ],
)
def test_senseless_configurations_are_refused(wrong):
    with pytest.raises(ValueError, match='must'):
        AttentionConfig(**wrong)
