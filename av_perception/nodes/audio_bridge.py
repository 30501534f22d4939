# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Node `audio_bridge`: the sound of the robot's own driver to AudioChunk messages on `audio`.

The driver's sound is on `driver_audio`.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from av_perception_msgs.msg import AudioChunk as AudioChunkMsg
from rclpy.qos import QoSProfile, ReliabilityPolicy

from av_perception.audio.driver_stream import FORMATS, DriverStream, DriverStreamConfig
from av_perception.errors import UserError
from av_perception.robot_head import load_head
from av_perception.robot_head.profile import MicrophoneArray
from av_perception.ros import qos
from av_perception.ros.bringup.graph import DRIVER_AUDIO
from av_perception.ros.conversions import audio_chunk_to_msg
from av_perception.ros.driver_audio import DRIVERS, BufferReader, SampleFormat, driver_message
from av_perception.ros.node import PerceptionNode
from av_perception.ros.parameters import PUBLISH_TF, Parameter
from av_perception.ros.playback import HEAD
from av_perception.ros.process import run_node
from av_perception.ros.static_pose import StaticPose

DEPTH = 50
INFO_TIMEOUT_S = 10.0  # audio_capture repeats its AudioInfo every 5 s
RAW_CODINGS = ('wave', 'wav', 'raw', '')


class AudioBridgeNode(PerceptionNode):
    """Gives the driver's buffers a capture time and a running index.

    It refuses what does not fit the head, in one line.
    """

    NAME = 'audio_bridge'
    TELLS_TIME = True
    PARAMETERS = (
        HEAD,
        Parameter(
            'microphones',
            'audio_data_stamped',
            "What the robot's driver publishes on driver_audio.",
            choices=tuple(DRIVER_AUDIO),
        ),
        Parameter(
            'latency_ms',
            0.0,
            "Delay between sound and the driver's stamp beyond what the kind of driver implies, "
            'in milliseconds.',
            0.0,
            1000.0,
        ),
        Parameter(
            'sample_format',
            '',
            'For AudioData: format of the samples, as in S16LE; empty waits for AudioInfo on '
            'driver_audio_info.',
            choices=('', *FORMATS),
        ),
        Parameter(
            'sample_rate',
            0,
            'With sample_format: sample rate in Hz; 0 takes that of the head profile.',
            0,
            192000,
        ),
        PUBLISH_TF,
    )

    def configure(self) -> None:
        """Find the driver's messages, and make what turns them into chunks."""
        head = load_head(self.value('head'))
        if head.microphones is None:
            raise UserError(
                f"head '{head.name}' has no microphones: choose another head or leave "
                'audio_bridge out'
            )
        self._base_frame = head.base_frame
        self._array = head.microphones
        kind = self.value('microphones')
        self._driver = DRIVERS[kind]
        self._message_type = driver_message(self._driver)
        self._info_type: type | None = None
        if self._driver.has_info and not self.value('sample_format'):
            self._info_type = driver_message(self._driver, 'AudioInfo')
        if self.resolve_topic_name('driver_audio') == self.resolve_topic_name('audio'):
            raise UserError(
                'driver_audio and audio are the same topic: start the suite in a namespace of its '
                'own (namespace:=av)'
            )
        self._reader = BufferReader(kind, self._array.channel_map, self._known_format(self._array))
        self._stream = DriverStream(
            DriverStreamConfig(self._driver.stamps, 1e-3 * self.value('latency_ms'))
        )
        self._publisher = self.publisher(AudioChunkMsg, 'audio', QoSProfile(depth=DEPTH))
        self._pose = StaticPose(self)

    def activate(self) -> None:
        """Listen to the driver."""
        array = self._array
        self._pose.send(array.base_from_array, self._base_frame, array.frame)
        reliability = ReliabilityPolicy.BEST_EFFORT
        if self._driver.reliable:
            reliability = ReliabilityPolicy.RELIABLE
        profile = QoSProfile(depth=DEPTH, reliability=reliability)
        self.subscribe(self._message_type, 'driver_audio', self._on_audio, profile)
        if self._info_type is not None:
            self.subscribe(
                self._info_type,
                'driver_audio_info',
                self._on_info,
                qos.FEATURES,
                timeout_s=INFO_TIMEOUT_S,
            )

    def _known_format(self, array: MicrophoneArray) -> SampleFormat | None:
        """Give the format that the parameters say; None when AudioInfo is to say it."""
        name = self.value('sample_format')
        if not name:
            return None
        rate = self.value('sample_rate') or array.sample_rate
        return SampleFormat(name, array.num_device_channels, rate)

    def _on_info(self, message: Any) -> None:
        if message.coding_format.lower() not in RAW_CODINGS:
            raise UserError(
                f'the driver sends {message.coding_format}, directions need the raw samples: '
                'start audio_capture with format:=wave'
            )
        self._reader.sample_format = SampleFormat(
            message.sample_format, message.channels, message.sample_rate
        )

    def _on_audio(self, message: Any) -> None:
        buffer = self._reader.read(message)
        stamp_ns = self.now_ns() if buffer.stamp_ns is None else buffer.stamp_ns
        rate = buffer.sample_rate
        chunk = self._stream.push(stamp_ns, rate, self._picked(buffer.samples))
        if chunk.first_sample == 0 and rate != self._array.sample_rate:
            self.get_logger().info(
                f'the driver sends {rate} Hz, the head profile says {self._array.sample_rate} Hz: '
                'the sound is resampled'
            )
        self._publisher.publish(audio_chunk_to_msg(chunk, self._array.frame))
        self.diagnostics.absorb('driver', self._stream.counters)

    def _picked(self, samples: np.ndarray) -> np.ndarray:
        """Keep the microphones' channels."""
        try:
            return self._array.pick(samples)
        except UserError as error:
            raise UserError(f'the driver sends {error}') from error


def main() -> None:
    """Run the process."""
    sys.exit(run_node(AudioBridgeNode))


if __name__ == '__main__':
    main()
