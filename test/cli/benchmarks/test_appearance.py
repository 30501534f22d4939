# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""`benchmark appearance` on planted figures: what is refused, printed, written and returned."""

from __future__ import annotations

import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest

from av_perception.benchmarks.appearance_accuracy import AppearanceFigures
from av_perception.benchmarks.returning_people import ReturnFigures
from av_perception.cli.benchmarks import appearance
from av_perception.cli.main import main

GOOD = ReturnFigures(5.0, 60, 0.95, 0.95, 0.25)


def fail(*arguments, **options):
    raise AssertionError('work began')


@pytest.mark.parametrize(
    'words', ['--groups 0', '--images 1', '--trials 0', '--hidden 0', '--hidden -1']
)
def test_too_little_to_measure_is_refused(words, monkeypatch, capsys):
    monkeypatch.setattr(appearance, 'load_head', fail)
    assert main(['benchmark', 'appearance', *words.split()]) == 2
    assert '--hidden must be positive numbers, --images at least 2' in capsys.readouterr().err


@pytest.mark.parametrize('hidden', ['nan', 'inf'])
def test_an_absence_that_is_no_number_was_measured(hidden, monkeypatch, capsys):
    """Regression: `--hidden nan` passed, and ended in the middle of the work."""
    monkeypatch.setattr(appearance, 'load_head', fail)
    assert main(['benchmark', 'appearance', '--hidden', hidden]) == 2
    assert '--hidden must be positive numbers' in capsys.readouterr().err


def test_clips_of_nobody_are_told_of(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(appearance, 'make_face_detector', lambda config: None)
    words = ['--clips', str(tmp_path / 'absent'), '--learn', str(tmp_path / 'spread.npz')]
    assert main(['benchmark', 'appearance', *words]) == 2
    error = capsys.readouterr().err
    assert error.count('\n') == 1 and str(tmp_path / 'absent') in error
    assert not (tmp_path / 'spread.npz').exists()


@pytest.fixture
def planted(monkeypatch):
    """By appearance all aims are reached, by place alone strangers get the old id."""
    by_place = dataclasses.replace(GOOD, same_id=1.0, new_id_different=0.0, new_id_alike=0.0)
    figures = {True: GOOD, False: by_place}

    def returns(looks, head, config, hidden_s, trials, progress):
        return figures[config.identity.use_appearance]

    judged = AppearanceFigures(60, 0.99, 0.98, 0.97, 0.125)
    monkeypatch.setattr(appearance, 'make_face_detector', lambda config: None)
    monkeypatch.setattr(appearance, 'ensure_assets', lambda names: None)
    monkeypatch.setattr(appearance, 'people_of_photographs', dict)
    monkeypatch.setattr(appearance, 'collect', lambda *arguments: None)
    monkeypatch.setattr(appearance, 'judge', lambda looks, model, evidence: judged)
    monkeypatch.setattr(appearance, 'measure_returns', returns)
    return figures


def test_both_ways_are_printed_and_written(planted, tmp_path, capsys):
    figures = tmp_path / 'appearance.json'
    assert main(['benchmark', 'appearance', '--json', str(figures)]) == 0
    output = capsys.readouterr().out
    assert 'pairs of single images of 60 people' in output
    assert 'seen again after 5 s, 60 of each kind' in output
    rows = [line.strip('│').split('│') for line in output.splitlines() if '%' in line]
    cells = [[cell.strip() for cell in row] for row in rows]
    assert cells == [
        ['99.0 %', '98.0 %', '97.0 %', '12.5 %'],
        ['by appearance', '95.0 %', '95.0 %', '25.0 %'],
        ['by place alone', '100.0 %', '0.0 %', '0.0 %'],
    ]
    written = json.loads(figures.read_text())
    assert list(written['returns']) == ['by appearance', 'by place alone']
    assert written['returns']['by appearance'] == dataclasses.asdict(GOOD)
    assert written['pairs']['alike_told_apart'] == 0.125


@pytest.mark.parametrize('missed', ['same_id', 'new_id_different'])
def test_a_missed_aim_fails_and_alike_clothes_are_no_aim(missed, planted):
    planted[True] = dataclasses.replace(GOOD, new_id_alike=0.0)
    assert main(['benchmark', 'appearance']) == 0
    planted[True] = dataclasses.replace(GOOD, **{missed: 0.949})
    assert main(['benchmark', 'appearance']) == 1


def test_what_is_learned_is_written_and_judges(planted, tmp_path, monkeypatch):
    learned = SimpleNamespace(within=0.5 * np.eye(2), between=2.0 * np.eye(2))
    models = []
    judged = AppearanceFigures(2, 1.0, 1.0, 1.0, 0.0)
    monkeypatch.setattr(appearance, '_faces_of_clips', lambda folder, detector: {})
    monkeypatch.setattr(appearance, 'learn_spread', lambda looks: learned)
    monkeypatch.setattr(appearance, 'judge', lambda _, model, e: models.append(model) or judged)
    spread = tmp_path / 'spread.npz'
    assert main(['benchmark', 'appearance', '--learn', str(spread)]) == 0
    assert models == [learned]
    with np.load(spread) as written:
        np.testing.assert_array_equal(written['within'], learned.within)
        np.testing.assert_array_equal(written['between'], learned.between)
