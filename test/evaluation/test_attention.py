# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Figures of looks, on histories whose figures are known."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from av_perception.evaluation.attention import (
    LookHistory,
    angles_deg,
    find_onsets,
    score_looks,
    speech_turns,
)
from av_perception.evaluation.look_recorder import LookRecorder
from av_perception.geometry.rigid_transform import direction_from_angles
from av_perception.interfaces import Attention, AttentionReason, TrackFrame

PERIOD_S = 0.04
AZIMUTHS_DEG = np.array([0.0, 90.0])


def history(head_deg, spoken, look=None, ids=None):
    """Two people at AZIMUTHS_DEG; head_deg: (T,); spoken: turns (person, start, end) [s]."""
    count = len(head_deg)
    time_s = (np.arange(count) + 1) * PERIOD_S
    directions = direction_from_angles(np.radians(AZIMUTHS_DEG), 0.0)
    speaking = np.zeros((count, 2), bool)
    for person, start, end in spoken:
        speaking[(time_s > start) & (time_s <= end), person] = True
    look_id = np.full(count, -1) if look is None else look
    point = np.full((count, 3), np.nan)
    point[look_id == 1], point[look_id == 2] = 2 * directions
    point[look_id == 9] = [-1.0, 0.0, 0.0]  # where nobody is
    return LookHistory(
        time_s,
        direction_from_angles(np.radians(head_deg), 0.0),
        np.tile(2 * directions, (count, 1, 1)),
        speaking,
        look_id,
        point,
        np.tile([1, 2], (count, 1)) if ids is None else ids,
    )


def turning(at_s, count=150):
    """The head looks ahead, and from a time on at the second person."""
    return np.where((np.arange(count) + 1) * PERIOD_S >= at_s, 90.0, 0.0)


def test_the_delay_is_from_the_onset_to_facing():
    onsets = find_onsets(history(turning(2.8), [(1, 2.0, 5.0)]))
    assert [o.person for o in onsets] == [1]
    assert onsets[0].away_deg == pytest.approx(90.0)
    assert onsets[0].delay_s == pytest.approx(0.8 - PERIOD_S, abs=PERIOD_S)


def test_facing_begins_at_ten_degrees():
    near = find_onsets(history(np.full(150, 80.5), [(1, 2.0, 5.0)]))
    far = find_onsets(history(np.full(150, 79.5), [(1, 2.0, 5.0)]))
    assert near[0].delay_s == 0.0 and far[0].delay_s == math.inf


def test_who_speaks_while_another_does_is_due_when_the_other_stops():
    onsets = find_onsets(history(turning(4.0), [(0, 1.0, 3.0), (1, 2.0, 5.0)]))
    second = next(o for o in onsets if o.person == 1)
    assert second.time_s == pytest.approx(3.0 + PERIOD_S)
    assert second.delay_s == pytest.approx(1.0 - PERIOD_S)


def test_short_words_are_not_due_and_pauses_are_no_new_turns():
    time_s = (np.arange(150) + 1) * PERIOD_S
    word = (time_s > 1) & (time_s < 1.4)
    speech = ((time_s > 2) & (time_s < 3)) | ((time_s > 3.3) & (time_s < 4))
    assert not speech_turns(time_s, word)
    assert len(speech_turns(time_s, speech)) == 1
    assert speech_turns(time_s, np.zeros(150, bool)) == []


def test_all_figures_of_one_story():
    """One turn ahead, one out of view that is faced, one that never is."""
    head = turning(2.8, 250)
    look = np.where(head > 0, 2, 1)
    scores = score_looks(
        [history(head, [(0, 0.5, 1.5), (1, 2.0, 5.0), (0, 6.0, 8.0)], look)], 35.0
    )
    assert (scores.onsets, scores.out_of_view, scores.missed) == (3, 2, 1)
    assert scores.delay_out_of_view_median_s == pytest.approx(0.76, abs=PERIOD_S)
    assert scores.delay_out_of_view_p90_s is None
    assert scores.speech_looked_at == pytest.approx((1.0 + 2.2) / 6.0, abs=0.02)
    assert (scores.looks, scores.false_turns, scores.ids_changed) == (2, 0, 0)


def test_looks_at_nobody_and_at_the_wrong_one_are_false():
    look = np.concatenate([np.full(50, 1), np.full(50, 9), np.full(50, 1)])
    scores = score_looks([history(np.zeros(150), [(1, 3.0, 5.9)], look)], 35.0)
    assert (scores.looks, scores.false_turns) == (3, 2)


def test_ids_that_change_are_counted_and_gaps_are_not():
    ids = np.tile([1, 2], (150, 1))
    ids[50:60, 0] = -1
    ids[100:, 1] = 3
    assert score_looks([history(np.zeros(150), [], ids=ids)], 35.0).ids_changed == 1


def test_without_speech_figures_are_none():
    scores = score_looks([history(np.zeros(50), [])], 35.0)
    assert scores.delay_median_s is None and scores.speech_looked_at is None
    assert set(scores.to_dict()) == {f.name for f in dataclasses.fields(scores)}


def test_angles_against_coordinates():
    axes = np.array([[1.0, 0, 0], [0, 1.0, 0]])
    np.testing.assert_allclose(angles_deg(axes, np.array([[0, 3.0, 0], [0, -1.0, 0]])), [90, 180])


def test_the_recorder_holds_the_last_answer():
    recorder = LookRecorder()
    for step in range(4):
        recorder.note_step(0.04 * step, np.eye(3)[0], np.ones((1, 3)), np.array([True]))
    attention = Attention(1, AttentionReason.SPEAKS, 7, np.ones(3), 1)
    recorder.note_answer(1, attention, TrackFrame(1, (), False))
    assert recorder.history().look_id.tolist() == [-1, 7, 7, 7]
    assert recorder.history().track_ids.tolist() == [[-1]] * 4
