# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The file of an acoustic map: a versioned npz archive whose content is verified when it is read.

The names of its arrays, numbers and texts are the fields of `acoustic_map.AcousticMap`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from av_perception.array_files import read_npz
from av_perception.errors import UserError

FORMAT_VERSION = 2
_ARRAYS = (
    'log_weight',
    'center',
    'center_precision',
    'center_log_det_precision',
    'slope',
    'offset',
    'variance',
    'log_range',
)
_NUMBERS = (
    'format_version',
    'sample_rate',
    'window',
    'hop',
    'num_taps',
    'subband_width',
    'num_microphones',
)
_TEXTS = ('geometry_hash', 'kind', 'source')


def write_map(path: Path, fields: Mapping[str, Any]) -> None:
    """Write the fields of a map.

    Parameters
    ----------
    path
        Of the npz file; what is there is replaced.
    fields
        Arrays, numbers and texts by name.

    Raises
    ------
    UserError
        When the place cannot be written.
    """
    content: dict[str, Any] = {name: np.asarray(value) for name, value in fields.items()}
    try:
        with open(path, 'wb') as file:
            np.savez_compressed(file, **content)
    except OSError as error:
        raise UserError(
            f'cannot write the acoustic map {path}: {error.strerror or error}'
        ) from error


def read_map(path: Path) -> dict[str, Any]:
    """Read and verify the fields of a map.

    Parameters
    ----------
    path
        Of the npz file.

    Returns
    -------
    dict
        Arrays, numbers and texts by name, those that a map has and no others.

    Raises
    ------
    UserError
        When the file is absent, of another version, or its content is no valid map.
    """
    content = _read_archive(path)
    if not _is_current(content.get('format_version')):
        raise UserError(
            f'{path} is not an acoustic map of version {FORMAT_VERSION}: learn it again'
        )
    problem = _content_problem(content)
    if problem:
        raise UserError(f'{path} is not a valid acoustic map ({problem}): learn it again')
    return {
        **{name: content[name] for name in _ARRAYS},
        **{name: int(content[name]) for name in _NUMBERS},
        **{name: str(content[name]) for name in _TEXTS},
    }


def _read_archive(path: Path) -> dict[str, np.ndarray]:
    try:
        return read_npz(path)
    except (OSError, ValueError) as error:
        reason = ' '.join(str(error).split())
        raise UserError(
            f'cannot read the acoustic map {path}: {reason}; learn it again'
        ) from error


def _is_current(version: np.ndarray | None) -> bool:
    if version is None or version.shape != () or version.dtype.kind != 'i':
        return False
    return bool(version == FORMAT_VERSION)


def _content_problem(content: Mapping[str, np.ndarray]) -> str:
    """Say what is wrong with the content of a file; empty when nothing is."""
    missing = [name for name in (*_ARRAYS, *_NUMBERS, *_TEXTS) if name not in content]
    if missing:
        return f'{missing[0]} is missing'
    for name in _NUMBERS:
        if content[name].shape != () or content[name].dtype.kind != 'i' or content[name] < 1:
            return f'{name} is not a positive whole number'
    for name in _TEXTS:
        if content[name].shape != () or content[name].dtype.kind != 'U':
            return f'{name} is not a text'
    return _shape_problem(content) or _value_problem(content)


def _shape_problem(content: Mapping[str, np.ndarray]) -> str:
    """Say which array is not finite or does not have the shape that follows from the slopes'."""
    slope = content['slope']
    if slope.ndim != 4 or slope.shape[-1] != 3 or 0 in slope.shape:
        return f'slope has the shape {slope.shape}'
    subbands, pieces, size = slope.shape[:3]
    shapes = {
        'log_weight': (subbands, pieces),
        'center': (subbands, pieces, 3),
        'center_precision': (subbands, pieces, 3, 3),
        'center_log_det_precision': (subbands, pieces),
        'slope': slope.shape,
        'offset': (subbands, pieces, size),
        'variance': (subbands, pieces, size),
        'log_range': (size,),
    }
    for name, shape in shapes.items():
        array = content[name]
        if array.shape != shape or array.dtype.kind != 'f' or not np.isfinite(array).all():
            return f'{name} is not a finite array of shape {shape}'
    if size != 2 * content['subband_width'] * (content['num_microphones'] - 1):
        return 'the feature size does not follow from microphones and sub-band width'
    return ''


def _value_problem(content: Mapping[str, np.ndarray]) -> str:
    """Say which covariance is none."""
    if content['variance'].min() <= 0:
        return 'a variance is not positive'
    precision = content['center_precision']
    is_symmetric = np.allclose(precision, precision.swapaxes(-1, -2), rtol=1e-6)
    if not is_symmetric or np.linalg.eigvalsh(precision).min() <= 0:
        return 'a center precision is not positive definite'
    log_det = np.linalg.slogdet(precision)[1]
    if not np.allclose(log_det, content['center_log_det_precision'], atol=1e-6):
        return 'center_log_det_precision does not belong to center_precision'
    return ''
