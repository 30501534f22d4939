# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A loudspeaker held still at many places, as measurements for `microphone_calibration`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from av_perception.calibration.microphone_calibration import Measurements
from av_perception.errors import UserError
from av_perception.interfaces import VisualFeatures
from av_perception.recording.csv_text import read_columns
from av_perception.spectral.stft import StreamingStft
from av_perception.two_microphones.microphone_pair import speed_of_sound
from av_perception.two_microphones.time_differences import PhaseCorrelation, TimeDifferenceConfig

COLUMNS = ('start', 'end', 'x', 'y', 'z')
_STILL_M = 0.03  # farther than this a place is another one
_GAP_S = 0.3  # and later than this
_EDGE_S = 0.1  # of the beginning and end of a place do not count
_LEAST_FRAMES = 5  # with fewer time differences there is no spread to speak of
_MARGIN_M = 0.05  # the profile's distance may be wrong by this much
_LEAST_SD = 1e-6  # [s]: rooms and clocks are no better
_SD_PER_MAD = 1.4826  # of a normal distribution


@dataclass(frozen=True)
class Place:
    """Where something sounded, and when."""

    #: [s] of the recording's clock.
    start_s: float
    #: [s] of the recording's clock.
    end_s: float
    #: (3,) [m].
    position: np.ndarray


def read_places(path: Path) -> list[Place]:
    """Read a CSV file with the header start,end,x,y,z (seconds, meters).

    Raises UserError that names the line.
    """
    places = []
    for line, values in read_columns(path, COLUMNS, 'place'):
        if values[1] <= values[0]:
            raise UserError(f'{path}, line {line}: end must come after start')
        places.append(Place(values[0], values[1], np.array(values[2:])))
    return places


def still_places(
    images: Iterable[tuple[float, VisualFeatures]], least_s: float = 1.0
) -> list[Place]:
    """Find where the target, the face with the highest score, was held still.

    Parameters
    ----------
    images
        Time [s] and features of every image.
    least_s
        Shortest time [s] at a place.

    Returns
    -------
    list of Place
        Positions are in the left optical frame. The first and last tenth of a second of a place do
        not count.
    """
    places: list[Place] = []
    run: list[tuple[float, np.ndarray]] = []
    for time_s, features in images:
        if not features.faces:
            continue
        position = np.asarray(max(features.faces, key=lambda face: face.score).position, float)
        if not np.isfinite(position).all():
            continue
        if run and _is_elsewhere(run, time_s, position):
            places += _place(run, least_s)
            run = []
        run.append((time_s, position))
    return places + _place(run, least_s)


def _is_elsewhere(
    run: list[tuple[float, np.ndarray]], time_s: float, position: np.ndarray
) -> bool:
    if time_s - run[-1][0] > _GAP_S:
        return True
    center = np.median([p for _, p in run], axis=0)
    return bool(np.linalg.norm(position - center) > _STILL_M)


def _place(run: list[tuple[float, np.ndarray]], least_s: float) -> list[Place]:
    if not run or run[-1][0] - run[0][0] < least_s:
        return []
    center = np.median([position for _, position in run], axis=0)
    return [Place(run[0][0] + _EDGE_S, run[-1][0] - _EDGE_S, center)]


def measure(
    places: list[Place],
    read: Callable[[float, float], np.ndarray],
    sample_rate: int,
    microphones: np.ndarray,
    progress: Callable[[float], None] = lambda fraction: None,
) -> Measurements:
    """Measure the time differences of all pairs of microphones at every place.

    A difference is the mean of those of the frames, without what lies three standard deviations
    off; NaN where fewer than five frames have a dominant source.

    Parameters
    ----------
    places
        Where and when it sounded.
    read
        read(start_s, end_s) gives the sound (samples, M).
    sample_rate
        [Hz].
    microphones
        (M, 3) [m] roughly.
    progress
        Told the fraction done.
    """
    config = _config(sample_rate)
    pairs = np.stack(np.triu_indices(len(microphones), 1), axis=1)
    correlations = _correlations(microphones, pairs, config)
    results = []
    for number, place in enumerate(places):
        sound = np.asarray(read(place.start_s, place.end_s), np.float32)
        frames = StreamingStft(config.stft, len(microphones)).push(sound)
        loud = np.ones(frames.shape[:2], bool)  # the loudspeaker plays all the time
        peaks = [c.peak(frames[..., pair], loud) for c, pair in zip(correlations, pairs)]
        results.append([_robust_mean(*peak, config.min_peak) for peak in peaks])
        progress((number + 1) / len(places))
    measured = np.array(results, float).reshape(len(places), len(pairs), 2)
    sources = np.array([place.position for place in places]).reshape(-1, 3)
    return Measurements(sources, pairs, measured[..., 0], measured[..., 1])


def _correlations(
    microphones: np.ndarray, pairs: np.ndarray, config: TimeDifferenceConfig
) -> list[PhaseCorrelation]:
    """Make one for each pair (P, 2), as wide as the distance of its microphones (M, 3) allows."""
    distances = np.linalg.norm(microphones[pairs[:, 0]] - microphones[pairs[:, 1]], axis=1)
    return [
        PhaseCorrelation(config, (distance + _MARGIN_M) / speed_of_sound())
        for distance in distances
    ]


def _config(sample_rate: int) -> TimeDifferenceConfig:
    """Configure the usual frames at any sample rate."""
    default = TimeDifferenceConfig(voice_activity=False)
    scale = sample_rate / default.stft.sample_rate
    stft = replace(
        default.stft,
        sample_rate=sample_rate,
        window=2 * round(default.stft.window * scale / 2),
        hop=round(default.stft.hop * scale),
    )
    lowest, highest = default.band_hz
    return replace(default, stft=stft, band_hz=(lowest, min(highest, sample_rate / 2)))


def _robust_mean(delays: np.ndarray, peaks: np.ndarray, min_peak: float) -> tuple[float, float]:
    """Average the frames' differences [s], with the standard deviation; NaN for too few."""
    delays = delays[peaks > min_peak]
    if len(delays) < _LEAST_FRAMES:
        return np.nan, np.nan
    off = np.abs(delays - np.median(delays))
    delays = delays[off <= 3 * _SD_PER_MAD * max(np.median(off), _LEAST_SD)]
    return float(delays.mean()), max(float(delays.std()) / np.sqrt(len(delays)), _LEAST_SD)
