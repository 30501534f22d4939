# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The benchmark of two machines, with results that are made up, and on a machine that cannot."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from av_perception.cli.main import main
from av_perception.ros.two_machines import namespaces, trials
from av_perception.ros.two_machines.figures import Figures
from av_perception.ros.two_machines.trials import TRIALS, Result
from av_perception.simulation import cache

GOOD = Figures(
    images_hz=25.0,
    latency_ms=(80.0, 120.0),
    oldest_image_ms=150.0,
    sound_lost=0,
    images_left_out=0,
    images_lost=0,
    lost_in_silence=0,
    ids_kept=True,
    recovery_s=None,
    mbit_s=12.0,
)
BY_NAME = {trial.name: trial for trial in TRIALS}


def result(trial, **changes):
    recovery_s = 0.5 if trial.away_s else None
    figures = replace(GOOD, **{'recovery_s': recovery_s, **changes})
    return Result(trial, figures, {pattern: f'tracker: {pattern}' for pattern in trial.told})


@pytest.fixture()
def made_up(monkeypatch):
    """Figures that differ from the good ones, by name."""
    changes = {}

    def try_all(chosen, scene, folder, slower, on_start, on_result):
        results = []
        for trial in chosen:
            on_start(trial)
            results.append(result(trial, **changes.get(trial.name, {})))
            on_result(results[-1])
        return results

    monkeypatch.setattr(trials, 'try_all', try_all)
    monkeypatch.setattr(cache, 'simulated_recording', lambda name: None)
    monkeypatch.setattr(namespaces, 'why_not', lambda: '')
    return changes


def test_figures_are_written_and_what_failed_sets_the_status(made_up, tmp_path, capsys):
    path = tmp_path / 'figures.json'
    words = ['benchmark', 'two-machines', '--only', 'all', 'away-5', '--json', str(path)]
    assert main(words) == 0
    made_up['away-5'] = {'recovery_s': 2.5, 'ids_kept': False}
    assert main(words) == 1
    shown = capsys.readouterr().out
    assert 'away-5: right again after 2.5 s' in shown and 'away-5: other ids' in shown
    rows = {row['name']: row for row in json.loads(path.read_text())['trials']}
    assert set(rows) == {'all', 'away-5'}
    assert rows['away-5']['complaints'] and not rows['all']['complaints']
    assert rows['all']['latency_ms'] == [80.0, 120.0]


def test_other_figures_of_the_file_are_kept(made_up, tmp_path, capsys):
    path = tmp_path / 'figures.json'
    words = ['benchmark', 'two-machines', '--json', str(path), '--update', '--only']
    path.write_text('{"compression": [1]}')
    assert main([*words, 'slow', 'loss']) == 0
    made_up['slow'] = {'oldest_image_ms': 900.0}
    assert main([*words, 'slow', 'clean']) == 1
    figures = json.loads(path.read_text())
    assert [row['name'] for row in figures['trials']] == ['clean', 'loss', 'slow']
    assert figures['trials'][-1]['oldest_image_ms'] == 900.0 and figures['compression'] == [1]
    path.write_text('[]')
    assert main([*words, 'loss']) == 2
    assert 'leave out --update' in capsys.readouterr().err


@pytest.mark.parametrize(
    'name, changes, complaint',
    [
        ('all', {'sound_lost': 1}, '1 gaps in the sound'),
        ('all', {'lost_in_silence': 4}, '4 images lost in silence'),
        ('slow', {'oldest_image_ms': 1800.0}, 'an image was 1800 ms old'),
        ('away-2', {'ids_kept': False}, 'other ids'),
        ('away-2', {'sound_lost': 100}, None),
        ('raw', {'ids_kept': False, 'sound_lost': 9}, None),
    ],
)
def test_what_must_be_is_judged(name, changes, complaint):
    complaints = result(BY_NAME[name], **changes).complaints
    assert complaints == ([complaint] if complaint else [])


def test_a_cause_that_nobody_names_is_a_complaint():
    trial = BY_NAME['clock']
    silent = Result(trial, GOOD, dict.fromkeys(trial.told, ''))
    assert 'nobody says' in silent.complaints[0]


def test_without_root_it_is_said_in_one_line(monkeypatch, capsys):
    monkeypatch.setattr(namespaces.os, 'geteuid', lambda: 1000)
    assert main(['benchmark', 'two-machines', '--only', 'all']) == 2
    said = capsys.readouterr().err.strip()
    assert '\n' not in said and ('need root' in said or 'need Linux' in said)


def test_the_list_needs_no_root(monkeypatch, capsys):
    monkeypatch.setattr(namespaces.os, 'geteuid', lambda: 1000)
    assert main(['benchmark', 'two-machines', '--list']) == 0
    shown = capsys.readouterr().out
    assert all(trial.name in shown for trial in TRIALS)


def test_a_name_and_a_pace_that_cannot_be_are_refused(made_up, capsys):
    assert main(['benchmark', 'two-machines', '--only', 'nonsense']) == 2
    assert "no trial is called 'nonsense'" in capsys.readouterr().err
    assert main(['benchmark', 'two-machines', '--only', 'all', '--slower', '0.5']) == 2
    assert '--slower must be at least 1' in capsys.readouterr().err


@pytest.mark.slow
def test_what_jpeg_costs_is_measured_on_the_same_pairs(tmp_path, capsys):
    path = tmp_path / 'figures.json'
    words = ['--only', 'compression', '--pairs', '2', '--json', str(path)]
    assert main(['benchmark', 'two-machines', *words]) == 0
    rows = json.loads(path.read_text())['compression']
    assert [row['quality'] for row in rows] == 2 * [0, 95, 80, 60, 40, 20]
    sizes = [row['mbit_s'] for row in rows[:6]]
    assert sizes == sorted(sizes, reverse=True), 'the lower the smaller'
    assert rows[0]['looks_moved'] == 0.0 < rows[5]['looks_moved']
    assert rows[0]['recall'] > 0.8
