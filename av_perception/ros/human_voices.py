# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The separated sound of voices as REP-155 has it: /humans/voices/<id>/audio."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from av_perception_msgs.msg import AudioChunk as AudioChunkMsg
from rclpy.publisher import Publisher
from rclpy.subscription import Subscription

from av_perception.hri.people import HumansFrame
from av_perception.ros import qos
from av_perception.ros.driver_audio import DRIVERS, driver_message

if TYPE_CHECKING:
    from av_perception.ros.node import PerceptionNode

CHUNK_S = 0.032  # of the streams, at least about
FULL_SCALE = 32767


@dataclass
class _Voice:
    """A voice that is told of, and the track whose sound it is."""

    track: int
    publisher: Publisher
    subscription: Subscription | None = None


class HumanVoices:
    """Hands the streams of the node `voices` on, by the ids of voices, while somebody listens.

    As audio_common_msgs/AudioData: 16 bits little-endian, one channel, 16 kHz.

    Parameters
    ----------
    node : PerceptionNode
        It listens and publishes.

    Raises
    ------
    UserError
        Without audio_common_msgs (ros-drivers).
    """

    def __init__(self, node: PerceptionNode):
        self._node = node
        self._message: Any = driver_message(DRIVERS['audio_data'])
        self._voices: dict[str, _Voice] = {}

    def follow(self, frame: HumansFrame) -> None:
        """Make and take down what goes with the voices of a frame."""
        tracks = {human.voice: human.track.id for human in frame.people if human.voice}
        for name in list(self._voices):
            if tracks.get(name) != self._voices[name].track:
                self._discard(name)
        for name, track in tracks.items():
            if name not in self._voices:
                topic = f'/humans/voices/{name}/audio'
                publisher = self._node.create_publisher(self._message, topic, qos.audio(CHUNK_S))
                self._voices[name] = _Voice(track, publisher)
            self._serve(self._voices[name])

    def close(self) -> None:
        """Take everything down."""
        for name in list(self._voices):
            self._discard(name)

    def _serve(self, voice: _Voice) -> None:
        """Listen to a stream from when somebody wants it."""
        if voice.subscription is not None or not voice.publisher.get_subscription_count():
            return

        def hand_on(message: AudioChunkMsg) -> None:
            voice.publisher.publish(self._message(data=sound_bytes(message)))

        voice.subscription = self._node.create_subscription(
            AudioChunkMsg, f'voices/person_{voice.track}', hand_on, qos.voice(CHUNK_S)
        )

    def _discard(self, name: str) -> None:
        voice = self._voices.pop(name)
        if voice.subscription is not None:
            self._node.destroy_subscription(voice.subscription)
        self._node.destroy_publisher(voice.publisher)


def sound_bytes(message: AudioChunkMsg) -> array:
    """Convert samples in -1..1 to the bytes of 16 bits, little-endian."""
    samples = np.frombuffer(message.samples, np.float32)
    whole = np.rint(np.clip(samples, -1.0, 1.0) * FULL_SCALE).astype('<i2')
    return array('B', whole.tobytes())
