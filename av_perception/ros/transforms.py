# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Where the head's sensors are, from TF: tf2_ros where it is installed, else our own tree of frames."""

from __future__ import annotations

import importlib.util

from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.time import Time
from tf2_msgs.msg import TFMessage

from av_perception.geometry.rigid_transform import RigidTransform
from av_perception.geometry.transform_tree import RESET_NS, TransformTree, TransformUnavailable
from av_perception.robot_head import HeadProfile
from av_perception.robot_head.sensor_poses import SensorPoses
from av_perception.ros.bringup.graph import OWN_FRAMES
from av_perception.ros.conversions import ns_from_time, transform_from_msg
from av_perception.ros.parameters import Parameter

DEPTH = 100
REFERENCE_FRAME = Parameter(
    'reference_frame',
    '',
    "Frame in which people are tracked, by the robot's transforms on /tf: odom or map for a robot that moves, its base for a "
    "head that turns. Empty: the head's base frame, with the sensors where the head profile says.",
)


class OwnLookup:
    """The part of tf2_ros that we need: `pose`, `newest_ns`."""

    def __init__(self, node):
        self._tree, self._diagnostics = TransformTree(), node.diagnostics
        node.subscribe(
            TFMessage,
            '/tf',
            lambda message: self._take(message, False),
            QoSProfile(depth=DEPTH),
            timeout_s=None,
        )
        node.subscribe(
            TFMessage,
            '/tf_static',
            lambda message: self._take(message, True),
            QoSProfile(depth=DEPTH, durability=DurabilityPolicy.TRANSIENT_LOCAL),
            timeout_s=None,
        )

    def pose(self, target: str, source: str, stamp_ns: int) -> RigidTransform:
        """target_from_source. Raises TransformUnavailable."""
        return self._tree.pose(target, source, stamp_ns)

    def newest_ns(self, target: str, source: str) -> int | None:
        """Until when `pose` knows it."""
        return self._tree.newest_ns(target, source)

    def _take(self, message: TFMessage, static: bool) -> None:
        for transform in message.transforms:
            parent, child = (
                transform.header.frame_id.lstrip('/'),
                transform.child_frame_id.lstrip('/'),
            )
            if child.startswith(
                OWN_FRAMES
            ):  # no sensor hangs on a person; they come and go by the thousand
                continue
            try:
                if static:
                    self._tree.add_static(parent, child, transform_from_msg(transform))
                else:
                    self._tree.add(
                        parent,
                        child,
                        ns_from_time(transform.header.stamp),
                        transform_from_msg(transform),
                    )
            except ValueError as error:  # one of many: the others of the message are good
                self._diagnostics.count(f"transforms refused of '{child}'", str(error))


class Tf2Lookup:
    """The same by tf2_ros."""

    def __init__(self, node):
        import tf2_ros

        self._errors = tf2_ros.TransformException
        self._buffer, self._asked_ns = tf2_ros.Buffer(), 0
        self._listener = tf2_ros.TransformListener(self._buffer, node, spin_thread=False)
        node.adopt(self._listener.tf_sub, self._listener.tf_static_sub)

    def pose(self, target: str, source: str, stamp_ns: int) -> RigidTransform:
        """target_from_source. Raises TransformUnavailable."""
        self._forget_the_future(stamp_ns)
        try:
            return transform_from_msg(
                self._buffer.lookup_transform(target, source, Time(nanoseconds=stamp_ns))
            )
        except self._errors as error:
            reason = ' '.join(str(error).split())
            raise TransformUnavailable(reason, may_come='into the past' not in reason) from error

    def _forget_the_future(self, stamp_ns: int) -> None:
        """The buffer refuses for ever what is ten seconds older than its newest, and does not notice that a bag starts again. What came for the
        new round before its first image goes too: that image is lost.
        """
        if self._asked_ns - stamp_ns > RESET_NS:
            self._buffer.clear()
        self._asked_ns = stamp_ns

    def newest_ns(self, target: str, source: str) -> int | None:
        """Until when `pose` knows it."""
        try:
            return (
                ns_from_time(self._buffer.lookup_transform(target, source, Time()).header.stamp)
                or None
            )
        except self._errors:
            return None


def make_lookup(node):
    """Tf2Lookup where tf2_ros is installed, else OwnLookup."""
    return OwnLookup(node) if importlib.util.find_spec('tf2_ros') is None else Tf2Lookup(node)


class HeadPoses:
    """The sensors of a head in a reference frame, '' for the head's own base frame and the poses of its profile.

    max_age_s: how old a pose may be where there is none for the very moment. Made at activation: it listens.
    """

    def __init__(self, node, head: HeadProfile, reference_frame: str, max_age_s: float = 0.2):
        self.frame = reference_frame or head.base_frame
        self._still = SensorPoses.of_head(head)
        self._lookup = make_lookup(node) if reference_frame else None
        self._max_age_ns = round(1e9 * max_age_s)
        self._frames = (
            head.base_frame,
            head.camera.frame if head.camera else None,
            head.microphones.frame if head.microphones else None,
        )

    @property
    def moves(self) -> bool:
        """Whether the poses come from TF."""
        return self._lookup is not None

    def at(self, stamp_ns: int, target: str = '') -> SensorPoses:
        """At a moment; target: another frame than the reference frame, that of a message. Raises TransformUnavailable."""
        if self._lookup is None:
            return self._still
        return SensorPoses(
            *(
                frame and self._lookup.pose(target or self.frame, frame, stamp_ns)
                for frame in self._frames
            )
        )

    def near(self, stamp_ns: int, target: str = '') -> SensorPoses:
        """At a moment, or the newest that are known if they are not too old. Raises TransformUnavailable."""
        try:
            return self.at(stamp_ns, target)
        except TransformUnavailable:
            known = [
                n
                for frame in self._frames
                if frame and (n := self._lookup.newest_ns(target or self.frame, frame))
            ]
            if not known or not 0 < stamp_ns - min(known) <= self._max_age_ns:
                raise
            return self.at(min(known), target)
