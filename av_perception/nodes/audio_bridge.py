# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Node `audio_bridge`: the sound of the robot's own driver, on `driver_audio`, to AudioChunk messages on `audio`."""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass

import numpy as np
from av_perception_msgs.msg import AudioChunk as AudioChunkMsg
from rclpy.qos import QoSProfile, ReliabilityPolicy

from av_perception.audio.driver_stream import (
    FORMATS,
    DriverStream,
    DriverStreamConfig,
    full_scale,
    samples_from_bytes,
)
from av_perception.errors import UserError
from av_perception.robot_head import load_head
from av_perception.ros import qos
from av_perception.ros.bringup.graph import DRIVER_AUDIO
from av_perception.ros.compat import TransformBroadcaster
from av_perception.ros.conversions import audio_chunk_to_msg, ns_from_time, transform_to_msg
from av_perception.ros.node import PerceptionNode, run_node
from av_perception.ros.parameters import PUBLISH_TF, Parameter
from av_perception.ros.playback import HEAD

DEPTH = 50
INFO_TIMEOUT_S = 10.0  # audio_capture repeats its AudioInfo every 5 s


@dataclass(frozen=True)
class Driver:
    """One kind of driver. stamps: see DriverStreamConfig; reliable: how its messages are asked for; has_info: it describes its samples on
    driver_audio_info."""

    package: str
    message: str
    stamps: str
    reliable: bool
    advice: str
    has_info: bool = False


DRIVERS = {
    # audio_capture stamps with GStreamer's presentation time on the real-time clock: the first sample.
    'audio_data_stamped': Driver(
        'audio_common_msgs',
        'AudioDataStamped',
        'first',
        True,
        'apt-get install ros-$ROS_DISTRO-audio-common-msgs',
        True,
    ),
    'audio_data': Driver(
        'audio_common_msgs',
        'AudioData',
        'receipt',
        True,
        'apt-get install ros-$ROS_DISTRO-audio-common-msgs',
        True,
    ),
    # audio_capturer_node stamps before it waits for the buffer to fill: the first sample, but for the sound card's latency.
    'audio_stamped': Driver(
        'audio_common_msgs',
        'AudioStamped',
        'first',
        False,
        'build audio_common_msgs of github.com/mgonzs13/audio_common',
    ),
    # naoqi_driver stamps in the callback that delivers the whole buffer.
    'naoqi': Driver(
        'naoqi_bridge_msgs',
        'AudioBuffer',
        'receipt',
        True,
        'apt-get install ros-$ROS_DISTRO-naoqi-bridge-msgs',
    ),
}
NAOQI_CHANNELS = (
    'front_left',
    'front_center',
    'front_right',
    'rear_left',
    'rear_center',
    'rear_right',
    'surround_left',
    'surround_right',
    'subwoofer',
    'lfe',
)
PORTAUDIO = {
    1: 'float32_data',
    2: 'int32_data',
    8: 'int16_data',
    16: 'int8_data',
    32: 'uint8_data',
}  # sample format -> field


class AudioBridgeNode(PerceptionNode):
    """Gives the driver's buffers a capture time and a running index; refuses what does not fit the head, in one line."""

    NAME = 'audio_bridge'
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
            "Delay between sound and the driver's stamp beyond what the kind of driver implies, in milliseconds.",
            0.0,
            1000.0,
        ),
        Parameter(
            'sample_format',
            '',
            'For AudioData: format of the samples, as in S16LE; empty waits for AudioInfo on driver_audio_info.',
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
        self._head = load_head(self.value('head'))
        self._array = self._head.microphones
        if self._array is None:
            raise UserError(
                f"head '{self._head.name}' has no microphones: choose another head or leave audio_bridge out"
            )
        self._kind = self.value('microphones')
        self._driver = DRIVERS[self._kind]
        self._message = _message_type(self._driver)
        self._info_type = (
            _message_type(self._driver, 'AudioInfo')
            if self._driver.has_info and not self.value('sample_format')
            else None
        )
        if self.resolve_topic_name('driver_audio') == self.resolve_topic_name('audio'):
            raise UserError(
                'driver_audio and audio are the same topic: start the suite in a namespace of its own (namespace:=av)'
            )
        self._stream = DriverStream(
            DriverStreamConfig(self._driver.stamps, 1e-3 * self.value('latency_ms'))
        )
        self._info = None
        self._publisher = self.publisher(AudioChunkMsg, 'audio', QoSProfile(depth=DEPTH))
        self._static = (
            TransformBroadcaster(self, static=True) if self.value('publish_tf') else None
        )

    def activate(self) -> None:
        array, now_ns = self._array, self.get_clock().now().nanoseconds
        if self._static is not None:
            self._static.send(
                [
                    transform_to_msg(
                        array.base_from_array, self._head.base_frame, array.frame, now_ns
                    )
                ]
            )
        reliability = (
            ReliabilityPolicy.RELIABLE if self._driver.reliable else ReliabilityPolicy.BEST_EFFORT
        )
        self.subscribe(
            self._message,
            'driver_audio',
            self._on_audio,
            QoSProfile(depth=DEPTH, reliability=reliability),
        )
        if self._info_type is not None:
            self.subscribe(
                self._info_type,
                'driver_audio_info',
                self._on_info,
                qos.FEATURES,
                timeout_s=INFO_TIMEOUT_S,
            )

    def _on_info(self, message) -> None:
        coding = message.coding_format.lower()
        if coding not in ('wave', 'wav', 'raw', ''):
            raise UserError(
                f'the driver sends {message.coding_format}, directions need the raw samples: start audio_capture with format:=wave'
            )
        self._info = message

    def _on_audio(self, message) -> None:
        samples, rate, stamp_ns = getattr(self, f'_from_{self._kind}')(message)
        chunk = self._stream.push(stamp_ns, rate, self._picked(samples))
        if chunk.first_sample == 0 and rate != self._array.sample_rate:
            self.get_logger().info(
                f'the driver sends {rate} Hz, the head profile says {self._array.sample_rate} Hz: the sound is resampled'
            )
        self._publisher.publish(audio_chunk_to_msg(chunk, self._array.frame))
        self.diagnostics.absorb('driver', self._stream.counters)

    def _picked(self, samples: np.ndarray) -> np.ndarray:
        try:
            return self._array.pick(samples)
        except UserError as error:
            raise UserError(f'the driver sends {error}') from error

    def _from_audio_data_stamped(self, message) -> tuple[np.ndarray, int, int]:
        """(samples (N, channels), sample rate, stamp)."""
        samples, rate = self._decode(message.audio)
        return samples, rate, ns_from_time(message.header.stamp)

    def _from_audio_data(self, message) -> tuple[np.ndarray, int, int]:
        samples, rate = self._decode(message)
        return samples, rate, self.get_clock().now().nanoseconds

    def _decode(self, message) -> tuple[np.ndarray, int]:
        if self._info is not None:
            return _interleaved(
                samples_from_bytes(bytes(message.data), self._info.sample_format),
                self._info.channels,
            ), self._info.sample_rate
        if not self.value('sample_format'):
            raise ValueError(
                'no AudioInfo has come on driver_audio_info: remap it, or set sample_format'
            )
        samples = samples_from_bytes(bytes(message.data), self.value('sample_format'))
        return _interleaved(samples, self._array.num_device_channels), self.value(
            'sample_rate'
        ) or self._array.sample_rate

    def _from_audio_stamped(self, message) -> tuple[np.ndarray, int, int]:
        info = message.audio.info
        field = PORTAUDIO.get(info.format)
        if field is None:
            raise ValueError(
                f"the sample format {info.format} is none of PortAudio's {', '.join(map(str, PORTAUDIO))}"
            )
        samples = full_scale(np.asarray(getattr(message.audio.audio_data, field)))
        return _interleaved(samples, info.channels), info.rate, ns_from_time(message.header.stamp)

    def _from_naoqi(self, message) -> tuple[np.ndarray, int, int]:
        samples = _interleaved(full_scale(np.asarray(message.data)), len(message.channel_map))
        return (
            samples[:, self._naoqi_order(message.channel_map)],
            message.frequency,
            ns_from_time(message.header.stamp),
        )

    def _naoqi_order(self, channel_map) -> list[int]:
        """Which of the buffer's channels are the profile's microphones."""
        names = [NAOQI_CHANNELS[c] if c < len(NAOQI_CHANNELS) else str(c) for c in channel_map]
        wanted = self._array.channel_map
        if not wanted:
            raise UserError(
                f"the robot's channels are {', '.join(names)}: name those of the head profile under microphones, channel_map"
            )
        if not set(wanted) <= set(names):
            raise UserError(
                f"the robot's channels are {', '.join(names)}, the head profile wants {', '.join(wanted)}: choose the right head"
            )
        return [names.index(name) for name in wanted]


def _interleaved(samples: np.ndarray, channels: int) -> np.ndarray:
    """(N * channels,) -> (N, channels)."""
    if channels < 1 or samples.size % channels:
        raise ValueError(f'{samples.size} samples do not divide into {channels} channels')
    return samples.reshape(-1, channels)


def _message_type(driver: Driver, name: str = ''):
    """A message class of the driver's package, imported now. Raises UserError that says what to install."""
    name = name or driver.message
    try:
        module = importlib.import_module(f'{driver.package}.msg')
    except ImportError as error:
        raise UserError(f'{driver.package}/{name} is not installed: {driver.advice}') from error
    if not hasattr(module, name):
        raise UserError(
            f'the installed {driver.package} has no {name}, it is another package of the same name: {driver.advice}'
        )
    return getattr(module, name)


def main() -> None:
    """Entry point of the process."""
    sys.exit(run_node(AudioBridgeNode))


if __name__ == '__main__':
    main()
