# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Which tracks go with a sound, and where people have walked since."""

from dataclasses import replace

import numpy as np
from planted_voices import PERIOD_NS, START_NS, frames_of, track_at

from av_perception.geometry.rigid_transform import RigidTransform
from av_perception.interfaces import TrackFrame
from av_perception.separation.people_history import PeopleHistory

DELAY_NS = 120_000_000
HOME = RigidTransform()


def history(frames, pose=HOME):
    people = PeopleHistory(DELAY_NS * 1e-9)
    for frame in frames:
        people.follow(frame, pose)
    return people


def azimuth_deg(direction):
    return np.degrees(np.arctan2(direction[1], direction[0]))


def test_tracks_are_those_of_the_delay_before():
    frames = frames_of({1: 10.0}, 5) + frames_of({2: 20.0}, 10)[5:]
    people = history(frames)
    change_ns = START_NS + 5 * PERIOD_NS + DELAY_NS
    assert set(people.at(change_ns - 2_000_000)) == {1}
    assert set(people.at(change_ns)) == {2}, 'stamps that are equal but for rounding count'
    assert people.at(START_NS + DELAY_NS - 2_000_000) == {}


def test_what_later_tracks_cannot_change_is_known():
    people = history(frames_of({1: 10.0}, 3))
    newest_ns = START_NS + 2 * PERIOD_NS
    assert people.knows(newest_ns + DELAY_NS)
    assert not people.knows(newest_ns + DELAY_NS + 2_000_000)
    assert not PeopleHistory(0.1).knows(START_NS)


def test_people_walk_on():
    track = track_at(1, 0.0)
    walker = replace(track, mean=np.array([1.5, 0.0, 0.0, 0.0, 1.0, 0.0]))
    unseen = replace(walker, id=2, last_seen_ns=0)
    people = history([TrackFrame(START_NS, (walker, unseen), True)])
    found = people.at(START_NS + DELAY_NS + 30_000_000)
    assert abs(azimuth_deg(found[1]) - np.degrees(np.arctan2(0.15, 1.5))) < 1e-6
    assert abs(azimuth_deg(found[2])) < 1e-6, 'of who is only heard no velocity is known'


def test_directions_are_those_of_the_array_wherever_it_is():
    pose = RigidTransform(np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]), np.array([0.5, 0, 0]))
    found = history(frames_of({1: 0.0}, 5), pose).at(START_NS + DELAY_NS)
    np.testing.assert_allclose(found[1], [0.0, -1.0, 0.0], atol=1e-12)


def test_tracks_too_old_say_nothing():
    people = history(frames_of({1: 10.0}, 3))
    assert people.at(START_NS + 900_000_000) and people.at(START_NS + 2_000_000_000) == {}


def test_a_pose_that_nobody_knows_leaves_the_tracks_before():
    people = history(frames_of({1: 10.0}, 3))
    people.follow(frames_of({2: 10.0}, 4)[3], None)
    assert set(people.at(START_NS + 3 * PERIOD_NS + DELAY_NS)) == {1}


def test_a_bag_that_begins_again_forgets():
    people = history(frames_of({1: 10.0}, 60))
    people.follow(frames_of({2: 10.0}, 1)[0], HOME)
    assert set(people.at(START_NS + DELAY_NS)) == {2}
    assert people.knows(START_NS + 60 * PERIOD_NS), 'sound of the round before waits for nothing'


def test_memory_is_bounded():
    people = history(frames_of({1: 10.0}, 600))
    assert len(people._stamps) < 200
