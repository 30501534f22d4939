# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Sound files, opened and read with errors that say what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import soundfile

from av_perception.errors import UserError

HEADERLESS = ('.raw', '.pcm', '.s16', '.s32', '.f32', '.sw', '.snd_raw')
RATES = (1000, 1_000_000)  # [Hz] that a sound can have
_PIECE = 1 << 20  # samples that are read at a time: a header may claim any number of them
_MAX_VALUES = 1 << 29  # samples of all channels that are read at once
_EMPTY = 'it has 0 samples: choose another file, or record it again'


def open_sound(path: str | Path) -> soundfile.SoundFile:
    """Open a WAV or FLAC file, or what else libsndfile reads.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    soundfile.SoundFile
        Open; it holds at least one sample.

    Raises
    ------
    UserError
        The file is absent, unreadable, damaged, without a header or without sound.
    """
    path = Path(path)
    try:
        with open(path, 'rb') as stream:
            start = stream.read(4)
    except OSError as error:
        raise UserError(f'cannot read the sound file {path}: {error.strerror or error}') from error
    if not start:
        raise UserError(f'there is no sound in {path}, the file is empty: record it again')
    if path.suffix.lower() in HEADERLESS:
        raise UserError(_how_to_make_a_wav(path))
    try:
        sound = soundfile.SoundFile(str(path))
    except (OSError, RuntimeError, TypeError, ValueError) as error:
        raise UserError(f'{path} is not a readable sound file: {_reason(error)}') from error
    problem = _problem(sound, path)
    if problem:
        sound.close()
        raise UserError(problem)
    return sound


@contextmanager
def writing_sound(path: str | Path) -> Iterator[None]:
    """Have what libsndfile says while it writes a file told as UserError: a full disk, say."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        reason = getattr(error, 'strerror', None) or f'{error} Is there room on the disk?'
        raise UserError(f'cannot write the sound {path}: {reason}') from error


def _problem(sound: soundfile.SoundFile, path: Path) -> str:
    """Say what is wrong with what the header claims, '' when nothing is."""
    if sound.frames <= 0:
        return f'there is no sound in {path}, {_EMPTY}'
    if not RATES[0] <= sound.samplerate <= RATES[1]:
        return (
            f'{path} claims a sample rate of {sound.samplerate} Hz, which no sound has: record '
            'or convert it again'
        )
    return ''


def read_sound(path: str | Path, dtype: str = 'float64') -> tuple[np.ndarray, int]:
    """Read a whole file.

    Parameters
    ----------
    path, dtype
        See `open_sound` and `read_samples`.

    Returns
    -------
    samples : np.ndarray
        (N, channels)
    rate : int
        [Hz]

    Raises
    ------
    UserError
        See `open_sound` and `read_samples`.
    """
    with open_sound(path) as sound:
        return read_samples(sound, 0, sound.frames, dtype), sound.samplerate


def read_samples(
    sound: soundfile.SoundFile, start: int, count: int, dtype: str = 'float32'
) -> np.ndarray:
    """Read samples of an open file.

    Parameters
    ----------
    sound
        See `open_sound`.
    start, count
        First sample, and how many.
    dtype
        'float32' or 'float64'.

    Returns
    -------
    np.ndarray
        (count, channels), fewer at the end of the file.

    Raises
    ------
    UserError
        Where the file cannot be decoded, ends before its header says, or is too long.
    """
    wanted = max(0, min(count, sound.frames - start))
    try:
        sound.seek(min(start, sound.frames))
        samples = read_pieces(sound, wanted, dtype)
    except (OSError, RuntimeError) as error:
        raise UserError(
            f'{sound.name} cannot be decoded at sample {start}: {_reason(error)}; '
            'record or convert it again'
        ) from error
    if len(samples) < wanted:
        raise UserError(
            f'{sound.name} is cut short after sample {start + len(samples)} of '
            f'{sound.frames}: record or convert it again'
        )
    return samples


def read_pieces(sound: soundfile.SoundFile, wanted: int, dtype: str) -> np.ndarray:
    """Read at most `wanted` samples; memory follows what is decoded, not what a header claims.

    Raises UserError for more than fit into memory, and what soundfile raises.
    """
    if wanted <= _PIECE:
        return sound.read(wanted, dtype=dtype, always_2d=True)
    pieces = []
    found = 0
    while found < wanted:
        piece = sound.read(min(_PIECE, wanted - found), dtype=dtype, always_2d=True)
        found += len(piece)
        if found * sound.channels > _MAX_VALUES:
            raise UserError(f'{sound.name} is too long to be read at once: cut it into parts')
        if not len(piece):
            break
        pieces.append(piece)
    return np.concatenate(pieces) if pieces else np.zeros((0, sound.channels), dtype)


def _reason(error: Exception) -> str:
    """Tell what libsndfile says, without the path that our message has already."""
    text = ' '.join(str(error).split())
    if text.startswith('Error opening') and ': ' in text:
        return text.partition(': ')[2]
    return text


def _how_to_make_a_wav(path: Path) -> str:
    """Advise on a file whose rate, bits and channels only its maker knows (ODAS: 16 bits)."""
    return (
        f'{path} has no header that tells rate, bits and channels: make a WAV of it, with the '
        f'values it was recorded with, as in `sox -t raw -r 16000 -e signed -b 16 -c 4 {path} '
        f'{path.with_suffix(".wav")}`'
    )
