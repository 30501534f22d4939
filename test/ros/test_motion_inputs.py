# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What the IMU and the joints must not say is counted with its reason; the rest still counts."""

from __future__ import annotations

import math

import pytest
from av_perception_msgs.msg import TrackArray
from geometry_msgs.msg import Vector3
from sensor_msgs.msg import Imu, JointState
from std_msgs.msg import Bool

from av_perception.nodes.tracker import TrackerNode
from av_perception.ros.conversions import header
from av_perception.ros.ego_motion import LOOKS, _JointWatch, left_out

SECOND = 10**9
START_NS = 10**12
INPUTS = {'imu': Imu, 'joint_states': JointState, 'own_voice': Bool}


@pytest.fixture()
def tracker(bench):
    """The tracker of a head with joints."""
    return bench(TrackerNode, INPUTS, ('tracks', TrackArray), head='simulated_turning')


def imu(rate, number=0):
    velocity = Vector3(x=rate, y=0.0, z=0.0)
    return Imu(header=header(START_NS + number * SECOND // 10, 'head'), angular_velocity=velocity)


def joints(names, number=0, **fields):
    stamp_ns = START_NS + number * SECOND // 10
    return JointState(header=header(stamp_ns, ''), name=names, **fields)


def reason(tracker, part):
    reasons = tracker.node.diagnostics._reasons
    return next((text for event, text in reasons.items() if part in event), '')


def test_an_angular_velocity_that_is_no_number_is_named(tracker):
    """Regression: NaN from an IMU was taken for a head that stands still, and nobody said so."""
    tracker.send('imu', imu(0.0), imu(math.nan, 1), imu(math.inf, 2))
    assert tracker.counted('dropped from /imu') == 2
    assert reason(tracker, '/imu') == 'its angular velocity is not finite'
    tracker.send('imu', imu(5.0, 3))
    assert tracker.node._motion.is_ego_noise(START_NS + 3 * SECOND // 10)
    assert tracker.counted('dropped from /imu') == 2


def test_an_imu_without_a_gyroscope_was_taken_for_a_head_that_never_turns(tracker):
    """ROS's mark of what is not measured is a covariance that begins with -1."""
    message = imu(0.0)
    message.angular_velocity_covariance[0] = -1.0
    tracker.send('imu', message)
    assert tracker.counted('dropped from /imu') == 1
    assert 'measures no angular velocity' in reason(tracker, '/imu')


def test_joint_states_of_other_names_were_taken_for_a_head_that_never_turns():
    watch = _JointWatch(('neck_yaw', 'neck_pitch'))
    watch.note(['elbow'])
    assert [watch.look() for _ in range(LOOKS - 1)] == [''] * (LOOKS - 1)
    assert watch.look() == "it brings elbow, the profile's head_joints are neck_yaw, neck_pitch"
    watch.note(['elbow', 'neck_pitch'])
    assert [watch.look() for _ in range(3 * LOOKS)] == [''] * 3 * LOOKS, 'one of them is enough'
    watch.note([])
    assert [watch.look() for _ in range(LOOKS)][-1].startswith('it brings no joint at all')


@pytest.mark.parametrize(
    'fields',
    [
        {'position': [math.nan, math.nan], 'velocity': [math.nan, math.nan]},
        {'position': [0.0]},
        {},
    ],
    ids=['NaN', 'fewer angles than names', 'nothing'],
)
def test_joints_that_say_nothing_are_named(tracker, fields):
    """Regression: joint states without angles were listened to in silence."""
    tracker.send('joint_states', joints(['head_pan', 'head_tilt'], **fields))
    assert tracker.counted('dropped from /joint_states') == 1
    assert "no angle and no velocity of the joint 'head_pan'" in reason(tracker, 'joint_states')


def test_joints_of_others_and_joints_with_either_are_no_fault(tracker):
    tracker.send(
        'joint_states',
        joints(['knee']),
        joints(['head_pan'], 1, position=[0.1]),
        joints(['head_pan'], 2, velocity=[0.1]),
    )
    assert tracker.counted('dropped from') == 0


def test_the_robot_says_that_it_talks(tracker):
    """Regression: there was no way to tell that the robot's own voice is nobody's."""
    motion = tracker.node._motion
    before_ns = tracker.node.now_ns() - SECOND
    tracker.send('own_voice', Bool(data=True))
    now_ns = tracker.node.now_ns()
    assert motion.is_own_voice(now_ns) and not motion.is_ego_noise(before_ns)
    assert left_out(motion, now_ns) == 'sounds left out: the robot talks'
    tracker.send('own_voice', Bool(data=False))
    assert not motion.is_own_voice(tracker.node.now_ns() + SECOND)
    assert left_out(motion, now_ns + SECOND) == 'sounds left out: the head turns'


def test_what_was_never_there_is_not_missed(tracker):
    monitors = {m.topic: m for m in tracker.node.diagnostics.monitors}
    for topic in ('/imu', '/joint_states'):
        monitors[topic]._listening_since -= 100
        monitors[topic].last -= 100
        assert monitors[topic].missing(tracker.node) is None
    tracker.send('imu', imu(0.0))
    monitors['/imu']._listening_since -= 100
    monitors['/imu'].last -= 100
    assert 'no message on /imu' in monitors['/imu'].missing(tracker.node)
