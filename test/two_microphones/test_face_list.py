# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Faces keep their id while they are found near their last place, and leave when they are not."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from av_perception.interfaces import LifeState
from av_perception.two_microphones.face_list import FaceList, FaceListConfig

COVARIANCE = np.diag([0.01, 0.02, 0.03])
PERIOD_NS = 40_000_000


def see(faces, frame, *places):
    count = len(places)
    boxes = np.arange(4.0) + 10 * np.arange(count)[:, None]
    faces.see(
        frame * PERIOD_NS,
        np.array(places, float).reshape(-1, 3),
        np.tile(COVARIANCE, (count, 1, 1)),
        boxes,
    )
    faces.advance(frame * PERIOD_NS)


def report(faces, frame, heard=None):
    count = len(faces.positions)
    heard = np.zeros(count, bool) if heard is None else np.array(heard)
    return faces.report(frame * PERIOD_NS, np.linspace(0, 1, count), heard)


def ids(faces, frame=0):
    return [track.id for track in report(faces, frame)]


def test_new_faces_get_new_ids_in_their_order():
    faces = FaceList()
    see(faces, 0, (2, 0, 0), (2, 1, 0))
    assert ids(faces) == [1, 2] and faces.covariances.shape == (2, 3, 3)
    assert faces.positions.tolist() == [[2, 0, 0], [2, 1, 0]]


def test_the_order_in_the_image_does_not_matter():
    places = [(2.0, 0.0, 0.0), (2.0, 1.0, 0.0), (2.0, -1.0, 0.0)]
    for order in itertools.permutations(range(3)):
        faces = FaceList()
        see(faces, 0, *places)
        see(faces, 1, *(np.add(places[i], (0, 0.1, 0)) for i in order))
        assert ids(faces) == [1, 2, 3]
        np.testing.assert_allclose(faces.positions, np.add(places, (0, 0.1, 0)))


@pytest.mark.parametrize('step, known', [(0.299, True), (0.301, False)])
def test_a_face_moves_no_farther_than_the_gate_between_images(step, known):
    faces = FaceList(FaceListConfig(gate_m=0.3, confirm_hits=1))
    see(faces, 0, (2, 0, 0))
    see(faces, 1, (2, step, 0))
    assert ids(faces) == ([1] if known else [1, 2])


def test_of_two_faces_near_a_known_one_the_nearer_is_it():
    faces = FaceList()
    see(faces, 0, (2, 0, 0))
    see(faces, 1, (2, 0.2, 0), (2, 0.1, 0))
    assert ids(faces) == [1, 2]
    np.testing.assert_allclose(faces.positions, [[2, 0.1, 0], [2, 0.2, 0]])


@pytest.mark.parametrize('seed', range(4))
def test_pairs_are_those_of_taking_the_nearest_first(seed):
    random = np.random.default_rng(seed)
    known = random.uniform(0, 0.6, (5, 3))
    found = random.uniform(0, 0.6, (6, 3))
    faces = FaceList(FaceListConfig(confirm_hits=1))
    see(faces, 0, *known)
    # The reference: go through all pairs by distance, and give each face away once.
    distances = np.linalg.norm(known[:, None] - found, axis=2)
    expected = {}
    for k, m in sorted(np.ndindex(5, 6), key=lambda pair: distances[pair]):
        if distances[k, m] < 0.3 and k not in expected and m not in expected.values():
            expected[k] = m
    see(faces, 1, *found)
    for k, m in expected.items():
        np.testing.assert_array_equal(faces.positions[k], found[m])
    assert len(faces.positions) == 5 + 6 - len(expected)


def test_a_person_is_confirmed_by_sightings_and_a_stranger_leaves_at_once():
    faces = FaceList(FaceListConfig(confirm_hits=3))
    states = []
    for frame in range(4):
        see(faces, frame, (2, 0, 0))
        states.append(report(faces, frame)[0].state)
    assert states == [LifeState.TENTATIVE] * 2 + [LifeState.ACTIVE] * 2
    see(faces, 4, (2, 0, 0), (4, 0, 0))
    see(faces, 5, (2, 0, 0))
    assert ids(faces, 5) == [1], 'seen once, missed once'


@pytest.mark.parametrize('missed, stays', [(25, True), (26, False)])
def test_a_confirmed_person_stays_for_a_second(missed, stays):
    faces = FaceList(FaceListConfig(keep_s=1.0, confirm_hits=1))
    see(faces, 0, (2, 0, 0))
    see(faces, missed)
    assert len(faces.positions) == stays


def test_ids_are_never_used_again():
    faces = FaceList(FaceListConfig(confirm_hits=1))
    see(faces, 0, (2, 0, 0))
    faces.forget()
    assert faces.positions.shape == (0, 3) and faces.covariances.shape == (0, 3, 3)
    see(faces, 1, (2, 0, 0))
    assert ids(faces, 1) == [2]


def test_a_face_that_is_not_found_may_have_moved_since():
    faces = FaceList(FaceListConfig(confirm_hits=1, speed_sd=0.5))
    see(faces, 0, (2, 0, 0))
    (now,) = report(faces, 0)
    (later,) = report(faces, 20)
    np.testing.assert_allclose(now.covariance[:3, :3], COVARIANCE)
    np.testing.assert_allclose(later.covariance[:3, :3], COVARIANCE + 0.4**2 * np.eye(3))
    np.testing.assert_allclose(later.covariance[3:, 3:], 0.25 * np.eye(3))
    assert now.seen and not now.predicted and now.visibility == 1
    assert later.predicted and not later.seen and later.box is None and later.visibility == 0
    assert later.last_seen_ns == 0 and later.mean.tolist() == [2, 0, 0, 0, 0, 0]


def test_who_was_heard_is_remembered():
    faces = FaceList(FaceListConfig(confirm_hits=1))
    see(faces, 1, (2, 0, 0), (2, 1, 0))
    first, second = report(faces, 1, [False, True])
    assert (first.heard, second.heard) == (False, True)
    assert (first.audio_responsibility, second.audio_responsibility) == (0, 1)
    assert (first.last_heard_ns, second.last_heard_ns) == (0, PERIOD_NS)
    first, second = report(faces, 2, [False, False])
    assert second.last_heard_ns == PERIOD_NS and second.predicted
    assert report(faces, 3, [True, False])[0].predicted is False


def test_no_faces_are_no_tracks():
    faces = FaceList()
    see(faces, 0)
    assert report(faces, 0) == ()
