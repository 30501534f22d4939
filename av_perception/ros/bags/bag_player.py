# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Plays a bag into the graph, byte for byte, at its own pace or faster."""

from __future__ import annotations

import importlib
import threading
import time
from collections import Counter
from pathlib import Path

from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message, serialize_message
from rosgraph_msgs.msg import Clock

from av_perception.errors import UserError
from av_perception.ros.bags.bag_file import (
    GraphInputs,
    TypeStore,
    foreign_definition,
    open_bag,
    read_messages,
)
from av_perception.ros.bringup.graph import OWN_FRAMES
from av_perception.ros.conversions import time_from_ns

CLOCK_PERIOD_S = 0.01  # of wall time: timers of nodes that run on the bag's time stay smooth
LATCHED_TOPICS = ('/tf_static',)
DEPTH = 50


def message_class(type_name: str):
    """The Python class of 'package/msg/Name'. Raises UserError when its package is not installed."""
    package, _, name = type_name.partition('/msg/')
    try:
        return getattr(importlib.import_module(f'{package}.msg'), name)
    except (ImportError, AttributeError) as error:
        raise UserError(
            f'the message type {type_name} is not installed: install the package {package}'
        ) from error


def deserialized(data: bytes, type_name: str):
    """The message of a type in its serialized form. Raises ValueError when the bytes hold none."""
    if not data:
        raise ValueError('empty')
    kind = message_class(type_name)
    try:
        return deserialize_message(bytes(data), kind)
    except Exception as error:  # RMWError, MemoryError, UnicodeDecodeError, as the damage is
        raise ValueError('damaged or cut') from error


class BagPlayer:
    """Publishes a bag's messages in their order at `rate` times their pace, with /clock when asked.

    inputs: play only these, under the names they say, and of /tf nothing that the suite publishes itself; None plays everything.
    skipped: why a topic is not played. dropped: messages that are none, by topic and reason.
    """

    def __init__(
        self,
        node,
        path: Path,
        topics: tuple[str, ...] = (),
        clock: bool = False,
        inputs: GraphInputs | None = None,
    ):
        self._node, self._reader = node, open_bag(path)
        self._filters_transforms = inputs is not None
        wanted = inputs.topics if inputs else {c.topic: c.topic for c in self._reader.connections}
        self._connections = [
            c
            for c in self._reader.connections
            if c.topic in wanted and (not topics or c.topic in topics) and c.topic != '/clock'
        ]
        self._publishers, self.skipped = {}, {}
        self.dropped: Counter = Counter()
        store = TypeStore()
        for connection in self._connections:
            try:
                foreign = foreign_definition(connection, store)
                if foreign:
                    raise UserError(f'{foreign}: play it with the version that recorded it')
                self._publishers[connection.topic] = node.create_publisher(
                    message_class(connection.msgtype),
                    wanted[connection.topic],
                    _profile(connection),
                )
            except UserError as error:
                self.skipped[connection.topic] = str(error)
        self._connections = [c for c in self._connections if c.topic in self._publishers]
        self._clock = node.create_publisher(Clock, '/clock', 10) if clock else None
        self.duration_s = 1e-9 * self._reader.duration
        self.message_count = sum(c.msgcount for c in self._connections)

    def wait_for_listeners(
        self, names: frozenset[str], timeout_s: float, stopping: threading.Event
    ) -> list[str]:
        """Wait until somebody subscribes to each of these topics; returns those to which nobody does."""
        deadline = time.monotonic() + timeout_s
        while True:
            lonely = sorted(name for name in names if not self._node.count_subscribers(name))
            if not lonely or time.monotonic() > deadline or stopping.wait(0.1):
                return lonely

    def play(
        self, rate: float, progress=lambda seconds: None, stopping: threading.Event | None = None
    ) -> None:
        """Blocks until the end or until `stopping` is set. progress(seconds of the bag played)."""
        pace = _Pace(self._reader.start_time, rate, self._clock, stopping or threading.Event())
        for connection, stamp_ns, data in read_messages(self._reader, self._connections):
            if not pace.wait_for(stamp_ns):
                return
            data = self._filtered(connection, bytes(data))
            if data is not None:
                self._publishers[connection.topic].publish(data)
            progress(1e-9 * (stamp_ns - self._reader.start_time))

    def _filtered(self, connection, data: bytes) -> bytes | None:
        """Transforms without those of the suite's own frames; None when nothing is left.

        What is no message is dropped: a listener that cannot read it would end.
        """
        try:
            message = deserialized(data, connection.msgtype)
        except ValueError as error:
            self.dropped[f'{connection.topic}: {error}'] += 1
            return None
        if not self._filters_transforms or connection.topic != '/tf':
            return data
        kept = [t for t in message.transforms if not t.child_frame_id.startswith(OWN_FRAMES)]
        if len(kept) == len(message.transforms):
            return data
        message.transforms = kept
        return serialize_message(message) if kept else None

    def close(self) -> None:
        """Close the file."""
        self._reader.close()


class _Pace:
    """Maps the bag's time to now, and tells it on /clock while waiting."""

    def __init__(self, first_ns: int, rate: float, clock, stopping: threading.Event):
        self._first_ns, self._rate, self._clock, self._stopping = first_ns, rate, clock, stopping
        self._started, self._told_s = time.monotonic(), 0.0

    def wait_for(self, stamp_ns: int) -> bool:
        """Until the moment of a stamp; False when stopped."""
        due_s = self._started + 1e-9 * (stamp_ns - self._first_ns) / self._rate
        while not self._stopping.is_set():
            now_s = time.monotonic()
            if self._clock is not None and now_s - self._told_s >= CLOCK_PERIOD_S:
                self._told_s = now_s
                self._clock.publish(
                    Clock(
                        clock=time_from_ns(
                            self._first_ns
                            + round(1e9 * (min(now_s, due_s) - self._started) * self._rate)
                        )
                    )
                )
            if now_s >= due_s:
                return True
            self._stopping.wait(min(due_s - now_s, CLOCK_PERIOD_S))
        return False


def _profile(connection) -> QoSProfile:
    """What the publishers of a recorded topic offered, as far as the bag knows; our queue is deep."""
    offered = getattr(connection.ext, 'offered_qos_profiles', ())
    profile = QoSProfile(depth=DEPTH)
    if connection.topic in LATCHED_TOPICS or (
        offered and all(o.durability.value == DurabilityPolicy.TRANSIENT_LOCAL for o in offered)
    ):
        profile.durability = DurabilityPolicy.TRANSIENT_LOCAL
    if offered and all(o.reliability.value == ReliabilityPolicy.BEST_EFFORT for o in offered):
        profile.reliability = ReliabilityPolicy.BEST_EFFORT
    return profile
