# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The benchmark of faults, with results that are made up: table, files and exit status."""

from __future__ import annotations

import json

import pytest

from av_perception.cli.benchmarks import faults as benchmark
from av_perception.cli.main import main
from av_perception.errors import UserError
from av_perception.ros.faults import trial
from av_perception.ros.faults.catalog import FAULTS
from av_perception.ros.faults.fault import FaultResult
from av_perception.simulation import cache


def result(fault, recovery_frames=5):
    return FaultResult(
        name=fault.name,
        what=fault.what,
        survived=True,
        recovery_frames=recovery_frames,
        ids_kept=True,
        told='tracker: a sentence ' + 20 * 'that is long ',
        is_told_of=True,
    )


@pytest.fixture()
def made_up(monkeypatch):
    """Every fault is recovered from after so many frames, by name; 5 else."""
    frames = {}

    def try_faults(faults, recording, logs, on_start, on_result):
        results = []
        for fault in faults:
            on_start(fault)
            results.append(result(fault, frames.get(fault.name, 5)))
            on_result(results[-1])
        return results

    monkeypatch.setattr(trial, 'try_faults', try_faults)
    monkeypatch.setattr(cache, 'simulated_recording', lambda name: None)
    return frames


def test_the_list_names_every_fault(capsys):
    assert main(['benchmark', 'faults', '--list']) == 0
    shown = capsys.readouterr().out
    assert all(fault.name in shown for fault in FAULTS)
    assert f'{len(FAULTS)} faults' in shown


def test_figures_are_written_and_what_failed_sets_the_status(made_up, tmp_path, capsys):
    path, picture = tmp_path / 'faults.json', tmp_path / 'faults.png'
    made_up['sound-nan'] = 51
    words = ['benchmark', 'faults', '--only', 'sound-nan', 'imu-s', 'imu-nan', '--json', str(path)]
    assert main([*words, '--plot', str(picture)]) == 1
    shown = capsys.readouterr().out
    assert 'sound-nan: right again after 51 frames' in shown
    assert 'imu-nan: passed' in shown and '3 of 4 faults passed' in shown
    rows = {row['name']: row for row in json.loads(path.read_text())['faults']}
    assert set(rows) == {'sound-nan', 'imu-stops', 'imu-nan', 'imu-spins'}
    assert rows['sound-nan']['recovery_s'] == pytest.approx(2.04)
    assert not rows['sound-nan']['held'] and rows['imu-nan']['held']
    assert picture.stat().st_size > 1000


def test_figures_of_other_faults_are_kept(made_up, tmp_path, capsys):
    path = tmp_path / 'faults.json'
    words = ['benchmark', 'faults', '--json', str(path), '--update', '--only']
    assert main([*words, 'imu-nan', 'sound-nan']) == 0
    made_up['sound-nan'] = 60
    assert main([*words, 'sound-nan', 'tf-nan']) == 1
    rows = json.loads(path.read_text())['faults']
    assert [row['name'] for row in rows] == ['sound-nan', 'tf-nan', 'imu-nan']
    assert [row['held'] for row in rows] == [False, True, True]
    path.write_text('[]')
    assert main([*words, 'tf-nan']) == 2
    assert 'leave out --update' in capsys.readouterr().err


def test_a_run_that_is_interrupted_keeps_what_it_has_done(made_up, monkeypatch, tmp_path):
    path = tmp_path / 'faults.json'

    def interrupted(faults, recording, logs, on_start, on_result):
        for fault in faults[:2]:
            on_result(result(fault, 5))
        raise UserError('the nodes did not start')

    monkeypatch.setattr(trial, 'try_faults', interrupted)
    assert main(['benchmark', 'faults', '--only', 'imu-s', '--json', str(path)]) == 2
    rows = json.loads(path.read_text())['faults']
    assert [row['name'] for row in rows] == ['imu-stops', 'imu-spins']


def test_all_stood_is_success(made_up):
    assert main(['benchmark', 'faults', '--only', 'tf']) == 0


def test_a_fault_that_there_is_not_is_said(capsys):
    assert main(['benchmark', 'faults', '--only', 'nonsense']) == 2
    assert "no fault is called 'nonsense'" in capsys.readouterr().err


@pytest.mark.parametrize('length, shown', [(10, 10), (60, 60), (61, 60)])
def test_long_sentences_are_cut_in_the_table(length, shown):
    cut = benchmark.shortened('x' * length)
    assert len(cut) == shown and cut.endswith('...') == (length > 60)
