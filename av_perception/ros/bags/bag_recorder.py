# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Records topics to a bag as the bytes that traveled, so that it plays back exactly.

rosbag2 and rosbags read it.
"""

from __future__ import annotations

from pathlib import Path

from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from av_perception.errors import UserError
from av_perception.ros.bags.bag_file import TypeStore, rosbags
from av_perception.ros.bags.bag_player import message_class

STORAGES = ('mcap', 'sqlite3')
QUEUE_DEPTH = 200


class BagRecorder:
    """Records all topics that appear, or those named, until closed.

    Parameters
    ----------
    node : rclpy.node.Node
        It listens.
    folder : Path
        Of the bag, new.
    topics : tuple of str
        Full names; () for all.
    images : bool
        Record images too, 46 MB a second, where all topics are recorded.
    storage : str
        One of STORAGES.

    Raises
    ------
    UserError
        When the bag cannot be written.

    Attributes
    ----------
    counts : dict of str to int
        Messages of each topic.
    size : int
        Of all messages [bytes].
    failure : str or None
        Why it cannot go on (the disk is full, say).
    """

    def __init__(
        self,
        node,
        folder: Path,
        topics: tuple[str, ...] = (),
        images: bool = False,
        storage: str = 'mcap',
    ):
        rosbag2 = rosbags()[0]
        if folder.exists():
            raise UserError(f'{folder} exists already: choose another name for the bag')
        self._node = node
        self._topics = topics
        self._images = images
        self._store = TypeStore()
        try:
            self._writer = rosbag2.Writer(
                folder, version=9, storage_plugin=rosbag2.StoragePlugin[storage.upper()]
            )
            self._writer.open()
        except OSError as error:
            raise UserError(f'cannot write the bag {folder}: {error.strerror or error}') from error
        self._seen: set[str] = set()
        self.counts: dict[str, int] = {}
        self.size = 0
        self.failure: str | None = None
        node.create_timer(1.0, self.discover)
        self.discover()

    @property
    def total(self) -> int:
        """Messages recorded so far."""
        return sum(self.counts.values())

    def discover(self) -> None:
        """Subscribe to what has newly appeared."""
        for topic, types in self._node.get_topic_names_and_types():
            if topic in self._seen or not self._is_wanted(topic, types[0]):
                continue
            if not self._node.count_publishers(topic):
                continue
            self._seen.add(topic)
            try:
                self._subscribe(topic, types[0])
            except UserError as error:
                self._node.get_logger().warning(f'{topic} is not recorded: {error}')

    def close(self) -> None:
        """Finish the file. Raises UserError when it cannot be finished."""
        try:
            self._writer.close()
        except OSError as error:
            raise UserError(f'the bag could not be finished: {error.strerror or error}') from error

    def _is_wanted(self, topic: str, type_name: str) -> bool:
        if self._topics:
            return topic in self._topics
        return self._images or type_name != 'sensor_msgs/msg/Image'

    def _subscribe(self, topic: str, type_name: str) -> None:
        kind = message_class(type_name)
        self._store.require(type_name)
        offers = [info.qos_profile for info in self._node.get_publishers_info_by_topic(topic)]
        connection = self._writer.add_connection(
            topic,
            type_name,
            typestore=self._store.types,
            offered_qos_profiles=[recorded_qos(o) for o in offers],
        )
        self.counts[topic] = 0

        def write(data: bytes, info: dict) -> None:
            if self.failure is not None:
                return
            try:
                self._writer.write(connection, info['source_timestamp'], data)
            except OSError as error:
                self.failure = f'the bag cannot grow: {error.strerror or error}'
            self.counts[topic] += 1
            self.size += len(data)

        self._node.create_subscription(kind, topic, write, _matching(offers), raw=True)


def recorded_qos(profile: QoSProfile):
    """Convert a QoSProfile to what rosbags writes into a bag; the player offers it again.

    Discovery does not tell its depth.
    """
    from rosbags.interfaces import (
        Qos,
        QosDurability,
        QosHistory,
        QosLiveliness,
        QosReliability,
        QosTime,
    )

    def duration(value) -> QosTime:
        return QosTime(*divmod(value.nanoseconds, 10**9))

    return Qos(
        QosHistory(int(profile.history)),
        profile.depth,
        QosReliability(int(profile.reliability)),
        QosDurability(int(profile.durability)),
        duration(profile.deadline),
        duration(profile.lifespan),
        QosLiveliness(int(profile.liveliness)),
        duration(profile.liveliness_lease_duration),
        profile.avoid_ros_namespace_conventions,
    )


def _matching(offers: list[QoSProfile]) -> QoSProfile:
    """As strict as what every publisher of a topic offers, so that all of them match."""
    profile = QoSProfile(depth=QUEUE_DEPTH)
    if any(o.reliability == ReliabilityPolicy.BEST_EFFORT for o in offers):
        profile.reliability = ReliabilityPolicy.BEST_EFFORT
    if offers and all(o.durability == DurabilityPolicy.TRANSIENT_LOCAL for o in offers):
        profile.durability = DurabilityPolicy.TRANSIENT_LOCAL
    return profile
