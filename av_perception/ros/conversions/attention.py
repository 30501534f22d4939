# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Whom to look at."""

from __future__ import annotations

import math

import numpy as np
from av_perception_msgs import msg as av
from geometry_msgs.msg import Point, PointStamped

from av_perception.interfaces import Attention, AttentionReason
from av_perception.ros.conversions.arrays import xyz
from av_perception.ros.conversions.headers import header, ns_from_time, time_from_ns


def attention_to_msg(attention: Attention, frame_id: str) -> av.Attention:
    """Convert an Attention to its message; the target of nobody is NaN."""
    target = Point(x=math.nan, y=math.nan, z=math.nan)
    if attention.target is not None:
        target = Point(**xyz(attention.target))
    return av.Attention(
        header=header(attention.stamp_ns, frame_id),
        reason=attention.reason.value,
        id=attention.id,
        target=target,
        since=time_from_ns(attention.since_ns),
    )


def attention_from_msg(message: av.Attention) -> Attention:
    """Convert a message to an Attention.

    Raises
    ------
    ValueError
        For a reason that there is not, or somebody without a finite place.
    """
    target = None
    if message.id >= 0:
        point = message.target
        target = np.array([point.x, point.y, point.z])
        if not np.isfinite(target).all():
            raise ValueError(f'the target of person {message.id} is not finite')
    return Attention(
        ns_from_time(message.header.stamp),
        AttentionReason(message.reason),
        message.id,
        target,
        ns_from_time(message.since),
    )


def look_at_to_msg(attention: Attention, frame_id: str) -> PointStamped | None:
    """Make geometry_msgs/PointStamped of the target; None for nobody."""
    if attention.target is None:
        return None
    return PointStamped(
        header=header(attention.stamp_ns, frame_id), point=Point(**xyz(attention.target))
    )
