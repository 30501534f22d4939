# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Clips of talking faces: their images through OpenCV, their sound through libsndfile.

OpenCV gives no sound. A clip's sound is read from the MPEG-1 program stream itself (ISO 11172-1: packs, system headers and packets that
begin with 00 00 01 and a stream id), or from a sound file of the same name beside any other video (`clip.mp4`, `clip.wav`).
"""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import soundfile

from av_perception.errors import UserError
from av_perception.simulation.activity import voice_activity

SILENCE_KEPT_S = 0.12  # before and after the speech of a clip
_PACK, _END, _AUDIO = 0xBA, 0xB9, range(0xC0, 0xE0)


def read_clip_audio(path: Path) -> tuple[np.ndarray, int]:
    """((samples,), sample rate) of a clip's sound, first channel, from just before to just after its speech. Raises UserError."""
    samples, rate = _whole_sound(path)
    start, end = _speech_span(samples, rate)
    return samples[int(start * rate) : int(end * rate)], rate


def read_clip_images(path: Path) -> tuple[list[np.ndarray], float]:
    """(images (height, width, 3) uint8 BGR, images per second) of the same span as the sound. Raises UserError."""
    start, end = _speech_span(*_whole_sound(path))
    capture = cv2.VideoCapture(str(path))
    rate, images = capture.get(cv2.CAP_PROP_FPS), []
    while True:
        readable, image = capture.read()
        if not readable:
            break
        images.append(image)
    capture.release()
    if not images or not rate > 0:
        raise UserError(f'the clip {path} is not a readable video')
    first = min(int(round(start * rate)), len(images) - 1)
    return images[first : max(first + 1, int(round(end * rate)))], rate


def _whole_sound(path: Path) -> tuple[np.ndarray, int]:
    try:
        beside = next(
            (path.with_suffix(s) for s in ('.wav', '.flac') if path.with_suffix(s).is_file()), None
        )
        source = str(beside) if beside else BytesIO(audio_stream(path.read_bytes()))
        samples, rate = soundfile.read(source, always_2d=True)
    except (RuntimeError, OSError, IndexError) as error:
        raise UserError(
            f'no sound in the clip {path}: give an MPEG-1 clip, or put its sound beside it as {path.stem}.wav'
        ) from error
    return samples[:, 0], rate


def _speech_span(samples: np.ndarray, rate: int) -> tuple[float, float]:
    """(start, end) seconds of the speech, with a little silence; the whole clip when nothing sounds."""
    sounding = np.flatnonzero(voice_activity(samples, rate))
    if not len(sounding):
        return 0.0, len(samples) / rate
    return max(0.0, sounding[0] / rate - SILENCE_KEPT_S), min(
        len(samples) / rate, sounding[-1] / rate + SILENCE_KEPT_S
    )


def audio_stream(content: bytes) -> bytes:
    """The payload of all audio packets of an MPEG-1 program stream, joined."""
    payloads, position = [], content.find(b'\0\0\1')
    while 0 <= position < len(content) - 6:
        kind = content[position + 3]
        if kind == _END:
            break
        length = (
            12
            if kind == _PACK
            else 6 + int.from_bytes(content[position + 4 : position + 6], 'big')
        )
        if kind in _AUDIO:
            payloads.append(_payload(content[position + 6 : position + length]))
        position = content.find(b'\0\0\1', position + length)
    return b''.join(payloads)


def _payload(packet: bytes) -> bytes:
    """A packet without its header: stuffing (0xFF), buffer size (01...), time stamps (0010 one, 0011 two, else one byte 0x0F)."""
    start = len(packet) - len(packet.lstrip(b'\xff'))
    start += 2 if packet[start] >> 6 == 1 else 0
    return packet[start + {2: 5, 3: 10}.get(packet[start] >> 4, 1) :]
