# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The comparison of localization methods: trials, scores, and a small run of the command."""

import json

import numpy as np
import pytest

from av_perception.benchmarks.hearing_methods import by_map, by_peer, free_field
from av_perception.benchmarks.hearing_scores import compare
from av_perception.benchmarks.hearing_trials import (
    RATE,
    SEPARATION_DEG,
    dummy_heads,
    real_recordings,
    simulated_room,
)
from av_perception.cli.main import main
from av_perception.geometry.rigid_transform import wrap_angle
from av_perception.robot_head import load_head


@pytest.mark.parametrize(
    'found, true, errors',
    [
        ([10.0, 100.0], [12.0, 95.0], [2.0, 5.0]),
        ([179.0], [-179.0], [2.0]),
        ([12.0, 13.0], [12.0], [0.0]),
        ([], [5.0], []),
        ([30.0], [5.0], []),
        ([5.0, 14.0], [0.0, 6.0], [5.0, 8.0]),
        ([0.0, 8.0], [9.0, 20.0], [1.0]),
    ],
)
def test_as_many_sources_as_possible_are_paired(found, true, errors):
    assert sorted(compare(np.array(found), np.array(true))) == pytest.approx(sorted(errors))


def bursts(rng, seconds):
    sound = rng.standard_normal(round(seconds * RATE))
    return sound * np.repeat(rng.random(round(8 * seconds)) < 0.6, RATE // 8)[: len(sound)]


def test_the_same_room_at_every_noise_level():
    rng = np.random.default_rng(1)
    head = free_field(load_head('respeaker'))
    quiet, loud = simulated_room(
        head, 0.2, (60.0, 0.0), 3, [bursts(rng, 2) for _ in range(3)], rng, 2.0
    )
    assert quiet.sound.shape == (2 * RATE, 4) and np.abs(loud.sound).max() <= 0.5
    np.testing.assert_array_equal(quiet.azimuths_deg, loud.azimuths_deg)
    apart = np.degrees(
        np.abs(wrap_angle(np.radians(quiet.azimuths_deg[:, None] - quiet.azimuths_deg)))
    ) + 360 * np.eye(3)
    assert apart.min() > SEPARATION_DEG - 1e-6
    assert np.corrcoef(quiet.sound[:, 0], loud.sound[:, 0])[0, 1] == pytest.approx(
        np.sqrt(0.5), abs=0.05
    )


@pytest.mark.slow
def test_all_methods_find_one_talker_in_a_dry_room(tmp_path, monkeypatch):
    """A planted direction, found by everybody in the same frame and sense."""
    monkeypatch.setenv('AV_PERCEPTION_CACHE', str(tmp_path))
    rng = np.random.default_rng(2)
    (trial,) = simulated_room(
        free_field(load_head('nao')), 0.15, (30.0,), 1, [bursts(rng, 3)], rng, 3.0
    )
    for find in (
        by_map,
        *(lambda *a, m=m: by_peer(m, *a) for m in ('SRP-PHAT', 'MUSIC', 'NormMUSIC')),
    ):
        assert len(compare(find(trial.sound, trial.head, 1), trial.azimuths_deg)) == 1


def test_real_recordings_say_where_their_sources_are(data_directory):
    trials = list(real_recordings(data_directory))
    assert sorted(tuple(t.azimuths_deg) for t in trials) == sorted(
        3 * [(180.0,)] + 3 * [(180.0, 225.0)] + 3 * [(180.0, 225.0, 270.0)]
    )


@pytest.mark.slow
def test_two_ears_hear_within_five_degrees(data_directory):
    """A few places of both heads, seen from the map of the head itself."""
    rng = np.random.default_rng(4)
    trials = list(dummy_heads(data_directory, [bursts(rng, 3)], rng, 2.0))
    assert len(trials) > 40 and {len(t.azimuths_deg) for t, _ in trials} == {1}
    for trial, acoustic_map in trials[::8]:
        (error,) = compare(by_map(trial.sound, trial.head, 1, acoustic_map), trial.azimuths_deg)
        assert error < 5


@pytest.mark.slow
def test_the_command_writes_its_figures_and_picture(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv('AV_PERCEPTION_DATA', raising=False)
    monkeypatch.setattr(
        'av_perception.benchmarks.hearing_scores.voices',
        lambda data: [bursts(np.random.default_rng(3), 2)],
    )
    small = '--heads respeaker --reverberation 0.2 --snr 20 --talkers 1 --trials 1 --duration 2'
    files = ['--json', str(tmp_path / 'h.json'), '--plot', str(tmp_path / 'h.png')]
    assert main(['benchmark', 'hearing', *small.split(), *files]) == 0
    figures = json.loads((tmp_path / 'h.json').read_text())
    rows = figures['rows']
    assert 0 < figures['front_end_share'] < 1
    methods = [row['method'] for row in rows]
    assert methods == ['DP-RTF + map', 'SRP-PHAT', 'MUSIC', 'NormMUSIC']
    assert rows[0]['recall'] == 1
    assert (tmp_path / 'h.png').read_bytes()[:4] == b'\x89PNG'
    assert 'real time' in capsys.readouterr().out


@pytest.mark.parametrize('method', ['SRP-PHAT', 'NormMUSIC'])
def test_ears_that_hear_alike_are_no_trouble(method):
    """Regression: the spectrum of NormMUSIC was infinite straight ahead."""
    rng = np.random.default_rng(5)
    sound = np.repeat(bursts(rng, 2)[:, None], 2, axis=1) * 0.1
    (azimuth,) = by_peer(method, sound, load_head('kemar'), 1)
    assert abs(azimuth) < 2
