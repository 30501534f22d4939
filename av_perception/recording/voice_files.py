# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Separated voices on disk: a sound file per person, and who spoke when.

All files count from second 0 of the recording, so that a sample lies where the turns say.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import soundfile

from av_perception.errors import UserError
from av_perception.geometry.time import seconds
from av_perception.interfaces import AudioChunk, SpeakingFrame
from av_perception.recording.sound_file import read_pieces, writing_sound

_LONGEST_WRITE = 1 << 16  # samples of silence at a time
PEAK_STEP_S = 0.04  # of `voice_peaks`
_GAP_S = 0.5  # statuses further apart do not hold in between

Turn = tuple[float, float, int]


class VoiceFiles:
    """Writes person_<id>.flac, turns.csv and turns.rttm; older ones in the folder go.

    Parameters
    ----------
    folder
        Is made.
    origin_ns
        Stamp of second 0.

    Raises
    ------
    UserError
        When the folder cannot be written.
    """

    def __init__(self, folder: str | Path, origin_ns: int):
        self._folder = Path(folder)
        self._origin_ns = origin_ns
        self._files: dict[int, soundfile.SoundFile] = {}
        # By id: the sample of the stream at second 0.
        self._zero: dict[int, int] = {}
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for old in (*self._folder.glob('person_*.flac'), *self._folder.glob('turns.*')):
                old.unlink()
        except OSError as error:
            reason = error.strerror or error
            raise UserError(f'cannot write voices to {self._folder}: {reason}') from error

    def write(self, key: int, chunk: AudioChunk) -> None:
        """Append (N, 1) samples of a person's stream, after silence where some are missing.

        Raises
        ------
        UserError
            When they cannot be written.
        """
        with writing_sound(self._path(key)):
            self._write(key, chunk)

    def _path(self, key: int) -> Path:
        return self._folder / f'person_{key}.flac'

    def _write(self, key: int, chunk: AudioChunk) -> None:
        if key not in self._files:
            path = str(self._path(key))
            self._files[key] = soundfile.SoundFile(path, 'w', chunk.sample_rate, 1, 'PCM_16')
            offset = round(seconds(chunk.stamp_ns - self._origin_ns) * chunk.sample_rate)
            self._zero[key] = chunk.first_sample - offset
        file = self._files[key]
        missing = chunk.first_sample - self._zero[key] - file.frames
        while missing > 0:
            count = min(missing, _LONGEST_WRITE)
            file.write(np.zeros((count, 1), np.float32))
            missing -= count
        file.write(chunk.samples[max(0, -missing) :])  # nothing lies before second 0

    def finish(self, statuses: Iterable[SpeakingFrame], name: str) -> None:
        """Close the files, and write who spoke when.

        Parameters
        ----------
        statuses
            In the order of their stamps.
        name
            Of the recording, for the RTTM.
        """
        for key, file in self._files.items():
            with writing_sound(self._path(key)):
                file.close()
        turns = turns_of(statuses, self._origin_ns)
        rows = ['start,end,id', *(f'{start:.3f},{end:.3f},{key}' for start, end, key in turns)]
        try:
            (self._folder / 'turns.csv').write_text('\n'.join(rows) + '\n', encoding='utf-8')
        except OSError as error:
            reason = error.strerror or error
            raise UserError(f'cannot write the turns to {self._folder}: {reason}') from error
        write_rttm(self._folder / 'turns.rttm', turns, name)


def write_rttm(path: str | Path, turns: Iterable[Turn], name: str) -> None:
    """Write who spoke when as RTTM, which tools of diarization read.

    Parameters
    ----------
    path
        Of the file.
    turns
        Of `turns_of`.
    name
        Of the recording.

    Raises
    ------
    UserError
        When the file cannot be written.
    """
    word = '_'.join(name.split()) or 'recording'
    lines = [
        f'SPEAKER {word} 1 {start:.3f} {end - start:.3f} <NA> <NA> person_{key} <NA> <NA>\n'
        for start, end, key in turns
    ]
    try:
        Path(path).write_text(''.join(lines), encoding='utf-8')
    except OSError as error:
        raise UserError(f'cannot write {path}: {error.strerror or error}') from error


def turns_of(statuses: Iterable[SpeakingFrame], origin_ns: int) -> list[Turn]:
    """Find who spoke when.

    Parameters
    ----------
    statuses
        In the order of their stamps.
    origin_ns
        Stamp of second 0.

    Returns
    -------
    list of (float, float, int)
        Start and end [s] and the id of every turn, in the order of their start. A turn ends with
        the first status that denies it, or where statuses are missing.
    """
    turns: list[Turn] = []
    since: dict[int, float] = {}
    before_s: float | None = None
    step_s = 0.0
    for frame in statuses:
        now_s = seconds(frame.stamp_ns - origin_ns)
        if before_s is not None:
            step_s = min(now_s - before_s, _GAP_S)
        is_gap = before_s is not None and now_s - before_s > _GAP_S
        speaking = {status.id for status in frame.statuses if status.speaking}
        for key in sorted(since):
            if is_gap or key not in speaking:
                end_s = now_s if before_s is None or not is_gap else before_s
                turns.append((since.pop(key), end_s, key))
        for key in speaking - since.keys():
            since[key] = now_s
        before_s = now_s
    turns += [(start, (before_s or 0.0) + step_s, key) for key, start in since.items()]
    return sorted(turns)


def voice_peaks(folder: str | Path) -> dict[int, np.ndarray]:
    """Read how loud the voices are that `VoiceFiles` wrote.

    Parameters
    ----------
    folder
        With person_<id>.flac.

    Returns
    -------
    dict of int to (T,) array
        By id: the largest sample of every `PEAK_STEP_S`, from second 0 on.

    Raises
    ------
    UserError
        When a file cannot be read.
    """
    peaks = {}
    for path in sorted(Path(folder).glob('person_*.flac')):
        key = path.stem.removeprefix('person_')
        if not (key.isascii() and key.isdigit()):
            continue
        try:
            with soundfile.SoundFile(str(path)) as sound:
                samples = read_pieces(sound, sound.frames, 'float32')
                size = max(1, round(PEAK_STEP_S * sound.samplerate))
        except (OSError, RuntimeError) as error:
            raise UserError(f'cannot read the voice {path}: {error}') from error
        loudest = np.abs(samples).max(axis=1)
        padded = np.pad(loudest, (0, -len(samples) % size))
        peaks[int(key)] = padded.reshape(-1, size).max(axis=1)
    return peaks
