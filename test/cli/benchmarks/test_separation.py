# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""`benchmark separation` on planted rows: what is refused, printed and written."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from av_perception.benchmarks.separation_methods import METHODS
from av_perception.benchmarks.separation_scenes import NUM_QUICK, RATE, SCENES
from av_perception.benchmarks.separation_scores import SeparationRow
from av_perception.cli.benchmarks import separation
from av_perception.cli.main import main

NAN = float('nan')
FIRST, SECOND, STREAMS = list(METHODS)[:3]


@pytest.mark.parametrize(
    'words', ['--seeds 0', '--duration nan', '--duration 0.5', '--duration 61']
)
def test_senseless_numbers_are_refused_before_the_data_is_looked_for(words, monkeypatch, capsys):
    monkeypatch.delenv('AV_PERCEPTION_DATA', raising=False)
    assert main(['benchmark', 'separation', *words.split()]) == 2
    assert '--seeds must be at least 1, --duration from 1 to 60 s' in capsys.readouterr().err


@pytest.mark.parametrize('folder', [None, '/nowhere/at/all'])
def test_without_voices_the_variable_is_named(folder, monkeypatch, capsys):
    monkeypatch.delenv('AV_PERCEPTION_DATA', raising=False)
    if folder is not None:
        monkeypatch.setenv('AV_PERCEPTION_DATA', folder)
    assert main(['benchmark', 'separation']) == 2
    assert 'needs voices: set AV_PERCEPTION_DATA to the folder' in capsys.readouterr().err


@pytest.fixture
def planted(tmp_path, monkeypatch):
    """Scenes of two talkers; all methods but the second one work on them."""
    random = np.random.default_rng(0)
    loud = random.uniform(-3, 3, (1600, 2))

    def make_scene(kind, duration_s, data, seed, files=None):
        label = kind.label
        return SimpleNamespace(label=label, mixture=loud, references=0.25 * loud)

    def measure(scene, methods, seed, note, words):
        for name in methods:
            if name != SECOND:
                note(name, 0.1 * loud)
                figures = (7.25, -0.5, -2.0, 9.0, 1.5, 0.75, 0.01, 0.25 if words else NAN)
            else:
                figures = (NAN,) * 8
            levels = (0.05, -31.0, 0.1) if name != SECOND else (NAN, NAN, NAN)
            yield SeparationRow(scene.label, name, *figures, *levels)

    monkeypatch.setenv('AV_PERCEPTION_DATA', str(tmp_path))
    monkeypatch.setattr(separation, 'make_scene', make_scene)
    monkeypatch.setattr(separation, 'held_out_voices', lambda data: [])
    monkeypatch.setattr(separation, 'measure', measure)
    return loud


def test_a_scene_is_named_once_gains_have_signs_and_no_words_are_a_dash(planted, tmp_path, capsys):
    figures = tmp_path / 'rows.json'
    words = ['--quick', '--seeds', '2', '--methods', FIRST, SECOND, '--json', str(figures)]
    assert main(['benchmark', 'separation', *words]) == 0
    output = capsys.readouterr().out
    row = next(line for line in output.splitlines() if '-0.5' in line)
    cells = [cell.strip() for cell in row.strip('│').split('│')]
    assert cells[1:] == [
        FIRST,
        '7.2',
        '-0.5',
        '-2.0',
        '9.0',
        '1.50',
        '0.75',
        '+0.05',
        '-31',
        '-',
        '0.01',
    ]
    named = [line.split('│')[1].strip() for line in output.splitlines() if line.startswith('│')]
    labels = [kind.label for kind in SCENES[:NUM_QUICK]]
    assert ' '.join(filter(None, named)) == ' '.join(labels), 'long names are wrapped'
    rows = json.loads(figures.read_text())['rows']
    assert len(rows) == 2 * 2 * NUM_QUICK
    assert rows[0]['word_errors'] is None and rows[0]['si_sdr_db'] == 7.25
    assert rows[1]['method'] == SECOND and rows[1]['pesq'] is None, 'NaN is no JSON'


def test_scenes_are_chosen_by_name(planted, capsys):
    assert main(['benchmark', 'separation', '--methods', FIRST, '--scenes', 'two ears']) == 0
    chosen = sum('two ears' in kind.label for kind in SCENES)
    assert capsys.readouterr().out.count('7.2') == chosen > 0
    assert main(['benchmark', 'separation', '--scenes', 'on the moon']) == 2
    assert "no scene has 'on the moon' in its name" in capsys.readouterr().err


def test_held_out_scenes_are_summed_up_by_class(planted, tmp_path, capsys):
    rows = tmp_path / 'rows.json'
    tables = tmp_path / 'tables.md'
    words = ['benchmark', 'separation', '--methods', FIRST, STREAMS, '--json', str(rows)]
    words += ['--held-out', '--scenes', '2 standing', '--seeds', '2', '--markdown', str(tables)]
    assert main(words) == 0
    output = capsys.readouterr().out
    assert 'by class of scene' in output and output.count('sitting, overlap') == 2
    lines = tables.read_text().splitlines()
    for overlap in (50, 100):
        line = f'| sitting, overlap {overlap} % | {STREAMS} | 6 | -0.5 | 0.0 | -0.5 | -2.0 |'
        assert any(found.startswith(line) for found in lines), lines
    # Six kinds, two draws, two methods, no two scenes of one seed.
    found = json.loads(rows.read_text())['rows']
    assert len(found) == 24 and len({row['seed'] for row in found}) == 12
    # Rows of these are not taken for those of other scenes.
    other = ['benchmark', 'separation', '--quick', '--json', str(rows), '--resume']
    assert main(other) == 2
    assert 'name another file' in capsys.readouterr().err


def test_words_are_counted_where_they_are_asked_for(planted, capsys):
    words = ['--quick', '--methods', FIRST, '--words']
    assert main(['benchmark', 'separation', *words]) == 0
    assert capsys.readouterr().out.count('25%') == NUM_QUICK


def test_examples_are_mixture_truth_and_the_voices_that_there_are(planted, tmp_path):
    folder = tmp_path / 'sounds'
    words = ['--quick', '--seeds', '2', '--methods', FIRST, SECOND, '--examples', str(folder)]
    assert main(['benchmark', 'separation', *words]) == 0
    assert len(list(folder.iterdir())) == min(5, NUM_QUICK), 'only of the first seed'
    name = FIRST.replace(' ', '_').replace(',', '')
    expected = {'mixture.flac'} | {f'talker_{j}_{w}.flac' for j in (0, 1) for w in ('truth', name)}
    for scene in folder.iterdir():
        assert {path.name for path in scene.iterdir()} == expected
        assert not set(',%') & set(scene.name)
    mixture, rate = soundfile.read(scene / 'mixture.flac')
    assert rate == RATE
    np.testing.assert_allclose(mixture, np.clip(planted[:, 0], -1, 1), atol=1e-4)
