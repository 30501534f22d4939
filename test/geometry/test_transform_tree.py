# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Frames in time against SciPy's interpolation and products by hand, and what it says when a pose
is not known.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation, Slerp

from av_perception.geometry.rigid_transform import RigidTransform
from av_perception.geometry.transform_tree import (
    TransformTree,
    TransformUnavailable,
    interpolated,
    turn_rate,
)
from av_perception.synchronization.ego_motion import EgoMotion

SECOND = 10**9


def pose(seed):
    rng = np.random.default_rng(seed)
    return RigidTransform(Rotation.random(random_state=seed).as_matrix(), rng.normal(size=3))


def yaw(angle):
    return RigidTransform.from_xyz_rpy((0, 0, 0), (0, 0, angle))


def assert_same(a, b):
    np.testing.assert_allclose(a.rotation, b.rotation, atol=1e-9)
    np.testing.assert_allclose(a.translation, b.translation, atol=1e-9)


@pytest.mark.parametrize('seed', range(20))
def test_quaternions_are_those_of_scipy_up_to_sign(seed):
    quaternion, wanted = (
        pose(seed).quaternion_xyzw,
        Rotation.from_matrix(pose(seed).rotation).as_quat(),
    )
    assert min(np.abs(quaternion - wanted).max(), np.abs(quaternion + wanted).max()) < 1e-12


@pytest.mark.parametrize('axis', np.vstack([np.eye(3), np.zeros(3)]))
def test_quaternions_of_half_turns(axis):
    turn = Rotation.from_rotvec(np.pi * axis)
    np.testing.assert_allclose(
        Rotation.from_quat(RigidTransform(turn.as_matrix()).quaternion_xyzw).as_matrix(),
        turn.as_matrix(),
        atol=1e-12,
    )


@pytest.mark.parametrize('share', [0.0, 0.3, 0.77, 1.0])
@pytest.mark.parametrize('seed', range(5))
def test_interpolation_is_scipys_slerp(seed, share):
    first, second = pose(seed), pose(seed + 100)
    wanted = Slerp([0, 1], Rotation.from_matrix([first.rotation, second.rotation]))(
        share
    ).as_matrix()
    between = interpolated(first, second, share)
    np.testing.assert_allclose(between.rotation, wanted, atol=1e-9)
    np.testing.assert_allclose(
        between.translation, (1 - share) * first.translation + share * second.translation
    )


def tree():
    """odom -> base (moving) -> head (moving) -> camera (static); base -> array (static)."""
    made = TransformTree()
    for k in range(5):
        made.add('odom', 'base', k * SECOND, pose(k))
        made.add('base', 'head', k * SECOND + SECOND // 2, pose(10 + k))
    made.add_static('head', 'camera', pose(20))
    made.add_static('base', 'array', pose(21))
    return made


def test_a_pose_is_the_product_of_those_on_the_way():
    base, head = interpolated(pose(1), pose(2), 0.75), interpolated(pose(11), pose(12), 0.25)
    now = SECOND + 3 * SECOND // 4
    assert_same(tree().pose('odom', 'camera', now), base @ head @ pose(20))
    assert_same(tree().pose('camera', 'array', now), (head @ pose(20)).inverse() @ pose(21))
    assert_same(tree().pose('array', 'array', now), RigidTransform())
    assert_same(tree().pose('base', 'array', 99 * SECOND), pose(21))


def test_the_order_of_arrival_does_not_matter():
    late = TransformTree()
    for k in (0, 2, 1):
        late.add('odom', 'base', k * SECOND // 2, pose(k))
    assert_same(late.pose('odom', 'base', SECOND // 4), interpolated(pose(0), pose(1), 0.5))


def test_what_is_not_known_is_named_and_whether_it_may_come():
    made = tree()
    for target, source, stamp, text, may_come in (
        ('odom', 'camera', 5 * SECOND, "'head' is 0.500 s older", True),
        ('odom', 'base', -SECOND, "'base' is 1.000 s newer", False),
        ('map', 'base', 0, "nobody publishes the frame 'map'", True),
    ):
        with pytest.raises(TransformUnavailable, match=text) as caught:
            made.pose(target, source, stamp)
        assert caught.value.may_come is may_come
    made.add_static('world', 'table', pose(3))
    with pytest.raises(TransformUnavailable, match='not connected'):
        made.pose('table', 'base', 0)
    assert (
        made.newest_ns('odom', 'camera') == 4 * SECOND
        and made.newest_ns('base', 'array') is None
        and made.newest_ns('map', 'base') is None
    )


def test_a_frame_whose_time_jumps_back_forgets_its_future():
    made = tree()
    made.add('odom', 'base', 0, pose(50))
    assert_same(made.pose('odom', 'base', 0), pose(50))
    with pytest.raises(TransformUnavailable):
        made.pose('odom', 'base', SECOND)
    assert_same(made.pose('base', 'array', 0), pose(21))


def test_a_foreign_frame_with_two_clocks_does_not_make_the_others_forget():
    """Regression: every jump back of any frame cleared the whole tree."""
    made = TransformTree()
    for k in range(50):
        made.add('odom', 'base', k * SECOND // 50, yaw(0.01 * k))
        made.add('odom', 'other', (k % 2) * 2 * SECOND, pose(1))
    assert_same(made.pose('odom', 'base', SECOND // 4), yaw(0.125))


@pytest.mark.parametrize('static', [True, False])
def test_a_frame_in_itself_is_refused(static):
    """Regression: Head on Head, as of a head whose microphones are given in its base frame, cut
    the head off the robot.
    """
    made = TransformTree()
    made.add('torso', 'Head', 0, pose(1))
    with pytest.raises(ValueError, match="'Head' hangs on itself"):
        made.add_static('Head', 'Head', RigidTransform()) if static else made.add(
            'Head', 'Head', 1, RigidTransform()
        )
    assert_same(made.pose('torso', 'Head', 0), pose(1))


def test_what_a_frame_was_said_to_be_last_holds():
    made = TransformTree()
    made.add_static('base', 'camera', pose(1))
    made.add('neck', 'camera', 0, pose(2))
    assert_same(made.pose('neck', 'camera', 0), pose(2))
    made.add_static('neck', 'camera', pose(3))
    assert_same(made.pose('neck', 'camera', 5 * SECOND), pose(3))


@pytest.mark.parametrize('quaternion', [(0, 0, 0, 0), (0, 0, 0, np.nan), (0, 0, 0, 1.1)])
def test_what_is_no_rotation_is_refused(quaternion):
    with pytest.raises(ValueError, match='length 1'):
        RigidTransform.from_quaternion((0, 0, 0), quaternion)


def test_quaternions_become_the_matrices_of_scipy():
    for quaternion in np.random.default_rng(4).normal(size=(20, 4)):
        quaternion /= np.linalg.norm(quaternion)
        np.testing.assert_allclose(
            RigidTransform.from_quaternion((1, 2, 3), quaternion).rotation,
            Rotation.from_quat(quaternion).as_matrix(),
            atol=1e-12,
        )


def test_a_loop_of_frames_ends():
    made = TransformTree()
    made.add_static('a', 'b', pose(1))
    with pytest.raises(ValueError, match="hang on itself: 'b' hangs on 'a'"):
        made.add_static('b', 'a', pose(2))
    with pytest.raises(TransformUnavailable):
        made.pose('c', 'a', 0)
    assert_same(made.pose('a', 'b', 0), pose(1))


def test_a_loop_that_somebody_published_once_cut_the_robot_in_two_for_good():
    made = tree()
    for k in range(5):
        with pytest.raises(ValueError, match='two nodes publish them'):
            made.add('head', 'odom', (40 + k) * SECOND // 10, pose(3))
    assert_same(made.pose('odom', 'base', SECOND), pose(1))


def test_a_tree_that_is_turned_round_is_believed_once_the_old_one_is_silent():
    made = TransformTree()
    made.add('odom', 'base', SECOND, pose(1))
    with pytest.raises(ValueError, match='hang on itself'):
        made.add('base', 'odom', SECOND + SECOND // 4, pose(2))
    made.add('base', 'odom', 2 * SECOND, pose(2))
    assert_same(made.pose('base', 'odom', 2 * SECOND), pose(2))


def test_poses_in_two_parents_were_taken_for_those_of_one():
    """A second node hung the robot's base on a frame of its own."""
    made = TransformTree()
    for k in range(10):
        made.add('odom', 'base', k * SECOND // 10, pose(1))
        with pytest.raises(ValueError, match="hangs on 'odom'.* on 'elsewhere': two nodes"):
            made.add('elsewhere', 'base', k * SECOND // 10 + 1, pose(2))
    assert_same(made.pose('odom', 'base', SECOND // 2 + 3), pose(1))
    made.add('elsewhere', 'base', 2 * SECOND, pose(2))
    assert_same(made.pose('elsewhere', 'base', 2 * SECOND), pose(2))
    with pytest.raises(TransformUnavailable):
        made.pose('elsewhere', 'base', SECOND // 2)


def test_things_that_come_and_go_under_new_names_filled_the_memory():
    made = TransformTree()
    for k in range(5000):
        made.add('odom', f'thing_{k}', k * SECOND // 10, pose(1))
        made.add('odom', 'base', k * SECOND // 10, pose(2))
    assert len(made._moving) < 1100 and len(made._parents) < 1100
    assert_same(made.pose('odom', 'base', 4999 * SECOND // 10), pose(2))


def test_only_ten_seconds_are_kept():
    made = TransformTree()
    for k in range(2000):
        made.add('odom', 'base', k * SECOND // 50, yaw(0.001 * k))
    assert len(made._moving['base'][0]) == 501
    with pytest.raises(TransformUnavailable):
        made.pose('odom', 'base', 20 * SECOND)


@pytest.mark.parametrize('angle', [0.0, 0.02, -0.7, 3.0])
def test_the_turn_rate_is_angle_over_time(angle):
    assert turn_rate(pose(3), pose(3) @ yaw(angle), 0.5) == pytest.approx(2 * abs(angle), abs=1e-6)


def test_sound_drowns_while_the_head_turns_and_a_little_after():
    for feed in (
        lambda m, k: m.note_pose(k * SECOND // 10, yaw(0.05 * k)),
        lambda m, k: m.note_joint(k * SECOND // 10, 'HeadYaw', -0.05 * k),
        lambda m, k: m.note_rate(k * SECOND // 10, 0.5),
    ):
        motion = EgoMotion(0.3, 0.2)
        for k in range(10):
            feed(motion, k)
        assert (
            motion.is_ego_noise(9 * SECOND // 10)
            and motion.is_ego_noise(SECOND + SECOND // 10)
            and not motion.is_ego_noise(SECOND + SECOND // 5)
        )
    still, deaf = EgoMotion(0.6, 0.2), EgoMotion(0.0, 0.2)
    for k in range(10):
        still.note_joint(k * SECOND // 10, 'HeadYaw', 0.05 * k)
        deaf.note_rate(k * SECOND // 10, 99.0)
    assert not still.is_ego_noise(9 * SECOND // 10) and not deaf.is_ego_noise(9 * SECOND // 10)


def test_a_turn_drowns_sound_that_comes_long_after_it():
    """Regression: only the newest moment of a turn counted, so that a replay at four times the
    speed, which lags, listened through the motors.
    """
    motion = EgoMotion(0.3, 0.2)
    for k in range(400):
        motion.note_rate(k * SECOND // 100, 1.0 if 100 <= k <= 200 or k >= 300 else 0.0)
    assert [motion.is_ego_noise(round(s * SECOND)) for s in (0.7, 0.9, 1.5, 2.1, 2.5, 3.5)] == [
        False,
        True,
        True,
        True,
        False,
        True,
    ]
    motion.note_rate(SECOND // 2, 0.0)
    assert not motion.is_ego_noise(3 * SECOND // 2), 'the clock was set back'
