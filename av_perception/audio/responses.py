# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Transfer functions measured at known directions, as from a recorded session of white noise."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from av_perception.audio.dp_rtf import relative_transfer
from av_perception.audio.front_end import AudioFrontEnd, AudioFrontEndConfig, extract_features
from av_perception.audio.propagation import array_response
from av_perception.errors import UserError
from av_perception.geometry.rigid_transform import direction_from_angles
from av_perception.geometry.time import seconds
from av_perception.interfaces import AudioFeatures
from av_perception.recording.csv_text import read_columns
from av_perception.robot_head.profile import MicrophoneArray

# After a place of a session begins: the front end's memory of the one before.
_SETTLE_S = 0.3
# Correlation of measured and expected phases that says which way azimuth grows.
_LEAST_FIT = 0.5
_REACH = 2.2  # of the distance to the nearest direction: neighbors
_WIDEST = 1.0  # chord between neighbors
_COLUMNS = ('start', 'end', 'azimuth_deg', 'elevation_deg')


@dataclass(frozen=True)
class MeasuredTransfer:
    """Relative transfer functions at M directions."""

    #: (M, 3) unit vectors in the array frame.
    directions: np.ndarray
    #: (M, F, I - 1) bounded DP-RTF as `relative_transfer` gives it, NaN where nothing was heard.
    transfer: np.ndarray

    def mirrored(self, array: MicrophoneArray) -> MeasuredTransfer:
        """Count the azimuths of the base frame the other way round."""
        pose = array.base_from_array
        in_base = pose.rotate(self.directions) * [1, -1, 1]
        return replace(self, directions=pose.inverse().rotate(in_base))


def read_schedule(path: Path) -> np.ndarray:
    """Read the places of a session.

    Parameters
    ----------
    path
        Of a CSV file with the columns start, end, azimuth_deg and elevation_deg.

    Returns
    -------
    np.ndarray
        (M, 4) start and end [s], azimuth and elevation [deg, head's base frame].

    Raises
    ------
    UserError
        When it cannot be read, or a place is too short.
    """
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
    progress: Callable[[float], None] | None = None,
) -> MeasuredTransfer:
    """Mean DP-RTF of every place of a session of white noise, as the front end hears it.

    Parameters
    ----------
    schedule, array
        As `read_schedule` gives it; the microphones.
    front_end
        The analysis, without its noise floor.
    read, num_samples, sample_rate
        The sound, see `extract_features`.
    progress
        Told the share of the sound that is done.

    Returns
    -------
    MeasuredTransfer
        One direction per place.

    Raises
    ------
    UserError
        When the sound ends before the schedule, or nothing was heard at a place.
    """
    _require_length(schedule, num_samples / sample_rate)
    stream = AudioFrontEnd(_hearing_noise(front_end), len(array.coordinates), sample_rate)
    heard = extract_features(stream, read, num_samples, sample_rate)
    heard = _reported(heard, progress, num_samples, sample_rate)
    mean = _place_means(schedule, heard, front_end, stream.feature_size)
    in_base = direction_from_angles(*np.radians(schedule[:, 2:].T))
    in_array = array.base_from_array.inverse().rotate(in_base)
    return MeasuredTransfer(in_array, _per_bin(mean, front_end))


def _require_length(schedule: np.ndarray, duration_s: float) -> None:
    """Raise UserError when the sound ends before the schedule."""
    if schedule[:, 1].max() > duration_s + 0.1:
        raise UserError(
            f'the directions end at {schedule[:, 1].max():.1f} s, '
            f'the sound after {duration_s:.1f} s'
        )


def _hearing_noise(front_end: AudioFrontEndConfig) -> AudioFrontEndConfig:
    """Switch the noise floor off: noise is the signal here."""
    subbands = replace(front_end.subbands, min_snr_db=-100.0)
    return replace(front_end, voice_activity=False, subbands=subbands)


def _reported(
    heard: Iterable[AudioFeatures],
    progress: Callable[[float], None] | None,
    num_samples: int,
    sample_rate: int,
) -> Iterator[AudioFeatures]:
    """Hand features on, and tell the share of the sound that is done, if asked for."""
    for features in heard:
        if progress is not None:
            progress(seconds(features.stamp_ns) * sample_rate / num_samples)
        yield features


def _place_means(
    schedule: np.ndarray,
    heard: Iterable[AudioFeatures],
    front_end: AudioFrontEndConfig,
    feature_size: int,
) -> np.ndarray:
    """Average the features (K, G) at each place: (M, K, G), NaN where there are none.

    Raises UserError for a place where nothing was heard.
    """
    total, count = np.zeros((2, len(schedule), front_end.subbands.count, feature_size))
    for features in heard:
        time_s = seconds(features.stamp_ns)
        has_settled = schedule[:, 0] + _SETTLE_S < time_s
        is_before_end = time_s < schedule[:, 1] - front_end.block_s
        for place in np.flatnonzero(has_settled & is_before_end):
            total[place] += np.where(features.present, features.vectors, 0.0)
            count[place] += features.present
    _require_sound(schedule, count)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _require_sound(schedule: np.ndarray, count: np.ndarray) -> None:
    """Raise UserError for a place whose features (M, K, G) were counted nowhere."""
    for place in np.flatnonzero(count.max(axis=(1, 2)) == 0):
        raise UserError(
            f'nothing was heard from {schedule[place, 0]:.1f} to {schedule[place, 1]:.1f} s: '
            'is the noise that quiet?'
        )


def _per_bin(vectors: np.ndarray, front_end: AudioFrontEndConfig) -> np.ndarray:
    """(M, bins, I - 1) complex features, NaN in the bins that no sub-band has.

    Undoes `subband_vectors`.
    """
    real, imaginary = np.split(vectors, 2, axis=-1)
    num_used = front_end.subbands.count * front_end.subbands.width
    used = (real + 1j * imaginary).reshape(len(vectors), num_used, -1)
    missing = front_end.stft.num_bins - num_used
    return np.pad(used, ((0, 0), (0, missing), (0, 0)), constant_values=np.nan)


def fit_to_geometry(
    measured: MeasuredTransfer, array: MicrophoneArray, frequencies: np.ndarray
) -> float:
    """Compare measured phases with those of the head's geometry, below spatial aliasing.

    Parameters
    ----------
    measured
        At known directions.
    array
        The microphones.
    frequencies
        (F,) [Hz] of the measurement.

    Returns
    -------
    float
        Correlation in -1..1: 1 fits, -1 is mirrored.
    """
    aperture = np.linalg.norm(array.positions[:, None] - array.positions, axis=2).max()
    low = frequencies < max(100.0 / aperture, frequencies[2])
    expected = relative_transfer(array_response(array, measured.directions, frequencies[low]))
    expected_phase = np.angle(expected)
    measured_phase = np.angle(measured.transfer[:, low])
    known = np.isfinite(measured_phase)
    expected_phase = expected_phase[known]
    measured_phase = measured_phase[known]
    power = np.sum(expected_phase**2) * np.sum(measured_phase**2)
    return float(np.sum(expected_phase * measured_phase) / np.sqrt(power + 1e-12))


def aligned(
    measured: MeasuredTransfer, array: MicrophoneArray, frequencies: np.ndarray
) -> tuple[MeasuredTransfer, bool]:
    """Turn azimuths so that they grow to the left, as the head's geometry has them.

    Parameters
    ----------
    measured, array, frequencies
        As of `fit_to_geometry`.

    Returns
    -------
    measured
        The measurement, mirrored or not.
    is_mirrored
        Whether it had to be.

    Raises
    ------
    UserError
        When the geometry fits neither way: wrong head or wrong channel order.
    """
    mirrored = measured.mirrored(array)
    fit = fit_to_geometry(measured, array, frequencies)
    mirrored_fit = fit_to_geometry(mirrored, array, frequencies)
    is_mirrored = mirrored_fit > fit
    best = max(fit, mirrored_fit)
    if best < _LEAST_FIT:
        raise UserError(
            f'the measured phases do not fit the microphones of the head (correlation {best:.2f})'
            ': check head and channel order'
        )
    return (mirrored if is_mirrored else measured), is_mirrored


def densified(
    measured: MeasuredTransfer, array: MicrophoneArray, frequencies: np.ndarray, count: int
) -> MeasuredTransfer:
    """Interpolate a measurement between neighboring directions.

    The values are taken relative to what the head's geometry makes of the phases, since phases
    turn fast with direction where the geometry's remainder hardly does.

    Parameters
    ----------
    measured, array, frequencies
        As of `fit_to_geometry`.
    count
        About how many directions are wanted.

    Returns
    -------
    MeasuredTransfer
        Those measured and those between.
    """
    phase = _phasors(array, measured.directions, frequencies)
    remainder = _filled(measured.transfer * phase.conj(), measured.directions)
    first, second = _neighbors(measured.directions)
    steps = max(1, round((count - len(remainder)) / max(1, len(first))))
    fraction = (np.arange(1, steps + 1) / (steps + 1)).repeat(len(first))
    first = np.tile(first, steps)
    second = np.tile(second, steps)
    between = _blend(measured.directions, first, second, fraction[:, None])
    between = between / np.linalg.norm(between, axis=1, keepdims=True)
    directions = np.concatenate([measured.directions, between])
    interpolated = _blend(remainder, first, second, fraction[:, None, None])
    remainder = np.concatenate([remainder, interpolated])
    phase = _phasors(array, directions, frequencies)
    return MeasuredTransfer(directions, remainder * phase)


def _phasors(
    array: MicrophoneArray, directions: np.ndarray, frequencies: np.ndarray
) -> np.ndarray:
    """(M, F, I - 1) unit complex numbers with the phases that the geometry expects."""
    expected = relative_transfer(array_response(array, directions, frequencies))
    return np.exp(1j * np.angle(expected))


def _blend(
    values: np.ndarray, first: np.ndarray, second: np.ndarray, fraction: np.ndarray
) -> np.ndarray:
    """Between values[first] and values[second]; fraction: 0 is the first."""
    return (1 - fraction) * values[first] + fraction * values[second]


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
    first = pairs[:, 0]
    second = pairs[:, 1]
    apart = np.linalg.norm(directions[first] - directions[second], axis=1)
    keep = apart < np.minimum(_REACH * np.maximum(nearest[first], nearest[second]), _WIDEST)
    return first[keep], second[keep]
