# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What the tracker's frames become in a table."""

from __future__ import annotations

import numpy as np

from av_perception.interfaces import LifeState, SpeakingFrame, TrackEstimate, TrackFrame
from av_perception.recording.collect import answered_times, collect_tracks

ORIGIN_NS = 5_000_000_000


def frame_of(time_ns, *ids):
    tracks = tuple(
        TrackEstimate(
            i, LifeState.ACTIVE, np.zeros(6), np.eye(6), True, False, False, time_ns, 0, 0.0
        )
        for i in ids
    )
    return TrackFrame(time_ns, tracks, False), SpeakingFrame(time_ns, ())


def test_a_frame_without_anybody_has_a_time_and_no_row():
    frames = [frame_of(ORIGIN_NS), frame_of(ORIGIN_NS + 40_000_000, 1, 2)]
    np.testing.assert_allclose(answered_times(frames, ORIGIN_NS), [0.0, 0.04], atol=1e-12)
    np.testing.assert_allclose(collect_tracks(frames, ORIGIN_NS).time_s, [0.04] * 2, atol=1e-12)
    assert answered_times([]).shape == (0,)
