# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Impulse responses of a SOFA file (AES69), measured at known directions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from av_perception.audio.dp_rtf import relative_transfer
from av_perception.audio.responses import MeasuredTransfer
from av_perception.errors import UserError
from av_perception.geometry.rigid_transform import direction_from_angles
from av_perception.recording.sound_file import RATES
from av_perception.robot_head.profile import MicrophoneArray

_ONSET_SHARE = 0.1  # of the peak: where a response begins
# What is kept around the onset: the direct sound and the head, not the room.
_BEFORE_S = 0.001
_AFTER_S = 0.008
_FADE_S = 0.002
_LONGEST = 1 << 18  # samples of a response
_MAX_VALUES = 1 << 27  # numbers of a data set, 1 GiB


@dataclass(frozen=True)
class _SofaContent:
    """responses: (M, I, N); delay: (M, I) [samples]; sample_rate [Hz]; directions: (M, 3)."""

    responses: np.ndarray
    delay: np.ndarray
    sample_rate: float
    directions: np.ndarray

    @property
    def is_sound(self) -> bool:
        """Whether all numbers are finite and no response is silent."""
        is_finite = np.isfinite(self.responses).all() and np.isfinite(self.directions).all()
        return bool(is_finite and self.sample_rate > 0 and self.responses.any(axis=(1, 2)).all())


def read_sofa(path: Path, array: MicrophoneArray, frequencies: np.ndarray) -> MeasuredTransfer:
    """Read responses of a SOFA file of type FIR; room reflections later than 8 ms are cut off.

    Parameters
    ----------
    path
        Of the file, whose receivers are in the order of the head's channels.
    array
        The microphones of the head.
    frequencies
        (F,) [Hz] at which the transfer functions are wanted.

    Returns
    -------
    MeasuredTransfer
        NaN beyond half the file's sample rate.

    Raises
    ------
    UserError
        When it is no SOFA file, has other channels or numbers that are not finite.
    """
    content = _read_content(path)
    responses, rate = content.responses, content.sample_rate
    if responses.shape[1] != len(array.coordinates):
        raise UserError(
            f'{path} has {responses.shape[1]} receivers, '
            f'the head has {len(array.coordinates)} microphones'
        )
    if not content.is_sound:
        raise UserError(
            f'{path} is not a sound SOFA file: a response is silent or a number is not finite'
        )
    spectra = _direct_spectra(responses, rate, frequencies)
    delay = content.delay[:, None]
    spectra = spectra * np.exp(-2j * np.pi * frequencies[:, None] * delay / rate)
    transfer = relative_transfer(spectra)
    transfer[:, frequencies > 0.5 * rate] = np.nan
    return MeasuredTransfer(array.base_from_array.inverse().rotate(content.directions), transfer)


def _read_content(path: Path) -> _SofaContent:
    """Read the arrays of a SOFA file. Raises UserError."""
    try:
        import h5py
    except ImportError as error:
        raise UserError('SOFA files need the Python package h5py: pip install h5py') from error
    try:
        with h5py.File(path) as file:
            return _content_of(file)
    except (OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise UserError(
            f'cannot read {path} as a SOFA file of impulse responses: '
            f'{" ".join(str(error).split())}'
        ) from error


def _content_of(file) -> _SofaContent:
    """Take what an open file of h5py holds. Raises ValueError and KeyError."""
    responses = _numbers(file, 'Data.IR')
    rate = _numbers(file, 'Data.SamplingRate')
    position = _numbers(file, 'SourcePosition')
    delay = _numbers(file, 'Data.Delay') if 'Data.Delay' in file else np.zeros((1, 1))
    shape = responses.shape
    is_whole = len(shape) == 3 and 0 not in shape and rate.size
    if not is_whole or position.shape != (shape[0], 3):
        raise ValueError(f'Data.IR has the shape {shape}, SourcePosition {position.shape}')
    if shape[2] > _LONGEST or not RATES[0] <= rate.ravel()[0] <= RATES[1]:
        raise ValueError(f'its responses have {shape[2]} samples at {rate.ravel()[0]:g} Hz')
    kind = file['SourcePosition'].attrs.get('Type', 'spherical')
    kind = kind.decode(errors='replace') if isinstance(kind, bytes) else str(kind)
    return _SofaContent(
        responses,
        np.broadcast_to(delay, shape[:2]),
        float(rate.ravel()[0]),
        _directions(position, kind),
    )


def _numbers(file, name: str) -> np.ndarray:
    """Read a data set of the file itself, in bounds. Raises ValueError and KeyError."""
    import h5py

    # HDF5 can send the reader to any other file.
    data = file[name] if isinstance(file.get(name, getlink=True), h5py.HardLink) else None
    if not isinstance(data, h5py.Dataset) or data.external or data.is_virtual:
        raise ValueError(f'{name} is not a data set in this file')
    if data.size is None or data.size > _MAX_VALUES:
        raise ValueError(f'{name} claims the shape {data.shape}')
    return np.array(data, float)


def _directions(position: np.ndarray, kind: str) -> np.ndarray:
    """(M, 3) unit vectors: x ahead, y to the left, z up, as SOFA's listener looks."""
    if kind == 'cartesian':
        return position / np.linalg.norm(position, axis=1, keepdims=True)
    return direction_from_angles(np.radians(position[:, 0]), np.radians(position[:, 1]))


def _direct_spectra(responses: np.ndarray, rate: float, frequencies: np.ndarray) -> np.ndarray:
    """(M, F, I) spectra of the first milliseconds of (M, I, N) responses, faded out."""
    length = responses.shape[2]
    peak = np.abs(responses).max(axis=(1, 2), keepdims=True)
    onset = np.argmax((np.abs(responses) >= _ONSET_SHARE * peak).any(axis=1), axis=1)
    time = (np.arange(length) - onset[:, None]) / rate
    fade = np.clip((_AFTER_S - time) / _FADE_S, 0, 1) * (time >= -_BEFORE_S)
    start = max(0, int(onset.min() - _BEFORE_S * rate))
    end = int(onset.max() + _AFTER_S * rate) + 1
    sample = np.arange(start, min(end, length))
    kernel = np.exp(-2j * np.pi * sample[:, None] * frequencies / rate)
    direct = (responses * fade[:, None])[..., start:end]
    return np.einsum('min,nf->mfi', direct, kernel, optimize=True)
