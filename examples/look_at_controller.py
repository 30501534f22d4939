# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Turns `look_at` into commands for a robot's neck: pan and tilt for a position controller.

python examples/look_at_controller.py --ros-args -p neck_frame:=torso -r commands:=/neck/commands
"""

import sys

import numpy as np
from geometry_msgs.msg import PointStamped
from std_msgs.msg import Float64MultiArray

from av_perception.attention.look_control import LookControlConfig, LookController
from av_perception.geometry.transform_tree import TransformUnavailable
from av_perception.ros import qos
from av_perception.ros.node import PerceptionNode
from av_perception.ros.parameters import Parameter
from av_perception.ros.process import run_node
from av_perception.ros.transforms import make_lookup

NECK_FRAME = Parameter(
    'neck_frame', 'base_link', 'Frame in which the neck turns: x forward, z up, at its axes.'
)


class LookAtController(PerceptionNode):
    """Listens to `look_at`, publishes [pan, tilt] in rad for ros2_control on `commands`."""

    NAME = 'look_at_controller'
    PARAMETERS = (NECK_FRAME,)

    def configure(self):
        """Say what the neck can do; put in the limits of your robot."""
        config = LookControlConfig(pan_limits=(-2.0, 2.0), tilt_limits=(-0.6, 0.5))
        self._controller = LookController(config)
        self._commands = self.publisher(Float64MultiArray, 'commands', 10)

    def activate(self):
        """Listen; nobody to look at is no fault."""
        self._lookup = make_lookup(self)
        self.subscribe(PointStamped, 'look_at', self._on_look_at, qos.FEATURES, timeout_s=None)

    def _on_look_at(self, message):
        """Express the point in the neck's frame; the body hardly moves in the meantime."""
        frame, neck = message.header.frame_id, self.value('neck_frame')
        try:
            neck_from_reference = self._lookup.pose(neck, frame, self._newest_ns(neck, frame))
        except TransformUnavailable as missing:
            self.diagnostics.count('points without transform', str(missing))
            return
        point = np.array([message.point.x, message.point.y, message.point.z])
        pan, tilt = self._controller.look_at(neck_from_reference.apply(point))
        self._commands.publish(Float64MultiArray(data=[pan, tilt]))

    def _newest_ns(self, neck, frame):
        """Give the stamp of the newest transform; any, where it never changes."""
        return self._lookup.newest_ns(neck, frame) or self.now_ns()


if __name__ == '__main__':
    sys.exit(run_node(LookAtController))
