# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Where the head's sensors are, from TF: tf2_ros where it is installed, else our own tree."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.time import Time
from tf2_msgs.msg import TFMessage

from av_perception.geometry.rigid_transform import RigidTransform
from av_perception.geometry.time import nanoseconds, seconds
from av_perception.geometry.transform_tree import RESET_NS, TransformTree, TransformUnavailable
from av_perception.robot_head import HeadProfile
from av_perception.robot_head.sensor_poses import SensorPoses
from av_perception.ros.bringup.graph import OWN_FRAMES
from av_perception.ros.conversions import ns_from_time, transform_from_msg
from av_perception.ros.parameters import Parameter

if TYPE_CHECKING:
    from av_perception.ros.node import PerceptionNode

DEPTH = 100
MOST_AHEAD_S = 0.2  # of the clock; the newest transform is a little behind it
REFERENCE_FRAME = Parameter(
    'reference_frame',
    '',
    "Frame in which people are tracked, by the robot's transforms on /tf: odom or map for a robot "
    "that moves, its base for a head that turns. Empty: the head's base frame, with the sensors "
    'where the head profile says.',
    is_frame=True,
)


class OwnLookup:
    """The part of tf2_ros that we need: `pose`, `newest_ns`."""

    def __init__(self, node: PerceptionNode):
        """node: the active node that listens."""
        self._tree = TransformTree()
        self._diagnostics = node.diagnostics
        moving = QoSProfile(depth=DEPTH)
        static = QoSProfile(depth=DEPTH, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        node.subscribe(TFMessage, '/tf', self._add_moving, moving, timeout_s=None)
        node.subscribe(TFMessage, '/tf_static', self._add_static, static, timeout_s=None)

    def pose(self, target: str, source: str, stamp_ns: int) -> RigidTransform:
        """Give target_from_source. Raises TransformUnavailable."""
        return self._tree.pose(target, source, stamp_ns)

    def newest_ns(self, target: str, source: str) -> int | None:
        """Tell until when `pose` knows it [ns]."""
        return self._tree.newest_ns(target, source)

    def _add_moving(self, message: TFMessage) -> None:
        self._add(message, is_static=False)

    def _add_static(self, message: TFMessage) -> None:
        self._add(message, is_static=True)

    def _add(self, message: TFMessage, is_static: bool) -> None:
        for transform in message.transforms:
            parent = transform.header.frame_id.lstrip('/')
            child = transform.child_frame_id.lstrip('/')
            if child.startswith(OWN_FRAMES):
                continue  # no sensor hangs on a person; they come and go by the thousand
            try:
                pose = transform_from_msg(transform)
                if is_static:
                    self._tree.add_static(parent, child, pose)
                else:
                    self._tree.add(parent, child, ns_from_time(transform.header.stamp), pose)
            except ValueError as error:  # one of many: the others of the message are good
                self._diagnostics.count('transforms refused', f'of {child!r}: {error}')


class Tf2Lookup:
    """The same by tf2_ros."""

    def __init__(self, node: PerceptionNode):
        """node: the active node that listens."""
        import tf2_ros

        self._errors = tf2_ros.TransformException
        self._buffer = tf2_ros.Buffer()
        self._asked_ns = 0
        self._listener = tf2_ros.TransformListener(self._buffer, node, spin_thread=False)
        node.adopt(self._listener.tf_sub, self._listener.tf_static_sub)

    def pose(self, target: str, source: str, stamp_ns: int) -> RigidTransform:
        """Give target_from_source. Raises TransformUnavailable."""
        self._forget_the_future(stamp_ns)
        try:
            return transform_from_msg(
                self._buffer.lookup_transform(target, source, Time(nanoseconds=stamp_ns))
            )
        except self._errors as error:
            reason = ' '.join(str(error).split())
            raise TransformUnavailable(reason, may_come='into the past' not in reason) from error
        except ValueError as error:  # tf2 takes what leads off the Earth
            raise TransformUnavailable(str(error), may_come=False) from error

    def newest_ns(self, target: str, source: str) -> int | None:
        """Tell until when `pose` knows it [ns]."""
        try:
            newest = self._buffer.lookup_transform(target, source, Time())
        except self._errors:
            return None
        return ns_from_time(newest.header.stamp) or None

    def _forget_the_future(self, stamp_ns: int) -> None:
        """Clear the buffer when a bag starts again.

        It refuses for ever what is ten seconds older than its newest, and does not notice. What
        came for the new round before its first image goes too: that image is lost.
        """
        if self._asked_ns - stamp_ns > RESET_NS:
            self._buffer.clear()
        self._asked_ns = stamp_ns


def make_lookup(node: PerceptionNode) -> OwnLookup | Tf2Lookup:
    """Make Tf2Lookup where tf2_ros is installed, else OwnLookup."""
    return OwnLookup(node) if importlib.util.find_spec('tf2_ros') is None else Tf2Lookup(node)


class HeadPoses:
    """The sensors of a head in a reference frame.

    Made at activation: it listens.

    Attributes
    ----------
    frame : str
        The reference frame.
    """

    def __init__(
        self,
        node: PerceptionNode,
        head: HeadProfile,
        reference_frame: str,
        max_age_s: float = 0.2,
    ):
        """Start to listen, if need be.

        Parameters
        ----------
        node : PerceptionNode
            It listens.
        head : HeadProfile
            Whose sensors.
        reference_frame : str
            '' for the head's own base frame and the poses of its profile.
        max_age_s : float
            How old a pose may be where there is none for the very moment [s].
        """
        self._node = node
        self.frame = reference_frame or head.base_frame
        self._still = SensorPoses.of_head(head)
        self._lookup = make_lookup(node) if reference_frame else None
        self._max_age_ns = nanoseconds(max_age_s)
        self._base_frame = head.base_frame
        self._camera_frame = head.camera.frame if head.camera else ''
        self._array_frame = head.microphones.frame if head.microphones else ''

    @property
    def moves(self) -> bool:
        """Whether the poses come from TF."""
        return self._lookup is not None

    def at(self, stamp_ns: int, target: str = '') -> SensorPoses:
        """Give the poses at a moment.

        Parameters
        ----------
        stamp_ns : int
            The moment [ns].
        target : str
            Another frame than the reference frame, that of a message.

        Raises
        ------
        TransformUnavailable
            When TF does not know one of them then.
        """
        lookup = self._lookup
        if lookup is None:
            return self._still
        frame = target or self.frame
        self._watch_stamps(frame)

        def pose(sensor: str) -> RigidTransform | None:
            return lookup.pose(frame, sensor, stamp_ns) if sensor else None

        return SensorPoses(
            lookup.pose(frame, self._base_frame, stamp_ns),
            pose(self._camera_frame),
            pose(self._array_frame),
        )

    def near(self, stamp_ns: int, target: str = '') -> SensorPoses:
        """Give the poses at a moment, or the newest that are known if they are not too old.

        See `at`.
        """
        try:
            return self.at(stamp_ns, target)
        except TransformUnavailable:
            newest_ns = self._newest_ns(target or self.frame)
            if newest_ns is None or not 0 < stamp_ns - newest_ns <= self._max_age_ns:
                raise
            return self.at(newest_ns, target)

    def _watch_stamps(self, frame: str) -> None:
        """Count transforms of the future: between them and those of before, poses are guessed."""
        now_ns = self._node.now_ns()
        ahead_s = seconds((self._newest_ns(frame) or 0) - now_ns)
        if now_ns and ahead_s > MOST_AHEAD_S:  # 0: simulated time that has not begun
            reason = (
                f"those of the head in '{frame}' are stamped {ahead_s:.1f} s ahead: set the "
                'clocks of both machines by chrony, or correct who publishes them'
            )
            self._node.diagnostics.count('transforms of the future', reason)

    def _newest_ns(self, frame: str) -> int | None:
        """Tell until when all that are known are known."""
        if self._lookup is None:
            return None
        sensors = (self._base_frame, self._camera_frame, self._array_frame)
        newest = (self._lookup.newest_ns(frame, sensor) for sensor in sensors if sensor)
        return min((stamp_ns for stamp_ns in newest if stamp_ns), default=None)
