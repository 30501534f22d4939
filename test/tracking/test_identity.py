# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Ids that survive.

People leave the view and come back, hide behind each other, or have two tracks.
"""

from __future__ import annotations

import numpy as np
import pytest
from tracking_scenes import HEAD, direction_to, face_at, image, sound_from, sound_map, stamp, watch

from av_perception.interfaces import Face
from av_perception.robot_head.sensor_poses import SensorPoses
from av_perception.tracking.state_space.cartesian_head import CartesianHead, CartesianHeadConfig
from av_perception.tracking.track_management.re_identification import (
    ReIdentification,
    ReIdentificationConfig,
)
from av_perception.tracking.track_management.track_set import TrackSet
from av_perception.tracking.track_management.visual_birth import Birth
from av_perception.tracking.tracker import Tracker, TrackerConfig

SOUND = sound_map()
CONFIG = ReIdentificationConfig()
HALF_VIEW = 0.55  # rad, a little less than HEAD's camera sees


def nearest_id(frame, position):
    """The id of the track next to a position, None when none is within 30 cm."""
    track = min(frame.tracks, key=lambda t: np.linalg.norm(t.mean[:3] - position), default=None)
    return (
        track.id if track is not None and np.linalg.norm(track.mean[:3] - position) < 0.3 else None
    )


def in_view(position):
    return abs(np.arctan2(position[1], position[0])) < HALF_VIEW


def look_of(rng, size=8):
    vector = rng.normal(size=size)
    return vector / np.linalg.norm(vector)


def leaves_and_returns(seed, absent_s=5.0, elsewhere=False, looks=(None, None)):
    """Walk out of view and come back after absent_s, at the same edge or at the other.

    Returns whether the id is the same.
    """
    rng, tracker = np.random.default_rng(seed), Tracker(TrackerConfig(), HEAD)
    depth, speed = rng.uniform(1.5, 2.5), rng.uniform(0.02, 0.04)
    side = -1 if elsewhere else 1
    edge = int(np.ceil(depth * np.tan(HALF_VIEW) / speed)) + 25
    away = round(absent_s * 25)

    def where(f):
        if f < edge + away / 2:
            return np.array([depth, speed * max(0, f - 25), 0.1])
        return np.array([depth, side * speed * max(0, 2 * edge + away - f - 25), 0.1])

    def faces(f):
        look = looks[0] if f < edge + away / 2 else looks[1]
        return [face_at(where(f), rng, look)] if f <= edge or f >= edge + away else []

    first = nearest_id(watch(tracker, range(edge), faces), where(edge - 1))
    last = watch(tracker, range(edge, edge + away + 30), faces)
    return first is not None and nearest_id(last, where(edge + away + 29)) == first


@pytest.mark.slow
def test_who_leaves_the_view_for_five_seconds_comes_back_with_the_same_id():
    assert np.mean([leaves_and_returns(seed) for seed in range(10)]) >= 0.9


@pytest.mark.slow
def test_a_known_look_is_recognized_at_the_other_side_of_the_view():
    look = look_of(np.random.default_rng(0))
    assert all(
        leaves_and_returns(seed, absent_s=7.0, elsewhere=True, looks=(look, look))
        for seed in range(5)
    )


@pytest.mark.slow
def test_another_look_in_the_same_place_is_somebody_else():
    rng = np.random.default_rng(1)
    assert not any(
        leaves_and_returns(seed, looks=(look_of(rng), look_of(rng))) for seed in range(5)
    )


def two_come_back(seed):
    """Whether both have their ids after they came back, shifted to the side."""
    rng, tracker = np.random.default_rng(seed), Tracker(TrackerConfig(), HEAD)
    pair = [np.array([2.0, -0.3, 0.1]), np.array([2.0, 0.3, 0.1])]
    # Both come back shifted: the left one to where the right one was.
    shift = np.array([0.0, 0.35, 0.0])
    before = watch(tracker, range(20), lambda f: [face_at(p, rng) for p in pair])
    after = watch(
        tracker, range(120, 140), lambda f: [face_at(p + shift, rng) for p in pair[::-1]]
    )
    return [nearest_id(after, p + shift) for p in pair] == [nearest_id(before, p) for p in pair]


@pytest.mark.slow
def test_two_who_come_back_at_once_are_not_confused():
    """One by one, the first birth would take the nearest person, who fits the second better."""
    kept = sum(two_come_back(seed) for seed in range(10))
    assert kept >= 9


def hidden_person_keeps_id(seed, rear_depth):
    """Whether both have their ids after one was hidden behind the other."""
    rng, tracker = np.random.default_rng(seed), Tracker(TrackerConfig(), HEAD)
    front = np.array([1.8, 0.05, 0.1])

    def rear(f):
        return np.array([rear_depth, np.interp(f, [10, 30, 155, 180], [0.6, 0.1, 0.1, 0.6]), 0.15])

    def faces(f):
        hidden = abs(rear(f)[1] / rear_depth - front[1] / 1.8) < 0.08
        return [face_at(front, rng)] + ([] if hidden else [face_at(rear(f), rng)])

    before, after = watch(tracker, range(20), faces), watch(tracker, range(20, 200), faces)
    return [nearest_id(after, p) for p in (front, rear(199))] == [
        nearest_id(before, p) for p in (front, rear(19))
    ]


@pytest.mark.slow
@pytest.mark.parametrize('rear_depth', [2.3, 3.0])
def test_the_hidden_person_keeps_the_id_behind_another_for_five_seconds(rear_depth):
    """Hidden while standing, the rear person steps aside into view."""
    kept = sum(hidden_person_keeps_id(seed, rear_depth) for seed in range(5))
    assert kept == 5


@pytest.mark.slow
def test_one_minute_of_crossing_hiding_and_leaving_has_no_id_switch():
    """Three people without appearance.

    Two cross every 6 s at different depths, the third leaves the view for 5 s three times.
    """
    switches = 0
    rng, tracker = np.random.default_rng(3), Tracker(TrackerConfig(), HEAD)

    def where(f):
        swing = 0.6 * np.sin(2 * np.pi * f / 300)
        aside = np.interp(f % 500, [0, 200, 250, 325, 375], [0.0, 0.0, 2.4, 2.4, 0.0])
        return [
            np.array([1.6, swing, 0.05]),
            np.array([2.1, -swing, 0.15]),
            np.array([2.8, -0.9 - aside, 0.1]),
        ]

    def faces(f):
        people = where(f)
        hidden = (
            abs(people[0][1] / people[0][0] - people[1][1] / people[1][0]) < 0.06
        )  # the first stands before the second
        return [
            face_at(p, rng)
            for i, p in enumerate(people)
            if in_view(p) and not (i == 1 and hidden) and rng.random() > 0.05
        ]

    ids = [None] * 3
    for f in range(1500):
        frame = watch(tracker, [f], faces)
        for i, p in enumerate(where(f)):
            now = nearest_id(frame, p) if in_view(p) else None
            if now is not None:
                switches += ids[i] is not None and now != ids[i]
                ids[i] = now
    assert None not in ids
    assert switches <= 1


def population(*means, ids=None, never_seen=()):
    """Active people at (x, y, z) with 5 cm of uncertainty; never_seen: indices of rays."""
    mean = np.zeros((len(means), 6))
    mean[:, :3] = means
    people = TrackSet.from_faces(
        ids or range(1, len(means) + 1),
        mean,
        np.tile(0.0025 * np.eye(6), (len(means), 1, 1)),
        np.zeros((len(means), 0)),
        np.tile([0.0, 0.0, 10.0, 10.0], (len(means), 1)),
        stamp(0),
    )
    people.last_seen[list(never_seen)] = 0
    return people


def doubles(people, seen, frames=CONFIG.duplicate_frames):
    """Who counts as a double after so many frames alike."""
    identity = ReIdentification(CONFIG, CartesianHead(CartesianHeadConfig(), HEAD))
    for _ in range(frames):
        result = identity.duplicates(people, np.array(seen), SensorPoses.of_head(HEAD))
    return result.tolist()


class TestDuplicates:
    """Of two tracks on one person the worse founded one dies."""

    def test_the_unseen_one_dies_whatever_its_age(self):
        assert doubles(population([2, 0, 0], [2.05, 0, 0]), [False, True]) == [True, False]
        assert doubles(population([2, 0, 0], [2.05, 0, 0]), [True, False]) == [False, True]

    def test_of_two_unseen_ones_the_younger_dies(self):
        assert doubles(population([2, 0, 0], [2.05, 0, 0], ids=[7, 4]), [False, False]) == [
            True,
            False,
        ]

    def test_it_takes_a_while(self):
        people = population([2, 0, 0], [2.05, 0, 0])
        assert doubles(people, [True, False], frames=19) == [False, False]
        people.mean[1, 1] = 1.0
        assert doubles(people, [True, False], frames=1) == [
            False,
            False,
        ] and people.doubled.tolist() == [0, 0]

    def test_neighbors_and_two_faces_are_two_people(self):
        assert doubles(population([2, 0, 0], [2, 0.2, 0]), [True, False]) == [False, False]
        apart = population([2, 0, 0], [2.05, 0, 0])
        apart.box[1, 0] = 50.0
        assert doubles(apart, [True, True]) == [False, False]

    def test_two_boxes_on_one_face_are_one_person(self):
        assert doubles(population([2, 0, 0], [2.05, 0, 0]), [True, True]) == [False, True]

    def test_other_looks_are_other_people(self):
        people = population([2, 0, 0], [2.05, 0, 0])
        people.embedding = np.eye(2)
        assert doubles(people, [True, False]) == [False, False]
        people.embedding = np.ones((2, 2)) / np.sqrt(2)
        assert doubles(people, [True, False]) == [False, True]

    def test_a_ray_through_a_person_is_that_person(self):
        assert doubles(
            population([1.2, 0.1, 0.1], [2, 0, 0.1], never_seen=[0]), [False, False]
        ) == [True, False]
        assert doubles(
            population([1.2, 0.5, 0.1], [2, 0, 0.1], never_seen=[0]), [False, False]
        ) == [False, False]


def birth_at(position, embedding=()):
    mean, covariance = np.zeros(6), 0.0004 * np.eye(6)
    mean[:3] = position
    return Birth(mean, covariance, np.asarray(embedding, float), np.zeros(4), 20.0)


class TestMatch:
    """Which absent person a newly found face is."""

    def match(self, people, births, candidates=None, absent_s=1.0):
        identity = ReIdentification(
            ReIdentificationConfig(), CartesianHead(CartesianHeadConfig(), HEAD)
        )
        now = stamp(0) + round(absent_s * 1e9)
        chosen = np.ones(len(people), bool) if candidates is None else np.array(candidates)
        return identity.match(people, births, chosen, SensorPoses.of_head(HEAD), now).tolist()

    def test_the_nearest_within_reach(self):
        people = population([2, 0, 0], [2, 1.0, 0])
        assert self.match(people, [birth_at([2, 0.8, 0])]) == [1]
        assert self.match(people, [birth_at([2, -4.0, 0])]) == [-1]
        assert self.match(people, [birth_at([2, 0.8, 0])], candidates=[True, False]) == [0]
        assert self.match(people, []) == [] and self.match(
            population([2, 0, 0]), [birth_at([2, 0, 0])], [False]
        ) == [-1]

    def test_jointly_for_several_faces(self):
        people = population([2, -0.3, 0], [2, 0.3, 0])
        assert self.match(people, [birth_at([2, 0.65, 0]), birth_at([2, 0.05, 0])]) == [1, 0]

    def test_a_ray_at_any_distance(self):
        people = population([2, 0.4, 0.1], never_seen=[0])
        for distance in (0.8, 2.0, 5.0):
            assert self.match(people, [birth_at(np.array([2, 0.4, 0.1]) * distance / 2)]) == [0]
        assert self.match(people, [birth_at([2, -0.6, 0.1])]) == [-1]

    def test_a_ray_that_points_to_the_floor(self):
        """Regression: the face above a voice that was heard too low was a stranger.

        A flat array heard the talker 19 degrees too low.
        """
        people = population([1.8, 0.6, -0.6], never_seen=[0])
        assert self.match(people, [birth_at([1.8, 0.6, 0.15])]) == [0]

    def test_looks_decide_where_both_are_known(self):
        people = population([2, 0, 0], [2, 0.2, 0])
        people.embedding = np.eye(2)
        assert self.match(people, [birth_at([2, 0.2, 0], [1.0, 0.0])]) == [0]
        assert self.match(people, [birth_at([2, 0.2, 0], [-0.7, -0.7])]) == [-1]
        assert self.match(people, [birth_at([2, 5.0, 0], [1.0, 0.0])], absent_s=4.0) == [0]
        assert self.match(people, [birth_at([2, 5.0, 0])], absent_s=4.0) == [-1]


def test_a_ghost_beside_its_person_goes_and_the_person_stays():
    """A false second face a head away becomes a track and slides onto the true one.

    It stays there: one of the two tracks is left.
    """
    rng, tracker = np.random.default_rng(2), Tracker(TrackerConfig(), HEAD)

    def faces(f):
        true = face_at([2.0, 0.0, 0.1], rng)
        if f < 10:
            return [true]
        ghost = face_at([2.0, np.interp(f, [25, 45], [0.25, 0.03]), 0.1], rng)
        return [
            true,
            Face(ghost.box, ghost.score, ghost.landmarks, ghost.position, ghost.covariance),
        ]

    assert len(watch(tracker, range(20), faces).tracks) == 2
    frame = watch(tracker, range(20, 80), faces)
    assert [t.id for t in frame.tracks] == [1]


@pytest.mark.slow
def test_partial_view_with_sound_only_and_back():
    """Seen, then in the blind strip while speaking, then seen again.

    In between the error is that of sound alone.
    """
    kept = 0
    for seed in range(2):
        rng, tracker = np.random.default_rng(seed), Tracker(TrackerConfig(), HEAD, SOUND)

        def where(f):
            angle = np.interp(f, [25, 60, 160, 195], [0.0, 1.2, 1.2, 0.0])
            return 1.8 * np.array([np.cos(angle), np.sin(angle), 0.05])

        errors, ids = [], set()
        for f in range(230):
            faces = [face_at(where(f), rng)] if in_view(where(f)) else []
            frame = tracker.step(
                stamp(f), image(f, *faces), sound_from(SOUND, f, [direction_to(where(f))], rng)
            )
            ids |= {t.id for t in frame.tracks}
            if not faces and f > 25:
                errors += [
                    np.degrees(
                        np.arctan2(t.mean[1], t.mean[0]) - np.arctan2(where(f)[1], where(f)[0])
                    )
                    for t in frame.tracks
                ]
        kept += ids == {1}
        assert np.sqrt(np.mean(np.square(errors))) < 4
    assert kept == 2


@pytest.mark.parametrize('gap_s', [5.0, pytest.param(20.0, marks=pytest.mark.slow)])
@pytest.mark.parametrize('is_heard', [False, True], ids=['nothing comes', 'sound comes'])
def test_a_gap_of_images_is_no_sign_that_anybody_left(gap_s, is_heard):
    """Two people drifted by the speed guessed last, and came back with each other's id."""
    rng, tracker = np.random.default_rng(0), Tracker(TrackerConfig(), HEAD, SOUND)
    places = [np.array([1.4, -0.35, 0.1]), np.array([1.4, 0.35, 0.1])]
    first, gap = 75, round(25 * gap_s)

    def faces(f):
        return [face_at(place, rng) for place in places]

    def sound(f):
        return sound_from(SOUND, f, [direction_to(places[1])], rng)

    before = watch(tracker, range(first), faces, sound)
    ids = [nearest_id(before, place) for place in places]
    if is_heard:
        meanwhile = watch(tracker, range(first, first + gap), lambda f: None, sound)
        where = {track.id: track.mean[:3] for track in meanwhile.tracks}
        assert np.linalg.norm(where[ids[0]] - places[0]) < 0.3, 'the silent one stays'
    after = watch(tracker, range(first + gap, first + gap + 10), faces, sound)
    assert [nearest_id(after, place) for place in places] == ids and None not in ids
    assert all(track.seen for track in after.tracks) and len(after.tracks) == 2


def test_who_is_not_seen_for_minutes_without_images_is_forgotten():
    tracker = Tracker(TrackerConfig(), HEAD, SOUND)
    rng = np.random.default_rng(0)
    watch(tracker, range(50), lambda f: [face_at(np.array([1.5, 0.0, 0.1]), rng)])
    silence = {f: sound_from(SOUND, f, [None], rng, 0.0) for f in range(50, 50 + 25 * 80, 25)}
    counts = [len(tracker.step(stamp(f), None, audio).tracks) for f, audio in silence.items()]
    assert counts[55] == 1 and counts[-1] == 0
