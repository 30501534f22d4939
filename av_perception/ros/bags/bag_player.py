# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Plays a bag into the graph, byte for byte, at its own pace or faster."""

from __future__ import annotations

import importlib
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message, serialize_message
from rosgraph_msgs.msg import Clock

from av_perception.errors import UserError
from av_perception.geometry.time import nanoseconds, seconds
from av_perception.ros.bags.bag_file import (
    GraphInputs,
    TypeStore,
    foreign_definition,
    open_bag,
    read_messages,
)
from av_perception.ros.bags.older_messages import updated, updater
from av_perception.ros.bringup.graph import OWN_FRAMES
from av_perception.ros.conversions import time_from_ns

CLOCK_PERIOD_S = 0.01  # of wall time: timers of nodes that run on the bag's time stay smooth
LATCHED_TOPICS = ('/tf_static',)
DEPTH = 50


def message_class(type_name: str):
    """Import the Python class of 'package/msg/Name'.

    Raises
    ------
    UserError
        When its package is not installed.
    """
    package, _, name = type_name.partition('/msg/')
    try:
        return getattr(importlib.import_module(f'{package}.msg'), name)
    except (ImportError, AttributeError) as error:
        raise UserError(
            f'the message type {type_name} is not installed: install the package {package}'
        ) from error


def deserialized(data: bytes, type_name: str):
    """Read the message of a type from its serialized form.

    Raises
    ------
    ValueError
        When the bytes hold none.
    """
    if not data:
        raise ValueError('empty')
    kind = message_class(type_name)
    try:
        return deserialize_message(bytes(data), kind)
    except Exception as error:  # RMWError, MemoryError, UnicodeDecodeError, as the damage is
        raise ValueError('damaged or cut') from error


class BagPlayer:
    """Publishes a bag's messages in their order, with /clock when asked.

    Parameters
    ----------
    node : rclpy.node.Node
        It publishes.
    path : Path
        Bag folder, or a single .mcap or .db3 file.
    topics : tuple of str
        Play only these; () for all.
    clock : bool
        Publish the bag's time on /clock.
    inputs : GraphInputs or None
        Play only these, under the names they say, and of /tf nothing that the suite publishes
        itself; None plays everything.

    Raises
    ------
    UserError
        When the bag cannot be read.

    Attributes
    ----------
    skipped : dict of str to str
        Why a topic is not played.
    dropped : Counter
        Messages that are none, by topic and reason.
    duration_s : float
        Of the bag [s].
    message_count : int
        Of the topics that are played.
    """

    def __init__(
        self,
        node,
        path: Path,
        topics: tuple[str, ...] = (),
        clock: bool = False,
        inputs: GraphInputs | None = None,
    ):
        self._node = node
        self._reader = open_bag(path)
        self._filters_transforms = inputs is not None
        played = {c.topic: c.topic for c in self._reader.connections}
        if inputs is not None:
            played = inputs.topics
        self._publishers: dict[str, Publisher] = {}
        self._updates: dict[str, Callable[[bytes], bytes] | None] = {}
        self.skipped: dict[str, str] = {}
        self.dropped: Counter[str] = Counter()
        store = TypeStore()
        for connection in self._reader.connections:
            topic = connection.topic
            if topic not in played or topic == '/clock' or (topics and topic not in topics):
                continue
            try:
                self._publishers[topic] = self._publisher(connection, played[topic], store)
            except UserError as error:
                self.skipped[topic] = str(error)
        self._connections = [c for c in self._reader.connections if c.topic in self._publishers]
        self._clock = node.create_publisher(Clock, '/clock', 10) if clock else None
        self.duration_s = seconds(self._reader.duration)
        self.message_count = sum(c.msgcount for c in self._connections)

    def _publisher(self, connection, topic: str, store: TypeStore) -> Publisher:
        """Make the publisher of a recorded topic. Raises UserError."""
        foreign = foreign_definition(connection, store)
        if foreign:
            raise UserError(f'{foreign}: play it with the version that recorded it')
        self._updates[connection.topic] = updater(connection, store)
        kind = message_class(connection.msgtype)
        return self._node.create_publisher(kind, topic, _profile(connection))

    def wait_for_listeners(
        self, names: frozenset[str], timeout_s: float, stopping: threading.Event
    ) -> list[str]:
        """Wait until somebody subscribes to each of these topics.

        Parameters
        ----------
        names : frozenset of str
            The topics.
        timeout_s : float
            So long at most [s].
        stopping : threading.Event
            Ends the waiting.

        Returns
        -------
        list of str
            Those to which nobody does.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            lonely = sorted(name for name in names if not self._node.count_subscribers(name))
            if not lonely or time.monotonic() > deadline or stopping.wait(0.1):
                return lonely

    def play(
        self,
        rate: float,
        progress: Callable[[float], None] = lambda played_s: None,
        stopping: threading.Event | None = None,
    ) -> None:
        """Play, and return at the end.

        Parameters
        ----------
        rate : float
            Times the bag's pace.
        progress : callable
            Called with how much of the bag is played [s].
        stopping : threading.Event or None
            Ends the playing.
        """
        pace = _Pace(self._reader.start_time, rate, self._clock, stopping or threading.Event())
        for connection, stamp_ns, data in read_messages(self._reader, self._connections):
            if not pace.wait_for(stamp_ns):
                return
            data = self._filtered(connection, bytes(data))
            if data is not None:
                self._publishers[connection.topic].publish(data)
            progress(seconds(stamp_ns - self._reader.start_time))

    def _filtered(self, connection, data: bytes) -> bytes | None:
        """Leave the suite's own frames out of transforms; None when nothing is left.

        What is no message is dropped: a listener that cannot read it would end.
        """
        update = self._updates[connection.topic]
        if update is not None:
            data = updated(update, data)
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
        self._first_ns = first_ns
        self._rate = rate
        self._clock = clock
        self._stopping = stopping
        self._started_s = time.monotonic()
        self._told_s = 0.0

    def wait_for(self, stamp_ns: int) -> bool:
        """Wait until the moment of a stamp; False when stopped."""
        due_s = self._started_s + seconds(stamp_ns - self._first_ns) / self._rate
        while not self._stopping.is_set():
            now_s = time.monotonic()
            if now_s - self._told_s >= CLOCK_PERIOD_S:
                self._told_s = now_s
                self._tell(min(now_s, due_s))
            if now_s >= due_s:
                return True
            self._stopping.wait(min(due_s - now_s, CLOCK_PERIOD_S))
        return False

    def _tell(self, now_s: float) -> None:
        """Publish the bag's time at a moment of ours."""
        if self._clock is not None:
            played_ns = nanoseconds((now_s - self._started_s) * self._rate)
            self._clock.publish(Clock(clock=time_from_ns(self._first_ns + played_ns)))


def _profile(connection) -> QoSProfile:
    """Offer what the publishers of a recorded topic offered, as far as the bag knows.

    Our queue is deep.
    """
    offered = getattr(connection.ext, 'offered_qos_profiles', ())
    durabilities = {offer.durability.value for offer in offered}
    reliabilities = {offer.reliability.value for offer in offered}
    profile = QoSProfile(depth=DEPTH)
    is_latched = connection.topic in LATCHED_TOPICS
    if is_latched or durabilities == {DurabilityPolicy.TRANSIENT_LOCAL.value}:
        profile.durability = DurabilityPolicy.TRANSIENT_LOCAL
    if reliabilities == {ReliabilityPolicy.BEST_EFFORT.value}:
        profile.reliability = ReliabilityPolicy.BEST_EFFORT
    return profile
