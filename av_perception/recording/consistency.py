# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Whether the parts of a recording are there and fit together. All checks raise UserError."""

from __future__ import annotations

from pathlib import Path

from av_perception.errors import UserError
from av_perception.recording.images import MISCOUNTED, ImageSequence
from av_perception.recording.recording_info import RecordingInfo
from av_perception.recording.sound_file import open_sound
from av_perception.robot_head import CameraGeometry, HeadProfile, MicrophoneArray

LEAST_DIFFERENCE_S = 0.5  # by which sound and images last differently
DIFFERENCE_SHARE = 0.03
SOUND_FILES = ('audio.flac', 'audio.wav')


def has_audio(folder: Path) -> bool:
    """Tell whether a recording's folder holds sound."""
    return any((folder / name).is_file() for name in SOUND_FILES)


def find_audio(folder: Path) -> Path:
    """Find the one sound file of a recording's folder."""
    found = [folder / name for name in SOUND_FILES if (folder / name).is_file()]
    if len(found) > 1:
        raise UserError(f'{folder} holds both audio.flac and audio.wav: remove one')
    if not found:
        raise UserError(
            f'{folder} holds neither audio.flac nor audio.wav (for images alone leave sample_rate '
            'out of recording.yaml)'
        )
    return found[0]


def check_audio(audio: Path, info: RecordingInfo, head: HeadProfile) -> MicrophoneArray:
    """Compare a sound file with recording.yaml and the head; returns the head's microphones."""
    with open_sound(audio) as sound:
        rate = sound.samplerate
        channels = sound.channels
    if info.sample_rate is None:
        raise UserError(
            f"{audio.parent / 'recording.yaml'}: the key 'sample_rate' is missing "
            f'({audio.name} has {rate} Hz)'
        )
    if rate != info.sample_rate:
        raise UserError(
            f'{audio} has {rate} Hz, recording.yaml says sample_rate: {info.sample_rate}'
        )
    if head.microphones is None:
        raise UserError(
            f'the head profile {head.name} has no microphones, {audio} has {channels} channels: '
            'name the right head'
        )
    head.microphones.require_recorded(channels, audio)
    return head.microphones


def check_images(
    folder: Path,
    info: RecordingInfo,
    head: HeadProfile,
    left: ImageSequence | None,
    right: ImageSequence | None,
) -> None:
    """Compare the images of a recording with recording.yaml, the head and each other."""
    if left is None and right is None:
        return  # sound alone
    if left is None:
        raise UserError(f'{folder} holds images of the right camera but none of the left')
    if info.frame_rate is None:
        raise UserError(
            f"{folder / 'recording.yaml'}: the key 'frame_rate' is missing (the recording has "
            'images)'
        )
    if head.camera is None:
        raise UserError(
            f'{folder} holds images, the head profile {head.name} has no camera: name the right '
            'head'
        )
    if right is not None and head.camera.baseline == 0:
        raise UserError(
            f'{folder} holds images of two cameras, the head profile {head.name} has one '
            '(baseline 0)'
        )
    _check_size(left, head.camera, head.name)
    if right is not None:
        _check_size(right, head.camera, head.name)
        _check_pair(folder, left, right)


def length_problem(left: ImageSequence, frame_rate: float, sound_s: float) -> str:
    """Say when sound and images do not last equally long, as with a wrong frame_rate.

    Parameters
    ----------
    left
        Images of the left camera.
    frame_rate
        [Hz] that recording.yaml says.
    sound_s
        [s] length of the sound.

    Returns
    -------
    str
        A sentence, or ''.
    """
    images_s = left.length / frame_rate
    if abs(images_s - sound_s) <= max(LEAST_DIFFERENCE_S, DIFFERENCE_SHARE * sound_s):
        return ''
    own = f', {left.path.name} itself says {left.rate:.4g}' if left.rate else ''
    return (
        f'the images last {images_s:.1f} s ({left.length} at frame_rate {frame_rate:.4g}{own}), '
        f'the sound {sound_s:.1f} s: unless one was stopped earlier, they drift apart. Both '
        f'would last equally long with frame_rate {left.length / sound_s:.4g}'
    )


def _check_size(images: ImageSequence, camera: CameraGeometry, name: str) -> None:
    """Compare the size of images with that of the camera of the head profile `name`."""
    if images.size != (camera.width, camera.height):
        raise UserError(
            f'{images.path} has {images.size[0]}x{images.size[1]} images, the head profile '
            f'{name} says {camera.width}x{camera.height}'
        )


def _check_pair(folder: Path, left: ImageSequence, right: ImageSequence) -> None:
    """Refuse sides of different length.

    The counts in the headers of videos are often estimates: where they disagree, decoding decides.
    """
    allowed = MISCOUNTED if left.is_video and right.is_video else 0
    if abs(right.length - left.length) <= allowed:
        return
    for images in (left, right):
        images.count_decodable()
    if abs(right.length - left.length) <= allowed:
        return
    shorter = min((left, right), key=lambda images: images.length)
    reason = ''
    if shorter.claimed_length - shorter.length > MISCOUNTED:
        claim = shorter.claimed_length
        reason = f'; {shorter.path.name} is cut short, its header says {claim}'
    raise UserError(f'{folder}: {left.length} left images but {right.length} right ones{reason}')
