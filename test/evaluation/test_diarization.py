# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Diarization error rate against overlaps worked out by hand."""

import numpy as np
import pytest
from table_scenes import EAST, NORTH, WEST, track_table, truth_table

from av_perception.evaluation.metrics import evaluate

SECOND = 25  # frames


def speech(person, position, seconds, *turns):
    """One person for some seconds, speaking in the turns (begin, end) [s]."""
    frames = range(round(seconds * SECOND))
    return [
        (f, person, position, any(begin * SECOND <= f < end * SECOND for begin, end in turns))
        for f in frames
    ]


def scored(tracks, truth, collar_s=0.0, **options):
    return evaluate(track_table(tracks), truth_table(truth), collar_s=collar_s, **options)


def test_perfect_speech():
    rows = speech(1, NORTH, 10, (1, 4)) + speech(2, WEST, 10, (3, 8))
    scores = scored(rows, rows)
    assert scores.der == 0
    assert scores.diarization.speech_s == pytest.approx(8)


def test_missed_and_false_speech():
    truth = speech(1, NORTH, 10, (1, 5))
    scores = scored(speech(1, NORTH, 10, (2, 6)), truth)
    assert scores.diarization.missed_s == pytest.approx(1)
    assert scores.diarization.false_alarm_s == pytest.approx(1)
    assert scores.diarization.confusion_s == pytest.approx(0)
    assert scores.der == pytest.approx(2 / 4)


def test_the_collar_is_the_total_width():
    """0.25 s around each boundary: 0.125 s of the late start and of the late end are forgiven."""
    scores = scored(speech(1, NORTH, 10, (2, 6)), speech(1, NORTH, 10, (1, 5)), collar_s=0.25)
    assert scores.diarization.speech_s == pytest.approx(4 - 0.25)
    assert scores.der == pytest.approx(2 * (1 - 0.125) / 3.75)


def test_speech_of_the_wrong_person_is_confusion():
    truth = speech(1, NORTH, 10, (1, 5)) + speech(2, WEST, 10)
    tracks = speech(1, NORTH, 10) + speech(2, WEST, 10, (1, 5))
    scores = scored(tracks, truth)
    assert scores.diarization.confusion_s == pytest.approx(4)
    assert scores.der == pytest.approx(1)
    assert scores.diarization_optimal.der == pytest.approx(
        0
    )  # the voices were told apart, only the places are wrong


def test_one_of_two_overlapping_talkers_missed():
    truth = speech(1, NORTH, 10, (1, 5)) + speech(2, WEST, 10, (3, 7))
    scores = scored(speech(1, NORTH, 10, (1, 5)) + speech(2, WEST, 10, (5, 7)), truth)
    assert scores.diarization.missed_s == pytest.approx(2)
    assert scores.der == pytest.approx(2 / 8)


def test_swapped_ids_at_the_right_places_are_right_by_position():
    truth = speech(1, NORTH, 10, (0, 10)) + speech(2, WEST, 10)
    half = 5 * SECOND
    tracks = [(f, p if f < half else 3 - p, pos, speaking) for f, p, pos, speaking in truth]
    scores = scored(tracks, truth)
    assert scores.der == 0 and scores.diarization_optimal.der == pytest.approx(0.5)


def test_speech_of_a_ghost():
    truth = speech(1, NORTH, 10, (1, 5))
    while_silent = scored(truth + speech(9, WEST, 10, (6, 8)), truth)
    assert while_silent.diarization.false_alarm_s == pytest.approx(2)
    assert while_silent.der == pytest.approx(0.5)
    instead = scored(speech(1, NORTH, 10) + speech(9, WEST, 10, (1, 5)), truth)
    assert instead.diarization.confusion_s == pytest.approx(4)


def test_an_estimate_off_its_place_for_a_while_keeps_its_person():
    truth = speech(1, NORTH, 10, (0, 10))
    tracks = [(f, i, pos if not 100 <= f < 150 else (3.0, 0.0, 0.0), s) for f, i, pos, s in truth]
    assert scored(tracks, truth).der == 0


def test_a_track_that_talks_on_from_one_person_to_the_next():
    truth = speech(1, NORTH, 10, (0, 5)) + speech(2, WEST, 10, (5, 10))
    tracks = [(f, 1, NORTH if f < 125 else WEST, True) for f in range(250)]
    assert scored(tracks, truth).der == 0
    assert scored(tracks, truth).diarization_optimal.der == pytest.approx(0.5)


def test_two_tracks_of_one_person_do_not_speak_for_each_other():
    truth = speech(1, NORTH, 10, (0, 10))
    tracks = truth + [(f, 2, (2.1, 0.0, 0.0), f >= 125) for f in range(250)]
    assert scored(tracks, truth).diarization.false_alarm_s == pytest.approx(5)


def test_a_ghost_that_steals_its_former_owners_voice_speaks_for_nobody():
    """Regression: an id left behind elsewhere spoke for its former person, and that was right."""
    truth = speech(1, NORTH, 10, (0, 10))
    left_behind = [(f, 1, NORTH if f < 100 else EAST, True) for f in range(250)]
    new_and_silent = [(f, 2, NORTH, False) for f in range(100, 250)]
    scores = scored(left_behind + new_and_silent, truth)
    assert scores.diarization.confusion_s == pytest.approx(6)
    assert scores.diarization.missed_s == pytest.approx(0)
    assert scores.der == pytest.approx(0.6)


def test_a_ghost_stays_nobodys_while_its_former_owner_is_not_found():
    """The person's new track is there for 2 s, then nothing is but the ghost."""
    truth = speech(1, NORTH, 10, (0, 10))
    left_behind = [(f, 1, NORTH if f < 100 else EAST, True) for f in range(250)]
    new_and_silent = [(f, 2, NORTH, False) for f in range(100, 150)]
    assert scored(left_behind + new_and_silent, truth).der == pytest.approx(0.6)


def test_a_ghost_that_finds_its_person_again_speaks_for_them_again():
    truth = speech(1, NORTH, 10, (0, 10))
    back = [(f, 1, EAST if 100 <= f < 200 else NORTH, True) for f in range(250)]
    new_and_silent = [(f, 2, NORTH, False) for f in range(100, 200)]
    assert scored(back + new_and_silent, truth).der == pytest.approx(0.4)


def test_a_track_that_came_too_early_speaks_for_its_first_person_unless_another_does():
    truth = speech(1, NORTH, 10, (0, 10))
    early = [(f, 2, EAST if f < 100 else NORTH, True) for f in range(250)]
    assert scored(early, truth).der == 0
    other = [(f, 1, NORTH, False) for f in range(100)]
    assert scored(early + other, truth).der == pytest.approx(0.4)


def test_a_lost_image_is_not_silence_for_a_fifth_of_a_second():
    """Regression: an image without a track row counted as silence."""
    truth = speech(1, NORTH, 10, (0, 10))
    every_sixth = [row for row in truth if row[0] % 6 == 0]
    scores = scored(every_sixth, truth)
    assert scores.der == pytest.approx(0)
    assert scores.diarization_optimal.der == pytest.approx(0)
    assert (scores.held_images, scores.lost_images) == (250 - 42, 0)


def test_a_status_is_held_for_a_fifth_of_a_second_and_no_longer():
    truth = speech(1, NORTH, 10, (0, 10))
    scores = scored([row for row in truth if not 100 <= row[0] < 150], truth)
    assert scores.diarization.missed_s == pytest.approx(2.0 - 0.2)
    assert scores.der == pytest.approx(0.18)
    assert (scores.held_images, scores.lost_images) == (5, 45)


def test_a_held_status_is_held_to_account():
    """Who had fallen silent when images were lost is invented, whose turn it was is confused."""
    truth = speech(1, NORTH, 10, (0, 4)) + speech(2, WEST, 10)
    gap = [row for row in truth if not 100 <= row[0] < 150]
    assert scored(gap, truth).diarization.false_alarm_s == pytest.approx(0.2)
    truth = speech(1, NORTH, 10, (0, 4)) + speech(2, WEST, 10, (4, 10))
    gap = [row for row in truth if not 100 <= row[0] < 150]
    scores = scored(gap, truth)
    assert scores.diarization.confusion_s == pytest.approx(0.2)
    assert scores.diarization.missed_s == pytest.approx(1.8)


def test_a_person_missing_in_an_answered_image_is_silent():
    """A status is held where nothing was said, not where another person alone was said to be."""
    truth = speech(1, NORTH, 10, (0, 10)) + speech(2, WEST, 10)
    tracks = [row for row in truth if row[1] == 2 or not 100 <= row[0] < 150]
    assert scored(tracks, truth).diarization.missed_s == pytest.approx(2)


def test_what_was_answered_with_nobody_is_silence():
    truth = speech(1, NORTH, 10, (0, 10))
    tracks = [row for row in truth if row[0] < 100]
    scores = scored(tracks, truth, answered_s=np.arange(250) / SECOND)
    assert scores.diarization.missed_s == pytest.approx(6)
    assert scores.lost_images == 0


def test_nobody_speaks():
    silent = speech(1, NORTH, 4)
    quiet, noisy = scored(silent, silent), scored(speech(1, NORTH, 4, (1, 3)), silent)
    assert quiet.der is None and quiet.diarization.false_alarm_s == 0
    assert noisy.der is None and noisy.diarization.false_alarm_s == pytest.approx(2)


def test_nobody_is_heard():
    truth = speech(1, NORTH, 4, (1, 3))
    assert scored([], truth).der == pytest.approx(1)
    assert scored(speech(1, NORTH, 4), truth).der == pytest.approx(1)


def test_speech_of_people_in_and_out_of_view_apart():
    seen, heard = speech(1, NORTH, 4, (0, 2)), speech(2, WEST, 4, (2, 4))
    truth = truth_table([(*row, True) for row in seen] + [(*row, False) for row in heard])
    scores = evaluate(track_table(seen + speech(2, WEST, 4, (3, 4))), truth, collar_s=0.0)
    assert scores.seen.der == 0
    assert scores.heard_only.der == pytest.approx(0.5)
    assert scores.der == pytest.approx(0.25)


def test_diarization_by_brute_force_on_random_speech():
    """Per frame: errors = max(true, claimed) - right ones, with labels by position."""
    random = np.random.default_rng(5)
    frames, places = 200, [NORTH, WEST, (-2.0, 0.0, 0.0)]
    said, claimed = random.random((frames, 3)) < 0.3, random.random((frames, 3)) < 0.3
    rows = [
        [(f, p + 1, places[p], flags[f, p]) for f in range(frames) for p in range(3)]
        for flags in (said, claimed)
    ]
    errors = np.maximum(said.sum(1), claimed.sum(1)) - (said & claimed).sum(1)
    assert scored(rows[1], rows[0]).der == pytest.approx(errors.sum() / said.sum(), abs=1e-3)
