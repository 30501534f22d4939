# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Truth and tracks on one grid of frames.

What counts as output: rows of status `active` with a finite position. A tentative track is not yet
a claim that somebody is there, a sleeping one no longer is. A track row belongs to the truth frame
nearest in time, at most half a frame period away; of several rows of one id in a frame the nearest
counts. Holes in the truth (nobody in the room) are frames too, so that ghosts in them are counted;
rows before the first or after the last frame of truth are not scored. A truth without rows is an
empty room: its frames are those of the tracks, and whatever they claim is a ghost.

An image may have been lost on its way, so that nothing was said of it. Who listens then goes on
with the last status, for HOLD_S at most, and so does the score of speech. Images later than that
are lost.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import TypeVar

import numpy as np

from av_perception.errors import UserError
from av_perception.geometry.rigid_transform import angles_from_direction, wrap_angle
from av_perception.recording.tables import TrackTable, TruthTable

DEFAULT_PERIOD_S = 0.04
MAX_HOLE_FRAMES = 1_000_000
HOLD_S = 0.2
_TICK_S = 1e-6  # stamps closer than this are the same frame: the tables keep microseconds

Table = TypeVar('Table', TrackTable, TruthTable)


def select_rows(table: Table, rows: np.ndarray) -> Table:
    """Make a table of some rows (indices or mask) of another, in the given order."""
    return replace(table, **{f.name: getattr(table, f.name)[rows] for f in fields(table)})


@dataclass(frozen=True)
class Frames:
    """Truth and scored track rows, both sorted by frame.

    Attributes
    ----------
    time_s
        (T,) [s] times of the frames.
    period_s
        [s] between frames.
    truth, truth_frame
        N rows, and (N,) the index of the frame of each.
    tracks, track_frame
        M rows, and (M,) the index of the frame of each.
    shown
        (T,) index of the frame whose tracks each frame shows: itself if anything was said of it,
        else the last one of which anything was, at most HOLD_S ago, else -1.
    unscored
        Number of track rows that are no output or outside of the truth's time.
    """

    time_s: np.ndarray
    period_s: float
    truth: TruthTable
    truth_frame: np.ndarray
    tracks: TrackTable
    track_frame: np.ndarray
    shown: np.ndarray
    unscored: int = 0

    @cached_property
    def rows(self) -> list[tuple[slice, slice]]:
        """Per frame the rows of truth and of tracks."""
        edges = np.arange(len(self.time_s) + 1)
        truth = np.searchsorted(self.truth_frame, edges)
        tracks = np.searchsorted(self.track_frame, edges)
        return [
            (slice(truth[t], truth[t + 1]), slice(tracks[t], tracks[t + 1])) for t in edges[:-1]
        ]

    @cached_property
    def distances_m(self) -> list[np.ndarray]:
        """Per frame (people, tracks) distances between positions [m]."""
        return [
            np.linalg.norm(self.truth.position[g, None] - self.tracks.position[None, h], axis=-1)
            for g, h in self.rows
        ]

    @cached_property
    def angles_deg(self) -> list[np.ndarray]:
        """Per frame (people, tracks) angles between directions from the base's origin [deg]."""
        truth = _directions(self.truth.position)
        tracks = _directions(self.tracks.position)
        return [
            np.degrees(np.arccos(np.clip(truth[g] @ tracks[h].T, -1, 1))) for g, h in self.rows
        ]

    @cached_property
    def azimuths_deg(self) -> list[np.ndarray]:
        """Per frame (people, tracks) differences in azimuth from the base's origin [deg]."""
        truth = angles_from_direction(self.truth.position)[0]
        tracks = angles_from_direction(self.tracks.position)[0]
        return [
            np.degrees(np.abs(wrap_angle(truth[g, None] - tracks[None, h]))) for g, h in self.rows
        ]

    @cached_property
    def shown_rows(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows of tracks (K,) as they show in frames (K,), sorted by frame.

        They are the rows of each frame, and those that a frame without any holds.
        """
        showing = np.flatnonzero(self.shown >= 0)
        edges = np.searchsorted(self.track_frame, np.arange(len(self.time_s) + 1))
        first = edges[self.shown[showing]]
        count = edges[self.shown[showing] + 1] - first
        begin = np.cumsum(count) - count
        rows = np.arange(count.sum()) + np.repeat(first - begin, count)
        return rows, np.repeat(showing, count)

    @cached_property
    def held(self) -> np.ndarray:
        """(T,) bool: images of the truth that show what was said of an earlier one."""
        return self._is_image & (self.shown >= 0) & (self.shown != np.arange(len(self.shown)))

    @cached_property
    def lost(self) -> np.ndarray:
        """(T,) bool: images of the truth that show nothing, since nothing was said for HOLD_S."""
        return self._is_image & (self.shown < 0)

    @cached_property
    def _is_image(self) -> np.ndarray:
        """(T,) bool: frames with rows of truth; in a hole of it there may have been no image."""
        return np.isin(np.arange(len(self.time_s)), self.truth_frame)

    def select(self, truth_rows: np.ndarray, track_rows: np.ndarray) -> Frames:
        """Keep all frames, and the rows of truth and tracks where the masks are true."""
        return replace(
            self,
            truth=select_rows(self.truth, truth_rows),
            truth_frame=self.truth_frame[truth_rows],
            tracks=select_rows(self.tracks, track_rows),
            track_frame=self.track_frame[track_rows],
        )


def align(tracks: TrackTable, truth: TruthTable, answered_s: np.ndarray | None = None) -> Frames:
    """Put tracks and truth on the truth's frames.

    Parameters
    ----------
    tracks, truth
        What was said, and what was so.
    answered_s
        [s] times of the images of which something was said, be it that nobody is there. None: a
        table has no row then, so that all is taken as answered before its first row, and later the
        times of its rows.

    Raises
    ------
    UserError
        For a person twice in one frame, or a truth that is not finite.
    """
    if not (np.isfinite(truth.position).all() and np.isfinite(truth.time_s).all()):
        raise UserError('the truth holds times or positions that are not finite numbers')
    said_s = tracks.time_s if answered_s is None else np.asarray(answered_s, float)
    said_s = said_s[np.isfinite(said_s)]
    times, period = _frame_times(truth.time_s if len(truth) else said_s)
    truth, truth_frame = _truth_rows(truth, times)
    scored = select_rows(tracks, np.flatnonzero(_is_output(tracks)))
    rows, track_frame = _track_rows(scored, times, period)
    answered = _frames_at(said_s, times, period)
    if answered_s is None:
        answered |= ~np.logical_or.accumulate(answered)
    return Frames(
        time_s=times,
        period_s=period,
        truth=truth,
        truth_frame=truth_frame,
        tracks=select_rows(scored, rows),
        track_frame=track_frame,
        shown=_shown(answered, times),
        unscored=len(tracks) - len(rows),
    )


def _truth_rows(truth: TruthTable, times: np.ndarray) -> tuple[TruthTable, np.ndarray]:
    """Truth sorted by frame and id, and the frames. Raises UserError for a person twice in one."""
    frame, _ = _nearest(times, truth.time_s)
    order = np.lexsort((truth.id, frame))
    truth = select_rows(truth, order)
    frame = frame[order]
    twice = np.flatnonzero((np.diff(frame) == 0) & (np.diff(truth.id) == 0))
    if twice.size:
        raise UserError(
            f'the truth has person {truth.id[twice[0]]} twice at {truth.time_s[twice[0]]:.3f} s'
        )
    return truth, frame


def _frames_at(stamps: np.ndarray, times: np.ndarray, period: float) -> np.ndarray:
    """(T,) bool: frames that a stamp [s] belongs to."""
    frame, offset = _nearest(times, stamps)
    answered = np.zeros(len(times), bool)
    answered[frame[offset <= period / 2 + _TICK_S]] = True
    return answered


def _shown(answered: np.ndarray, times: np.ndarray) -> np.ndarray:
    """(T,) index of the last answered frame at most HOLD_S before each frame, -1 without."""
    last = np.maximum.accumulate(np.where(answered, np.arange(len(times)), -1))
    recent = times - times[last] <= HOLD_S + _TICK_S if len(times) else np.zeros(0, bool)
    return np.where(recent, last, -1)


def _is_output(tracks: TrackTable) -> np.ndarray:
    """(N,) bool: the rows claim that somebody is somewhere."""
    finite = np.isfinite(tracks.position).all(axis=1) & np.isfinite(tracks.time_s)
    return (tracks.status == 'active') & finite


def _track_rows(
    tracks: TrackTable, times: np.ndarray, period: float
) -> tuple[np.ndarray, np.ndarray]:
    """Rows within half a period of a frame, sorted by frame and id; and their frames.

    Of several rows of an id in a frame it is the nearest.
    """
    frame, offset = _nearest(times, tracks.time_s)
    rows = np.flatnonzero(offset <= period / 2 + _TICK_S)
    rows = rows[np.lexsort((offset[rows], tracks.id[rows], frame[rows]))]
    first = np.ones(len(rows), bool)
    first[1:] = (np.diff(frame[rows]) != 0) | (np.diff(tracks.id[rows]) != 0)
    return rows[first], frame[rows[first]]


def _frame_times(stamps: np.ndarray) -> tuple[np.ndarray, float]:
    """Distinct times with holes filled at the frame period; and the period."""
    times = np.unique(np.round(stamps / _TICK_S)) * _TICK_S
    if len(times) < 2:
        return times, DEFAULT_PERIOD_S
    gaps = np.diff(times)
    period = float(np.median(gaps))
    # In floating point: a sum of holes of any length does not wrap around.
    missing = np.maximum(np.round(gaps / period) - 1, 0)
    if missing.sum() > MAX_HOLE_FRAMES:
        raise UserError(
            f'the truth has a hole of {gaps.max():.0f} s at a frame period of {period:.3g} s: '
            'are its times in seconds?'
        )
    filled = [times]
    for hole in np.flatnonzero(missing):
        steps = np.arange(1.0, missing[hole] + 1)
        filled.append(times[hole] + gaps[hole] * steps / (missing[hole] + 1))
    return np.sort(np.concatenate(filled)), period


def _nearest(times: np.ndarray, stamps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Index of the frame nearest to each stamp, and how far it is [s].

    Half-way between two frames it is the earlier one.
    """
    if not len(times) or not len(stamps):
        return np.zeros(len(stamps), int), np.full(len(stamps), np.inf)
    right = np.clip(np.searchsorted(times, stamps), 1, max(len(times) - 1, 1))
    left = right - 1
    right = np.minimum(right, len(times) - 1)
    nearest = np.where(stamps - times[left] <= times[right] - stamps + _TICK_S, left, right)
    return nearest, np.abs(stamps - times[nearest])


def _directions(positions: np.ndarray) -> np.ndarray:
    """(N, 3) unit vectors towards positions (N, 3) [m]."""
    return positions / np.maximum(np.linalg.norm(positions, axis=1, keepdims=True), 1e-9)
