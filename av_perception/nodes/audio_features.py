# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Node `audio_features`: `audio` to inter-channel features of sub-bands on `audio_features`."""

from __future__ import annotations

import sys

from av_perception_msgs.msg import AudioFeatures as AudioFeaturesMsg

from av_perception.audio.front_end import AudioFrontEnd, AudioFrontEndConfig
from av_perception.errors import UserError
from av_perception.interfaces import AudioFeatures
from av_perception.robot_head import load_head
from av_perception.ros import qos
from av_perception.ros.conversions import audio_features_to_msg
from av_perception.ros.node import PerceptionNode
from av_perception.ros.playback import HEAD
from av_perception.ros.process import run_node
from av_perception.ros.sound_input import CHUNK_MS, SoundInput, shared_voice


class AudioFeaturesNode(PerceptionNode):
    """Feeds the chunks to the front end.

    Each window of 40 ms becomes one message stamped with the window's center.
    """

    NAME = 'audio_features'
    PARAMETERS = (HEAD, CHUNK_MS)

    def configure(self) -> None:
        """Build the front end for the head's microphones."""
        array = load_head(self.value('head')).microphones
        if array is None:
            raise UserError(
                f"head '{self.value('head')}' has no microphones: leave audio_features out"
            )
        front_end = AudioFrontEnd(
            AudioFrontEndConfig(), len(array.coordinates), array.sample_rate, shared_voice(self)
        )
        self._frame = array.frame
        self._input = SoundInput(self, array, front_end)
        self._publisher = self.publisher(AudioFeaturesMsg, 'audio_features', qos.FEATURES)

    def activate(self) -> None:
        """Listen to the sound."""
        self._input.listen(1e-3 * self.value('chunk_ms'), self._publish)
        self.watch_clock_of('audio')

    def _publish(self, blocks: list[AudioFeatures]) -> None:
        for features in blocks:
            self._publisher.publish(audio_features_to_msg(features, self._frame))


def main() -> None:
    """Run the process."""
    sys.exit(run_node(AudioFeaturesNode))


if __name__ == '__main__':
    main()
