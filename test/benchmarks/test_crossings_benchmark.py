# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The benchmark of planted crossings, on a few of them."""

from __future__ import annotations

import dataclasses
import json

import pytest

from av_perception.benchmarks.comparison import GNN, OURS, SORT
from av_perception.benchmarks.crossing_faces import CrossingResult, measure, summarize
from av_perception.cli.main import main


def result(tracker, mota, ghost_s, kind='behind', right_ids=True):
    return CrossingResult(kind, 0, tracker, mota, 0.9, 0.1, 1.0, 0.02, ghost_s, right_ids)


def test_a_summary_has_means_spreads_and_the_oldest_ghost():
    results = [result('a', 0.9, 0.1), result('a', 1.0, 0.4, right_ids=False)]
    results += [result('b', 0.5, 0.0), result('a', 0.8, 0.2, kind='dark')]
    rows = {(row['kind'], row['tracker']): row for row in summarize(results)}
    assert list(rows) == [
        ('behind', 'a'),
        ('behind', 'b'),
        ('dark', 'a'),
        ('all', 'a'),
        ('all', 'b'),
    ]
    behind = rows['behind', 'a']
    assert behind['mota'] == pytest.approx(0.95) and behind['mota_sd'] == pytest.approx(0.05)
    assert behind['oldest_ghost_s'] == 0.4 and behind['right_ids'] == 0.5
    assert rows['all', 'a']['mota'] == pytest.approx(0.9) and rows['all', 'a']['scenes'] == 3


@pytest.mark.slow
def test_we_are_ahead_of_a_simple_tracker_where_somebody_stops_hidden():
    results = {
        row['tracker']: row
        for row in summarize(list(measure(['stop_hidden'], [1000], (OURS, SORT))))
    }
    ours, simple = results[OURS], results[SORT]
    assert ours['mota'] > simple['mota'] and ours['idf1'] > simple['idf1']
    assert ours['oldest_ghost_s'] <= 0.5 and ours['right_ids'] == 1.0


@pytest.mark.slow
def test_a_stranger_with_another_look_is_somebody_new():
    (found,) = measure(['stranger'], [51], (OURS,))
    assert found.right_ids and found.switches_per_minute == 0


@pytest.mark.slow
def test_the_command_writes_scenes_and_summary(tmp_path, monkeypatch):
    monkeypatch.setenv('COLUMNS', '150')
    figures = tmp_path / 'crossings.json'
    arguments = ['--alone', '--seeds', '1', '--kinds', 'child', '--json', str(figures)]
    assert main(['benchmark', 'crossings', *arguments]) == 0
    written = json.loads(figures.read_text())
    assert [row['kind'] for row in written['summary']] == ['child', 'all']
    assert written['scenes'][0]['seed'] == 1000 and written['scenes'][0]['mota'] > 0.9


def test_earlier_figures_of_peers_stand_for_those_of_the_same_scene_only():
    (sort,) = measure(['child'], [7], (SORT,))
    slow = dataclasses.replace(sort, tracker=GNN, mota=0.5)
    assert list(measure(['child'], [7], (GNN, SORT), known=[sort, slow])) == [slow, sort]
    other = dataclasses.replace(sort, mota=0.25)
    assert list(measure(['child'], [7], (SORT,), known=[other, slow])) == [sort]


@pytest.mark.parametrize('content', ['', '{}', '{"scenes": [{"mota": 1}]}'])
def test_figures_of_something_else_are_refused(content, tmp_path, capsys):
    figures = tmp_path / 'figures.json'
    figures.write_text(content)
    assert main(['benchmark', 'crossings', '--alone', '--update', str(figures)]) == 2
    assert 'holds no figures of `benchmark crossings`' in capsys.readouterr().err


@pytest.mark.parametrize('arguments', [['--seeds', '0'], ['--first-seed', '-1']])
def test_senseless_numbers_are_refused(arguments, capsys):
    assert main(['benchmark', 'crossings', *arguments]) == 2
    assert '--seeds must lie in 1..10000' in capsys.readouterr().err
