# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""How long tracks of nobody are shown."""

from __future__ import annotations

import numpy as np
import pytest

from av_perception.evaluation.frames import align
from av_perception.evaluation.ghosts import ghost_times
from av_perception.recording.tables import TrackTable, TruthTable

PERIOD_S = 0.04


def truth(frames: int = 50) -> TruthTable:
    """One person who stands still, hidden in the second half."""
    return TruthTable(
        time_s=np.arange(frames) * PERIOD_S,
        id=np.ones(frames, int),
        position=np.tile([2.0, 0.0, 0.1], (frames, 1)),
        speaking=np.zeros(frames, bool),
        visible=np.arange(frames) < frames // 2,
    )


def tracks(rows) -> TrackTable:
    """Active tracks of (frame, id, y) rows."""
    rows = np.array(rows, float).reshape(-1, 3)
    count = len(rows)
    place = np.tile([2.0, 0.0, 0.1], (count, 1))
    place[:, 1] = rows[:, 2]
    return TrackTable(
        time_s=rows[:, 0] * PERIOD_S,
        id=rows[:, 1].astype(int),
        position=place,
        velocity=np.zeros((count, 3)),
        covariance=np.zeros((count, 6)),
        status=np.full(count, 'active'),
        seen=np.ones(count, bool),
        heard=np.zeros(count, bool),
        speaking_probability=np.zeros(count),
        speaking=np.zeros(count, bool),
    )


def times(rows) -> list[float]:
    return sorted(ghost_times(align(tracks(rows), truth())).tolist())


PERSON = [(f, 1, 0.0) for f in range(50)]


def test_a_track_on_its_person_is_no_ghost_hidden_or_not():
    assert times(PERSON) == []


def test_a_track_far_from_everybody_is_one_for_as_long_as_it_is_shown():
    assert times(PERSON + [(f, 2, 1.5) for f in range(10, 20)]) == pytest.approx([0.4])


def test_of_two_tracks_on_one_person_one_is_a_ghost():
    assert times(PERSON + [(f, 2, 0.1) for f in range(30, 35)]) == pytest.approx([0.2])


def test_what_is_shown_twice_is_two_ghosts_and_so_are_two_ids():
    rows = [(f, 2, 1.5) for f in (1, 2, 3, 10, 11)] + [(f, 3, -1.5) for f in (3, 4)]
    assert times(PERSON + rows) == pytest.approx([0.08, 0.08, 0.12])


def test_a_person_who_is_lost_for_a_moment_makes_the_track_a_ghost_so_long():
    rows = [(f, 1, 0.9 if 20 <= f < 25 else 0.0) for f in range(50)]
    assert times(rows) == pytest.approx([0.2])
