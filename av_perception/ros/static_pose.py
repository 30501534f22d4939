# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Where a sensor is on the robot's head, said once for all who listen."""

from __future__ import annotations

from av_perception.geometry.rigid_transform import RigidTransform
from av_perception.ros.compat import TransformBroadcaster
from av_perception.ros.conversions import transform_to_msg
from av_perception.ros.node import PerceptionNode


class StaticPose:
    """Says on /tf_static where a sensor is, unless the parameter `publish_tf` forbids it.

    Parameters
    ----------
    node
        Of the sensor.
    """

    def __init__(self, node: PerceptionNode):
        self._node = node
        self._broadcaster = None
        if node.value('publish_tf'):
            self._broadcaster = TransformBroadcaster(node, static=True)

    def send(self, parent_from_child: RigidTransform, parent: str, child: str) -> None:
        """Say where the frame `child` is in the frame `parent`."""
        if self._broadcaster is not None:
            stamp_ns = self._node.now_ns()
            self._broadcaster.send([transform_to_msg(parent_from_child, parent, child, stamp_ns)])
