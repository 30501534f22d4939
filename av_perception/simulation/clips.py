# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Clips of talking faces: their images through OpenCV, their sound through libsndfile.

OpenCV gives no sound. A clip's sound is read from the MPEG-1 program stream itself (ISO 11172-1:
packs, system headers and packets that begin with 00 00 01 and a stream id), or from a sound file
of the same name beside any other video (`clip.mp4`, `clip.wav`).
"""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import soundfile

from av_perception.array_files import MAX_ARRAY_BYTES
from av_perception.errors import UserError
from av_perception.files import opencv_name, read_within
from av_perception.recording.sound_file import read_pieces, read_sound
from av_perception.simulation.activity import voice_activity

SILENCE_KEPT_S = 0.12  # before and after the speech of a clip
_START = b'\0\0\1'  # of a pack, header or packet; a stream id follows
_PACK = 0xBA
_PACK_LENGTH = 12  # bytes
_END = 0xB9
_AUDIO = range(0xC0, 0xE0)


def read_clip_audio(path: Path) -> tuple[np.ndarray, int]:
    """Read the first channel of a clip's sound, from just before to just after its speech.

    Returns
    -------
    tuple
        (samples,) and the sample rate [Hz].

    Raises
    ------
    UserError
        When the clip has no sound.
    """
    samples, rate = _whole_sound(path)
    start, end = _speech_span(samples, rate)
    return samples[int(start * rate) : int(end * rate)], rate


def read_clip_images(path: Path) -> tuple[list[np.ndarray], float]:
    """Read the images of a clip, of the same span as `read_clip_audio`.

    Returns
    -------
    tuple
        Images (height, width, 3) uint8 BGR, and their number per second.

    Raises
    ------
    UserError
        When the clip is no video or has no sound.
    """
    start, end = _speech_span(*_whole_sound(path))
    images, rate = _all_images(path)
    if not images or not rate > 0:
        raise UserError(f'the clip {path} is not a readable video')
    first = min(int(round(start * rate)), len(images) - 1)
    return images[first : max(first + 1, int(round(end * rate)))], rate


def _all_images(path: Path) -> tuple[list[np.ndarray], float]:
    """Images of a whole clip, and their number per second; none of an unreadable one."""
    capture = cv2.VideoCapture(opencv_name(path))
    rate = capture.get(cv2.CAP_PROP_FPS)
    images = []
    while True:
        readable, image = capture.read()
        if not readable:
            break
        images.append(image)
    capture.release()
    return images, rate


def _whole_sound(path: Path) -> tuple[np.ndarray, int]:
    """Read a clip's first channel, of the file beside it if there is one: samples and rate."""
    beside = [path.with_suffix(suffix) for suffix in ('.wav', '.flac')]
    try:
        existing = [file for file in beside if file.is_file()]
        if existing:
            samples, rate = read_sound(existing[0])
        else:
            content = audio_stream(read_within(path, MAX_ARRAY_BYTES))
            with soundfile.SoundFile(BytesIO(content)) as sound:
                rate = sound.samplerate
                samples = read_pieces(sound, sound.frames, 'float64')
    except (RuntimeError, OSError, IndexError, ValueError, UserError) as error:
        raise UserError(
            f'no sound in the clip {path}: give an MPEG-1 clip, '
            f'or put its sound beside it as {path.stem}.wav'
        ) from error
    return samples[:, 0], rate


def _speech_span(samples: np.ndarray, rate: int) -> tuple[float, float]:
    """(start, end) [s] of the speech, with a little silence; of the whole clip if none sounds."""
    sounding = np.flatnonzero(voice_activity(samples, rate))
    if not len(sounding):
        return 0.0, len(samples) / rate
    start = max(0.0, sounding[0] / rate - SILENCE_KEPT_S)
    end = min(len(samples) / rate, sounding[-1] / rate + SILENCE_KEPT_S)
    return start, end


def audio_stream(content: bytes) -> bytes:
    """Join the payloads of all audio packets of an MPEG-1 program stream."""
    payloads = []
    position = content.find(_START)
    while 0 <= position < len(content) - 6:
        kind = content[position + 3]
        if kind == _END:
            break
        if kind == _PACK:
            length = _PACK_LENGTH
        else:
            length = 6 + int.from_bytes(content[position + 4 : position + 6], 'big')
        if kind in _AUDIO:
            payloads.append(_payload(content[position + 6 : position + length]))
        position = content.find(_START, position + length)
    return b''.join(payloads)


def _payload(packet: bytes) -> bytes:
    """Cut the header off a packet: stuffing (0xFF), buffer size (01...), time stamps.

    One time stamp begins with 0010, two with 0011; none is a byte 0x0F.
    """
    start = len(packet) - len(packet.lstrip(b'\xff'))
    if packet[start] >> 6 == 1:
        start += 2
    stamps_length = {2: 5, 3: 10}.get(packet[start] >> 4, 1)
    return packet[start + stamps_length :]
