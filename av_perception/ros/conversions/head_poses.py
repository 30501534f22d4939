# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""How heads are turned, and whom people face."""

from __future__ import annotations

import numpy as np
from av_perception_msgs import msg as av
from geometry_msgs.msg import Quaternion

from av_perception.geometry.rigid_transform import RigidTransform
from av_perception.interfaces import HeadPoseEstimate, HeadPoseFrame
from av_perception.ros.conversions.arrays import typed_array
from av_perception.ros.conversions.headers import header, ns_from_time, time_from_ns


def head_pose_frame_to_msg(frame: HeadPoseFrame, frame_id: str) -> av.HeadPoseArray:
    """Convert a HeadPoseFrame to its message."""
    return av.HeadPoseArray(
        header=header(frame.stamp_ns, frame_id),
        heads=[_head_to_msg(head) for head in frame.heads],
        facing_ids=list(frame.facing_ids),
    )


def _head_to_msg(head: HeadPoseEstimate) -> av.HeadPose:
    message = av.HeadPose(
        id=head.id,
        known=head.known,
        covariance=np.asarray(head.covariance, float).ravel(),
        last_measured=time_from_ns(head.last_measured_ns),
        facing_probability=float(head.facing_probability),
        facing=bool(head.facing),
        since=time_from_ns(head.since_ns),
        other_ids=list(head.others),
        other_probabilities=typed_array('f', list(head.others.values())),
    )
    if head.rotation is not None:
        x, y, z, w = map(float, RigidTransform(head.rotation).quaternion_xyzw)
        message.orientation = Quaternion(x=x, y=y, z=z, w=w)
    return message


def head_pose_frame_from_msg(message: av.HeadPoseArray) -> HeadPoseFrame:
    """Convert a message to a HeadPoseFrame.

    Raises
    ------
    ValueError
        When an orientation that is known is no rotation, or a list of probabilities is cut short.
    """
    return HeadPoseFrame(
        ns_from_time(message.header.stamp), tuple(_head_from_msg(head) for head in message.heads)
    )


def _head_from_msg(message: av.HeadPose) -> HeadPoseEstimate:
    rotation = None
    if message.known:
        turn = message.orientation
        quaternion = (turn.x, turn.y, turn.z, turn.w)
        rotation = RigidTransform.from_quaternion((0.0, 0.0, 0.0), quaternion).rotation
    others = dict(zip(message.other_ids, message.other_probabilities, strict=True))
    return HeadPoseEstimate(
        message.id,
        rotation,
        np.array(message.covariance, float).reshape(3, 3),
        ns_from_time(message.last_measured),
        message.facing_probability,
        message.facing,
        ns_from_time(message.since),
        {int(other): float(probability) for other, probability in others.items()},
    )
