# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Tracks of nobody: how long one is shown before it ends or finds its person."""

from __future__ import annotations

import numpy as np

from av_perception.evaluation.frames import Frames
from av_perception.evaluation.tracking_metrics import match


def ghost_times(frames: Frames, match_distance_m: float = 0.5) -> np.ndarray:
    """List how long tracks were shown on end without a person of their own.

    Parameters
    ----------
    frames
        Truth, of hidden people too, and scored tracks.
    match_distance_m
        [m] farther than this a track is not of that person; of two tracks at one person, one is a
        ghost.

    Returns
    -------
    np.ndarray
        (G,) [s], one per run of frames in which one id is shown and matched to nobody.
    """
    is_ghost = np.ones(len(frames.tracks), bool)
    is_ghost[match(frames, frames.distances_m, match_distance_m).track_row] = False
    ids = frames.tracks.id[is_ghost]
    frame = frames.track_frame[is_ghost]
    order = np.lexsort((frame, ids))
    ids = ids[order]
    frame = frame[order]
    # A run ends where the id changes, or frames are left out.
    ends = np.flatnonzero((np.diff(ids) != 0) | (np.diff(frame) != 1))
    lengths = np.diff(np.concatenate([[-1], ends, [len(ids) - 1]]))
    return lengths[lengths > 0] * frames.period_s
