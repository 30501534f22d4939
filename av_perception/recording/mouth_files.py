# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Mouths of people in files: `person_<id>.npz`, one for each."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from av_perception.array_files import read_npz
from av_perception.errors import UserError
from av_perception.geometry.time import NANOSECONDS, seconds
from av_perception.interfaces import MouthCrop

_NAMES = ('time_s', 'box', 'mouth', 'eyes', 'reliability', 'opening')
_SHAPES = ((), (4,), (67, 67), (34, 67), (), ())


def write_mouths(
    folder: Path, mouths: dict[int, list[tuple[int, MouthCrop]]], origin_ns: int
) -> list[Path]:
    """Write the mouths of people, by id, with the stamps [ns] of their images.

    Parameters
    ----------
    folder
        Made where it is missing.
    mouths
        Of each person, in order of time.
    origin_ns
        Stamp of second 0.

    Returns
    -------
    list of Path
        What was written: images of faces, for their owner alone.
    """
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for key, rows in sorted(mouths.items()):
            if not rows:
                continue
            path = folder / f'person_{key}.npz'
            arrays: dict[str, Any] = {
                name: np.array([getattr(crop, name) for _, crop in rows]) for name in _NAMES[1:]
            }
            arrays['time_s'] = np.array([seconds(stamp_ns - origin_ns) for stamp_ns, _ in rows])
            np.savez_compressed(path, **arrays)
            path.chmod(0o600)
            written.append(path)
    except OSError as error:
        raise UserError(f'cannot write {folder}: {error.strerror or error}') from error
    return written


def read_mouths(path: Path) -> list[tuple[int, MouthCrop]]:
    """Read what `write_mouths` wrote: stamps [ns] after second 0, and crops.

    Raises
    ------
    UserError
        When there is no such file, or it holds something else.
    """
    try:
        content = read_npz(path)
        arrays = [content[name] for name in _NAMES]
    except (OSError, KeyError, ValueError) as error:
        raise UserError(
            f'{path} holds no mouths ({error}): write some with av-perception track --mouths'
        ) from error
    count = len(arrays[0]) if arrays[0].ndim else 0
    if any(array.shape != (count, *shape) for array, shape in zip(arrays, _SHAPES)):
        raise UserError(f'{path} is damaged: write it again with av-perception track --mouths')
    return [(round(float(row[0]) * NANOSECONDS), MouthCrop(*row[1:])) for row in _rows(arrays)]


def _rows(arrays: list[np.ndarray]) -> Iterable[tuple]:
    time_s, box, mouth, eyes, reliability, opening = arrays
    order = np.argsort(time_s, kind='stable')
    for k in order[np.isfinite(time_s[order])]:
        believed = float(np.clip(np.nan_to_num(reliability[k]), 0.0, 1.0))
        pixels = mouth[k].astype(np.uint8), eyes[k].astype(np.uint8)
        yield (time_s[k], box[k].astype(float), *pixels, believed, float(opening[k]))
