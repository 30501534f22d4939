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


def driver_stamp_ns(header: Header, what: str) -> int:
    """Read the stamp that a driver has given [ns].

    Parameters
    ----------
    header
        Of its message.
    what
        The message is of, for the error.

    Raises
    ------
    ValueError
        When it is none: 0, before 1970, or with more nanoseconds than a second has.
    """
    stamp = header.stamp
    if stamp.sec == 0 and stamp.nanosec == 0:
        raise ValueError(f'its stamp is 0: the driver does not stamp its {what}')
    if stamp.sec < 0:
        raise ValueError(f'its stamp is {stamp.sec} s: the driver gives its {what} no real time')
    if stamp.nanosec >= NANOSECONDS:
        raise ValueError(
            f'its stamp has {stamp.nanosec} nanoseconds beside the seconds: less than '
            f'{NANOSECONDS} are a stamp; the driver reckons in another unit'
        )
    return ns_from_time(stamp)


def header(stamp_ns: int, frame_id: str) -> Header:
    """Make a std_msgs/Header."""
    return Header(stamp=time_from_ns(stamp_ns), frame_id=frame_id)
