# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Turns the tracker's frames into the table that is written, drawn and evaluated."""

from __future__ import annotations

import numpy as np

from av_perception.geometry.time import seconds
from av_perception.interfaces import LifeState, SpeakingFrame, SpeakingStatus, TrackFrame
from av_perception.recording.mot_text import MotTable
from av_perception.recording.tables import TrackTable

UPPER_TRIANGLE = np.triu_indices(3)  # xx, xy, xz, yy, yz, zz
_SILENT = SpeakingStatus(id=0, speaking=False, probability=0.0, since_ns=0)


def collect_tracks(
    frames: list[tuple[TrackFrame, SpeakingFrame]], origin_ns: int = 0
) -> TrackTable:
    """Make one row of each track of each frame.

    Parameters
    ----------
    frames
        Each TrackFrame with the SpeakingFrame of its stamp.
    origin_ns
        Stamp that becomes second 0.

    Returns
    -------
    TrackTable
        In the order of the frames and of their tracks. A track without a status does not speak.
    """
    times_s = []
    tracks = []
    statuses = []
    for frame, speaking in frames:
        known = {status.id: status for status in speaking.statuses}
        for track in frame.tracks:
            times_s.append(seconds(frame.stamp_ns - origin_ns))
            tracks.append(track)
            statuses.append(known.get(track.id, _SILENT))
    means = np.array([t.mean for t in tracks]).reshape(-1, 6)
    covariances = np.array([t.covariance[:3, :3][UPPER_TRIANGLE] for t in tracks]).reshape(-1, 6)
    return TrackTable(
        time_s=np.array(times_s, float),
        id=np.array([t.id for t in tracks], int),
        position=means[:, :3],
        velocity=means[:, 3:],
        covariance=covariances,
        status=np.array([t.state.name.lower() for t in tracks], dtype=str),
        seen=np.array([t.seen for t in tracks], bool),
        heard=np.array([t.heard for t in tracks], bool),
        speaking_probability=np.array([s.probability for s in statuses], float),
        speaking=np.array([s.speaking for s in statuses], bool),
    )


def answered_times(
    frames: list[tuple[TrackFrame, SpeakingFrame]], origin_ns: int = 0
) -> np.ndarray:
    """List the times [s] since origin_ns of all frames, of those too that hold nobody."""
    return np.array([seconds(frame.stamp_ns - origin_ns) for frame, _ in frames], float)


def collect_boxes(
    frames: list[tuple[TrackFrame, SpeakingFrame]],
    first_image_ns: int,
    frame_rate: float,
) -> MotTable:
    """Make MOT-challenge rows of the people in view.

    Parameters
    ----------
    frames
        As of `collect_tracks`.
    first_image_ns
        Stamp of the first image, whose number is 1.
    frame_rate
        [Hz] of the images.

    Returns
    -------
    MotTable
        A row for every box of an active person: with the position in the reference frame.
    """
    rows = [
        (round(seconds(frame.stamp_ns - first_image_ns) * frame_rate) + 1, track)
        for frame, _ in frames
        for track in frame.tracks
        if track.box is not None and track.state is LifeState.ACTIVE
    ]
    return MotTable.of(
        [number for number, _ in rows],
        [track.id for _, track in rows],
        np.array([track.box for _, track in rows], float).reshape(-1, 4),
        position=np.array([track.mean[:3] for _, track in rows], float).reshape(-1, 3),
    )
