# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Whom people face: short stories with heads turned by known angles."""

import numpy as np
import pytest
from turned_heads import (
    CAMERA,
    FORWARD,
    TurnedMesh,
    face_at,
    frame,
    honest_model,
    track,
    true_rotation,
)

from av_perception.geometry.rigid_transform import RigidTransform
from av_perception.head_pose.estimator import HeadPoseConfig, HeadPoseEstimator
from av_perception.interfaces import LifeState

IMAGE = np.zeros((480, 640, 3), np.uint8)
AHEAD = (2.0, 0.0, 0.1)
LEFT = (2.0, 0.8, 0.0)


@pytest.fixture(scope='module')
def model():
    return honest_model()


def estimator(model, turns, config=None, **options):
    mesh = TurnedMesh(model.mesh.points, turns, **options)
    return HeadPoseEstimator(config or HeadPoseConfig(), CAMERA, mesh, model), mesh


def angle_between(a, b):
    return np.arccos(np.clip((np.trace(a.T @ b) - 1) / 2, -1, 1))


def heads_of(result):
    return {head.id: head for head in result.heads}


@pytest.mark.parametrize('position', [AHEAD, LEFT, (1.5, -0.7, -0.3)])
@pytest.mark.parametrize('turn', [(0, 0, 0), (0.4, 0.1, -0.1), (-0.5, -0.2, 0.2)])
def test_the_orientation_is_that_of_the_head_wherever_it_is(model, position, turn):
    ours, _ = estimator(model, {face_at(position): turn})
    for k in range(5):
        result = ours.step(frame(0.08 * k, track(1, position)), IMAGE, FORWARD)
    head = heads_of(result)[1]
    assert head.known and head.last_measured_ns == result.stamp_ns
    assert angle_between(head.rotation, true_rotation(position, turn)) < np.radians(1.0)
    assert np.linalg.eigvalsh(head.covariance).min() > 0


def test_who_looks_into_the_camera_faces_the_robot_and_who_looks_aside_does_not(model):
    turns = {face_at(AHEAD): (0, 0, 0), face_at(LEFT): (0.9, 0, 0)}
    ours, _ = estimator(model, turns)
    for k in range(3):
        result = ours.step(frame(0.08 * k, track(1, AHEAD), track(2, LEFT)), IMAGE, FORWARD)
    assert result.facing_ids == (1,)
    heads = heads_of(result)
    assert heads[1].facing_probability > 0.9 and heads[2].facing_probability < 0.05


def test_two_who_look_at_each_other(model):
    """Person 2 stands to the left of person 1 as the robot sees it: at 1's right hand."""
    toward = np.array(LEFT) - AHEAD
    forward = true_rotation(AHEAD, (0, 0, 0))
    aside = forward.T @ toward
    yaw = np.arctan2(aside[1], aside[0])
    back = true_rotation(LEFT, (0, 0, 0)).T @ -toward
    turns = {face_at(AHEAD): (yaw, 0, 0), face_at(LEFT): (np.arctan2(back[1], back[0]), 0, 0)}
    ours, _ = estimator(model, turns)
    for k in range(3):
        result = ours.step(frame(0.08 * k, track(1, AHEAD), track(2, LEFT)), IMAGE, FORWARD)
    heads = heads_of(result)
    assert yaw < -1.2, 'to the right hand'
    for one, other in ((1, 2), (2, 1)):
        if heads[one].known:  # a profile may be an outlier of the gate
            assert heads[one].others[other] > 0.4
            assert heads[one].facing_probability < 0.05
    assert result.facing_ids == ()


def test_who_is_only_heard_is_never_said_to_face_the_robot(model):
    ours, mesh = estimator(model, {face_at(AHEAD): (0, 0, 0)})
    unseen = track(1, AHEAD, seen=False, ever_seen=False)
    result = ours.step(frame(0, unseen), IMAGE, FORWARD)
    head = heads_of(result)[1]
    assert not head.known and not head.facing and np.isnan(head.facing_probability)
    assert head.last_measured_ns == 0 and not mesh.calls


def test_somebody_who_is_only_heard_is_no_target(model):
    ours, _ = estimator(model, {face_at(AHEAD): (0, 0, 0)})
    heard = track(2, LEFT, seen=False, ever_seen=False)
    result = ours.step(frame(0, track(1, AHEAD), heard), IMAGE, FORWARD)
    assert heads_of(result)[1].others == {}


def test_a_short_gap_is_predicted_and_a_long_one_is_unknown(model):
    ours, _ = estimator(model, {face_at(AHEAD): (0.2, 0, 0)})
    for k in range(5):
        first = ours.step(frame(0.08 * k, track(1, AHEAD)), IMAGE, FORWARD)
    hidden = track(1, AHEAD, seen=False)
    spreads, known = [np.trace(heads_of(first)[1].covariance)], []
    for k in range(5, 20):
        result = ours.step(frame(0.08 * k, hidden), IMAGE, FORWARD)
        head = heads_of(result)[1]
        known.append(head.known)
        if head.known:
            spreads.append(np.trace(head.covariance))
            assert head.last_measured_ns == first.stamp_ns
    assert known[5] and not known[-1]
    assert (np.diff(spreads) > 0).all(), 'less is known with every image'
    assert not head.facing and np.isnan(head.facing_probability)


def test_an_outlier_turns_nobodys_head(model):
    turns = {face_at(AHEAD): (0.1, 0, 0)}
    ours, mesh = estimator(model, turns)
    for k in range(12):
        mesh.turns[face_at(AHEAD)] = (-0.8, 0.3, 0.4) if k == 10 else (0.1, 0, 0)
        result = ours.step(frame(0.08 * k, track(1, AHEAD)), IMAGE, FORWARD)
        if k >= 3:
            head = heads_of(result)[1]
            error = angle_between(head.rotation, true_rotation(AHEAD, (0.1, 0, 0)))
            assert error < np.radians(3.0), k
    assert ours.counters['outliers'] == 1


def test_a_head_that_really_turned_is_believed_after_a_moment(model):
    ours, mesh = estimator(model, {face_at(AHEAD): (0.3, 0, 0)})
    for k in range(25):
        if k == 10:
            mesh.turns[face_at(AHEAD)] = (-0.4, 0, 0)
        result = ours.step(frame(0.08 * k, track(1, AHEAD)), IMAGE, FORWARD)
    head = heads_of(result)[1]
    assert head.known
    assert angle_between(head.rotation, true_rotation(AHEAD, (-0.4, 0, 0))) < np.radians(3.0)


def test_the_robots_own_turn_does_not_turn_the_person(model):
    """The camera turns by 30 degrees in a second: the person keeps looking where it was."""
    ours, mesh = estimator(model, {})
    truth = true_rotation(AHEAD, (0.3, 0.1, 0))
    for k in range(13):
        yaw = np.radians(30) * k / 12
        turned = RigidTransform.from_xyz_rpy((0, 0, 0), (0, 0, yaw)) @ FORWARD
        place = tuple(CAMERA.project(turned.inverse().apply(np.array(AHEAD))))
        relative = true_rotation(AHEAD, (0, 0, 0), turned).T @ truth
        angles = np.array(
            [
                np.arctan2(relative[1, 0], relative[0, 0]),
                -np.arcsin(relative[2, 0]),
                np.arctan2(relative[2, 1], relative[2, 2]),
            ]
        )
        mesh.turns = {place: angles}
        one = track(1, AHEAD)
        box = np.array([place[0] - 30, place[1] - 30, 60.0, 60.0])
        one = type(one)(**{**vars(one), 'box': box if k < 9 else None, 'seen': k < 9})
        result = ours.step(frame(0.08 * k, one), IMAGE, turned)
        error = angle_between(heads_of(result)[1].rotation, truth)
        assert error < np.radians(1.5), k


def test_hysteresis_keeps_a_face_from_flickering(model):
    ours, mesh = estimator(model, {face_at(AHEAD): (0, 0, 0)})
    said, since = [], []
    edge = np.radians(15.0)
    for k in range(40):
        swing = edge + np.radians(0.3) * (-1) ** (k // 2)
        mesh.turns[face_at(AHEAD)] = (0 if k < 5 else swing, 0, 0)
        result = ours.step(frame(0.08 * k, track(1, AHEAD)), IMAGE, FORWARD)
        said.append(result.heads[0].facing)
        since.append(result.heads[0].since_ns)
    assert said[4]
    assert sum(a != b for a, b in zip(said[4:], said[5:])) <= 1
    assert len(set(since)) <= 3


def test_faces_that_are_small_or_hidden_are_not_measured(model):
    ours, mesh = estimator(model, {face_at(AHEAD): (0, 0, 0)})
    ours.step(frame(0, track(1, AHEAD, size=15.0)), IMAGE, FORWARD)
    assert not mesh.calls and ours.counters['faces too small'] == 1
    near = track(2, AHEAD, size=90.0)
    result = ours.step(frame(0.08, track(1, AHEAD, size=60.0), near), IMAGE, FORWARD)
    assert ours.counters['faces hidden'] == 1
    assert not heads_of(result)[1].known and heads_of(result)[2].known


def test_what_is_no_face_gives_no_pose(model):
    ours, _ = estimator(model, {face_at(AHEAD): (0, 0, 0)}, noise=15.0)
    result = ours.step(frame(0, track(1, AHEAD)), IMAGE, FORWARD)
    assert not result.heads[0].known
    assert ours.counters['faces that fit no mean face'] == 1


def test_many_faces_take_turns(model):
    places = [(2.0, 0.25 * k - 0.75, 0.0) for k in range(7)]
    ours, mesh = estimator(
        model, {face_at(p): (0, 0, 0) for p in places}, HeadPoseConfig(faces_per_image=2)
    )
    tracks = [track(k, place, size=20.0 + 10) for k, place in enumerate(places)]
    for k in range(4):
        result = ours.step(frame(0.08 * k, *tracks), IMAGE, FORWARD)
    assert all(head.known for head in result.heads)
    assert mesh.calls <= 3 * 2 * 4


def test_without_an_image_all_is_predicted(model):
    ours, mesh = estimator(model, {face_at(AHEAD): (0, 0, 0)})
    ours.step(frame(0, track(1, AHEAD)), IMAGE, FORWARD)
    calls = mesh.calls
    result = ours.step(frame(0.08, track(1, AHEAD)), None, FORWARD)
    assert mesh.calls == calls and result.heads[0].known


def test_a_bag_that_begins_again_begins_again(model):
    ours, _ = estimator(model, {face_at(AHEAD): (0, 0, 0)})
    for k in range(3):
        ours.step(frame(100 + 0.08 * k, track(1, AHEAD)), IMAGE, FORWARD)
    result = ours.step(frame(0, track(1, AHEAD, seen=False)), IMAGE, FORWARD)
    assert not result.heads[0].known and result.heads[0].last_measured_ns == 0


def test_sleepers_have_no_head_pose_and_hostile_boxes_are_left_out(model):
    ours, _ = estimator(model, {face_at(AHEAD): (0, 0, 0)})
    asleep = track(1, AHEAD, seen=False, state=LifeState.SLEEPING)
    broken = track(2, AHEAD)
    broken.box[:] = np.nan
    result = ours.step(frame(0, asleep, broken), IMAGE, FORWARD)
    assert [head.id for head in result.heads] == [2] and not result.heads[0].known


@pytest.mark.parametrize(
    'fields',
    [
        {'facing_angle_deg': 0.0},
        {'facing_on': 0.3, 'facing_off': 0.5},
        {'longest_gap_s': 0.0},
        {'faces_per_image': 0},
        {'largest_residual': 0.0},
        {'largest_hidden_share': 2.0},
    ],
)
def test_configurations_that_make_no_sense_are_refused(fields):
    with pytest.raises(ValueError):
        HeadPoseConfig(**fields)
