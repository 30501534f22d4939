# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A recording of a loudspeaker that is held still at many places, as measurements for `microphone_calibration`."""

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
_STILL_M, _GAP_S = 0.03, 0.3  # farther or later than this a place is another one
_LEAST_FRAMES = 5  # with fewer time differences there is no spread to speak of
_MARGIN_M = 0.05  # the profile's distance may be wrong by this much
_LEAST_SD = 1e-6  # [s]: rooms and clocks are no better


@dataclass(frozen=True)
class Place:
    """Sound from start_s to end_s [s of the recording's clock] at position (3,) [m]."""

    start_s: float
    end_s: float
    position: np.ndarray


def read_places(path: Path) -> list[Place]:
    """A CSV file with the header start,end,x,y,z (seconds, metres). Raises UserError that names the line."""
    places = []
    for line, values in read_columns(path, COLUMNS, 'place'):
        if values[1] <= values[0]:
            raise UserError(f'{path}, line {line}: end must come after start')
        places.append(Place(values[0], values[1], np.array(values[2:])))
    return places


def still_places(
    images: Iterable[tuple[float, VisualFeatures]], least_s: float = 1.0
) -> list[Place]:
    """Where the target was held still: (time [s], features) of every image, the target being the face with the highest score.

    Positions are in the left optical frame. The first and last tenth of a second of a place do not count.
    """
    places, run = [], []
    for time_s, features in images:
        if not features.faces:
            continue
        position = np.asarray(max(features.faces, key=lambda face: face.score).position, float)
        if not np.isfinite(position).all():
            continue
        moved = run and (
            time_s - run[-1][0] > _GAP_S
            or np.linalg.norm(position - np.median([p for _, p in run], axis=0)) > _STILL_M
        )
        if moved:
            places += _place(run, least_s)
            run = []
        run.append((time_s, position))
    return places + _place(run, least_s)


def _place(run: list, least_s: float) -> list[Place]:
    if not run or run[-1][0] - run[0][0] < least_s:
        return []
    return [
        Place(
            run[0][0] + 0.1, run[-1][0] - 0.1, np.median([position for _, position in run], axis=0)
        )
    ]


def measure(
    places: list[Place],
    read: Callable[[float, float], np.ndarray],
    sample_rate: int,
    microphones: np.ndarray,
    progress: Callable[[float], None] = lambda fraction: None,
) -> Measurements:
    """Time differences of all pairs of microphones (M, 3) [m] at every place. read(start_s, end_s) gives (samples, M) sound.

    A difference is the mean of those of the frames, without what lies three standard deviations off; NaN where fewer than five frames have
    a dominant source.
    """
    config = _config(sample_rate)
    pairs = np.stack(np.triu_indices(len(microphones), 1), axis=1)
    distances = np.linalg.norm(microphones[pairs[:, 0]] - microphones[pairs[:, 1]], axis=1)
    correlations = [
        PhaseCorrelation(config, (distance + _MARGIN_M) / speed_of_sound())
        for distance in distances
    ]
    results = []
    for number, place in enumerate(places):
        frames = StreamingStft(config.stft, len(microphones)).push(
            np.asarray(read(place.start_s, place.end_s), np.float32)
        )
        loud = np.ones(frames.shape[:2], bool)  # the loudspeaker plays all the time
        results.append(
            [
                _robust_mean(*c.peak(frames[..., pair], loud), config.min_peak)
                for c, pair in zip(correlations, pairs)
            ]
        )
        progress((number + 1) / len(places))
    itds, sds = np.moveaxis(np.array(results, float).reshape(len(places), len(pairs), 2), 2, 0)
    return Measurements(
        np.array([place.position for place in places]).reshape(-1, 3), pairs, itds, sds
    )


def _config(sample_rate: int) -> TimeDifferenceConfig:
    """The usual frames at any sample rate."""
    default = TimeDifferenceConfig(voice_activity=False)
    scale = sample_rate / default.stft.sample_rate
    stft = replace(
        default.stft,
        sample_rate=sample_rate,
        window=2 * round(default.stft.window * scale / 2),
        hop=round(default.stft.hop * scale),
    )
    return replace(
        default, stft=stft, band_hz=(default.band_hz[0], min(default.band_hz[1], sample_rate / 2))
    )


def _robust_mean(delays: np.ndarray, peaks: np.ndarray, min_peak: float) -> tuple[float, float]:
    """Mean [s] of the frames' differences and its standard deviation; NaN for too few."""
    delays = delays[peaks > min_peak]
    if len(delays) < _LEAST_FRAMES:
        return np.nan, np.nan
    off = np.abs(delays - np.median(delays))
    delays = delays[off <= 3 * 1.4826 * max(np.median(off), _LEAST_SD)]
    return float(delays.mean()), max(float(delays.std()) / np.sqrt(len(delays)), _LEAST_SD)
