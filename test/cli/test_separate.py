# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The verb `separate` around its methods: what it asks of them, refuses, and writes."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile

from av_perception.cli import separate
from av_perception.cli.main import main
from av_perception.geometry.rigid_transform import direction_from_angles
from av_perception.separation.offline import DIRECTION_STEP_S, RATE

COUNT = RATE  # samples of the recording
HEADER = (
    'time,id,x,y,z,vx,vy,vz,cov_xx,cov_xy,cov_xz,cov_yy,cov_yz,cov_zz,status,seen,heard,'
    'speaking_probability,speaking'
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where the verb runs: recordings of four microphones and of one, heads on which they are
    turned.
    """
    monkeypatch.chdir(tmp_path)
    noise = 0.01 * np.random.default_rng(0).standard_normal((COUNT, 4))
    soundfile.write('talk.wav', noise, RATE)
    soundfile.write('mono.wav', noise[:, 0], RATE)
    square = [[0.02, 0.02, 0.0], [-0.02, 0.02, 0.0], [-0.02, -0.02, 0.0], [0.02, -0.02, 0.0]]
    for name, coordinates in (('turned.yaml', square), ('one.yaml', square[:1])):
        (tmp_path / name).write_text(
            f'name: any\nmicrophones:\n  coordinates: {coordinates}\n'
            '  position: [0.1, -0.2, 0.3]\n  orientation_rpy_deg: [0.0, 20.0, 65.0]\n'
        )
    return tmp_path


@pytest.fixture
def asked(monkeypatch):
    """Put planted voices in place of the methods; what they were asked for comes back."""
    calls = []

    def planted(samples, array, people, options):
        calls.append((samples, array, people, options))
        return np.outer(np.sin(np.arange(len(samples))), 0.5 ** np.arange(len(people.ids)))

    monkeypatch.setattr(separate, '_separate', planted)
    return calls


def call(*words):
    return main(['separate', 'talk.wav', '--head', 'turned.yaml', '-o', 'voices', *words])


def write_tracks(rows):
    """A table of tracks from (time, id, x, y, z)."""
    rest = '0,0,0,1,0,0,1,0,1,active,1,0,0.5,0'
    lines = [','.join(map(str, row)) + ',' + rest for row in rows]
    with open('tracks.csv', 'w') as file:
        file.write('\n'.join([HEADER, *lines]) + '\n')


@pytest.mark.parametrize(
    'words, told',
    [
        ('talk.wav -o voices', 'does not say where its microphones are: add --head NAME'),
        ('absent.wav --head respeaker -o voices', 'there is no recording absent.wav'),
        ('mono.wav --head respeaker -o voices', '1 channel'),
        ('mono.wav --head one.yaml -o voices', 'one microphone, which hears no directions'),
        ('talk.wav --head respeaker -o voices --people 9', '--people must lie in 1..8, not 9'),
        ('talk.wav --head respeaker -o voices --iterations 501', 'must lie in 1..500, not 501'),
        ('talk.wav --head respeaker -o voices --directions inf', 'azimuths in degrees'),
        ('talk.wav --head respeaker -o mono.wav', 'it is a file, name a folder'),
        ('talk.wav --head respeaker -o voices --json absent/a.json', 'there is no folder'),
        ('talk.wav --head respeaker -o voices --plot absent/a.png', 'there is no folder'),
        ('talk.wav --head respeaker -o voices --plot .', 'it is a folder, name a file'),
        ('talk.wav --head respeaker -o voices --tracks absent.csv', 'absent.csv'),
        ('talk.wav --head respeaker -o voices --tracks talk.wav', 'talk.wav'),
    ],
)
def test_a_mistake_is_one_line_before_any_work(folder, asked, capsys, words, told):
    before = sorted(folder.rglob('*'))
    assert main(['separate', *words.split()]) == 2
    error = capsys.readouterr().err
    assert error.startswith('av-perception: error: ') and told in error and error.count('\n') == 1
    assert not asked and sorted(folder.rglob('*')) == before


@pytest.mark.parametrize(
    'words, told',
    [
        (['--people', '2', '--directions', '0'], 'not allowed with argument --people'),
        (['--tracks', 'a.csv', '--people', '2'], 'not allowed with argument --tracks'),
        (['--directions'], 'expected at least one argument'),
        (['--directions', 'left'], "invalid float value: 'left'"),
        (['--method', 'magic'], "invalid choice: 'magic'"),
    ],
)
def test_words_that_exclude_each_other_come_with_the_usage(folder, capsys, words, told):
    with pytest.raises(SystemExit) as caught:
        call(*words)
    assert caught.value.code == 2 and told in capsys.readouterr().err.splitlines()[-1]


def test_directions_are_azimuths_in_the_base_frame_at_all_times(folder, asked):
    assert call('--directions', '40', '-75') == 0
    samples, array, people, _ = asked[0]
    assert samples.shape == (COUNT, 4) and people.ids == [0, 1]
    towards = direction_from_angles(np.radians([40.0, -75.0]), np.zeros(2))
    steps = 1 + int(COUNT / RATE / DIRECTION_STEP_S)
    assert people.directions.shape == (steps, 2, 3)
    found = array.base_from_array.rotate(people.directions.reshape(-1, 3))
    exact = np.tile(towards, (steps, 1, 1))
    np.testing.assert_allclose(found.reshape(steps, 2, 3), exact, atol=1e-12)


def test_people_of_a_table_walk_in_between_and_are_unknown_outside_their_time(folder, asked):
    ends = np.array([[1.5, 1.0, 0.1], [1.5, -1.0, 0.3]])
    write_tracks([(0.3, 7, *ends[0]), (0.7, 7, *ends[1]), (0.0, 3, 1, 0, 0), (1.0, 3, 1, 0, 0)])
    assert call('--tracks', 'tracks.csv', '--json', 'out.json') == 0
    _, array, people, _ = asked[0]
    assert people.ids == [3, 7]
    times = DIRECTION_STEP_S * np.arange(len(people.directions))
    known = np.isfinite(people.directions).all(axis=2)
    assert known[:, 0].all()
    np.testing.assert_array_equal(known[:, 1], (times > 0.1) & (times < 0.9))
    for time_s, found in zip(times[known[:, 1]], people.directions[known[:, 1], 1]):
        share = np.clip((time_s - 0.3) / 0.4, 0, 1)
        place = array.base_from_array.inverse().apply((1 - share) * ends[0] + share * ends[1])
        np.testing.assert_allclose(found, place / np.linalg.norm(place), atol=1e-9)
    entries = json.loads((folder / 'out.json').read_text())['people']
    assert [(entry['id'], entry['file']) for entry in entries] == [
        (3, 'voices/person_3.flac'),
        (7, 'voices/person_7.flac'),
    ]
    assert abs(entries[1]['azimuth_deg']) < 10, 'in the middle of the walk'


@pytest.mark.parametrize('rows', [[], [(50.0, 1, 1, 0, 0), (60.0, 1, 1, 0, 0)]])
def test_a_table_of_another_time_is_told_so(folder, asked, capsys, rows):
    write_tracks(rows)
    assert call('--tracks', 'tracks.csv') == 2
    assert 'tracks.csv' in capsys.readouterr().err
    assert not asked and not (folder / 'voices').exists()


def test_voices_above_full_scale_are_written_softer_all_alike(folder, monkeypatch):
    voices = np.outer(np.sin(0.01 * np.arange(COUNT)), [4.0, 1.0])
    monkeypatch.setattr(separate, '_separate', lambda *words: voices)
    assert call('--directions', '0', '90', '--json', 'out.json', '--method', 'wiener') == 0
    figures = json.loads((folder / 'out.json').read_text())
    assert figures['method'] == 'wiener'
    assert figures['gain'] == pytest.approx(0.25, rel=1e-3)
    assert [entry['share'] for entry in figures['people']] == [
        pytest.approx(share, abs=1e-3) for share in (16 / 17, 1 / 17)
    ]
    for entry, voice in zip(figures['people'], voices.T):
        written, rate = soundfile.read(entry['file'])
        assert rate == RATE
        np.testing.assert_allclose(written, figures['gain'] * voice, atol=1e-4)


def test_silence_is_written_and_shared_by_nobody(folder, monkeypatch):
    monkeypatch.setattr(separate, '_separate', lambda *words: np.zeros((COUNT, 1)))
    assert call('--directions', '0', '--json', 'out.json') == 0
    figures = json.loads((folder / 'out.json').read_text())
    assert (figures['gain'], figures['people'][0]['share']) == (1.0, 0.0)
    assert not soundfile.read('voices/person_0.flac')[0].any()


def test_another_rate_is_taken_as_16_khz(folder, asked):
    time_s = np.arange(48000) / 48000
    tone = 0.1 * np.sin(2 * np.pi * 1000 * time_s)
    soundfile.write('talk.wav', np.tile(tone[:, None], (1, 4)), 48000)
    assert call('--directions', '0') == 0
    samples = asked[0][0]
    exact = 0.1 * np.sin(2 * np.pi * 1000 * np.arange(16000) / RATE)
    assert len(soundfile.read('voices/person_0.flac')[0]) == len(samples) == 16000
    np.testing.assert_allclose(samples[500:-500, 2], exact[500:-500], atol=2e-4)


def test_a_voice_that_cannot_be_written_is_one_line(folder, asked, capsys):
    (folder / 'voices' / 'person_0.flac').mkdir(parents=True)
    assert call('--directions', '0') == 2
    error = capsys.readouterr().err
    assert 'cannot write to voices' in error and error.count('\n') == 1


def test_a_folder_below_a_file_is_refused_before_the_work(folder, asked, capsys):
    """Regression: everything was separated, and then the place refused."""
    assert main('separate talk.wav --head respeaker --directions 0 -o mono.wav/a/b'.split()) == 2
    assert 'mono.wav is a file' in capsys.readouterr().err
    assert not asked


def test_figures_may_go_into_the_folder_of_the_voices(folder, asked):
    """Regression: the folder was asked for, though the verb makes it."""
    assert call('--directions', '0', '--json', 'voices/a.json', '--plot', 'voices/a.png') == 0
    assert {path.name for path in (folder / 'voices').iterdir()} == {
        'a.json',
        'a.png',
        'person_0.flac',
    }
