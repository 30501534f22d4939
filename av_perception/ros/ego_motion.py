# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The topics that tell what the robot makes itself heard by.

That the head turns: an IMU in it, and the joints that move it. That the robot talks: `own_voice`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sensor_msgs.msg import Imu, JointState
from std_msgs.msg import Bool

from av_perception.ros import qos
from av_perception.ros.conversions import ns_from_time
from av_perception.ros.parameters import Parameter
from av_perception.synchronization.ego_motion import EgoMotion

if TYPE_CHECKING:
    from av_perception.ros.node import PerceptionNode

MAX_TURN_RATE = Parameter(
    'max_turn_rate',
    0.3,
    "Turn rate in rad/s above which the head's own motors drown the sound: by imu, by the head "
    "profile's head_joints in joint_states, or by the transforms of reference_frame; 0 listens "
    'always.',
    0.0,
    10.0,
)

LOOK_PERIOD_S = 1.0  # at who publishes
LOOKS = 2  # without a joint of the head, before that is told: arms may come more often
NOT_MEASURED = -1.0  # of a covariance of sensor_msgs/Imu
OWN_VOICE = 'own_voice'


def left_out(motion: EgoMotion, stamp_ns: int) -> str:
    """Name for the diagnostics why the sound of a moment is left out."""
    if motion.is_own_voice(stamp_ns):
        return 'sounds left out: the robot talks'
    return 'sounds left out: the head turns'


def listen_to_motion(
    node: PerceptionNode, motion: EgoMotion, head_joints: tuple[str, ...]
) -> None:
    """Subscribe an active node to what tells of its head's motion, and of the robot's own voice.

    Not every head has an IMU, joints or a voice: their absence is no fault.

    Parameters
    ----------
    node : PerceptionNode
        It has the parameter MAX_TURN_RATE.
    motion : EgoMotion
        What it hears goes there.
    head_joints : tuple of str
        Those of joint_states that turn the head; () does not listen to them.
    """

    def on_own_voice(message: Bool) -> None:
        motion.note_own_voice(node.now_ns(), message.data)

    def on_imu(message: Imu) -> None:
        motion.note_rate(ns_from_time(message.header.stamp), _turn_rate(message))

    # It says when something changes: silence of the topic is no fault.
    node.subscribe(Bool, OWN_VOICE, on_own_voice, qos.FEATURES, timeout_s=None)
    if node.value('max_turn_rate') > 0:
        node.subscribe(Imu, 'imu', on_imu, qos.MOTION, is_optional=True)
        if head_joints:
            _listen_to_joints(node, motion, head_joints)


def _listen_to_joints(
    node: PerceptionNode, motion: EgoMotion, head_joints: tuple[str, ...]
) -> None:
    """Subscribe to the joints that turn the head, and look now and then whether they come."""
    watch = _JointWatch(head_joints)
    topic = node.resolve_topic_name('joint_states')

    def on_joints(message: JointState) -> None:
        # A driver that does not stamp: its message tells of the moment at which it came.
        stamp_ns = ns_from_time(message.header.stamp) or node.now_ns()
        watch.note(message.name)
        _note_joints(motion, message, stamp_ns, head_joints)

    def look() -> None:
        _count_rivals(node, topic)
        if reason := watch.look():
            node.diagnostics.count(f'{topic} without the joints of the head', reason)

    node.subscribe(JointState, 'joint_states', on_joints, qos.MOTION, is_optional=True)
    node.every(LOOK_PERIOD_S, look)


class _JointWatch:
    """Tells where joint states come, but for a while none of the head: it has other names."""

    def __init__(self, head_joints: tuple[str, ...]):
        self._head_joints = head_joints
        self._others: Sequence[str] | None = None  # that came since the last joint of the head
        self._num_looks = 0

    def note(self, names: Sequence[str]) -> None:
        """Take the names of a message."""
        if any(name in self._head_joints for name in names):
            self._others = None
            self._num_looks = 0
        else:
            self._others = names

    def look(self) -> str:
        """Say, once a second, what is wrong; '' where nothing is."""
        self._num_looks += self._others is not None
        if self._num_looks < LOOKS:
            return ''
        came = ', '.join(list(self._others or ())[:8]) or 'no joint at all'
        return f"it brings {came}, the profile's head_joints are {', '.join(self._head_joints)}"


def _turn_rate(message: Imu) -> float:
    """Read how fast it turns [rad/s]. Raises ValueError for what is no number."""
    if message.angular_velocity_covariance[0] == NOT_MEASURED:
        raise ValueError(
            'it says that it measures no angular velocity (its covariance begins with -1): '
            'publish that of a gyroscope, or nothing'
        )
    velocity = message.angular_velocity
    rate = math.hypot(velocity.x, velocity.y, velocity.z)
    if not math.isfinite(rate):
        raise ValueError('its angular velocity is not finite')
    return rate


def _note_joints(
    motion: EgoMotion, message: JointState, stamp_ns: int, head_joints: tuple[str, ...]
) -> None:
    """Note the joints of the head. Raises ValueError for one without angle and velocity."""
    angles = _one_for_each_name(message.position, message)
    velocities = _one_for_each_name(message.velocity, message)
    for name, angle, velocity in zip(message.name, angles, velocities):
        if name not in head_joints:
            continue
        if not math.isfinite(angle) and not math.isfinite(velocity):
            raise ValueError(f'no angle and no velocity of the joint {name!r}')
        motion.note_joint(stamp_ns, name, angle, velocity)


def _count_rivals(node: PerceptionNode, topic: str) -> None:
    """Name in the diagnostics who else publishes a topic that only one node should."""
    publishers = node.get_publishers_info_by_topic(topic)
    if len(publishers) > 1:
        number = 'two' if len(publishers) == 2 else len(publishers)
        names = ', '.join(sorted(p.node_name for p in publishers))
        node.diagnostics.count(f'{number} nodes publish {topic}: {names}')


def _one_for_each_name(field: Sequence[float], message: JointState) -> Sequence[float]:
    """Give a field of the message, one value for each name; NaN when it is not filled in."""
    return field if len(field) == len(message.name) else [math.nan] * len(message.name)
