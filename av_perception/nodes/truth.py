# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Node `truth`: where the people of a recorded or simulated scene really are, on `truth`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from av_perception_msgs.msg import TruthArray

from av_perception.errors import UserError
from av_perception.geometry.time import nanoseconds
from av_perception.ros import qos
from av_perception.ros.node import PerceptionNode
from av_perception.ros.parameters import Parameter
from av_perception.ros.playback import PLAYBACK, open_recording, start_ns
from av_perception.ros.process import run_node
from av_perception.ros.truth_messages import truth_to_msg
from av_perception.ros.worker import Pacer


class TruthNode(PerceptionNode):
    """Publishes one TruthArray for each moment of the recording's truth file.

    It keeps in step with the sound and the images.
    """

    NAME = 'truth'
    PARAMETERS = (
        Parameter('source', 'simulated', 'Whose truth.', choices=('file', 'simulated')),
        *PLAYBACK,
    )

    _pacer: Pacer | None = None

    def configure(self) -> None:
        """Open the recording."""
        recording = open_recording(self)
        if recording.truth is None:
            raise UserError('the recording has no truth.csv: leave the truth node out')
        self._truth = recording.truth
        self._frame = recording.head.base_frame
        self._publisher = self.publisher(TruthArray, 'truth', qos.FEATURES)

    def activate(self) -> None:
        """Start to play."""
        self._pacer = Pacer(self._moments(), self.now_ns, lambda: None, self._fail)

    def deactivate(self) -> None:
        """Stop to play."""
        if self._pacer is not None:
            self._pacer.stop()
            self._pacer = None

    def _moments(self) -> Iterator[tuple[int, Callable[[], None]]]:
        """Yield (stamp [ns], publish) for each moment of the truth."""
        origin_ns = start_ns(self)
        for time_s in np.unique(self._truth.time_s):
            stamp_ns = origin_ns + nanoseconds(time_s)
            message = truth_to_msg(self._truth, time_s, stamp_ns, self._frame)
            yield stamp_ns, partial(self._publisher.publish, message)

    def _fail(self, error: Exception) -> None:
        self.get_logger().error(f'truth stopped: {error}')
        self.failure = str(error)


def main() -> None:
    """Run the process."""
    sys.exit(run_node(TruthNode))


if __name__ == '__main__':
    main()
