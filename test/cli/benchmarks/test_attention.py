# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""`benchmark attention` on planted looks: what is refused, printed, written and returned."""

from __future__ import annotations

import json

import pytest

from av_perception.benchmarks.attention_trials import FalseLook
from av_perception.cli.benchmarks import attention
from av_perception.cli.main import main
from av_perception.evaluation.attention import LookScores

GOOD = LookScores(4, 2, 0.5, 0.75, None, 1, 0.875, 5, 0, 0)
NOTHING = ['--conversations', '0', '--minutes', '0', '--motors', '0']


def fail(*arguments, **options):
    raise AssertionError('work began')


@pytest.mark.parametrize(
    'words, told',
    [
        ('--seed -1', '--conversations and --seed must not be negative'),
        ('--conversations -2', '--conversations and --seed must not be negative'),
        ('--seconds 0', '--seconds must lie in 1..7200, not 0.0'),
        ('--seconds nan', '--seconds must lie in 1..7200, not nan'),
        ('--minutes nan', '--minutes must be 0, for no noise, or positive, not nan'),
        ('--minutes inf', '--minutes must be 0, for no noise, or positive, not inf'),
        ('--minutes -1', '--minutes must be 0, for no noise, or positive, not -1.0'),
        ('--motors nan', '--motors must be 0, for no motors, or lie in 1..7200, not nan'),
        ('--motors -5', '--motors must be 0, for no motors, or lie in 1..7200, not -5.0'),
    ],
)
def test_senseless_numbers_were_a_traceback(words, told, monkeypatch, capsys):
    """Regression: `--minutes nan` and negative seeds ended in a ValueError of their inside."""
    monkeypatch.setattr(attention, 'load_head', fail)
    assert main(['benchmark', 'attention', *words.split()]) == 2
    error = capsys.readouterr().err
    assert error == f'av-perception: error: {told}\n'


def test_a_folder_without_noise_is_told_of_before_the_conversations(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(attention, 'play_conversation', fail)
    assert main(['benchmark', 'attention', '--data', str(tmp_path)]) == 2
    assert str(tmp_path / 'noise') in capsys.readouterr().err


def test_without_work_there_are_no_figures_and_nothing_is_false(tmp_path, capsys):
    figures = tmp_path / 'attention.json'
    assert main(['benchmark', 'attention', *NOTHING, '--json', str(figures)]) == 0
    assert 'in noise and by motors: 0' in capsys.readouterr().out
    written = json.loads(figures.read_text())
    assert written['conversations'] is None and written['false_looks'] == []
    assert written['arguments']['minutes'] == 0 and written['arguments']['seed'] == 100


@pytest.fixture
def planted(monkeypatch):
    """Two conversations of known scores, slow turns that draw one false look."""
    played = []
    monkeypatch.setattr(attention, 'play_conversation', lambda *what: played.append(what) or what)
    monkeypatch.setattr(attention, 'score_looks', lambda histories, half_deg: GOOD)
    looks = [FalseLook(12.34, 'slow turns', 'speaks')]
    monkeypatch.setattr(
        attention, 'looks_at_motors', lambda seed, s, is_slow: looks if is_slow else []
    )
    return played


def test_every_conversation_has_a_seed_of_its_own_and_figures_are_printed(planted, capsys):
    words = ['--conversations', '2', '--seconds', '3', '--seed', '7', *NOTHING[2:]]
    assert main(['benchmark', 'attention', *words]) == 0
    assert planted == [(7, 3.0), (8, 3.0)]
    output = capsys.readouterr().out
    lines = {' '.join(line.strip('│ ').split()) for line in output.splitlines()}
    assert output.count('onsets out of view, median 0.75 s, never faced 1, false turns 0') == 2
    assert {'onsets │ 4', 'delay median s │ 0.50', 'delay out of view p90 s │ None'} <= lines


def test_a_false_look_is_named_and_fails_the_benchmark(planted, tmp_path, capsys):
    figures = tmp_path / 'attention.json'
    words = [*NOTHING[:4], '--motors', '1', '--json', str(figures)]
    assert main(['benchmark', 'attention', *words]) == 1
    assert '  12.3 s, slow turns: speaks' in capsys.readouterr().out
    assert json.loads(figures.read_text())['false_looks'] == [
        {'second': 12.34, 'sound': 'slow turns', 'reason': 'speaks'}
    ]


@pytest.mark.slow
def test_motors_are_played_in_stretches_of_their_own_seeds(monkeypatch, tmp_path, capsys):
    """Regression: one seed of a minute is one motor, in front of the same people."""
    figures = tmp_path / 'attention.json'
    played = []
    monkeypatch.setattr(
        attention,
        'looks_at_motors',
        lambda seed, s, is_slow: played.append((seed, s, is_slow)) or [],
    )
    words = [*NOTHING[:4], '--motors', '24.5', '--seed', '7', '--json', str(figures)]
    assert main(['benchmark', 'attention', *words]) == 0
    stretches = [(7, 12.0), (8, 12.0), (9, 1.0)]  # of less than a second there is no scene
    assert played == [(*one, slow) for slow in (False, True) for one in stretches]
    assert json.loads(figures.read_text())['motors'] == [
        {'turns': turns, 'seconds': 24.5, 'seeds': 3, 'false_looks': []}
        for turns in ('fast', 'slow')
    ]
    lines = {' '.join(line.strip('│ ').split()) for line in capsys.readouterr().out.splitlines()}
    assert {'fast turns │ 24.5 │ 3 │ 0', 'slow turns │ 24.5 │ 3 │ 0'} <= lines


def test_a_false_turn_in_a_conversation_fails_too(planted, monkeypatch):
    bad = LookScores(4, 2, 0.5, 0.75, 1.0, 0, 0.875, 5, 1, 0)
    monkeypatch.setattr(attention, 'score_looks', lambda histories, half_deg: bad)
    assert main(['benchmark', 'attention', '--conversations', '1', *NOTHING[2:]]) == 1
