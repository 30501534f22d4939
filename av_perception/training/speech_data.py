# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Speech to train on: a folder of sound files, talkers apart, as log powers.

Talkers of the parts are disjoint: most train, a few decide when training ends, and the figures
come from others that no decision has seen. A talker is a sub-folder, or in a flat folder a file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr

from av_perception.dvae.spectra import FLOOR, PRIOR_TRANSFORM, RATE, log_powers
from av_perception.errors import UserError
from av_perception.recording.sound_file import read_sound

SUFFIXES = ('.flac', '.wav', '.ogg')
_SILENCE_DB = 30.0  # below the loudest moment: cut from both ends
_BLOCK = 256  # [samples] of which silence is judged
_QUIETEST = 1e-4  # a file whose largest sample is below is empty
_SHORTEST_S = 1.0


@dataclass(frozen=True)
class Talkers:
    """Sound files of disjoint talkers."""

    train: list[Path]
    check: list[Path]
    test: list[Path]


@dataclass(frozen=True)
class Frames:
    """Recordings one after the other. log_power: (N, F) float16; lengths: frames of each."""

    log_power: np.ndarray
    lengths: np.ndarray


def split_talkers(folder: Path, num_check: int, num_test: int, seed: int) -> Talkers:
    """Deal the talkers of a folder to the three parts.

    Parameters
    ----------
    folder
        Of sound files.
    num_check, num_test
        Talkers who decide when training ends, and who give the figures.
    seed
        Of the deal.

    Raises
    ------
    UserError
        When there is no such folder, or too few talkers in it.
    """
    if not folder.is_dir():
        raise UserError(f'there is no folder {folder}: name one with speech, a file per talker')
    files = sorted(path for path in folder.rglob('*') if path.suffix.lower() in SUFFIXES)
    talkers: dict[str, list[Path]] = {}
    for path in files:
        parts = path.relative_to(folder).parts
        talkers.setdefault(parts[0], []).append(path)
    if len(talkers) < num_check + num_test + 1:
        raise UserError(
            f'{folder} has {len(talkers)} talkers, but {num_check + num_test} are to be held out: '
            'name a larger folder, or hold out fewer'
        )
    order = np.random.default_rng(seed).permutation(sorted(talkers))
    groups = np.split(order, [num_test, num_test + num_check])
    test, check, train = ([path for name in group for path in talkers[name]] for group in groups)
    return Talkers(train, check, test)


def read_speech(path: Path) -> np.ndarray:
    """(N,) at 16 kHz without silent ends, its largest sample 1; empty where there is no sound."""
    try:
        samples, rate = read_sound(path)
    except UserError as error:
        raise UserError(f'{error}; take it out of the folder') from error
    sound = np.nan_to_num(samples[:, 0], nan=0.0, posinf=0.0, neginf=0.0)
    if rate != RATE:
        sound = soxr.resample(sound, rate, RATE)
    peak = np.abs(sound).max(initial=0.0)
    if peak < _QUIETEST or len(sound) < _SHORTEST_S * RATE:
        return np.zeros(0)
    return _trimmed(sound / peak)


def read_talkers(files: Sequence[Path]) -> list[np.ndarray]:
    """Read the sounds (N,) of files, without those that are empty.

    Raises
    ------
    UserError
        When all of them are.
    """
    sounds = [sound for sound in map(read_speech, files) if len(sound)]
    if not sounds:
        raise UserError(f'{files[0].name} and what else is held out has no second of speech')
    return sounds


def _trimmed(sound: np.ndarray) -> np.ndarray:
    """Cut what is silent before the first and after the last loud block."""
    count = len(sound) // _BLOCK
    power = (sound[: count * _BLOCK].reshape(count, _BLOCK) ** 2).mean(axis=1)
    power = np.convolve(power, np.full(4, 0.25), 'same')
    loud = np.flatnonzero(power > power.max() * 10 ** (-_SILENCE_DB / 10))
    return sound[loud[0] * _BLOCK : (loud[-1] + 1) * _BLOCK]


def gather_frames(
    files: Sequence[Path],
    speed: float = 1.0,
    floor: float = FLOOR,
    progress: Callable[[float], None] = lambda fraction: None,
) -> Frames:
    """Analyze files, each played faster by a factor, which makes another talker of its talker.

    Raises
    ------
    UserError
        When nothing in them sounds.
    """
    found = []
    for number, path in enumerate(files):
        sound = read_speech(path)
        if len(sound):
            if speed != 1.0:
                sound = soxr.resample(sound, RATE * speed, RATE)
                sound = sound / np.abs(sound).max()
            power = np.abs(PRIOR_TRANSFORM.forward(sound)) ** 2
            found.append(log_powers(power, floor).astype(np.float16))
        progress((number + 1) / len(files))
    if not found:
        raise UserError('no file has speech of a second or more: name another folder')
    return Frames(np.concatenate(found), np.array([len(one) for one in found]))


def sequence_starts(lengths: np.ndarray, steps: int, rng: np.random.Generator) -> np.ndarray:
    """First frames of sequences that cover the recordings, in random order.

    Parameters
    ----------
    lengths
        Frames of each recording.
    steps
        Frames of a sequence; shorter recordings are left out.
    rng
        Where in a recording its first sequence begins, and the order.

    Returns
    -------
    np.ndarray
        Indices into the frames of all recordings; no sequence crosses from one into another.
    """
    ends = np.cumsum(lengths)
    starts = []
    for end, length in zip(ends, lengths):
        spare = length % steps
        first = end - length + (int(rng.integers(spare + 1)) if length >= steps else 0)
        starts.append(first + steps * np.arange(length // steps))
    return rng.permutation(np.concatenate(starts)).astype(np.int64)
