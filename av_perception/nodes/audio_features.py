# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Node `audio_features`: `audio` to inter-channel features per sub-band on `audio_features`."""

from __future__ import annotations

import sys

from av_perception_msgs.msg import AudioFeatures

from av_perception.audio.front_end import AudioFrontEnd, AudioFrontEndConfig
from av_perception.errors import UserError
from av_perception.robot_head import load_head
from av_perception.ros import qos
from av_perception.ros.conversions import audio_features_to_msg
from av_perception.ros.node import PerceptionNode, run_node
from av_perception.ros.parameters import Parameter
from av_perception.ros.playback import HEAD
from av_perception.ros.sound_input import SoundInput


class AudioFeaturesNode(PerceptionNode):
    """Feeds the chunks to the front end; each window of 40 ms becomes one message stamped with the window's centre."""

    NAME = 'audio_features'
    PARAMETERS = (
        HEAD,
        Parameter(
            'chunk_ms',
            32.0,
            'Expected length of a chunk in milliseconds; sizes the queue.',
            1.0,
            100.0,
        ),
    )

    def configure(self) -> None:
        self._array = load_head(self.value('head')).microphones
        if self._array is None:
            raise UserError(
                f"head '{self.value('head')}' has no microphones: leave audio_features out"
            )
        front_end = AudioFrontEnd(
            AudioFrontEndConfig(), len(self._array.coordinates), self._array.sample_rate
        )
        self._input = SoundInput(self, self._array, front_end)
        self._publisher = self.publisher(AudioFeatures, 'audio_features', qos.FEATURES)

    def activate(self) -> None:
        self._input.listen(1e-3 * self.value('chunk_ms'), self._publish)

    def _publish(self, blocks: list) -> None:
        for features in blocks:
            self._publisher.publish(audio_features_to_msg(features, self._array.frame))


def main() -> None:
    """Entry point of the process."""
    sys.exit(run_node(AudioFeaturesNode))


if __name__ == '__main__':
    main()
