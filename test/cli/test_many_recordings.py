# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Verbs on many recordings: what is found, what one damaged one does, what is left as it was."""

from __future__ import annotations

import argparse
import json
import os
import shutil
from pathlib import Path

import pytest
import soundfile
import yaml
from hard_ends import end_hard
from table_scenes import track_table, two_people

from av_perception.cli.main import main
from av_perception.cli.many import Job, run_many
from av_perception.simulation.cache import simulated_recording

RATE = 16000


@pytest.fixture(scope='module')
def originals(tmp_path_factory):
    """Two seconds of sound each: one person, another one in a folder below, a file cut short."""
    short = simulated_recording('short')
    folder = tmp_path_factory.mktemp('originals')
    for name, start_s in (('one', 0.0), ('night/two', 2.8), ('damaged', 0.0)):
        recording = folder / name
        recording.mkdir(parents=True)
        samples = short.read_audio(round(start_s * RATE), 2 * RATE)
        soundfile.write(recording / 'audio.flac', samples, RATE)
        description = {'head': 'simulated', 'sample_rate': RATE, 'audio_start': 0.0}
        (recording / 'recording.yaml').write_text(yaml.safe_dump(description))
    sound = folder / 'damaged' / 'audio.flac'
    sound.write_bytes(sound.read_bytes()[:60])
    return folder


@pytest.fixture
def folder(originals, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(originals, tmp_path / 'all')
    return tmp_path / 'all'


def entries_of(path: Path) -> dict[str, dict]:
    return {entry['recording']: entry for entry in json.loads(path.read_text())['recordings']}


def words_of(text: str) -> str:
    """What a table says, without its lines and whatever breaks them."""
    return ' '.join(''.join(' ' if mark in '│┃' else mark for mark in text).split())


@pytest.mark.slow
def test_a_damaged_recording_is_named_and_the_others_are_tracked(folder, tmp_path, capsys):
    assert main(['track', 'all', '--jobs', '2', '--json', 'all.json']) == 1
    output, error = capsys.readouterr()
    assert error == '' and 'Traceback' not in output
    assert '3 recordings: 2 done, 0 left as it was, 1 failed' in output
    entries = entries_of(tmp_path / 'all.json')
    states = {name: entry['state'] for name, entry in entries.items()}
    assert states == {'damaged': 'failed', 'night/two': 'done', 'one': 'done'}
    told = entries['damaged']['error']
    assert 'all/damaged/audio.flac is not a readable sound file' in told and '\n' not in told
    assert 'audio.flac is not a readable' in words_of(output)
    assert not (folder / 'damaged' / 'tracks.csv').exists()
    assert (folder / 'one' / 'tracks.csv').stat().st_mode & 0o077 == 0, 'for its user only'
    for name in ('one', 'night/two'):
        assert main(['track', f'all/{name}', '-o', 'alone.csv', '--json', 'alone.json']) == 0
        assert (folder / name / 'tracks.csv').read_text() == Path('alone.csv').read_text()
        figures = json.loads(Path('alone.json').read_text())
        for key in ('frames', 'people', 'dropped', 'problems'):
            assert entries[name]['figures'][key] == figures[key]
        assert figures['people']


@pytest.mark.slow
def test_what_holds_is_left_and_what_changed_is_done_again(folder, tmp_path, capsys):
    shutil.rmtree(folder / 'damaged')
    words = ['track', 'all/night', 'all/one', '-o', 'out', '--json', 'all.json', '--resume']
    assert main(words) == 0
    made = {name: Path('out', name, 'tracks.csv') for name in ('one', 'two')}
    stamps = {name: path.stat().st_mtime_ns for name, path in made.items()}
    first = entries_of(tmp_path / 'all.json')
    assert {entry['state'] for entry in first.values()} == {'done'}

    assert main(words) == 0
    again = entries_of(tmp_path / 'all.json')
    assert {entry['state'] for entry in again.values()} == {'left as it was'}
    assert again['one']['figures'] == first['one']['figures']
    assert {name: path.stat().st_mtime_ns for name, path in made.items()} == stamps

    os.utime(folder / 'one' / 'audio.flac')
    assert main(words) == 0
    states = {name: entry['state'] for name, entry in entries_of(tmp_path / 'all.json').items()}
    assert states == {'one': 'done', 'two': 'left as it was'}


@pytest.mark.slow
def test_an_output_that_may_not_hold_is_made_again(tmp_path):
    output = tmp_path / 'out.csv'
    single = argparse.Namespace(run=end_hard, hard=False, json=None)
    job = Job('one', single, (), output)
    record = tmp_path / 'out.csv.run.json'

    def state(**settings) -> str:
        given = argparse.Namespace(jobs=1, resume=True, json=tmp_path / 'a.json', **settings)
        assert run_many([job], given, {}) == 0
        output.touch()  # the stand-in writes none
        return entries_of(tmp_path / 'a.json')['one']['state']

    assert [state(), state()] == ['done', 'left as it was']
    output.unlink()
    assert state() == 'done'
    whole = record.read_text()
    record.write_text(json.dumps({**json.loads(whole), 'version': '0.0.1'}))
    assert state() == 'done'
    record.write_text(whole[: len(whole) // 2])
    assert state() == 'done'
    assert [state(mode='other'), state(mode='other')] == ['done', 'left as it was']


@pytest.mark.parametrize(
    'words, told',
    [
        ('track all --jobs 0', '--jobs must lie in 1..64, not 0'),
        ('track all --voices /tmp/voices', 'say a name; it is used in the folder of each'),
        ('track all --plot ../a.png', 'say a name; it is used in the folder of each'),
        ('track all other', 'would both be called one'),
        ('track a.mcap b.mcap', 'would both be written to tracks.csv: name a folder'),
        ('track all --json absent/a.json', 'there is no folder'),
        ('track all -o a.mcap', 'of several recordings, name a folder, not a file'),
        ('track all -o tracks.csv', 'of several recordings, name a folder, not a file'),
        ('evaluate all --match-distance 0', '--match-distance must be a positive number'),
        ('evaluate all --timeline /a.png', 'say a name; it is used in the folder of each'),
        ('enhance all -o clear.wav', 'of several recordings, name a folder, not a file'),
        ('enhance all -o clear --noise rest.wav', '--noise is for one sound, and 3 are'),
        ('separate all -o out --people 9', '--people must lie in 1..8, not 9'),
        ('separate all -o out --tracks /t.csv', 'say a name; it is used in the folder of each'),
        ('separate all -o out --method av-vae', 'is for one recording'),
        ('enhance all -o clear --seed -1', '--seed must not be negative'),
    ],
)
def test_a_mistake_is_one_line_before_any_work(folder, capsys, words, told):
    shutil.copytree(folder / 'one', 'other/one')
    for name in ('a.mcap', 'b.mcap'):
        Path(name).touch()
    before = sorted(folder.parent.rglob('*'))
    assert main(words.split()) == 2
    error = capsys.readouterr().err
    assert error.startswith('av-perception: error: ') and told in error and error.count('\n') == 1
    assert sorted(folder.parent.rglob('*')) == before


@pytest.mark.slow
def test_tracks_of_a_folder_are_scored_as_one_by_one(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    short = simulated_recording('short')
    for name in ('a', 'b'):
        for file in ('recording.yaml', 'audio.flac', 'truth.csv'):
            Path('all', name).mkdir(parents=True, exist_ok=True)
            shutil.copy(short.folder / file, Path('all', name, file))
    Path('out', 'a').mkdir(parents=True)
    track_table(two_people()).write(Path('out', 'a', 'tracks.csv'))
    assert main(['evaluate', 'all', '--tracks', 'out', '--json', 'all.json']) == 1
    assert 'MOTA' in words_of(capsys.readouterr().out)
    entries = entries_of(tmp_path / 'all.json')
    assert 'cannot read out/b/tracks.csv' in entries['b']['error']
    assert main(['evaluate', 'out/a/tracks.csv', 'all/a', '--json', 'alone.json']) == 0
    assert entries['a']['figures'] == json.loads(Path('alone.json').read_text())


@pytest.mark.slow
def test_sounds_of_a_folder_are_enhanced_as_one_by_one(folder, capsys):
    words = ['--prior', 'none', '--json', 'all.json']
    assert main(['enhance', 'all', '-o', 'all/clear', '--jobs', '2', *words]) == 1
    assert '3 recordings: 2 done' in capsys.readouterr().out
    assert main(['enhance', 'all/one/audio.flac', '-o', 'alone.wav', *words]) == 0
    made = Path('all', 'clear', 'one', 'audio.wav')
    assert made.read_bytes() == Path('alone.wav').read_bytes()
    assert main(['enhance', 'all', '-o', 'all/clear', '--resume', *words]) == 1
    output = capsys.readouterr().out
    assert '3 recordings: 0 done, 2 left as it was, 1 failed' in output, 'its own output is none'


@pytest.mark.slow
def test_voices_of_a_folder_are_those_of_one_by_one(folder, tmp_path):
    words = ['--directions', '30', '-60', '--json', 'all.json']
    assert main(['separate', 'all', '-o', 'voices', '--jobs', '2', *words]) == 1
    states = {name: entry['state'] for name, entry in entries_of(tmp_path / 'all.json').items()}
    assert states == {'damaged': 'failed', 'night/two': 'done', 'one': 'done'}
    assert main(['separate', 'all/one', '-o', 'alone', *words]) == 0
    for person in ('person_0.flac', 'person_1.flac'):
        made = Path('voices', 'one', person)
        assert made.read_bytes() == Path('alone', person).read_bytes()


def test_a_process_that_is_killed_ends_no_other(tmp_path, capsys):
    jobs = [
        Job(name, argparse.Namespace(run=end_hard, hard=hard, json=None), ())
        for name, hard in (('killed', True), ('whole', False))
    ]
    options = argparse.Namespace(jobs=1, json=tmp_path / 'all.json')
    assert run_many(jobs, options, {'figure': lambda figures: str(figures['figure'])}) == 1
    entries = entries_of(tmp_path / 'all.json')
    assert 'ended by signal 9: is there enough memory?' in entries['killed']['error']
    assert entries['whole']['figures'] == {'figure': 3}
    assert '2 recordings: 1 done, 0 left as it was, 1 failed' in capsys.readouterr().out
