# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What the tracker's frames become in a table."""

from __future__ import annotations

import dataclasses

import numpy as np

from av_perception.interfaces import LifeState, SpeakingFrame, TrackEstimate, TrackFrame
from av_perception.recording.collect import answered_times, collect_boxes, collect_tracks
from av_perception.recording.mot_text import MotTable

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


def test_boxes_carry_the_number_of_their_image(tmp_path):
    """Frames of sound alone have no boxes; images that were dropped leave a gap in the numbers."""
    box = np.array([10.0, 20.0, 30.0, 40.0])
    frames = []
    for image in (0, 1, 3):
        frame, speaking = frame_of(ORIGIN_NS + image * 33_333_333, 7)
        seen = dataclasses.replace(frame.tracks[0], box=box + image)
        hidden = dataclasses.replace(frame.tracks[0], id=8)
        frames.append((dataclasses.replace(frame, tracks=(seen, hidden)), speaking))
    frames.append(frame_of(ORIGIN_NS + 120_000_000, 9))
    table = collect_boxes(frames, ORIGIN_NS, 30.0)
    assert table.frame.tolist() == [1, 2, 4] and table.id.tolist() == [7] * 3
    table.write(tmp_path / 'boxes.txt')
    np.testing.assert_allclose(MotTable.read(tmp_path / 'boxes.txt').box[:, 0], [10, 11, 13])
