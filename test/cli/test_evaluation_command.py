# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""`av-perception evaluate`: a table, one line in plain words, the JSON file, and errors."""

import json
import subprocess
import sys

import pytest
from table_scenes import NORTH, WEST, still, track_table, truth_table, two_people

from av_perception.cli.main import main


@pytest.fixture
def files(tmp_path):
    track_table(still(1, NORTH, range(10), True) + still(2, WEST, range(9))).write(
        tmp_path / 'tracks.csv'
    )
    truth_table(still(1, NORTH, range(10), True) + still(2, WEST, range(10), False, False)).write(
        tmp_path / 'truth.csv'
    )
    return tmp_path


@pytest.mark.slow
def test_evaluate_prints_figures_and_writes_them(files, capsys):
    inputs = [str(files / 'tracks.csv'), str(files / 'truth.csv')]
    outputs = ['--json', str(files / 'm.json'), '--timeline', str(files / 't.png')]
    assert main(['evaluate', *inputs, *outputs]) == 0
    text = capsys.readouterr().out
    assert '95.0 %' in text and 'two of two people kept one id throughout' in text
    content = json.loads((files / 'm.json').read_text())
    assert content['mota'] == pytest.approx(0.95)
    assert content['heard_only']['misses'] == 1
    assert content['ids_kept'] == {'1': True, '2': True}
    assert (files / 't.png').stat().st_size > 10000


def test_tracks_on_another_clock_are_pointed_out(files, capsys):
    track_table(two_people(), offset_s=1000.0).write(files / 'tracks.csv')
    assert main(['evaluate', str(files / 'tracks.csv'), str(files / 'truth.csv')]) == 0
    output = capsys.readouterr().out
    assert 'no active one is at a time of the truth' in output
    assert '(tracks: 1000.00 to 1000.36 s, truth: 0.00 to 0.36 s)' in output


@pytest.mark.parametrize(
    'arguments, message',
    [
        (['tracks.csv', 'absent.csv'], 'cannot read'),
        (['absent.csv', 'truth.csv'], 'cannot read'),
        (['tracks.csv', '.'], 'not a recording'),
        (['truth.csv', 'truth.csv'], 'column'),
        (['tracks.csv', 'truth.csv', '--match-distance', '-1'], 'positive'),
        (['tracks.csv', 'truth.csv', '--json', 'no/m.json'], 'cannot write'),
    ],
)
def test_errors_are_one_line(files, arguments, message, monkeypatch, capsys):
    monkeypatch.chdir(files)
    assert main(['evaluate', *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count('\n') == 1


def test_an_empty_room_is_scored(files, capsys):
    """Regression: a truth without rows was refused, so that ghosts in an empty room were free."""
    truth_table([]).write(files / 'empty.csv')
    figures_file = files / 'm.json'
    words = ['evaluate', str(files / 'tracks.csv'), str(files / 'empty.csv')]
    assert main([*words, '--json', str(figures_file)]) == 0
    text = capsys.readouterr().out
    assert 'nobody was there; 19 rows of tracks and 0.4 s of speech were invented' in text
    figures = json.loads(figures_file.read_text())
    assert figures['mota'] is None
    assert figures['false_positives'] == 19
    assert figures['diarization']['false_alarm_s'] == pytest.approx(0.4)


def test_lost_images_are_said(files, capsys):
    track_table(still(1, NORTH, [0, 1, 9], True)).write(files / 'tracks.csv')
    assert main(['evaluate', str(files / 'tracks.csv'), str(files / 'truth.csv')]) == 0
    text = capsys.readouterr().out
    assert 'Without an answer: 5 images held the last status, 2 were lost.' in text


def test_a_truth_denser_than_the_tracks_made_a_good_tracker_bad_without_a_word(files, capsys):
    track_table(still(1, NORTH, range(0, 10, 3), True)).write(files / 'tracks.csv')
    words = ['evaluate', str(files / 'tracks.csv'), str(files / 'truth.csv')]
    assert main(words) == 0
    assert 'The truth is denser than the tracks' in capsys.readouterr().out
    track_table(still(1, NORTH, range(10), True)).write(files / 'tracks.csv')
    assert main(words) == 0
    assert 'denser' not in capsys.readouterr().out


def test_the_palette_does_not_load_the_metric_libraries():
    """Nodes that draw import the palette and the overlay: these must stay light."""
    code = (
        'import sys, av_perception.visualization.colors\n'
        'from av_perception.visualization.overlay import draw_overlay\n'
        'heavy = ("trackeval", "pyannote", "matplotlib", "pandas")\n'
        'sys.exit(any(m in sys.modules for m in heavy))'
    )
    assert subprocess.run([sys.executable, '-c', code], check=False).returncode == 0
