# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The sensors of a planted scene on the graph, with whatever is to go wrong with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import rclpy
from av_perception_msgs.msg import AudioChunk
from rclpy.qos import QoSProfile
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image, Imu, JointState
from tf2_msgs.msg import TFMessage

from av_perception.geometry.rigid_transform import RigidTransform
from av_perception.ros import qos
from av_perception.ros.conversions import header, time_from_ns, transform_to_msg
from av_perception.ros.faults.alterations import Alteration
from av_perception.ros.faults.planted_scene import CHUNK_S, PlantedScene
from av_perception.ros.image_publisher import ImageRoom
from av_perception.ros.privacy import private_node

FIRST_NS = 1_000_000_000_000  # what the clock says at the start
FRAME_NS = 40_000_000
CHUNK_NS = round(1e9 * CHUNK_S)
# An image comes so long after its stamp: the sound that belongs to it has come then.
IMAGE_LATENCY_NS = 120_000_000
TOPICS: dict[str, tuple[type, QoSProfile]] = {
    '/clock': (Clock, QoSProfile(depth=10)),
    'audio': (AudioChunk, qos.audio(CHUNK_S)),
    'left/image_raw': (Image, qos.IMAGES_OUT),
    'right/image_raw': (Image, qos.IMAGES_OUT),
}
ROBOT_TOPICS: dict[str, tuple[type, QoSProfile]] = {
    'left/camera_info': (CameraInfo, qos.IMAGES_OUT),
    'right/camera_info': (CameraInfo, qos.IMAGES_OUT),
    '/tf': (TFMessage, QoSProfile(depth=100)),
    'joint_states': (JointState, qos.MOTION),
    'imu': (Imu, qos.MOTION),
}
IMAGES = ('left/image_raw', 'right/image_raw')
CAMERA_INFOS = ('left/camera_info', 'right/camera_info')
POSES = ('/tf', 'joint_states', 'imu')
REFERENCE_FRAME = 'odom'
BODY_FRAME = 'base_link'


class PlantedSensors:
    """Publishes frame after frame of a scene, on a clock of its own.

    Attributes
    ----------
    now_ns : int
        What the clock says.
    """

    def __init__(self, node, scene: PlantedScene, is_robot: bool):
        """node: publishes; is_robot: transforms, joints, an IMU and calibrations come too."""
        self._node = node
        self._scene = scene
        self._topics = {**TOPICS, **(ROBOT_TOPICS if is_robot else {})}
        self._is_robot = is_robot
        self._room = ImageRoom.of(node)
        self._publishers: dict[str, Any] = {}
        for topic in self._topics:
            self._advertise(topic)
        self._static = node.create_publisher(TFMessage, '/tf_static', qos.LATCHED)
        self.now_ns = FIRST_NS
        self.offset_ns = 0  # by which the clock of all sensors is ahead of /clock
        self._frame = 0
        self._alterations: dict[str, Alteration] = {}
        self._rivals: dict[str, tuple[Any, Alteration]] = {}
        self._numbers: Counter[str] = Counter()
        self._publish_static()

    # ---- what goes wrong

    @contextmanager
    def altered(self, topics: tuple[str, ...], make: Callable[[], Alteration]) -> Iterator[None]:
        """Let something happen to the messages of topics while it lasts."""
        for topic in topics:
            self._alterations[topic] = make()
            self._numbers[topic] = 0
        try:
            yield
        finally:
            for topic in topics:
                del self._alterations[topic]

    @contextmanager
    def rivaled(self, topic: str, make: Callable[[], Alteration]) -> Iterator[None]:
        """Let another node publish a topic as well, while it lasts."""
        with self._other_node('rival') as node:
            kind, profile = self._topics[topic]
            self._numbers[topic] = 0
            self._rivals[topic] = (node.create_publisher(kind, topic, profile), make())
            try:
                yield
            finally:
                del self._rivals[topic]

    @contextmanager
    def replaced(self, topic: str, kind: type, message: Any) -> Iterator[None]:
        """Let a driver that publishes another type take the place of a sensor."""
        self._node.destroy_publisher(self._publishers.pop(topic))
        try:
            with self._other_node('other_driver') as node:
                publisher = node.create_publisher(kind, topic, 10)
                self._rivals[topic] = (publisher, lambda _, number: [message])
                try:
                    yield
                finally:
                    del self._rivals[topic]
        finally:
            self._advertise(topic)

    @contextmanager
    def silenced(self, topics: tuple[str, ...]) -> Iterator[None]:
        """Let the publishers of topics be gone while it lasts."""
        for topic in topics:
            self._node.destroy_publisher(self._publishers.pop(topic))
        try:
            yield
        finally:
            for topic in topics:
                self._advertise(topic)

    @contextmanager
    def set_ahead(self, step_s: float) -> Iterator[None]:
        """Set the clock of all sensors ahead, and when it ends that of the nodes as well."""
        step_ns = round(1e9 * step_s)
        self.offset_ns += step_ns
        try:
            yield
        finally:
            self.offset_ns -= step_ns
            self.tick(step_ns)

    # ---- time

    def tick(self, step_ns: int) -> None:
        """Let time go on without anything new."""
        self.now_ns += step_ns
        self._send('/clock', Clock(clock=time_from_ns(self.now_ns)))

    def send_frame(self) -> int:
        """Publish what was captured in the last frame; gives the stamp of its image [ns]."""
        start_ns = self.now_ns + self.offset_ns - FRAME_NS
        per_frame = FRAME_NS // CHUNK_NS
        for k in range(per_frame):
            number = self._frame * per_frame + k
            self._send('audio', self._scene.chunk(number, start_ns + k * CHUNK_NS))
        stamp_ns = self.now_ns + self.offset_ns - IMAGE_LATENCY_NS
        if self._is_robot:
            self._send_robot(stamp_ns)
        for topic, image in zip(IMAGES, self._scene.images(self._frame, stamp_ns)):
            self._send(topic, image)
        self._frame += 1
        return stamp_ns

    def _send_robot(self, stamp_ns: int) -> None:
        head = self._scene.head
        for topic, info in zip(CAMERA_INFOS, self._scene.camera_infos(stamp_ns)):
            self._send(topic, info)
        now_ns = self.now_ns + self.offset_ns
        still = RigidTransform()
        pairs = ((REFERENCE_FRAME, BODY_FRAME), (BODY_FRAME, head.base_frame))
        transforms = [transform_to_msg(still, *pair, now_ns) for pair in pairs]
        self._send('/tf', TFMessage(transforms=transforms))
        names = list(head.head_joints)
        zeros = [0.0] * len(names)
        self._send(
            'joint_states',
            JointState(
                header=header(now_ns, ''), name=names, position=zeros, velocity=list(zeros)
            ),
        )
        self._send('imu', Imu(header=header(now_ns, head.base_frame)))

    def _send(self, topic: str, message: Any) -> None:
        number = self._numbers[topic]
        self._numbers[topic] += 1
        alteration = self._alterations.get(topic)
        publisher = self._publishers.get(topic)
        if publisher is not None:
            for sent in [message] if alteration is None else alteration(message, number):
                publisher.publish(sent)
        if topic in self._rivals:
            rival, alteration = self._rivals[topic]
            for sent in alteration(message, number):
                rival.publish(sent)

    def _advertise(self, topic: str) -> None:
        kind, profile = self._topics[topic]
        self._publishers[topic] = self._room.publisher(self._node, kind, topic, profile)

    def _publish_static(self) -> None:
        base = self._scene.head.base_frame
        places = [
            (self._scene.array.base_from_array, self._scene.array.frame),
            (self._scene.camera.base_from_optical, self._scene.camera.frame),
        ]
        self._static.publish(
            TFMessage(
                transforms=[
                    transform_to_msg(pose, base, frame, FIRST_NS) for pose, frame in places
                ]
            )
        )

    @contextmanager
    def _other_node(self, name: str) -> Iterator[Any]:
        """Make a node as of another process: a participant of its own."""
        context = rclpy.context.Context()
        with ExitStack() as stack:
            rclpy.init(
                context=context,
                domain_id=self._node.context.get_domain_id(),
                signal_handler_options=rclpy.signals.SignalHandlerOptions.NO,
            )
            stack.callback(rclpy.try_shutdown, context=context)
            node = private_node(name, context)
            stack.callback(node.destroy_node)
            yield node
