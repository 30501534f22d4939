# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The sound of robots' own drivers: their messages, and the samples in them."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from av_perception.audio.driver_stream import full_scale, samples_from_bytes
from av_perception.errors import UserError
from av_perception.ros.conversions import ns_from_time

ADVICE_AUDIO_COMMON = 'apt-get install ros-$ROS_DISTRO-audio-common-msgs'


@dataclass(frozen=True)
class Driver:
    """One kind of driver."""

    #: Package and name of its message.
    package: str
    message: str
    #: What it stamps, see DriverStreamConfig.
    stamps: str
    #: Whether its messages are asked for reliably.
    reliable: bool
    #: How to install the package.
    advice: str
    #: Whether it describes its samples on driver_audio_info.
    has_info: bool = False


DRIVERS = {
    # audio_capture stamps with GStreamer's presentation time on the real-time clock: the first
    # sample.
    'audio_data_stamped': Driver(
        'audio_common_msgs', 'AudioDataStamped', 'first', True, ADVICE_AUDIO_COMMON, True
    ),
    'audio_data': Driver(
        'audio_common_msgs', 'AudioData', 'receipt', True, ADVICE_AUDIO_COMMON, True
    ),
    # audio_capturer_node stamps before it waits for the buffer to fill: the first sample, but for
    # the sound card's latency.
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
# Field of the samples by PortAudio's sample format.
FIELD_OF_PORTAUDIO = {
    1: 'float32_data',
    2: 'int32_data',
    8: 'int16_data',
    16: 'int8_data',
    32: 'uint8_data',
}


@dataclass(frozen=True)
class SampleFormat:
    """How the bytes of an AudioData are to be read."""

    #: As in S16LE.
    name: str
    #: Interleaved.
    num_channels: int
    #: [Hz].
    sample_rate: int


@dataclass(frozen=True)
class Buffer:
    """What one message of a driver carries."""

    #: (N, channels) in -1..1.
    samples: np.ndarray
    #: [Hz].
    sample_rate: int
    #: Of the driver; None where the message has none [ns].
    stamp_ns: int | None


def driver_message(driver: Driver, name: str = '') -> type:
    """Import a message class of the driver's package, its own or the one of a name.

    Raises
    ------
    UserError
        When it is not installed; it says what to install.
    """
    name = name or driver.message
    try:
        module = importlib.import_module(f'{driver.package}.msg')
    except ImportError as error:
        raise UserError(f'{driver.package}/{name} is not installed: {driver.advice}') from error
    if not hasattr(module, name):
        raise UserError(
            f'the installed {driver.package} has no {name}, it is another package of the same '
            f'name: {driver.advice}'
        )
    return getattr(module, name)


class BufferReader:
    """Reads the messages of one kind of driver.

    Attributes
    ----------
    sample_format : SampleFormat or None
        Of AudioData's bytes; None as long as it is not known.
    """

    def __init__(
        self, kind: str, channel_map: Sequence[str], sample_format: SampleFormat | None = None
    ):
        """Choose the kind of driver.

        Parameters
        ----------
        kind : str
            One of DRIVERS.
        channel_map : sequence of str
            NAOqi's names of the head profile's microphones, in their order.
        sample_format : SampleFormat or None
            Of AudioData's bytes, where it is known beforehand.
        """
        self._read = {
            'audio_data_stamped': self._read_audio_data_stamped,
            'audio_data': self._read_audio_data,
            'audio_stamped': self._read_audio_stamped,
            'naoqi': self._read_naoqi,
        }[kind]
        self._channel_map = channel_map
        self.sample_format = sample_format

    def read(self, message: Any) -> Buffer:
        """Read one message.

        Raises
        ------
        ValueError
            When the samples cannot be read.
        UserError
            When they are not those of the head's microphones.
        """
        return self._read(message)

    def _read_audio_data_stamped(self, message: Any) -> Buffer:
        return self._decode(message.audio, ns_from_time(message.header.stamp))

    def _read_audio_data(self, message: Any) -> Buffer:
        return self._decode(message, None)

    def _decode(self, message: Any, stamp_ns: int | None) -> Buffer:
        coding = self.sample_format
        if coding is None:
            raise ValueError(
                'no AudioInfo has come on driver_audio_info: remap it, or set sample_format'
            )
        samples = samples_from_bytes(bytes(message.data), coding.name)
        return Buffer(_interleaved(samples, coding.num_channels), coding.sample_rate, stamp_ns)

    def _read_audio_stamped(self, message: Any) -> Buffer:
        info = message.audio.info
        field = FIELD_OF_PORTAUDIO.get(info.format)
        if field is None:
            known = ', '.join(map(str, FIELD_OF_PORTAUDIO))
            raise ValueError(f"the sample format {info.format} is none of PortAudio's {known}")
        samples = full_scale(np.asarray(getattr(message.audio.audio_data, field)))
        stamp_ns = ns_from_time(message.header.stamp)
        return Buffer(_interleaved(samples, info.channels), info.rate, stamp_ns)

    def _read_naoqi(self, message: Any) -> Buffer:
        samples = _interleaved(full_scale(np.asarray(message.data)), len(message.channel_map))
        return Buffer(
            samples[:, self._naoqi_order(message.channel_map)],
            message.frequency,
            ns_from_time(message.header.stamp),
        )

    def _naoqi_order(self, channel_map: Sequence[int]) -> list[int]:
        """Find which of the buffer's channels are the profile's microphones."""
        names = [NAOQI_CHANNELS[c] if c < len(NAOQI_CHANNELS) else str(c) for c in channel_map]
        wanted = self._channel_map
        if not wanted:
            raise UserError(
                f"the robot's channels are {', '.join(names)}: name those of the head profile "
                'under microphones, channel_map'
            )
        if not set(wanted) <= set(names):
            raise UserError(
                f"the robot's channels are {', '.join(names)}, the head profile wants "
                f'{", ".join(wanted)}: choose the right head'
            )
        return [names.index(name) for name in wanted]


def _interleaved(samples: np.ndarray, num_channels: int) -> np.ndarray:
    """Part interleaved samples: (N * channels,) -> (N, channels)."""
    if num_channels < 1 or samples.size % num_channels:
        raise ValueError(f'{samples.size} samples do not divide into {num_channels} channels')
    return samples.reshape(-1, num_channels)
