# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""People as REP-155 wants them.

Who is tracked, who is known, which face and voice is whose, and what ids may do.
"""

from __future__ import annotations

import re

import numpy as np
import pytest
from human_frames import frames, person

from av_perception.hri.people import Humans, HumansConfig, gazes
from av_perception.interfaces import HeadPoseEstimate, HeadPoseFrame, LifeState


def one(humans, ms, *people):
    """The only human of a frame."""
    result = humans.step(*frames(ms, *people))
    assert len(result.people) == 1
    return result.people[0]


def test_ids_are_short_words_and_differ_between_sessions():
    ids = {one(Humans(), 0, person(1)).person for _ in range(20)}
    assert len(ids) == 20 and all(re.fullmatch('[a-z]{5}', name) for name in ids)


def test_ids_of_persons_faces_and_voices_never_meet():
    humans = Humans(seed=1)
    result = humans.step(*frames(0, *(person(n, speaks=True) for n in range(1, 30))))
    ids = [name for h in result.people for name in (h.person, h.face, h.voice)]
    assert len(set(ids)) == 87


def test_a_person_keeps_its_id_through_sleep_and_gets_a_new_face():
    humans = Humans()
    before = one(humans, 0, person(1))
    asleep = one(humans, 3000, person(1, seen=False, state=LifeState.SLEEPING))
    again = one(humans, 6000, person(1))
    assert before.person == asleep.person == again.person
    assert (
        before.tracked
        and not asleep.tracked
        and asleep.face == ''
        and again.face not in ('', before.face)
    )


def test_a_face_that_is_missed_for_a_moment_is_the_same_face():
    humans = Humans()
    face = one(humans, 0, person(1)).face
    missed = one(humans, 400, person(1, seen=False))
    assert missed.face == face and not missed.seen and one(humans, 440, person(1)).face == face


def test_a_voice_lasts_through_pauses_and_a_new_turn_has_another():
    humans = Humans()
    assert one(humans, 0, person(1)).voice == ''
    voice = one(humans, 40, person(1, speaks=True, share=0.8)).voice
    pause = one(humans, 2000, person(1))
    assert voice and pause.voice == voice and not pause.speaking
    assert one(humans, 3200, person(1)).voice == ''
    assert one(humans, 3240, person(1, speaks=True)).voice not in ('', voice)


@pytest.mark.parametrize(
    'people, confidence',
    [
        (person(1, variance=100.0), 1.0),
        (person(1, seen=False, variance=0.0), 0.9),
        (person(1, seen=False, variance=0.25), 0.45),
        (person(1, seen=False, ever_seen=False, speaks=True), 0.0),
    ],
)
def test_location_confidence_is_one_seen_zero_never_seen_and_falls_with_uncertainty(
    people, confidence
):
    humans = Humans()
    assert one(humans, 0, people).location_confidence == pytest.approx(confidence)


def test_tentative_tracks_are_nobody_yet():
    assert Humans().step(*frames(0, person(1, state=LifeState.TENTATIVE))).people == ()


def test_matches_carry_the_posterior_and_end_with_zero():
    humans = Humans()
    first = humans.step(*frames(0, person(1, speaks=True, share=0.7, visibility=0.95)))
    human = first.people[0]
    assert {(m.kind, m.part, m.person, m.confidence) for m in first.matches} == {
        ('face', human.face, human.person, 0.95),
        ('voice', human.voice, human.person, 0.7),
    }
    assert (
        humans.step(*frames(40, person(1, speaks=True, share=0.7, visibility=0.93))).matches == ()
    ), 'not changed enough'
    changed = humans.step(*frames(80, person(1, speaks=True, share=0.7, visibility=0.6))).matches
    assert [(m.kind, m.confidence) for m in changed] == [('face', 0.6)]
    gone = humans.step(*frames(700, person(1, seen=False))).matches
    assert [(m.kind, m.part, m.confidence) for m in gone] == [('face', human.face, 0.0)]
    repeated = humans.step(*frames(1020, person(1, seen=False))).matches
    assert [(m.kind, m.part) for m in repeated] == [('voice', human.voice)], (
        'once a second, for who came late'
    )
    ended = humans.step(*frames(1040)).matches
    assert [(m.kind, m.part, m.confidence) for m in ended] == [('voice', human.voice, 0.0)]


def test_two_people_who_swap_places_keep_who_they_are():
    humans = Humans()
    before = {
        h.track.id: h.person
        for h in humans.step(*frames(0, person(1, x=1.0), person(2, x=2.0))).people
    }
    after = {
        h.track.id: h.person
        for h in humans.step(*frames(40, person(2, x=1.0), person(1, x=2.0))).people
    }
    assert before == after and len(set(before.values())) == 2


def test_a_restarted_tracker_does_not_give_old_names_to_new_people():
    """The tracker counts from 1 again.

    A looped bag or a crash must not make a stranger somebody known.
    """
    humans = Humans()
    before = one(humans, 60_000, person(1, speaks=True))
    restarted = humans.step(*frames(0, person(1, speaks=True)))
    assert restarted.people[0].person != before.person
    assert {(m.part, m.confidence) for m in restarted.matches if m.confidence == 0} == {
        (before.face, 0.0),
        (before.voice, 0.0),
    }


def test_a_tracker_that_died_and_came_back_brings_new_people():
    """Its stamps go on, its ids start at 1 again.

    A stranger confirmed under a known number is not that person.
    """
    humans = Humans()
    before = one(humans, 0, person(1, last_seen=5_000))
    assert one(humans, 40, person(1, seen=False, last_seen=5_000)).person == before.person
    assert one(humans, 80, person(1, last_seen=4_000)).person != before.person
    known = one(humans, 120, person(1, last_seen=6_000)).person
    assert (
        humans.step(*frames(160, person(1, state=LifeState.TENTATIVE, last_seen=7_000))).people
        == ()
    )
    assert one(humans, 200, person(1, last_seen=8_000)).person != known


@pytest.mark.parametrize(
    'changes',
    [
        {'face_gap_s': 0.0},
        {'seen_before_confidence': 1.0},
        {'voice_memory': 1.0},
        {'reset_after_s': -1.0},
    ],
)
def test_bad_settings_are_refused(changes):
    with pytest.raises(ValueError):
        HumansConfig(**changes)


def test_who_faces_whom_in_the_ids_of_persons():
    humans = Humans(seed=1)
    people = humans.step(*frames(0, person(1), person(2), person(3)))
    ids = {human.track.id: human.person for human in people.people}
    heads = HeadPoseFrame(
        people.stamp_ns,
        (
            HeadPoseEstimate(1, np.eye(3), facing=True, facing_probability=0.9),
            HeadPoseEstimate(2, np.eye(3), facing_probability=0.1, others={1: 0.8, 3: 0.1, 9: 1}),
            HeadPoseEstimate(3),
            HeadPoseEstimate(8, np.eye(3), facing=True),
        ),
    )
    assert gazes(people, heads) == [(ids[1], ''), (ids[2], ids[1])]
