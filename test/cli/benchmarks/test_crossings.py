# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""`benchmark crossings` on planted results: what is refused, printed, written and returned."""

from __future__ import annotations

import json

import pytest

from av_perception.benchmarks.crossing_faces import OURS, PEERS, CrossingResult
from av_perception.cli.benchmarks import crossings
from av_perception.cli.main import main
from av_perception.simulation.crossings import CROSSINGS


@pytest.fixture
def planted(monkeypatch):
    """Every tracker is perfect; ours switches as often as the key 'switches' says."""
    asked = {'switches': 1.0}

    def measure(kinds, seeds, trackers, looks, known):
        asked.update(kinds=list(kinds), seeds=list(seeds), trackers=trackers, looks=looks)
        for kind in kinds:
            for seed in seeds:
                for name in trackers:
                    switches = asked['switches'] if name == OURS else 60.0
                    yield CrossingResult(kind, seed, name, 1, 1, 0.125, switches, 0.021, 0.4, True)

    monkeypatch.setattr(crossings, 'measure', measure)
    return asked


def test_a_kind_that_is_not_there_is_refused_with_those_that_are(capsys):
    with pytest.raises(SystemExit) as caught:
        main(['benchmark', 'crossings', '--kinds', 'behind', 'polka'])
    error = capsys.readouterr().err
    assert caught.value.code == 2 and "invalid choice: 'polka'" in error
    assert all(kind in error for kind in CROSSINGS)


@pytest.mark.parametrize('seeds', ['0', '10001', '-3'])
def test_a_senseless_number_of_scenes_is_refused_before_the_work(seeds, planted, capsys):
    assert main(['benchmark', 'crossings', '--seeds', seeds]) == 2
    assert '--seeds must lie in 1..10000' in capsys.readouterr().err
    assert 'seeds' not in planted


def test_all_kinds_and_trackers_on_seeds_that_nothing_was_tuned_on(planted):
    assert main(['benchmark', 'crossings']) == 0
    assert planted['kinds'] == list(CROSSINGS) and planted['trackers'] == (OURS, *PEERS)
    assert planted['seeds'] == list(range(1000, 1010)) and planted['looks']


def test_the_table_names_a_kind_once_and_the_figures_are_written(planted, tmp_path, capsys):
    figures = tmp_path / 'crossings.json'
    words = ['--kinds', 'dark', 'child', '--seeds', '2', '--first-seed', '5', '--no-looks']
    assert main(['benchmark', 'crossings', *words, '--json', str(figures)]) == 0
    assert planted['seeds'] == [5, 6] and not planted['looks']
    output = capsys.readouterr().out
    assert 'means over 2 scenes of each kind' in output
    assert [output.count(f' {kind} ') for kind in ('dark', 'child', 'all')] == [1, 1, 1]
    ours = next(line for line in output.splitlines() if line.split()[:1] == ['dark'])
    figures_of_ours = ['100.0', '100.0', '0.125', '1.00', '2.1', '0.40', '100']
    assert ours.split()[-7:] == figures_of_ours
    written = json.loads(figures.read_text())
    assert len(written['scenes']) == 4 * (1 + len(PEERS))
    assert {row['kind'] for row in written['summary']} == {'dark', 'child', 'all'}


@pytest.mark.parametrize('switches, status', [(0.0, 0), (1.0, 0), (1.001, 1)])
def test_more_than_one_switch_a_minute_of_ours_fails(switches, status, planted):
    planted['switches'] = switches
    assert main(['benchmark', 'crossings', '--alone', '--seeds', '1']) == status
    assert planted['trackers'] == (OURS,)
