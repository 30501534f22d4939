# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Who is who by clothes and hair: absent people, strangers in their place, who swaps places."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from tracking_scenes import HEAD, face_at, stamp, watch

from av_perception.interfaces import APPEARANCE_SIZE, Face, VisualFeatures
from av_perception.robot_head.sensor_poses import SensorPoses
from av_perception.synchronization.detected_faces import usable_faces
from av_perception.tracking.state_space.cartesian_head import CartesianHead, CartesianHeadConfig
from av_perception.tracking.track_management.re_identification import (
    ReIdentification,
    ReIdentificationConfig,
)
from av_perception.tracking.track_management.track_set import TrackSet
from av_perception.tracking.track_management.visual_birth import Birth, BirthConfig
from av_perception.tracking.tracker import Tracker, TrackerConfig

RED = np.full(APPEARANCE_SIZE, 0.5)
BLUE = np.full(APPEARANCE_SIZE, -0.5)
LEFT = (2.0, 0.3, 0.0)
RIGHT = (2.0, -0.3, 0.0)
NOW = stamp(0) + 2 * 10**9


def identity(**changes):
    config = ReIdentificationConfig(**changes)
    return ReIdentification(config, CartesianHead(CartesianHeadConfig(), HEAD))


def tracks_at(*positions):
    """Tracks 1, 2... last seen at stamp(0)."""
    count = len(positions)
    means = np.zeros((count, 6))
    means[:, :3] = positions
    covariances = np.tile(0.0004 * np.eye(6), (count, 1, 1))
    return TrackSet.from_faces(
        range(1, count + 1),
        means,
        covariances,
        np.zeros((count, 0)),
        np.zeros((count, 4)),
        stamp(0),
    )


def birth_at(position, looks, samples=2):
    mean = np.append(position, np.zeros(3))
    rows = np.tile(looks, (samples, 1))
    return Birth(mean, 0.0004 * np.eye(6), np.zeros(0), np.zeros(4), 20.0, appearances=rows)


def matched(who, tracks, births):
    absent = np.ones(len(tracks), bool)
    return who.match(tracks, births, absent, SensorPoses.of_head(HEAD), NOW).tolist()


def seen_often(who, tracks, *looks):
    """Everybody is seen in ten images in which it is sure whose face is whose."""
    sure = np.eye(len(tracks))
    for _ in range(10):
        who.note_appearances(tracks.id, sure, np.array(looks), np.ones(len(tracks), bool))


def test_a_stranger_in_the_place_of_somebody_who_left_is_new():
    """Regression: by place alone a stranger got the id of who had been there before."""
    who = identity()
    tracks = tracks_at(LEFT)
    seen_often(who, tracks, RED)
    assert matched(who, tracks, [birth_at(LEFT, RED)]) == [0]
    assert matched(who, tracks, [birth_at(LEFT, BLUE)]) == [-1]
    blind = identity(use_appearance=False)
    seen_often(blind, tracks, RED)
    assert matched(blind, tracks, [birth_at(LEFT, BLUE)]) == [0]


def test_two_who_swap_places_while_hidden_keep_their_ids():
    who = identity()
    tracks = tracks_at(LEFT, RIGHT)
    seen_often(who, tracks, RED, BLUE)
    assert matched(who, tracks, [birth_at(LEFT, BLUE), birth_at(RIGHT, RED)]) == [1, 0]


def test_two_faces_in_one_image_are_never_one_person():
    who = identity()
    tracks = tracks_at(LEFT)
    seen_often(who, tracks, RED)
    both = matched(who, tracks, [birth_at(LEFT, RED), birth_at(RIGHT, RED)])
    assert sorted(both) == [-1, 0]


def test_who_is_alike_may_have_walked_on():
    far = np.array([2.0, -4.5, 0.0])
    who = identity()
    tracks = tracks_at(LEFT)
    assert matched(who, tracks, [birth_at(far, RED)]) == [-1]
    seen_often(who, tracks, RED)
    assert matched(who, tracks, [birth_at(far, RED)]) == [0]


def ids_of_who_comes(looks, undescribed, looks_wait=6):
    """The ids 10 images after somebody comes to where somebody in red left 2 s ago.

    The newcomer's first `undescribed` faces are cut by the border of the image.
    """
    birth = BirthConfig(looks_wait=looks_wait)
    tracker = Tracker(TrackerConfig(birth=birth), HEAD)

    def faces(f):
        if 30 <= f < 80:
            return []
        is_cut = 80 <= f < 80 + undescribed
        shown = RED if f < 30 else looks
        return [replace(face_at(LEFT), appearance=np.full_like(RED, np.nan) if is_cut else shown)]

    return [track.id for track in watch(tracker, range(90), faces).tracks if track.seen]


def test_who_comes_in_at_the_border_is_told_by_looks_that_show_soon():
    """Regression: before the border let go of a face, a stranger had the id of who left."""
    assert ids_of_who_comes(BLUE, 3, looks_wait=0) == [1]
    assert ids_of_who_comes(BLUE, 3) == [2]
    assert ids_of_who_comes(RED, 3) == [1]


def test_looks_that_never_show_are_not_waited_for_longer():
    assert ids_of_who_comes(RED, 10) == [1]


def test_one_sample_and_unsure_faces_decide_nothing():
    who = identity()
    tracks = tracks_at(LEFT)
    seen_often(who, tracks, RED)
    assert matched(who, tracks, [birth_at(LEFT, BLUE, samples=1)]) == [0]
    unsure = identity()
    for _ in range(10):
        unsure.note_appearances(tracks.id, np.array([[0.6]]), RED[None], np.ones(1, bool))
    assert matched(unsure, tracks, [birth_at(LEFT, BLUE)]) == [0]


def test_what_cannot_be_an_appearance_is_counted_and_left_out():
    def face(appearance):
        box = np.array([10.0, 10, 20, 26])
        place = np.array([0.0, 0, 2])
        return Face(
            box, 0.9, np.zeros((5, 2)), place, 1e-3 * np.eye(3), appearance=np.array(appearance)
        )

    counters: Counter = Counter()
    strange = RED.copy()
    strange[:3] = np.inf, -np.inf, 1e30
    features = VisualFeatures(1, (face(RED), face([1.0, 2.0]), face([]), face(strange)))
    rows = usable_faces(features, 0, counters).appearances
    assert counters['bad_appearances'] == 1
    np.testing.assert_array_equal(rows[0], RED)
    assert np.isnan(rows[1:3]).all() and np.isnan(rows[3, :3]).all()
    assert rows[3, 3:].tolist() == RED[3:].tolist()
    nobody = VisualFeatures(1, (face([]),))
    assert usable_faces(nobody, 0, counters).appearances.shape == (0, APPEARANCE_SIZE)


def test_configurations_that_make_no_sense_are_refused():
    with pytest.raises(ValueError):
        ReIdentificationConfig(appearance_evidence=-1.0)


def test_familiar_people_take_turns_and_new_ones_do_not_wait():
    who = identity()
    tracks = tracks_at(LEFT, RIGHT, (3.0, 0.0, 0.0))
    first = np.array([True, True, False])
    looks = np.array([RED, BLUE, 0 * RED])
    for _ in range(10):
        who.note_appearances(tracks.id, np.eye(3), looks, first)
    counts = [who._galleries.samples(k) for k in (1, 2, 3)]
    assert counts == [10, 10, 0]
    for _ in range(4):
        who.note_appearances(tracks.id, np.eye(3), looks, np.ones(3, bool))
    assert [who._galleries.samples(k) for k in (1, 2, 3)] == [12, 12, 4]
