# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Node `truth`: where the people of a recorded or simulated scene really are, on `truth`."""

from __future__ import annotations

import sys

import numpy as np
from av_perception_msgs.msg import TruthArray

from av_perception.errors import UserError
from av_perception.ros import qos
from av_perception.ros.node import PerceptionNode, run_node
from av_perception.ros.parameters import Parameter
from av_perception.ros.playback import PLAYBACK, open_recording, start_ns
from av_perception.ros.truth_messages import truth_to_msg
from av_perception.ros.worker import Pacer


class TruthNode(PerceptionNode):
    """Publishes one TruthArray per moment of the recording's truth file, in step with the sound and the images."""

    NAME = 'truth'
    PARAMETERS = (
        Parameter('source', 'simulated', 'Whose truth.', choices=('file', 'simulated')),
        *PLAYBACK,
    )

    def configure(self) -> None:
        self._recording = open_recording(self)
        if self._recording.truth is None:
            raise UserError('the recording has no truth.csv: leave the truth node out')
        self._publisher = self.publisher(TruthArray, 'truth', qos.FEATURES)
        self._pacer = None

    def activate(self) -> None:
        self._pacer = Pacer(
            self._moments(), lambda: self.get_clock().now().nanoseconds, lambda: None, self._fail
        )

    def deactivate(self) -> None:
        if getattr(self, '_pacer', None) is not None:
            self._pacer.stop()
            self._pacer = None

    def _moments(self):
        truth = self._recording.truth
        frame_id = self._recording.head.base_frame
        origin_ns = start_ns(self)
        for time_s in np.unique(truth.time_s):
            stamp_ns = origin_ns + round(1e9 * time_s)
            message = truth_to_msg(truth, time_s, stamp_ns, frame_id)
            yield stamp_ns, lambda message=message: self._publisher.publish(message)

    def _fail(self, error: Exception) -> None:
        self.get_logger().error(f'truth stopped: {error}')
        self.failure = str(error)


def main() -> None:
    """Entry point of the process."""
    sys.exit(run_node(TruthNode))


if __name__ == '__main__':
    main()
