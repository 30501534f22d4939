# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Walks that are forecast: simulated ones, tracked ones, and public ground-plane truth."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from av_perception.benchmarks.crossing_faces import HEAD, START_NS
from av_perception.benchmarks.sensors import camera_of
from av_perception.errors import UserError
from av_perception.geometry.time import seconds
from av_perception.interfaces import LifeState
from av_perception.motion_forecast.history import (
    STAY_MEMORY_S,
    STAY_PERIOD_S,
    Histories,
    calm,
    stays,
)
from av_perception.robot_head import load_head
from av_perception.simulation.crossing_faces import FaceSensorConfig, face_scene
from av_perception.simulation.crossings import CROSSINGS, crossing, walked
from av_perception.simulation.social_walks import RATE, SocialConfig, social_walks
from av_perception.simulation.walk_tracks import WalkTracks, track_walks
from av_perception.tracking.tracker import Tracker, TrackerConfig

HORIZONS_S = 0.2 * np.arange(1, 11)
WINDOW_S = 1.6
_PERIOD_S = 0.1  # about which places of a history lie apart
_MIN_PLACES = 6
_MATCH_M = 0.5
_MOST = 1e9  # that a frame number, a name or a coordinate can be
_MOST_PLACES = 20_000_000  # frames times people
_FILE_STD_M = 0.02  # what public truth is worth
SETS = ('social', 'passing', 'standing', 'crossings', 'tracked')


@dataclass(frozen=True)
class Windows:
    """Moments at which people are forecast, and where they were then."""

    #: of N people
    histories: Histories
    #: (N, H, 3) [m] at HORIZONS_S
    truth: np.ndarray

    def __len__(self) -> int:
        """How many."""
        return len(self.truth)


def windows_of(tracks: WalkTracks, stride_s: float = 0.5) -> Windows:
    """Cut tracks into windows, every so many seconds."""
    # Rounding of the times must not change the grid: 25 Hz is 25 Hz.
    rate = round(1 / float(np.median(np.diff(tracks.times_s))), 6)
    step = max(int(rate * _PERIOD_S), 1)
    back = step * np.arange(-int(WINDOW_S * rate / step), 1)
    ahead = HORIZONS_S * rate
    nows = np.arange(-back[0], len(tracks.times_s) - np.ceil(ahead[-1]), stride_s * rate)
    parts = [_windows_at(tracks, int(now), back, ahead) for now in nows]
    if not parts:
        return Windows(_no_histories(len(back)), np.zeros((0, len(ahead), 3)))
    return joined(parts)


def _windows_at(tracks: WalkTracks, now: int, back: np.ndarray, ahead: np.ndarray) -> Windows:
    """Everybody at one moment who was there before and after it."""
    rows = now + back
    positions = tracks.positions[rows].swapaxes(0, 1)
    covariances = tracks.covariances[rows].swapaxes(0, 1)
    ages = np.tile(tracks.times_s[now] - tracks.times_s[rows], (len(positions), 1))
    ages[~np.isfinite(positions).all(-1)] = np.nan
    # Between two moments the truth goes straight.
    below = np.floor(now + ahead + 1e-9).astype(int)
    share = (now + ahead - below)[:, None, None]
    above = np.minimum(below + 1, len(tracks.truth) - 1)
    truth = (1 - share) * tracks.truth[below] + share * tracks.truth[above]
    truth = truth.swapaxes(0, 1)
    used = np.isfinite(ages[:, -1]) & (np.isfinite(ages).sum(1) >= min(_MIN_PLACES, len(back)))
    used &= np.isfinite(truth).all((1, 2))
    stays_s = _stays(tracks, now)
    is_here = np.isfinite(ages[:, -1])
    calm_s = np.full(len(ages), calm(stays_s[is_here]) if is_here.any() else 0.0)
    histories = Histories(ages, positions, covariances, stays_s, calm_s)
    return Windows(histories.rows(used), truth[used])


def _stays(tracks: WalkTracks, now: int) -> np.ndarray:
    """(N,) [s] for how long everybody has stayed; who comes back after being away begins anew."""
    rate = 1 / float(np.median(np.diff(tracks.times_s)))
    step = max(round(STAY_PERIOD_S * rate), 1)
    rows = np.arange(now, -1, -step)[: int(STAY_MEMORY_S / STAY_PERIOD_S) + 1][::-1]
    positions = tracks.positions[rows].swapaxes(0, 1)
    known = np.isfinite(positions).all(-1)
    is_recent = np.logical_and.accumulate(known[:, ::-1], axis=1)[:, ::-1]
    ages = tracks.times_s[now] - tracks.times_s[rows]
    return stays(np.where(is_recent, ages, np.nan), positions)


def joined(parts: list[Windows]) -> Windows:
    """Put windows together."""
    names = ('ages', 'positions', 'covariances', 'stays_s', 'calm_s')
    arrays = (np.concatenate([getattr(p.histories, name) for p in parts]) for name in names)
    return Windows(Histories(*arrays), np.concatenate([part.truth for part in parts]))


def walks_of(kind: str, seed: int, noise: float = 1.0) -> WalkTracks:
    """Simulate and track one scene of a set.

    Parameters
    ----------
    kind
        One of SETS.
    seed
        Not negative.
    noise
        Factor of the errors of the sensor; tracked crossings have their own.
    """
    if kind == 'tracked':
        return tracked_crossing(seed)
    if kind == 'crossings':
        walks = crossing(sorted(CROSSINGS)[seed % len(CROSSINGS)], seed, _camera())
        times_s = np.arange(0.0, walks.duration_s, 1 / RATE)
        truth = np.stack([walked(path, times_s) for path in walks.paths], 1)
    else:
        truth = social_walks(seed, _config(kind))
    return track_walks(truth, RATE, seed, noise)


def _config(kind: str) -> SocialConfig:
    if kind == 'passing':
        return SocialConfig(passing=True, duration_s=30.0)
    if kind == 'standing':
        return SocialConfig(stand_s=60.0, duration_s=20.0)
    return SocialConfig()


def _camera():
    return camera_of(load_head(HEAD))


def tracked_crossing(seed: int) -> WalkTracks:
    """Crossing people by this project's tracker, with its own covariances.

    A track belongs to the person who is nearest; one that is nobody's is left out.
    """
    head = load_head(HEAD)
    walks = crossing(sorted(CROSSINGS)[seed % len(CROSSINGS)], seed, camera_of(head))
    scene = face_scene(walks, camera_of(head), seed, FaceSensorConfig(), START_NS)
    tracker = Tracker(TrackerConfig(), head)
    times_s = np.array([seconds(image.stamp_ns - START_NS) for image in scene.images])
    truth = np.stack([walked(path, times_s) for path in walks.paths], 1)
    positions = np.full_like(truth, np.nan)
    covariances = np.full((*truth.shape, 3), np.nan)
    for k, image in enumerate(scene.images):
        for track in tracker.step(image.stamp_ns, image, None).tracks:
            distances = np.linalg.norm(truth[k] - track.mean[:3], axis=1)
            person = distances.argmin()
            if track.state == LifeState.ACTIVE and distances[person] < _MATCH_M:
                positions[k, person] = track.mean[:3]
                covariances[k, person] = track.covariance[:3, :3]
    return WalkTracks(times_s, positions, covariances, truth)


def file_walks(path: Path, rate: float) -> WalkTracks:
    """Read ground-plane truth: rows of frame, person, x, y [m], any white space or commas.

    Parameters
    ----------
    path
        Text file.
    rate
        [Hz] of frame numbers.

    Raises
    ------
    UserError
        When it cannot be read as such.
    """
    table = _file_table(path)
    frames, people, _, _ = table.T
    names, columns = np.unique(people, return_inverse=True)
    numbers, rows = np.unique(frames, return_inverse=True)
    step = np.diff(numbers).min() if len(numbers) > 1 else 1.0
    count = int(round((numbers[-1] - numbers[0]) / step)) + 1
    if count > 100 * len(numbers) + 1000 or count * len(names) > _MOST_PLACES:
        raise UserError(f'{path}: the frame numbers lie too far apart')
    places = np.round((numbers[rows] - numbers[0]) / step).astype(int)
    truth = np.full((count, len(names), 3), np.nan)
    truth[places, columns, :2] = table[:, 2:4]
    truth[places, columns, 2] = 0.0
    spread = np.broadcast_to(_FILE_STD_M**2 * np.eye(3), (*truth.shape, 3))
    return WalkTracks(np.arange(count) * step / rate, truth, spread, truth)


def _file_table(path: Path) -> np.ndarray:
    """Read (N, 4) numbers that can be walks. Raises UserError for others."""
    try:
        text = path.read_text(encoding='utf-8').replace(',', ' ')
        rows = [line.split() for line in text.splitlines() if line.strip()]
        table = np.array(rows, float).reshape(len(rows), 4)
        if not len(table):
            raise ValueError('it is empty')
    except (OSError, ValueError) as error:
        reason = ' '.join(str(error).split())
        raise UserError(
            f'cannot read walks from {path}: rows of frame, person, x, y are needed ({reason})'
        ) from error
    if not np.isfinite(table).all() or np.abs(table).max() > _MOST:
        raise UserError(f'{path} holds walks of numbers that are not finite, or too large')
    if len(np.unique(table[:, :2], axis=0)) < len(table):
        raise UserError(f'{path} holds walks with two places of one person in a frame')
    return table


def find_walk_files() -> list[Path]:
    """Ground-plane files of the development data, none where there are none."""
    folder = os.environ.get('AV_PERCEPTION_DATA')
    return sorted((Path(folder) / 'paths').glob('*.txt')) if folder else []


def simulated_sets(num_seeds: int, first: int) -> Iterator[tuple[str, Windows]]:
    """Give the windows of every set of SETS, of seeds from `first` on."""
    for kind in SETS:
        count = 2 * num_seeds if kind in ('crossings', 'tracked') else num_seeds
        seeds = range(first, first + count)
        yield kind, joined([windows_of(walks_of(kind, seed)) for seed in seeds])


def _no_histories(length: int) -> Histories:
    return Histories(np.zeros((0, length)), np.zeros((0, length, 3)), np.zeros((0, length, 3, 3)))
