"""Frames of tracks and speaking status in a few words, for what tells of people."""

from __future__ import annotations

import numpy as np

from av_perception.data import LifeState, SpeakingFrame, SpeakingStatus, TrackEstimate, TrackFrame

BOX = np.array([300.0, 200.0, 60.0, 80.0])


def person(number, seen=True, speaks=False, state=LifeState.ACTIVE, ever_seen=True, share=0.0, variance=1e-4, x=2.0, visibility=0.97,
           last_seen=1):
    """(TrackEstimate, SpeakingStatus) of somebody straight ahead."""
    covariance = np.eye(6) * variance
    track = TrackEstimate(number, state, np.array([x, 0.2 * number, 0.1, 0.3, 0.0, 0.0]), covariance, seen, speaks, not (seen or speaks), last_seen if ever_seen else 0,
                          1, share, BOX if seen else None, visibility=visibility if seen else 0.1)
    return track, SpeakingStatus(number, speaks, 0.9 if speaks else 0.1, 1)


def frames(ms, *people):
    """(TrackFrame, SpeakingFrame) at a moment."""
    stamp = 10**9 + round(1e6 * ms)
    return (TrackFrame(stamp, tuple(t for t, _ in people), any(s.speaking for _, s in people)), SpeakingFrame(stamp, tuple(s for _, s in people)))
