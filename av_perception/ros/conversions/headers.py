# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Stamps and headers."""

from __future__ import annotations

from builtin_interfaces.msg import Time
from std_msgs.msg import Header

from av_perception.geometry.time import NANOSECONDS


def time_from_ns(stamp_ns: int) -> Time:
    """Convert nanoseconds to builtin_interfaces/Time."""
    sec, nanosec = divmod(int(stamp_ns), NANOSECONDS)
    return Time(sec=sec, nanosec=nanosec)


def ns_from_time(time: Time) -> int:
    """Convert builtin_interfaces/Time to nanoseconds."""
    return time.sec * NANOSECONDS + time.nanosec


def header(stamp_ns: int, frame_id: str) -> Header:
    """Make a std_msgs/Header."""
    return Header(stamp=time_from_ns(stamp_ns), frame_id=frame_id)
