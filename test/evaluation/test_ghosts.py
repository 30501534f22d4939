# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""How long tracks of nobody are shown."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from table_scenes import PERIOD as PERIOD_S
from table_scenes import track_table

from av_perception.evaluation.frames import align
from av_perception.evaluation.ghosts import are_by_ear, ghost_times
from av_perception.evaluation.metrics import evaluate
from av_perception.recording.tables import TrackTable, TruthTable


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
    return track_table([(frame, number, (2.0, y, 0.1)) for frame, number, y in rows])


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


def heard(rows, last_seen: int = 9, words: range = range(10, 50, 5)) -> TrackTable:
    """Tracks of (frame, id, y) rows, all seen up to a frame, and heard in some later ones."""
    table = tracks(rows)
    frame = np.round(table.time_s / PERIOD_S)
    return replace(table, seen=frame <= last_seen, heard=np.isin(frame, words))


def at_range(table: TrackTable, factor: float, turned_deg: float = 0.0) -> TrackTable:
    """The same tracks so many times as far from the head, and turned about it."""
    angle = np.radians(turned_deg)
    turn = [[np.cos(angle), np.sin(angle), 0], [-np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
    return replace(table, position=factor * table.position @ turn)


def ghosts_of(table: TrackTable) -> list[float]:
    return sorted(ghost_times(align(table, truth())).tolist())


def test_who_is_only_heard_is_no_ghost_at_a_wrong_range():
    unseen = [(f, 1, 0.0) for f in range(10, 50)]
    assert ghosts_of(at_range(heard(unseen), 1.6)) == []


def test_who_is_only_heard_is_a_ghost_in_a_wrong_direction():
    unseen = [(f, 1, 0.0) for f in range(10, 50)]
    assert ghosts_of(at_range(heard(unseen), 1.6, turned_deg=9.0)) == []
    assert ghosts_of(at_range(heard(unseen), 1.6, turned_deg=11.0)) == pytest.approx([1.6])


def test_who_is_seen_at_a_wrong_range_is_a_ghost():
    assert ghosts_of(at_range(tracks(PERSON), 1.6)) == pytest.approx([2.0])


def test_who_is_hidden_and_silent_is_a_ghost_at_a_wrong_range():
    silent = heard(PERSON, last_seen=24, words=range(0))
    assert ghosts_of(at_range(silent, 1.6)) == pytest.approx([2.0])


def test_a_word_is_believed_until_the_track_is_seen_again():
    table = heard(PERSON, last_seen=9, words=range(10, 11))
    again = replace(table, seen=table.seen | (table.time_s > 29.5 * PERIOD_S))
    expected = [10 * PERIOD_S, 20 * PERIOD_S]
    assert ghosts_of(at_range(again, 1.6)) == pytest.approx(expected)


def test_two_tracks_are_not_heard_of_one_person():
    twice = heard(PERSON + [(f, 2, 0.0) for f in range(10, 50)])
    assert ghosts_of(at_range(twice, 1.6)) == pytest.approx([10 * PERIOD_S, 40 * PERIOD_S])


def test_what_is_heard_of_one_id_is_not_heard_of_the_next():
    table = heard([(49, 1, 0.0), (10, 2, 0.0)], last_seen=-1, words=range(49, 50))
    frame = np.round(table.time_s / PERIOD_S)
    assert are_by_ear(table, frame).tolist() == [True, False]


def test_the_evaluation_tells_the_oldest_ghost():
    table = tracks(PERSON + [(f, 2, 1.5) for f in (*range(3, 6), *range(10, 20))])
    assert evaluate(table, truth()).oldest_ghost_s == pytest.approx(0.4)
