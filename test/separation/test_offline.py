# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Voices of whole recordings: masks, Wiener filters, pieces, and the command."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile

from av_perception.cli.main import main
from av_perception.errors import UserError
from av_perception.geometry.rigid_transform import direction_from_angles
from av_perception.robot_head import load_head
from av_perception.separation.first_guess import GuessConfig
from av_perception.separation.offline import (
    RATE,
    in_pieces,
    mask_streams,
    vemove_streams,
    wiener_streams,
)
from av_perception.separation.vemove import VemoveConfig


@pytest.fixture(scope='module')
def planted():
    """Two sounds like voices from 60 and -100 degrees at a ReSpeaker, without a room."""
    rng = np.random.default_rng(3)
    count = round(1.5 * RATE)
    array = load_head('respeaker').microphones
    azimuths = np.radians([60.0, -100.0])
    sounds = []
    for lowest in (200, 320):  # harmonics that sound now and then
        time_s = np.arange(count) / RATE
        pitch = lowest * (1 + 0.05 * np.sin(2 * np.pi * 3 * time_s))
        phase = 2 * np.pi * np.cumsum(pitch) / RATE
        tone = sum(np.sin(n * phase) for n in range(1, int(4000 / lowest)))
        syllables = np.repeat(rng.random(-(-count // 2400)) < 0.7, 2400)[:count]
        sounds.append(0.02 * tone * np.convolve(syllables, np.ones(160) / 160, 'same'))
    spectra = np.fft.rfft(sounds, axis=1)
    frequency = np.fft.rfftfreq(count, 1 / RATE)
    towards = direction_from_angles(azimuths, 0.0)
    delay = towards @ array.positions.T / 343.0  # (J, I), ahead of the center
    images = np.fft.irfft(
        spectra[:, None] * np.exp(2j * np.pi * frequency * delay[..., None]), count, axis=2
    )
    noise = 1e-3 * rng.standard_normal((count, 4))
    return array, towards, images.sum(axis=0).T + noise, images[:, 0].T


def gain_db(voices, references, mixture):
    def distortion(estimate):
        error = np.sum((estimate - references) ** 2, axis=0)
        return 10 * np.log10(np.sum(references**2, axis=0) / error)

    return distortion(voices) - distortion(mixture[:, :1])


@pytest.mark.slow
def test_every_method_brings_out_both_people(planted):
    array, towards, mixture, references = planted
    directions = np.tile(towards, (40, 1, 1))
    streams = mask_streams(mixture, array, directions)
    assert streams.shape == references.shape
    assert gain_db(streams, references, mixture).min() > 3
    assert gain_db(wiener_streams(mixture, streams), references, mixture).min() > 3
    config = VemoveConfig(iterations=3, guess=GuessConfig(powers='tied'))
    assert gain_db(vemove_streams(mixture, streams, config), references, mixture).min() > 3


def test_people_of_whom_nothing_is_known_are_silent(planted):
    array, towards, mixture, _ = planted
    directions = np.tile(towards, (40, 1, 1))
    directions[:, 1] = np.nan
    streams = mask_streams(mixture[: RATE // 2], array, directions)
    assert not streams[:, 1].any()


def test_sound_that_is_not_finite_is_refused(planted):
    array, towards, mixture, _ = planted
    broken = mixture[:4000].copy()
    broken[9] = np.nan
    with pytest.raises(UserError, match='sample 9 of the sound'):
        mask_streams(broken, array, towards[None])


def test_wiener_voices_of_silence_are_silent():
    assert not wiener_streams(np.zeros((4000, 3)), np.zeros((4000, 2))).any()


@pytest.mark.parametrize('count', [0, 5, 99, 100, 101, 190, 191, 1000])
def test_pieces_add_up_to_the_whole(count):
    rng = np.random.default_rng(count)
    streams = rng.standard_normal((count, 2))
    done = []
    result = in_pieces(lambda sound, s: s, streams, streams, 100, 10, done.append)
    np.testing.assert_allclose(result, streams, atol=1e-12)
    assert done[-1] == pytest.approx(1.0 if count else 0.0)


@pytest.fixture
def recorded(planted, tmp_path):
    soundfile.write(tmp_path / 'talk.wav', planted[2], RATE)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize('method', ['masks', 'wiener', 'vemove'])
def test_the_command_writes_a_voice_per_person(recorded, planted, method):
    _, _, mixture, references = planted
    words = ['separate', str(recorded / 'talk.wav'), '--head', 'respeaker', '--method', method]
    words += ['--directions', '60', '-100', '-o', str(recorded / 'voices'), '--iterations', '2']
    words += ['--json', str(recorded / 'out.json'), '--plot', str(recorded / 'out.png')]
    assert main(words) == 0
    figures = json.loads((recorded / 'out.json').read_text())
    assert [entry['azimuth_deg'] for entry in figures['people']] == [60.0, -100.0]
    voices = []
    for entry in figures['people']:
        voice, rate = soundfile.read(entry['file'])
        assert rate == RATE
        voices.append(voice)
    assert gain_db(np.array(voices).T, references, mixture).min() > 3
    assert sum(entry['share'] for entry in figures['people']) == pytest.approx(1.0, abs=0.01)
    assert (recorded / 'out.png').stat().st_size > 10_000


@pytest.mark.slow
def test_tracks_say_where_people_are(recorded, planted):
    _, towards, mixture, references = planted
    rows = [
        'time,id,x,y,z,vx,vy,vz,cov_xx,cov_xy,cov_xz,cov_yy,cov_yz,cov_zz,status,seen,heard,'
        'speaking_probability,speaking'
    ]
    for time_s in (0.0, 1.5):
        for person, direction in zip((4, 9), towards):
            place = ','.join(f'{1.5 * x:.6f}' for x in direction)
            rows.append(f'{time_s},{person},{place},0,0,0,1,0,0,1,0,1,active,1,0,0.5,0')
    (recorded / 'tracks.csv').write_text('\n'.join(rows) + '\n')
    words = ['separate', str(recorded / 'talk.wav'), '--head', 'respeaker', '-o']
    assert main([*words, str(recorded / 'v'), '--tracks', str(recorded / 'tracks.csv')]) == 0
    voices = [soundfile.read(recorded / 'v' / f'person_{i}.flac')[0] for i in (4, 9)]
    assert gain_db(np.array(voices).T, references, mixture).min() > 3


@pytest.mark.parametrize(
    'wrong, said',
    [
        (['--people', '0'], '--people must lie in 1..8'),
        (['--iterations', '0'], '--iterations must lie in 1..500'),
        (['--directions', 'nan'], '--directions must be numbers'),
        (['--directions', *map(str, range(9))], 'at most 8'),
        (['-o', 'talk.wav'], 'would be written over'),
        (['--tracks', 'none.csv'], 'none.csv'),
    ],
)
def test_wrong_words_are_answered_in_one_line(recorded, monkeypatch, capsys, wrong, said):
    monkeypatch.chdir(recorded)
    words = ['separate', 'talk.wav', '--head', 'respeaker', '-o', 'voices', *wrong]
    assert main(words) == 2
    error = capsys.readouterr().err.strip()
    assert said in error and len(error.splitlines()) == 1
