# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The part of `doctor` that listens: faults of single channels, their order, and the orientation of the array."""

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
from av_perception.audio.channel_faults import channel_faults
from av_perception.cli.doctor import Finding
from av_perception.errors import UserError
from av_perception.robot_head import load_head

_RECORD_S, _LONGEST_S = 5.0, 30.0


def check_sounds(
    head_name: str, paths: list[Path], azimuths_deg: list[float], elevation_deg: float
) -> list[Finding]:
    """Findings of sounds from known directions: read from files, or recorded now when there are none. Raises UserError."""
    if not head_name:
        raise UserError('to check channels the head must be known: add --head NAME')
    if not azimuths_deg or (paths and len(paths) != len(azimuths_deg)):
        raise UserError(
            'every --sound needs one --azimuth, the direction in degrees that it comes from'
        )
    array = load_head(head_name).microphones
    if array is None or len(array.coordinates) < 2:
        raise UserError(f"head '{head_name}' has no microphones to compare")
    sounds = []
    for index, azimuth in enumerate(azimuths_deg):
        samples, rate = _read(paths[index], array) if paths else _record(array, azimuth)
        sounds.append(
            KnownSound(samples, rate, float(np.radians(azimuth)), float(np.radians(elevation_deg)))
        )
    wanted, channels = len(array.coordinates), sounds[0].samples.shape[1]
    if any(sound.samples.shape[1] != channels for sound in sounds) or channels < wanted:
        return [
            Finding(
                'channels',
                False,
                f'the sound has {channels} channel(s), the head {wanted} microphones: choose the right device or head',
            )
        ]
    faults = {}
    for sound in sounds:
        faults.update(channel_faults(sound.samples))
    findings = [
        Finding(array.channel_name(channel), False, fault.text)
        for channel, fault in sorted(faults.items())
    ]
    if not findings:
        findings.append(
            Finding('channels', True, f'{channels} channels, none dead, clipped or offset')
        )
    if any(channel < wanted and not fault.usable for channel, fault in faults.items()):
        return [
            *findings,
            Finding('channel order', None, 'not looked at: mend the channels first'),
        ]
    return [*findings, _order_finding(check_order(sounds, array), array, channels)]


def _order_finding(check: OrderCheck, array, channels: int) -> Finding:
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
        text += f'. From there {len(check.orders)} orders sound alike: add a sound from {np.degrees(telling_azimuth(array)):.0f} degrees'
    return Finding('channel order', not check.problem, text)


def _read(path: Path, array) -> tuple[np.ndarray, int]:
    """The microphones' channels where the profile names them, else all: it is looked for them."""
    sound = AudioFile(str(path), array if array.device_channels else None)
    return sound.read_audio(
        0, min(sound.num_samples, round(_LONGEST_S * sound.sample_rate))
    ), sound.sample_rate


def _record(array, azimuth_deg: float) -> tuple[np.ndarray, int]:
    """Five seconds from the sound card."""
    card = SoundCard('', array.num_device_channels, array.sample_rate)
    parts, errors = [], []
    print(
        f'Clap or speak at {azimuth_deg:.0f} degrees (left is positive), for {_RECORD_S:.0f} s, now.',
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
