"""Bags in MCAP: every topic recorded as the bytes that travelled, and played back at its own pace."""

from __future__ import annotations

import importlib
import time
from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock

from av_perception.errors import UserError
from av_perception.ros import qos
from av_perception.ros.conversions import time_from_ns

LATCHED_TOPICS = ('/tf_static',)


def message_class(type_name: str):
    """The Python class of 'package/msg/Name'. Raises UserError when its package is not installed."""
    package, _, name = type_name.partition('/msg/')
    try:
        return getattr(importlib.import_module(f'{package}.msg'), name)
    except (ImportError, AttributeError) as error:
        raise UserError(f'the message type {type_name} is not installed: install the package {package}') from error


def _rosbags():
    try:
        import rosbags.rosbag2
        import rosbags.typesys
    except ImportError as error:
        raise UserError("bags need the Python package rosbags: pip install 'av_perception[bags]'") from error
    return rosbags.rosbag2, rosbags.typesys


def type_store():
    """The message definitions of Jazzy plus our own, for bags that describe themselves."""
    _, typesys = _rosbags()
    store = typesys.get_typestore(typesys.Stores.ROS2_JAZZY)
    try:
        folder = Path(get_package_share_directory('av_perception_msgs')) / 'msg'
    except PackageNotFoundError as error:
        raise UserError('the package av_perception_msgs is not installed: build it (see the README)') from error
    types = {}
    for path in sorted(folder.glob('*.msg')):
        types.update(typesys.get_types_from_msg(path.read_text(), f'av_perception_msgs/msg/{path.stem}'))
    store.register(types)
    return store


class BagRecorder:
    """Records all topics that appear, or those named, until closed. Images are left out unless asked for: 46 MB a second."""

    def __init__(self, node, folder: Path, topics: tuple[str, ...] = (), images: bool = False):
        rosbag2, _ = _rosbags()
        if folder.exists():
            raise UserError(f'{folder} exists already: choose another name for the bag')
        self._node, self._topics, self._images = node, topics, images
        self._store = type_store()
        self._writer = rosbag2.Writer(folder, version=9, storage_plugin=rosbag2.StoragePlugin.MCAP)
        self._writer.open()
        self._seen: set[str] = set()
        self.counts: dict[str, int] = {}
        node.create_timer(1.0, self.discover)
        self.discover()

    @property
    def total(self) -> int:
        """Messages recorded so far."""
        return sum(self.counts.values())

    def discover(self) -> None:
        """Subscribe to what has newly appeared."""
        for topic, types in self._node.get_topic_names_and_types():
            if not self._node.count_publishers(topic) or topic in self._seen or not self._wanted(topic, types[0]):
                continue
            self._seen.add(topic)
            try:
                self._subscribe(topic, types[0])
            except UserError as error:
                self._node.get_logger().warning(f'{topic} is not recorded: {error}')

    def close(self) -> None:
        """Finish the file."""
        self._writer.close()

    def _wanted(self, topic: str, type_name: str) -> bool:
        if self._topics:
            return topic in self._topics
        return self._images or type_name != 'sensor_msgs/msg/Image'

    def _subscribe(self, topic: str, type_name: str) -> None:
        kind = message_class(type_name)
        if type_name not in self._store.fielddefs:
            raise UserError(f'the definition of its type {type_name} is not known here')
        connection = self._writer.add_connection(topic, type_name, typestore=self._store)
        self.counts[topic] = 0

        def write(data: bytes, info: dict) -> None:
            self._writer.write(connection, info['source_timestamp'], data)
            self.counts[topic] += 1

        self._node.create_subscription(kind, topic, write, self._offered_profile(topic), raw=True)

    def _offered_profile(self, topic: str) -> QoSProfile:
        """As strict as what every publisher of the topic offers, so that all of them match."""
        offers = [info.qos_profile for info in self._node.get_publishers_info_by_topic(topic)]
        profile = QoSProfile(depth=200)
        if any(o.reliability == ReliabilityPolicy.BEST_EFFORT for o in offers):
            profile.reliability = ReliabilityPolicy.BEST_EFFORT
        if offers and all(o.durability == DurabilityPolicy.TRANSIENT_LOCAL for o in offers):
            profile.durability = DurabilityPolicy.TRANSIENT_LOCAL
        return profile


class BagPlayer:
    """Publishes a bag's messages in their order at `rate` times their pace, with /clock when asked."""

    def __init__(self, node, path: Path, topics: tuple[str, ...] = (), clock: bool = False):
        rosbag2, _ = _rosbags()
        if not path.exists():
            raise UserError(f'there is no bag {path}')
        try:
            self._reader = rosbag2.Reader(path)
            self._reader.open()
        except Exception as error:   # the library raises many types for a damaged bag
            raise UserError(f'cannot read the bag {path}: {" ".join(str(error).split())}') from error
        self._node = node
        self._connections = [c for c in self._reader.connections if (not topics or c.topic in topics) and c.topic != '/clock']
        self._publishers = {c.topic: node.create_publisher(message_class(c.msgtype), c.topic, self._profile(c.topic)) for c in self._connections}
        self._clock = node.create_publisher(Clock, '/clock', 10) if clock else None
        self.duration_s = 1e-9 * self._reader.duration
        self.message_count = sum(c.msgcount for c in self._connections)

    def play(self, rate: float, progress=lambda seconds: None) -> None:
        """Blocks until the end. progress(seconds of the bag played)."""
        started, first = time.monotonic(), self._reader.start_time
        for connection, stamp_ns, data in self._reader.messages(self._connections):
            elapsed_s = 1e-9 * (stamp_ns - first)
            time.sleep(max(0.0, started + elapsed_s / rate - time.monotonic()))
            if self._clock is not None:
                self._clock.publish(Clock(clock=time_from_ns(stamp_ns)))
            self._publishers[connection.topic].publish(bytes(data))
            progress(elapsed_s)

    def close(self) -> None:
        """Close the file."""
        self._reader.close()

    @staticmethod
    def _profile(topic: str) -> QoSProfile:
        return qos.LATCHED if topic in LATCHED_TOPICS else QoSProfile(depth=50)
