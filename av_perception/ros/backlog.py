# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What waits in the queue of a subscription, and how much of it is too old to be of use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rclpy.subscription import Subscription

from av_perception.geometry.time import nanoseconds, seconds
from av_perception.ros.conversions import ns_from_time


def take_waiting(subscription: Subscription) -> list[tuple[object, int]]:
    """Take what waits behind the message that the executor has just handed over.

    Parameters
    ----------
    subscription : rclpy.subscription.Subscription
        At most the depth of its queue is taken.

    Returns
    -------
    list of tuple
        (message, when it was sent [ns of the sender's clock]), oldest first.
    """
    waiting = []
    with subscription.handle:
        for _ in range(subscription.qos_profile.depth):
            taken = subscription.handle.take_message(subscription.msg_type, subscription.raw)
            if taken is None:
                break
            waiting.append((taken[0], taken[1]['source_timestamp']))
    return waiting


def outdated(messages: Sequence[tuple[Any, int]], limit_s: float | None) -> tuple[int, float]:
    """Count the stamped messages at the head of a queue that lie too far behind the newest.

    Parameters
    ----------
    messages : sequence of tuple
        (message, when it was sent [ns]), oldest first.
    limit_s : float or None
        How far behind a message may be [s]; None: as far as it likes.

    Returns
    -------
    count : int
        So many of the oldest are of no use; see `num_outdated`.
    behind_s : float
        How far the oldest is behind the newest [s], 0 where all are of use.
    """
    if limit_s is None or len(messages) < 2:
        return 0, 0.0
    stamps_ns = [ns_from_time(message.header.stamp) for message, _ in messages]
    count = num_outdated(stamps_ns, [sent_ns for _, sent_ns in messages], limit_s)
    return count, seconds(stamps_ns[-1] - stamps_ns[0]) if count else 0.0


def num_outdated(stamps_ns: Sequence[int], sent_ns: Sequence[int], limit_s: float) -> int:
    """Count the messages at the head of a queue that lie too far behind the newest.

    Both must say so: the stamps, or a bag played at a tenth of its pace would lose sound to a
    pause that is nothing in its own time; and the times of sending, or one played ten times as
    fast would lose it to a pause of a twentieth of a second. Our own clock has no say: the
    sender's may differ, and a bag's is of another day.

    Parameters
    ----------
    stamps_ns, sent_ns : sequence of int
        Of the messages, oldest first [ns].
    limit_s : float
        How far behind a message may be [s].

    Returns
    -------
    int
        So many of the oldest are of no use.
    """
    limit_ns = nanoseconds(limit_s)
    count = 0
    for stamp, sent in zip(stamps_ns, sent_ns):
        if min(stamps_ns[-1] - stamp, sent_ns[-1] - sent) <= limit_ns:
            break
        count += 1
    return count
