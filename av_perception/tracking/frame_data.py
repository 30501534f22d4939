# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What one frame offers, what of it belongs to which track, and how that is told."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from av_perception.interfaces import LifeState, TrackEstimate
from av_perception.robot_head.sensor_poses import SensorPoses
from av_perception.tracking.audio_branch import AudioObservation, SoundShares
from av_perception.tracking.state_space.interface import LinearMap
from av_perception.tracking.track_management.track_set import TrackSet
from av_perception.tracking.visual_branch import VisualObservation
from av_perception.tracking.voice_directions import VoicesOfFrame

# Looked up; an enumeration takes longer to call.
_STATES = {int(state): state for state in LifeState}


@dataclass(frozen=True)
class FrameObservations:
    """What a frame offers after the input check. vision None: no image; audio None: no voice.

    voices None: no bins of direction, or the head hears by sub-bands alone; directions: where the
    array hears the tracks, None without an array.
    """

    stamp_ns: int
    poses: SensorPoses
    vision: VisualObservation | None
    audio: AudioObservation | None
    voices: VoicesOfFrame | None = None
    directions: LinearMap | None = None


@dataclass(frozen=True)
class FrameAssignment:
    """What of the frame belongs to which of N tracks.

    seen, heard: (N,) bool; energy: (N,) share of the sound; subbands: (N, K) responsibilities for
    the sub-bands, K = 0 without voice.
    """

    seen: np.ndarray
    heard: np.ndarray
    energy: np.ndarray
    subbands: np.ndarray

    def select(self, index: np.ndarray) -> FrameAssignment:
        """Pick the tracks with these increasing indices."""
        if len(index) == len(self.seen):
            return self
        return FrameAssignment(
            self.seen[index], self.heard[index], self.energy[index], self.subbands[index]
        )

    def with_births(self, count: int, seen: bool, heard: bool) -> FrameAssignment:
        """Add so many tracks; the sound of this frame is not theirs yet."""
        if not count:
            return self
        no_shares = SoundShares.of_nobody(count, self.subbands.shape[1])
        return FrameAssignment(
            np.append(self.seen, np.full(count, seen)),
            np.append(self.heard, np.full(count, heard)),
            np.append(self.energy, no_shares.energy),
            np.concatenate([self.subbands, no_shares.subbands]),
        )


def track_estimates(tracks: TrackSet, assignment: FrameAssignment) -> tuple[TrackEstimate, ...]:
    """Tell of N tracks what is known, with what of this frame is theirs.

    Parameters
    ----------
    tracks, assignment
        Of the same N tracks, after the frame.

    Returns
    -------
    tuple of TrackEstimate
        In the order of the tracks; native numbers and copies, unchanged when the tracks change.
    """
    ids = tracks.id.tolist()
    states = tracks.state.tolist()
    last_seen = tracks.last_seen.tolist()
    last_heard = tracks.last_heard.tolist()
    visibility = tracks.visibility.tolist()
    seen = assignment.seen.tolist()
    heard = assignment.heard.tolist()
    energy = np.minimum(assignment.energy, 1.0).tolist()
    means, covariances, boxes = tracks.mean.copy(), tracks.covariance.copy(), tracks.box.copy()
    return tuple(
        TrackEstimate(
            id=ids[i],
            state=_STATES[states[i]],
            mean=means[i],
            covariance=covariances[i],
            seen=seen[i],
            heard=heard[i],
            predicted=not (seen[i] or heard[i]),
            last_seen_ns=last_seen[i],
            last_heard_ns=last_heard[i],
            audio_responsibility=energy[i],
            box=boxes[i] if seen[i] else None,
            subband_responsibility=assignment.subbands[i],
            visibility=visibility[i],
        )
        for i in range(len(tracks))
    )
