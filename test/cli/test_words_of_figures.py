# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What `evaluate` says of figures: verdicts at their limits, and the sentence below the table."""

from __future__ import annotations

import dataclasses

import pytest
from rich.console import Console
from table_scenes import NORTH, WEST, still, track_table, truth_table

from av_perception.cli.evaluate import FIGURES, Figure, figures_table, summary
from av_perception.evaluation.metrics import Scores, evaluate


def metrics_of(tracks, truth):
    return evaluate(track_table(tracks), truth_table(truth))


def text_of(table) -> str:
    console = Console(width=160, highlight=False)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


@pytest.mark.parametrize(
    'value, mark', [(0.0, '✓'), (0.15, '✓'), (0.1501, '~'), (0.3, '~'), (0.3001, '✗')]
)
def test_small_is_good_up_to_the_limit(value, mark):
    figure = Figure('error', 'error', '{:.3f} m', 0.15, 0.3)
    assert figure.verdict(value)[1] == mark and figure.wanted() == '≤ 0.150 m'


@pytest.mark.parametrize(
    'value, mark', [(1.0, '✓'), (0.95, '✓'), (0.9499, '~'), (0.75, '~'), (0.7499, '✗'), (-3, '✗')]
)
def test_large_is_good_from_the_limit_on(value, mark):
    figure = Figure('mota', 'MOTA', '{:.1f} %', 0.95, 0.75, 100, higher_is_better=True)
    assert figure.verdict(value)[1] == mark and figure.wanted() == '≥ 95.0 %'


@pytest.mark.parametrize('figure', FIGURES, ids=lambda figure: figure.name)
def test_every_figure_is_one_of_the_scores_and_its_limits_are_in_order(figure):
    assert figure.name in {field.name for field in dataclasses.fields(Scores)}
    assert figure.verdict(figure.good) == ('green', '✓')
    assert figure.verdict(figure.bad) == ('yellow', '~')
    step = 1e-6 if figure.higher_is_better else -1e-6
    assert figure.verdict(figure.bad - step) == ('red', '✗')


def test_perfect_tracks_in_words():
    truth = still(1, NORTH, range(10), True) + still(2, WEST, range(10))
    words = summary(metrics_of(truth, truth))
    assert words == (
        'two of two people kept one id throughout; people were found 100 % of the time, 0 cm and '
        '0.0° off; 0 s of 100 s of speech were missed, invented or given to the wrong person.'
    )


def test_one_silent_person_is_a_person_and_nobody_spoke():
    words = summary(metrics_of(still(1, NORTH, range(10)), still(1, NORTH, range(10))))
    assert words.startswith('one of one person kept one id') and words.endswith('; nobody spoke.')


def test_nobody_found_has_no_error_of_position():
    words = summary(metrics_of([], still(1, NORTH, range(10), True)))
    assert words.startswith('no of one person kept one id throughout; people were found 0 % of')
    assert 'cm' not in words and '100 s of 100 s of speech were missed' in words


def test_a_far_voice_beside_a_near_face_was_scored_as_given_to_nobody():
    """A talker at 6 m whose face is too small is a direction; by place nothing was right."""
    far = (6.0, -1.6, 0.1)
    on_the_ray = tuple(0.4 * value for value in far)
    truth = still(1, (0.45, 0.05, 0.0), range(50)) + still(2, far, range(50), True)
    tracks = still(1, (0.45, 0.05, 0.0), range(50)) + still(2, on_the_ray, range(50), True)
    words = summary(metrics_of(tracks, truth))
    assert '100 s of 100 s of speech' in words
    assert 'Matched by direction it is 0 s' in words


@pytest.mark.parametrize('people, word', [(9, 'nine'), (10, 'ten'), (11, '11'), (13, '13')])
def test_numbers_are_words_up_to_ten(people, word):
    rows = []
    for number in range(people):
        rows += still(number + 1, (1.0 + number, 2.0, 0.0), range(3))
    assert summary(metrics_of(rows, rows)).startswith(f'{word} of {word} people kept')


def test_the_table_shows_figures_marks_and_limits():
    truth = still(1, NORTH, range(20), True) + still(2, WEST, range(20))
    tracks = still(1, NORTH, range(20), True) + still(2, WEST, range(12))
    text = text_of(figures_table(metrics_of(tracks, truth)))
    assert '20 frames, 0.8 s, 2 people; matched within 0.5 m' in text
    mota = next(line for line in text.splitlines() if 'MOTA' in line)
    assert '80.0 % ~' in mota and '≥ 95.0 %' in mota
    switches = next(line for line in text.splitlines() if '│ id switches' in line)
    assert '0 ✓' in switches and '≤ 0' in switches


def test_figures_of_nobody_are_dashes():
    rows = still(1, NORTH, range(5), True)
    table = figures_table(metrics_of(rows, rows))
    only_heard = list(table.columns[3].cells)
    assert only_heard and set(only_heard) == {'[dim]-[/dim]'}, 'everybody was seen'
