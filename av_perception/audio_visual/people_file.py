# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Features of the people of a recording in one file: `.npz`, plain arrays.

For every person `<id>` (a number): `stamps_<id>` (N,) [s] on the clock of the recording,
`features_<id>` (N, D), and perhaps `reliability_<id>` (N,) in 0..1 (one where it is left out) and
`speaking_<id>` (N,), the probability that the person speaks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from av_perception.audio_visual.features import VisualFeatures, resample
from av_perception.errors import UserError
from av_perception.networks.weights import read_arrays

_STAMPS = 'stamps_'


@dataclass(frozen=True)
class SeenPerson:
    """Images of somebody's mouth, as features.

    stamps_s: (N,); features: (N, D); reliability: (N,) in 0..1; speaking: (N,) in 0..1, None where
    it is not known.
    """

    stamps_s: np.ndarray
    features: np.ndarray
    reliability: np.ndarray
    speaking: np.ndarray | None = None

    def at(self, times_s: np.ndarray) -> VisualFeatures:
        """Features at times (T,) [s] on the same clock."""
        return resample(self.stamps_s, self.features, self.reliability, times_s)

    def speaking_at(self, times_s: np.ndarray) -> np.ndarray:
        """(T,) probability that the person speaks; NaN where it is not known."""
        if self.speaking is None:
            return np.full(len(times_s), np.nan)
        found = resample(
            self.stamps_s, self.speaking[:, None], np.ones(len(self.speaking)), times_s
        )
        return np.where(found.reliability > 0, found.values[:, 0], np.nan)


def save_people(path: Path, people: Mapping[int, SeenPerson]) -> None:
    """Write the features of people by id. Raises UserError when that cannot be done."""
    arrays: dict[str, Any] = {}
    for person, seen in people.items():
        arrays[f'{_STAMPS}{person}'] = seen.stamps_s
        arrays[f'features_{person}'] = np.asarray(seen.features, np.float32)
        arrays[f'reliability_{person}'] = np.asarray(seen.reliability, np.float32)
        if seen.speaking is not None:
            arrays[f'speaking_{person}'] = np.asarray(seen.speaking, np.float32)
    try:
        np.savez_compressed(path, **arrays)
    except OSError as error:
        raise UserError(f'cannot write {path}: {error.strerror or error}') from error


def load_people(path: Path) -> dict[int, SeenPerson]:
    """Read what `save_people` wrote.

    Raises
    ------
    UserError
        When there is no such file, or it holds something else.
    """
    arrays = read_arrays(path)
    try:
        names = [name.removeprefix(_STAMPS) for name in arrays if name.startswith(_STAMPS)]
        people = {int(name): _person(arrays, name) for name in names}
        if not people:
            raise ValueError('nobody is in it')
        if len({seen.features.shape[1] for seen in people.values()}) > 1:
            raise ValueError('features of people differ in size')
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f'{path} holds no features of people: {error}') from error
    return dict(sorted(people.items()))


def _person(arrays: Mapping[str, np.ndarray], name: str) -> SeenPerson:
    stamps = np.asarray(arrays[f'{_STAMPS}{name}'], float)
    features = np.asarray(arrays[f'features_{name}'], float)
    reliability = np.asarray(arrays.get(f'reliability_{name}', np.ones(len(stamps))), float)
    speaking = arrays.get(f'speaking_{name}')
    columns = [stamps, reliability, *([] if speaking is None else [speaking])]
    if features.ndim != 2 or any(one.shape != features.shape[:1] for one in columns):
        raise ValueError(f'arrays of person {name} differ in length')
    return SeenPerson(stamps, features, reliability, speaking)
