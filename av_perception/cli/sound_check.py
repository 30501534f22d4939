# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The part of `doctor` that listens: faults of channels, their order, the array's orientation."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from av_perception.audio.capture import AudioFile, SoundCard
from av_perception.audio.channel_check import (
    KnownSound,
    OrderCheck,
    check_order,
    telling_azimuth,
)
from av_perception.audio.channel_faults import ChannelFault, channel_faults
from av_perception.cli.finding import Finding
from av_perception.errors import UserError
from av_perception.robot_head import MicrophoneArray, load_head

_RECORD_S = 5.0
_LONGEST_S = 30.0  # of a file


def check_sounds(
    head_name: str, paths: list[Path], azimuths_deg: list[float], elevation_deg: float
) -> list[Finding]:
    """Check the channels by sounds from known directions.

    Parameters
    ----------
    head_name
        Name or file of the head profile.
    paths
        Files with a sound each; without any the sounds are recorded now.
    azimuths_deg
        Where each sound comes from, in the base frame [deg].
    elevation_deg
        How high all of them come from [deg].

    Returns
    -------
    list of Finding
        Faults of channels, and what is known of their order.

    Raises
    ------
    UserError
        The arguments do not fit together, or a sound cannot be read.
    """
    array = _array_of(head_name, paths, azimuths_deg)
    elevation = float(np.radians(elevation_deg))
    sounds = []
    for index, azimuth_deg in enumerate(azimuths_deg):
        samples, rate = _read(paths[index], array) if paths else _record(array, azimuth_deg)
        sounds.append(KnownSound(samples, rate, float(np.radians(azimuth_deg)), elevation))
    return _findings(sounds, array)


def _array_of(head_name: str, paths: list[Path], azimuths_deg: list[float]) -> MicrophoneArray:
    """Look up the head's microphones; raise UserError where the arguments do not fit."""
    if not head_name:
        raise UserError('to check channels the head must be known: add --head NAME')
    if not azimuths_deg or (paths and len(paths) != len(azimuths_deg)):
        raise UserError(
            'every --sound needs one --azimuth, the direction in degrees that it comes from'
        )
    array = load_head(head_name).microphones
    if array is None or len(array.coordinates) < 2:
        raise UserError(f"head '{head_name}' has no microphones to compare")
    return array


def _findings(sounds: list[KnownSound], array: MicrophoneArray) -> list[Finding]:
    wanted = len(array.coordinates)
    channels = sounds[0].samples.shape[1]
    if any(sound.samples.shape[1] != channels for sound in sounds) or channels < wanted:
        text = (
            f'the sound has {channels} channel(s), the head {wanted} microphones: '
            'choose the right device or head'
        )
        return [Finding('channels', False, text)]
    faults: dict[int, ChannelFault] = {}
    for sound in sounds:
        faults.update(channel_faults(sound.samples))
    findings = [
        Finding(array.channel_name(channel), False, fault.text)
        for channel, fault in sorted(faults.items())
    ]
    if not findings:
        text = f'{channels} channels, none dead, clipped or offset'
        findings.append(Finding('channels', True, text))
    if any(channel < wanted and not fault.usable for channel, fault in faults.items()):
        text = 'not looked at: mend the channels first'
        return [*findings, Finding('channel order', None, text)]
    return [*findings, _order_finding(check_order(sounds, array), array, channels)]


def _order_finding(check: OrderCheck, array: MicrophoneArray, channels: int) -> Finding:
    heard = ', '.join(f'{np.degrees(azimuth):.0f}' for azimuth in check.heard_azimuths)
    text = (
        check.problem
        or f'as in the profile (fit {check.profile_fit:.2f}); the sound comes from {heard} degrees'
    )
    if not check.problem and channels > len(array.coordinates):
        text += f'; the first {len(array.coordinates)} of {channels} channels are the microphones'
    if channels > len(array.coordinates):
        text += (
            '; name them in the head profile under microphones, '
            f'device_channels: {list(check.orders[0])}'
        )
    if check.problem and array.device_channels:
        text += f'; channels are counted along device_channels {list(array.device_channels)}'
    if len(check.orders) > 1:
        azimuth_deg = np.degrees(telling_azimuth(array))
        text += (
            f'. From there {len(check.orders)} orders sound alike: '
            f'add a sound from {azimuth_deg:.0f} degrees'
        )
    return Finding('channel order', not check.problem, text)


def _read(path: Path, array: MicrophoneArray) -> tuple[np.ndarray, int]:
    """Read the microphones' channels where the profile names them, else all."""
    sound = AudioFile(str(path), array if array.device_channels else None)
    count = min(sound.num_samples, round(_LONGEST_S * sound.sample_rate))
    return sound.read_audio(0, count), sound.sample_rate


def _record(array: MicrophoneArray, azimuth_deg: float) -> tuple[np.ndarray, int]:
    """Record five seconds from the sound card."""
    card = SoundCard('', array.num_device_channels, array.sample_rate)
    parts: list[np.ndarray] = []
    errors: list[Exception] = []
    print(
        f'Clap or speak at {azimuth_deg:.0f} degrees (left is positive), '
        f'for {_RECORD_S:.0f} s, now.',
        flush=True,
    )
    card.start(
        1024,
        time.time_ns,
        lambda chunk: parts.append(chunk.samples),
        lambda text: None,
        errors.append,
        0.0,
    )
    time.sleep(_RECORD_S)
    card.stop()
    if errors:
        raise errors[0]
    if not parts:
        raise UserError('the sound card gave no samples: is another program using it?')
    try:
        return array.pick(np.concatenate(parts)), card.sample_rate
    except UserError as error:
        raise UserError(f'the sound card has {error}') from error
