# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What training keeps on disk, so that it can be stopped: its state, and the frames it learns."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from av_perception.array_files import json_of
from av_perception.errors import UserError
from av_perception.networks.weights import read_arrays
from av_perception.training.speech_data import Frames, gather_frames
from av_perception.training.speech_prior import TrainingConfig, TrainingState

_MAX_FRAMES_BYTES = 1 << 36  # of the spectra of some hundred hours
_GROUPS = ('parameters', 'first_moment', 'second_moment', 'best')


def save_state(path: Path, config: TrainingConfig, state: TrainingState) -> None:
    """Write the state, whole or not at all."""
    arrays = {
        f'{group}/{name}': values
        for group in _GROUPS
        for name, values in getattr(state, group).items()
    }
    text = json.dumps({'config': asdict(config), 'epoch': state.epoch, 'history': state.history})
    arrays['text'] = np.frombuffer(text.encode(), np.uint8)
    _write_whole(path, lambda file: np.savez(file, **arrays))


def load_state(path: Path, config: TrainingConfig) -> TrainingState:
    """Read what `save_state` wrote.

    Raises
    ------
    UserError
        When it is damaged, or of other choices: training would not be what it says it is.
    """
    arrays = read_arrays(path)
    try:
        text = json_of(arrays['text'])
        was = json.dumps(text['config'], sort_keys=True)
        groups: dict[str, dict[str, np.ndarray]] = {group: {} for group in _GROUPS}
        for name, values in arrays.items():
            if '/' in name:
                group, parameter = name.split('/')
                groups[group][parameter] = values
        state = TrainingState(text['epoch'], **groups, history=text['history'])
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f'{path} is no state of training ({error}): delete it') from error
    if was != json.dumps(asdict(config), sort_keys=True):
        raise UserError(f'{path} is of other choices: name another work folder, or delete it')
    return state


def cached_frames(
    folder: Path,
    files: Sequence[Path],
    speed: float,
    floor: float,
    progress: Callable[[float], None] = lambda fraction: None,
) -> Frames:
    """As `gather_frames`; kept in a folder, and read from it the next time."""
    key = json.dumps([[path.name, path.stat().st_size] for path in files] + [speed, floor])
    path = folder / f'frames_{hashlib.sha256(key.encode()).hexdigest()[:12]}.npz'
    if path.is_file():
        arrays = read_arrays(path, limit=_MAX_FRAMES_BYTES)
        return Frames(arrays['log_power'], arrays['lengths'])
    frames = gather_frames(files, speed, floor, progress)
    _write_whole(
        path,
        lambda file: np.savez(file, log_power=frames.log_power, lengths=frames.lengths),
    )
    return frames


def _write_whole(path: Path, write: Callable) -> None:
    """Write beside the file, then put it in its place: who is interrupted leaves the old one."""
    beside = path.with_suffix('.new')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with beside.open('wb') as file:
            write(file)
        os.replace(beside, path)
    except OSError as error:
        raise UserError(f'cannot write {path}: {error.strerror or error}') from error
