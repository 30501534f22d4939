# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Node `speaking_status`: `tracks` to who is speaking on `speaking_status`.

With a probability and hysteresis.
"""

from __future__ import annotations

import sys

from av_perception_msgs.msg import SpeakingStatusArray, TrackArray

from av_perception.diarization.speaking_filter import SpeakingFilter
from av_perception.ros import qos
from av_perception.ros.conversions import speaking_frame_to_msg, track_frame_from_msg
from av_perception.ros.node import PerceptionNode
from av_perception.ros.parameters import ReadParameter
from av_perception.ros.process import run_node
from av_perception.ros.settings import SPEAKING_PARAMETERS, speaking_config


class SpeakingStatusNode(PerceptionNode):
    """One two-state hidden Markov filter per person; stamps and ids are those of the tracks."""

    NAME = 'speaking_status'
    PARAMETERS = SPEAKING_PARAMETERS

    _filter: SpeakingFilter | None = None

    def configure(self) -> None:
        """Build the filter."""
        self._filter = SpeakingFilter(speaking_config(self.value))
        self._publisher = self.publisher(SpeakingStatusArray, 'speaking_status', qos.FEATURES)

    def tune(self, value: ReadParameter) -> None:
        """Take over thresholds and delays."""
        config = speaking_config(value)
        if self._filter is not None:
            self._filter.config = config

    def activate(self) -> None:
        """Listen to the tracks."""
        self.subscribe(TrackArray, 'tracks', self._on_tracks, qos.FEATURES)

    def _on_tracks(self, message: TrackArray) -> None:
        assert self._filter is not None  # since configure
        frame = self._filter.step(track_frame_from_msg(message))
        self._publisher.publish(speaking_frame_to_msg(frame, message.header.frame_id))


def main() -> None:
    """Run the process."""
    sys.exit(run_node(SpeakingStatusNode))


if __name__ == '__main__':
    main()
