# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Ghosts: tracks that are shown where nobody is, and for how long.

A track is seen or by ear: by ear from when it is heard unseen until it is seen again. Who is seen,
or was and is now neither seen nor heard, is somewhere; who is by ear is at an azimuth, as sound
does not tell how far away anybody is, nor a flat array how high.
"""

from __future__ import annotations

import numpy as np

from av_perception.evaluation.frames import Frames
from av_perception.evaluation.tracking_metrics import Pairs, match
from av_perception.recording.tables import TrackTable

MATCH_ANGLE_DEG = 10.0  # of azimuth; a track by ear that is farther off is nobody's


def ghost_times(
    frames: Frames, match_distance_m: float = 0.5, match_angle_deg: float = MATCH_ANGLE_DEG
) -> np.ndarray:
    """List how long tracks were shown on end without a person of their own.

    Every person has one track at most, first by place. Tracks by ear that are left over are
    matched by azimuth with the people who are left over.

    Parameters
    ----------
    frames
        Truth, of hidden people too, and scored tracks.
    match_distance_m, match_angle_deg
        Farther than this a track is not of that person, [m] by place and [deg] by azimuth; of
        two tracks of one person, one is a ghost.

    Returns
    -------
    np.ndarray
        (G,) [s], one per run of frames in which one id is shown and matched to nobody.
    """
    pairs = match(frames, frames.distances_m, match_distance_m)
    is_ghost = np.ones(len(frames.tracks), bool)
    is_ghost[pairs.track_row] = False
    is_ghost[heard_pairs(frames, pairs, match_angle_deg)[1]] = False
    ids = frames.tracks.id[is_ghost]
    frame = frames.track_frame[is_ghost]
    order = np.lexsort((frame, ids))
    ids = ids[order]
    frame = frame[order]
    # A run ends where the id changes, or frames are left out.
    ends = np.flatnonzero((np.diff(ids) != 0) | (np.diff(frame) != 1))
    lengths = np.diff(np.concatenate([[-1], ends, [len(ids) - 1]]))
    return lengths[lengths > 0] * frames.period_s


def heard_pairs(
    frames: Frames, pairs: Pairs, match_angle_deg: float = MATCH_ANGLE_DEG
) -> tuple[np.ndarray, np.ndarray]:
    """Match by azimuth the tracks by ear and the people that are left over by place.

    Parameters
    ----------
    frames
        Truth and scored tracks.
    pairs
        Matched by place.
    match_angle_deg
        [deg] farther off a track is not of that person.

    Returns
    -------
    truth_row, track_row
        (P,) indices each.
    """
    alone = np.ones(len(frames.truth), bool)
    alone[pairs.truth_row] = False
    by_ear = are_by_ear(frames.tracks, frames.track_frame)
    by_ear[pairs.track_row] = False
    rest = frames.select(alone, by_ear)
    heard = match(rest, rest.azimuths_deg, match_angle_deg)
    return np.flatnonzero(alone)[heard.truth_row], np.flatnonzero(by_ear)[heard.track_row]


def are_by_ear(tracks: TrackTable, frame: np.ndarray) -> np.ndarray:
    """Tell whose place is known by sound alone: heard unseen, and not seen since.

    Parameters
    ----------
    tracks, frame
        M rows, and (M,) the frame of each.

    Returns
    -------
    np.ndarray
        (M,) bool.
    """
    order = np.lexsort((frame, tracks.id))
    seen = tracks.seen[order]
    heard = tracks.heard[order] & ~seen
    place = np.arange(len(order))
    last_seen = np.maximum.accumulate(np.where(seen, place, -1))
    last_heard = np.maximum.accumulate(np.where(heard, place, -1))
    # What was heard of the id before, in the order of ids, is none of this one's.
    ids = tracks.id[order]
    first = np.searchsorted(ids, ids)
    by_ear = np.empty(len(order), bool)
    by_ear[order] = (last_heard > last_seen) & (last_heard >= first)
    return by_ear
