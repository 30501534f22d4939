"""The topics that tell that the head turns: an IMU in it, and the joints that move it."""

from __future__ import annotations

import math

from sensor_msgs.msg import Imu, JointState

from av_perception.ros import qos
from av_perception.ros.conversions import ns_from_time
from av_perception.ros.parameters import Parameter
from av_perception.tracking.ego_motion import EgoMotion

MAX_TURN_RATE = Parameter('max_turn_rate', 0.3, "Turn rate in rad/s above which the head's own motors drown the sound: by imu, by the head profile's head_joints in "
                                                'joint_states, or by the transforms of reference_frame; 0 listens always.', 0.0, 10.0)


def listen_to_motion(node, motion: EgoMotion, head_joints: tuple[str, ...]) -> None:
    """Subscribe an active node to what tells of its head's motion. Not every head has an IMU or joints: their absence is no fault."""
    if node.value('max_turn_rate') <= 0:
        return

    def on_imu(message: Imu) -> None:
        rate = message.angular_velocity
        motion.note_rate(ns_from_time(message.header.stamp), math.hypot(rate.x, rate.y, rate.z))

    def on_joints(message: JointState) -> None:
        for name, angle in zip(message.name, message.position):
            if name in head_joints:
                motion.note_joint(ns_from_time(message.header.stamp), name, angle)

    node.subscribe(Imu, 'imu', on_imu, qos.MOTION, timeout_s=None)
    if head_joints:
        node.subscribe(JointState, 'joint_states', on_joints, qos.MOTION, timeout_s=None)
