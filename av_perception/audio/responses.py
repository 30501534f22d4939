# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Transfer functions measured at known directions: from a SOFA file (AES69) or from a recorded session of white noise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from av_perception.audio.dp_rtf import relative_transfer
from av_perception.audio.front_end import AudioFrontEnd, AudioFrontEndConfig, extract_features
from av_perception.audio.propagation import array_response
from av_perception.errors import UserError
from av_perception.geometry.rigid_transform import direction_from_angles
from av_perception.recording.csv_text import read_columns
from av_perception.robot_head.profile import MicrophoneArray

_ONSET_SHARE = 0.1  # of the peak: where a response begins
_BEFORE_S, _AFTER_S = (
    0.001,
    0.008,
)  # what is kept around the onset: the direct sound and the head, not the room
_SETTLE_S = 0.3  # after a place of a session begins: the front end's memory of the one before
_LEAST_FIT = 0.5  # correlation of measured and expected phases that says which way azimuth grows
_REACH, _WIDEST = 2.2, 1.0  # neighbours: of the distance to the nearest, chord
_COLUMNS = ('start', 'end', 'azimuth_deg', 'elevation_deg')


@dataclass(frozen=True)
class MeasuredTransfer:
    """directions (M, 3): unit vectors in the array frame; transfer (M, F, I - 1): bounded DP-RTF as `relative_transfer` gives it, NaN where
    nothing was heard."""

    directions: np.ndarray
    transfer: np.ndarray

    def mirrored(self, array: MicrophoneArray) -> MeasuredTransfer:
        """The same with azimuths of the base frame counted the other way round."""
        pose = array.base_from_array
        return replace(
            self, directions=pose.inverse().rotate(pose.rotate(self.directions) * [1, -1, 1])
        )


def read_sofa(path: Path, array: MicrophoneArray, frequencies: np.ndarray) -> MeasuredTransfer:
    """Responses of a SOFA file of type FIR, receivers in the order of the head's channels; room reflections later than 8 ms are cut off.

    Raises UserError for a file that is no SOFA file, has other channels or numbers that are not finite.
    """
    content = _read_hdf5(path)
    responses, rate, directions = (
        content['Data.IR'],
        float(content['Data.SamplingRate'].ravel()[0]),
        _sofa_directions(content),
    )
    if responses.shape[1] != len(array.coordinates):
        raise UserError(
            f'{path} has {responses.shape[1]} receivers, the head has {len(array.coordinates)} microphones'
        )
    if not (
        np.isfinite(responses).all()
        and np.isfinite(directions).all()
        and rate > 0
        and responses.any(axis=(1, 2)).all()
    ):
        raise UserError(
            f'{path} is not a sound SOFA file: a response is silent or a number is not finite'
        )
    spectra = _direct_spectra(responses, rate, frequencies)
    spectra = spectra * np.exp(
        -2j * np.pi * frequencies[:, None] * content['Data.Delay'][:, None] / rate
    )
    transfer = relative_transfer(spectra)
    transfer[:, frequencies > 0.5 * rate] = np.nan
    return MeasuredTransfer(array.base_from_array.inverse().rotate(directions), transfer)


def _read_hdf5(path: Path) -> dict:
    """Data.IR (M, I, N), Data.Delay (M, I) [samples], Data.SamplingRate, SourcePosition (M, 3) and its 'type' of a SOFA file. Raises UserError."""
    try:
        import h5py
    except ImportError as error:
        raise UserError('SOFA files need the Python package h5py: pip install h5py') from error
    try:
        with h5py.File(path) as file:
            content = {
                name: np.array(file[name], float)
                for name in ('Data.IR', 'Data.SamplingRate', 'SourcePosition')
            }
            delay = (
                np.array(file['Data.Delay'], float) if 'Data.Delay' in file else np.zeros((1, 1))
            )
            kind = file['SourcePosition'].attrs.get('Type', 'spherical')
        shape = content['Data.IR'].shape
        if (
            len(shape) != 3
            or 0 in shape
            or content['SourcePosition'].shape != (shape[0], 3)
            or not content['Data.SamplingRate'].size
        ):
            raise ValueError(
                f'Data.IR has the shape {shape}, SourcePosition {content["SourcePosition"].shape}'
            )
        content['Data.Delay'] = np.broadcast_to(delay, shape[:2])
    except (OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise UserError(
            f'cannot read {path} as a SOFA file of impulse responses: {" ".join(str(error).split())}'
        ) from error
    return {
        **content,
        'type': kind.decode(errors='replace') if isinstance(kind, bytes) else str(kind),
    }


def _sofa_directions(content: dict) -> np.ndarray:
    """(M, 3) unit vectors: x ahead, y to the left, z up, as SOFA's listener looks."""
    position = content['SourcePosition']
    if content['type'] == 'cartesian':
        return position / np.linalg.norm(position, axis=1, keepdims=True)
    return direction_from_angles(np.radians(position[:, 0]), np.radians(position[:, 1]))


def _direct_spectra(responses: np.ndarray, rate: float, frequencies: np.ndarray) -> np.ndarray:
    """(M, F, I) spectra of the first milliseconds of (M, I, N) responses, faded out."""
    peak = np.abs(responses).max(axis=(1, 2), keepdims=True)
    onset = np.argmax((np.abs(responses) >= _ONSET_SHARE * peak).any(axis=1), axis=1)
    time = (np.arange(responses.shape[2]) - onset[:, None]) / rate
    fade = np.clip((_AFTER_S - time) / 0.002, 0, 1) * (time >= -_BEFORE_S)
    start, end = (
        max(0, int(onset.min() - _BEFORE_S * rate)),
        int(onset.max() + _AFTER_S * rate) + 1,
    )
    kernel = np.exp(
        -2j * np.pi * np.arange(start, min(end, responses.shape[2]))[:, None] * frequencies / rate
    )
    return np.einsum(
        'min,nf->mfi', (responses * fade[:, None])[..., start:end], kernel, optimize=True
    )


def read_schedule(path: Path) -> np.ndarray:
    """(M, 4) start and end [s], azimuth and elevation [deg, head's base frame] of a session's places, from a CSV file. Raises UserError."""
    schedule = np.array([values for _, values in read_columns(path, _COLUMNS, 'place')])
    if (schedule[:, 1] - schedule[:, 0] < 2 * _SETTLE_S).any():
        raise UserError(
            f'{path}: every place needs at least {2 * _SETTLE_S} s of sound between start and end'
        )
    return schedule


def measure_session(
    schedule: np.ndarray,
    array: MicrophoneArray,
    front_end: AudioFrontEndConfig,
    read: Callable[[int, int], np.ndarray],
    num_samples: int,
    sample_rate: int,
    progress: Callable[[float], None] = lambda fraction: None,
) -> MeasuredTransfer:
    """Mean DP-RTF of every place of a session of white noise, as the front end hears it (its floor is off: noise is the signal here).

    read(start, count) gives samples, see `extract_features`. Raises UserError for a place at which nothing was heard.
    """
    if schedule[:, 1].max() > num_samples / sample_rate + 0.1:
        raise UserError(
            f'the directions end at {schedule[:, 1].max():.1f} s, the sound after {num_samples / sample_rate:.1f} s'
        )
    settings = replace(
        front_end, voice_activity=False, subbands=replace(front_end.subbands, min_snr_db=-100.0)
    )
    stream = AudioFrontEnd(settings, len(array.coordinates), sample_rate)
    total, count = np.zeros((2, len(schedule), front_end.subbands.count, stream.feature_size))
    for features in extract_features(stream, read, num_samples, sample_rate):
        time = 1e-9 * features.stamp_ns
        progress(time * sample_rate / num_samples)
        for place in np.flatnonzero(
            (schedule[:, 0] + _SETTLE_S < time) & (time < schedule[:, 1] - front_end.block_s)
        ):
            total[place] += np.where(features.present, features.vectors, 0.0)
            count[place] += features.present
    for place in np.flatnonzero(count.max(axis=(1, 2)) == 0):
        raise UserError(
            f'nothing was heard from {schedule[place, 0]:.1f} to {schedule[place, 1]:.1f} s: is the noise that quiet?'
        )
    mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    directions = direction_from_angles(*np.radians(schedule[:, 2:].T))
    return MeasuredTransfer(
        array.base_from_array.inverse().rotate(directions), _per_bin(mean, front_end)
    )


def _per_bin(vectors: np.ndarray, front_end: AudioFrontEndConfig) -> np.ndarray:
    """(M, bins, I - 1) complex features, NaN in the bins that no sub-band has: undoes `subband_vectors`."""
    real, imaginary = np.split(vectors, 2, axis=-1)
    used = (real + 1j * imaginary).reshape(
        len(vectors), front_end.subbands.count * front_end.subbands.width, -1
    )
    missing = front_end.stft.num_bins - used.shape[1]
    return np.pad(used, ((0, 0), (0, missing), (0, 0)), constant_values=np.nan)


def fit_to_geometry(
    measured: MeasuredTransfer, array: MicrophoneArray, frequencies: np.ndarray
) -> float:
    """Correlation in -1..1 of the measured phases with those of the head's geometry, below spatial aliasing: 1 fits, -1 is mirrored."""
    aperture = np.linalg.norm(array.positions[:, None] - array.positions, axis=2).max()
    low = frequencies < max(100.0 / aperture, frequencies[2])
    expected = relative_transfer(array_response(array, measured.directions, frequencies[low]))
    phase, measured_phase = np.angle(expected), np.angle(measured.transfer[:, low])
    known = np.isfinite(measured_phase)
    return float(
        np.sum((phase * measured_phase)[known])
        / np.sqrt(np.sum(phase[known] ** 2) * np.sum(measured_phase[known] ** 2) + 1e-12)
    )


def aligned(
    measured: MeasuredTransfer, array: MicrophoneArray, frequencies: np.ndarray
) -> tuple[MeasuredTransfer, bool]:
    """The measurement with azimuths that grow to the left, as the head's geometry has them, and whether they had to be mirrored.

    Raises UserError when the geometry fits neither way: wrong head or wrong channel order.
    """
    choices = {
        mirror: candidate
        for mirror, candidate in ((False, measured), (True, measured.mirrored(array)))
    }
    fits = {
        mirror: fit_to_geometry(candidate, array, frequencies)
        for mirror, candidate in choices.items()
    }
    best = max(fits, key=fits.get)
    if fits[best] < _LEAST_FIT:
        raise UserError(
            f'the measured phases do not fit the microphones of the head (correlation {fits[best]:.2f}): check head and channel order'
        )
    return choices[best], best


def densified(
    measured: MeasuredTransfer, array: MicrophoneArray, frequencies: np.ndarray, count: int
) -> MeasuredTransfer:
    """The measurement with about `count` directions: interpolated between neighbours, relative to what the head's geometry makes of the
    phases, since phases turn fast with direction where the geometry's remainder hardly does."""
    phase = np.exp(
        1j * np.angle(relative_transfer(array_response(array, measured.directions, frequencies)))
    )
    remainder = _filled(measured.transfer * phase.conj(), measured.directions)
    first, second = _neighbors(measured.directions)
    steps = max(1, round((count - len(remainder)) / max(1, len(first))))
    fraction = (np.arange(1, steps + 1) / (steps + 1)).repeat(len(first))[:, None]
    first, second = np.tile(first, steps), np.tile(second, steps)
    between = (1 - fraction) * measured.directions[first] + fraction * measured.directions[second]
    directions = np.concatenate(
        [measured.directions, between / np.linalg.norm(between, axis=1, keepdims=True)]
    )
    fraction = fraction[..., None]
    remainder = np.concatenate(
        [remainder, (1 - fraction) * remainder[first] + fraction * remainder[second]]
    )
    phase = np.exp(
        1j * np.angle(relative_transfer(array_response(array, directions, frequencies)))
    )
    return MeasuredTransfer(directions, remainder * phase)


def _filled(values: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """(M, F, I) with what is NaN taken from the nearest direction that has it."""
    filled = values.copy()
    for row in np.flatnonzero(np.isnan(values).any(axis=(1, 2))):
        for other in np.argsort(-directions @ directions[row]):
            filled[row] = np.where(np.isnan(filled[row]), values[other], filled[row])
    return filled


def _neighbors(directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Index pairs of directions hardly further apart than each is from its nearest."""
    from scipy.spatial import cKDTree

    tree = cKDTree(directions)
    nearest = tree.query(directions, k=2)[0][:, 1]
    pairs = tree.query_pairs(_REACH * nearest.max(), output_type='ndarray').reshape(-1, 2)
    first, second = pairs[:, 0], pairs[:, 1]
    apart = np.linalg.norm(directions[first] - directions[second], axis=1)
    keep = apart < np.minimum(_REACH * np.maximum(nearest[first], nearest[second]), _WIDEST)
    return first[keep], second[keep]
