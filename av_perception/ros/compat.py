"""What a ROS environment made of wheels lacks, kept in one place: message_filters and tf2_ros."""

from __future__ import annotations

from collections import OrderedDict

from tf2_msgs.msg import TFMessage

from av_perception.ros import qos
from av_perception.ros.conversions import ns_from_time


class ExactStampPairs:
    """Pairs messages of two topics whose stamps are equal, like message_filters.TimeSynchronizer.

    Feed it through `first(message)` and `second(message)`; `on_pair(first, second)` is called for each pair in order of completion, and
    `on_drop()` for every message whose partner never came (more than `depth` newer ones waited behind it).
    """

    def __init__(self, on_pair, on_drop, depth: int = 5):
        self._on_pair, self._on_drop, self._depth = on_pair, on_drop, depth
        self._waiting: tuple[OrderedDict, OrderedDict] = (OrderedDict(), OrderedDict())

    def first(self, message) -> None:
        """A message of the first topic."""
        self._add(0, message)

    def second(self, message) -> None:
        """A message of the second topic."""
        self._add(1, message)

    def _add(self, side: int, message) -> None:
        stamp = ns_from_time(message.header.stamp)
        partner = self._waiting[1 - side].pop(stamp, None)
        if partner is not None:
            self._on_pair(*((message, partner) if side == 0 else (partner, message)))
            return
        self._waiting[side][stamp] = message
        if len(self._waiting[side]) > self._depth:
            self._waiting[side].popitem(last=False)
            self._on_drop()


class TransformBroadcaster:
    """Publishes transforms on /tf, or latched on /tf_static, as tf2_ros does."""

    def __init__(self, node, static: bool = False):
        self._publisher = node.publisher(TFMessage, '/tf_static' if static else '/tf', qos.LATCHED if static else 100)

    def send(self, transforms: list) -> None:
        """Publish a list of geometry_msgs/TransformStamped."""
        self._publisher.publish(TFMessage(transforms=transforms))
