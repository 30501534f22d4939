# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Turns the tracker's frames into the table that is written, drawn and evaluated."""

from __future__ import annotations

import numpy as np

from av_perception.interfaces import SpeakingFrame, TrackFrame
from av_perception.recording.tables import TrackTable

UPPER_TRIANGLE = np.triu_indices(3)  # xx, xy, xz, yy, yz, zz


def collect_tracks(
    frames: list[tuple[TrackFrame, SpeakingFrame]], origin_ns: int = 0
) -> TrackTable:
    """One row per live person and frame; times in seconds since origin_ns. Each TrackFrame comes with the SpeakingFrame of its stamp."""
    rows = [
        (1e-9 * (frame.stamp_ns - origin_ns), track, status)
        for frame, speaking in frames
        for track, status in _with_status(frame, speaking)
    ]
    tracks = [track for _, track, _ in rows]
    means = np.array([t.mean for t in tracks]).reshape(-1, 6)
    covariances = np.array([t.covariance[:3, :3][UPPER_TRIANGLE] for t in tracks]).reshape(-1, 6)
    return TrackTable(
        time_s=np.array([time for time, _, _ in rows], float),
        id=np.array([t.id for t in tracks], int),
        position=means[:, :3],
        velocity=means[:, 3:],
        covariance=covariances,
        status=np.array([t.state.name.lower() for t in tracks], dtype=str),
        seen=np.array([t.seen for t in tracks], bool),
        heard=np.array([t.heard for t in tracks], bool),
        speaking_probability=np.array([p for _, _, (p, _) in rows], float),
        speaking=np.array([s for _, _, (_, s) in rows], bool),
    )


def answered_times(
    frames: list[tuple[TrackFrame, SpeakingFrame]], origin_ns: int = 0
) -> np.ndarray:
    """Times [s] since origin_ns of all frames, of those too that hold nobody and so no row."""
    return np.array([1e-9 * (frame.stamp_ns - origin_ns) for frame, _ in frames], float)


def _with_status(frame: TrackFrame, speaking: SpeakingFrame):
    """(track, (probability, speaking)) of every track; a track without status does not speak."""
    statuses = {s.id: (s.probability, s.speaking) for s in speaking.statuses}
    return [(track, statuses.get(track.id, (0.0, False))) for track in frame.tracks]
