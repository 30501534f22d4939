# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Head poses as messages: random ones come back, any rotation does, cut lists are refused."""

from __future__ import annotations

import numpy as np
import pytest
from av_perception_msgs import msg as av
from rclpy.serialization import deserialize_message, serialize_message
from scipy.spatial.transform import Rotation

from av_perception.interfaces import HeadPoseEstimate, HeadPoseFrame
from av_perception.ros.conversions.head_poses import (
    head_pose_frame_from_msg,
    head_pose_frame_to_msg,
)

STAMP_NS = 1_700_000_000_999_999_999


def sent(*heads):
    """The message of a frame, as it comes over the wire."""
    message = head_pose_frame_to_msg(HeadPoseFrame(STAMP_NS, heads), 'odom')
    return deserialize_message(serialize_message(message), av.HeadPoseArray)


def turned(turn, **fields):
    return HeadPoseEstimate(1, turn.as_matrix(), 0.01 * np.eye(3), STAMP_NS, 0.75, **fields)


def turns():
    """Half turns, at which one formula for quaternions divides by zero, and random ones."""
    halves = [Rotation.from_rotvec(np.pi * axis) for axis in np.eye(3)]
    almost = [Rotation.from_rotvec((np.pi - 1e-9) * axis) for axis in -np.eye(3)]
    return [Rotation.identity(), *halves, *almost, *Rotation.random(20, random_state=0)]


@pytest.mark.parametrize('turn', turns())
def test_every_rotation_is_a_unit_quaternion_and_comes_back(turn):
    message = sent(turned(turn))
    q = message.heads[0].orientation
    wire = np.array([q.x, q.y, q.z, q.w])
    assert np.linalg.norm(wire) == pytest.approx(1.0, abs=1e-12)
    assert abs(wire @ turn.as_quat()) == pytest.approx(1.0, abs=1e-12), 'by SciPy'
    (found,) = head_pose_frame_from_msg(message).heads
    np.testing.assert_allclose(found.rotation, turn.as_matrix(), atol=1e-12)


@pytest.mark.parametrize('seed', range(4))
def test_random_crowds_come_back(seed):
    random = np.random.default_rng(seed)
    crowd = []
    for i in range(random.integers(1, 9)):
        spread = random.normal(0, 0.1, (3, 3))
        others = {int(j): float(np.float32(random.uniform())) for j in range(20, 20 + i)}
        probability = float(np.float32(random.uniform()))
        rotation = Rotation.random(random_state=int(random.integers(100))).as_matrix()
        stamps = random.integers(0, STAMP_NS, 2).tolist()
        is_facing = bool(random.integers(2))
        crowd.append(
            HeadPoseEstimate(
                i,
                rotation,
                spread @ spread.T,
                stamps[0],
                probability,
                is_facing,
                stamps[1],
                others,
            )
        )
    frame = HeadPoseFrame(STAMP_NS, tuple(crowd))
    message = sent(*crowd)
    found = head_pose_frame_from_msg(message)
    assert found.stamp_ns == STAMP_NS and message.header.frame_id == 'odom'
    assert found.facing_ids == frame.facing_ids == tuple(message.facing_ids)
    for head, expected in zip(found.heads, crowd, strict=True):
        np.testing.assert_allclose(head.rotation, expected.rotation, atol=1e-12)
        np.testing.assert_array_equal(head.covariance, expected.covariance)
        for name in ('id', 'last_measured_ns', 'facing_probability', 'facing', 'since_ns'):
            assert getattr(head, name) == getattr(expected, name), name
        assert head.others == expected.others and list(head.others) == list(expected.others)


def test_nobody_is_an_empty_message():
    message = sent()
    assert not message.heads and not message.facing_ids
    assert head_pose_frame_from_msg(message) == HeadPoseFrame(STAMP_NS, ())


def test_what_was_known_long_ago_is_a_stamp_and_no_orientation():
    message = sent(HeadPoseEstimate(4, last_measured_ns=STAMP_NS - 10**10))
    (found,) = head_pose_frame_from_msg(message).heads
    assert found.rotation is None and not found.known and not found.facing and not found.others
    assert np.isnan(found.facing_probability) and np.isnan(found.covariance).all()
    assert found.last_measured_ns == STAMP_NS - 10**10


def test_an_orientation_that_is_said_to_be_unknown_is_not_read():
    message = sent(turned(Rotation.identity()))
    message.heads[0].known = False
    message.heads[0].orientation.w = float('nan')
    assert head_pose_frame_from_msg(message).heads[0].rotation is None


@pytest.mark.parametrize('scale', [0.0, 0.5, 2.0, np.inf])
def test_a_quaternion_of_another_length_is_refused(scale):
    message = sent(turned(Rotation.identity()))
    message.heads[0].orientation.w = scale
    with pytest.raises(ValueError, match='has not length 1'):
        head_pose_frame_from_msg(message)


@pytest.mark.parametrize('ids, probabilities', [([2, 3], [0.5]), ([2], [0.5, 0.25]), ([], [1.0])])
def test_a_list_of_probabilities_that_is_cut_short_is_refused(ids, probabilities):
    message = sent(turned(Rotation.identity()))
    message.heads[0].other_ids = ids
    message.heads[0].other_probabilities = probabilities
    with pytest.raises(ValueError):
        head_pose_frame_from_msg(message)
