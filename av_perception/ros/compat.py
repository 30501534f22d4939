# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What a ROS environment made of wheels lacks, kept in one place: message_filters and tf2_ros."""

from __future__ import annotations

import importlib.util
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from geometry_msgs.msg import TransformStamped
from tf2_msgs.msg import TFMessage

try:
    from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import PublisherEventCallbacks, SubscriptionEventCallbacks

from av_perception.geometry.time import nanoseconds
from av_perception.ros import qos
from av_perception.ros.conversions import ns_from_time

# rclpy's own handlers of quality-of-service events cost a fifth of every waking of the executor;
# our diagnostics name what does not match.
NO_PUBLISHER_EVENTS = PublisherEventCallbacks(use_default_callbacks=False)
NO_SUBSCRIPTION_EVENTS = SubscriptionEventCallbacks(use_default_callbacks=False)


class StampPairs:
    """Pairs messages of two topics by stamp, as message_filters' synchronizers do.

    Feed it through `first(message)` and `second(message)`.
    """

    def __init__(
        self,
        on_pair: Callable[[Any, Any], None],
        on_drop: Callable[[], None],
        tolerance_s: float = 0.0,
        depth: int = 5,
    ):
        """Start with nobody waiting.

        Parameters
        ----------
        on_pair : callable
            Called with (first, second) for each pair, in order of completion.
        on_drop : callable
            Called for every message whose partner never came: more than `depth` newer ones
            waited behind it, or a newer one was paired.
        tolerance_s : float
            How far the stamps of a pair may be apart [s]; of several partners the nearest is
            taken. 0 asks for equal stamps.
        depth : int
            So many messages of a topic wait.
        """
        self._on_pair = on_pair
        self._on_drop = on_drop
        self._tolerance_ns = nanoseconds(tolerance_s)
        self._depth = depth
        # Message by stamp [ns], of either topic.
        self._waiting: tuple[OrderedDict, OrderedDict] = (OrderedDict(), OrderedDict())

    def first(self, message) -> None:
        """Take a message of the first topic."""
        self._add(0, message)

    def second(self, message) -> None:
        """Take a message of the second topic."""
        self._add(1, message)

    def _add(self, side: int, message) -> None:
        stamp = ns_from_time(message.header.stamp)
        partner = self._take_partner(1 - side, stamp)
        if partner is not None:
            pair = (message, partner) if side == 0 else (partner, message)
            self._on_pair(*pair)
            return
        self._waiting[side][stamp] = message
        if len(self._waiting[side]) > self._depth:
            self._waiting[side].popitem(last=False)
            self._on_drop()

    def _take_partner(self, side: int, stamp: int):
        """Take out the nearest waiting message within the tolerance.

        Those before it go too: they are too late.
        """
        waiting = self._waiting[side]
        if not self._tolerance_ns:
            return waiting.pop(stamp, None)
        nearest = min(waiting, key=lambda other: abs(other - stamp), default=None)
        if nearest is None or abs(nearest - stamp) > self._tolerance_ns:
            return None
        for other in [other for other in waiting if other < nearest]:
            del waiting[other]
            self._on_drop()
        return waiting.pop(nearest)


class FilterPairs:
    """The same by message_filters, where a ROS distribution has it.

    message_filters says nothing of what it drops: that is counted from outside.
    """

    def __init__(
        self,
        on_pair: Callable[[Any, Any], None],
        on_drop: Callable[[], None],
        tolerance_s: float = 0.0,
        depth: int = 5,
    ):
        """See `StampPairs`."""
        import message_filters

        self._on_pair = on_pair
        self._on_drop = on_drop
        self._open = 0  # received, and neither paired nor known to be dropped
        self._filters = (message_filters.SimpleFilter(), message_filters.SimpleFilter())
        if tolerance_s:
            self._sync = message_filters.ApproximateTimeSynchronizer(
                self._filters, depth, tolerance_s
            )
        else:
            self._sync = message_filters.TimeSynchronizer(self._filters, depth)
        self._sync.registerCallback(self._pair)

    def first(self, message) -> None:
        """Take a message of the first topic."""
        self._add(0, message)

    def second(self, message) -> None:
        """Take a message of the second topic."""
        self._add(1, message)

    def _add(self, side: int, message) -> None:
        self._open += 1
        self._filters[side].signalMessage(message)
        waiting = sum(len(queue) for queue in self._sync.queues)
        for _ in range(self._open - waiting):
            self._on_drop()
        self._open = waiting

    def _pair(self, first, second) -> None:
        self._open -= 2
        self._on_pair(first, second)


def make_stamp_pairs(
    on_pair: Callable[[Any, Any], None], on_drop: Callable[[], None], tolerance_s: float = 0.0
) -> StampPairs | FilterPairs:
    """Make FilterPairs where message_filters is installed, else StampPairs."""
    if importlib.util.find_spec('message_filters') is None:
        return StampPairs(on_pair, on_drop, tolerance_s)
    return FilterPairs(on_pair, on_drop, tolerance_s)


class TransformBroadcaster:
    """Publishes transforms on /tf, or latched on /tf_static, as tf2_ros does."""

    def __init__(self, node, static: bool = False):
        """node: the PerceptionNode that publishes; static: on /tf_static."""
        topic = '/tf_static' if static else '/tf'
        self._publisher = node.publisher(TFMessage, topic, qos.LATCHED if static else 100)

    @property
    def is_heard(self) -> bool:
        """Whether anybody listens."""
        return self._publisher.get_subscription_count() > 0

    def send(self, transforms: list[TransformStamped]) -> None:
        """Publish transforms.

        Those of a frame in itself (microphones placed in the base frame) are left out: every
        listener would refuse them as an error.
        """
        own = [t for t in transforms if t.child_frame_id != t.header.frame_id]
        self._publisher.publish(TFMessage(transforms=own))
