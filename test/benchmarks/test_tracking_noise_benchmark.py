# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The benchmark of an hour of noise, cut short, and its parts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from av_perception.benchmarks import noise_people, noise_sounds
from av_perception.cli.benchmarks import noise as verb
from av_perception.cli.main import main
from av_perception.robot_head import load_head
from av_perception.simulation.noise import fan, from_all_around, from_place, servo
from av_perception.simulation.scene import RoomConfig

RATE = noise_sounds.RATE


@pytest.mark.slow
def test_recorded_noise_and_motors_give_no_person(data_directory, monkeypatch):
    """Dishes from a place, a clock from all around, a fan and servos at the head, 4 s each."""
    monkeypatch.setattr(noise_sounds, 'STRETCH_S', 4.0)
    folder = data_directory / 'noise'
    noises = [folder / 'doing_the_dishes.flac', folder / 'esc10' / 'Clock_tick_1-21935-A.ogg']
    births, voiced = noise_people.noise_births(load_head('simulated'), noises, 0, [0, 5, 2, 3])
    assert births['as detected'] == [] and voiced < 0.05


@pytest.mark.slow
def test_a_real_voice_is_found_in_the_noise_of_dishes(data_directory, monkeypatch):
    monkeypatch.setattr(noise_people, 'LEAD_S', 3.0)
    monkeypatch.setattr(noise_people, 'VOICE_S', 3.0)
    voice = data_directory / 'speech' / 'cmu_arctic' / 'cmu_arctic_us_aew_a0001.wav'
    for noise, most_s in ((None, 0.5), (data_directory / 'noise' / 'doing_the_dishes.flac', 2.5)):
        result = noise_people.find_voice(load_head('simulated'), voice, noise, 0)
        assert result.speech_s is not None and result.speech_s <= most_s
        assert result.azimuth_error_deg <= 5.0 and result.people == 1


def test_false_alarms_fill_a_fifth_of_the_time_in_bursts():
    alarm = noise_people.false_alarms(np.random.default_rng(0))
    on = np.array([next(alarm) > 0 for _ in range(50000)])
    bursts = np.count_nonzero(np.diff(on.astype(int)) == 1)
    assert abs(on.mean() - 0.2) < 0.02 and abs(on.sum() * 0.04 / bursts - 0.6) < 0.06


def test_no_recordings_is_said_in_one_line(tmp_path, capsys):
    arguments = ['--data', str(tmp_path), '--json', str(tmp_path / 'out.json')]
    assert main(['benchmark', 'noise', *arguments]) == 2
    assert 'no recordings in' in capsys.readouterr().err


@pytest.mark.slow
def test_the_json_holds_all_figures(data_directory, tmp_path, monkeypatch):
    monkeypatch.setattr(noise_sounds, 'STRETCH_S', 1.0)
    monkeypatch.setattr(verb, 'STRETCH_S', 1.0)
    monkeypatch.setattr(noise_people, 'LEAD_S', 0.5)
    monkeypatch.setattr(noise_people, 'VOICE_S', 1.0)
    path = tmp_path / 'noise.json'
    small = ['--data', str(data_directory), '--minutes', '0.03', '--voices', '1']
    assert main(['benchmark', 'noise', *small, '--json', str(path)]) == 0
    figures = json.loads(path.read_text())
    assert set(figures['false_people']) == {
        'as detected',
        'with false alarms',
        'with false alarms, no noise model',
    }
    assert len(figures['voices']) == 2 and figures['minutes'] == pytest.approx(2 / 60)


@pytest.mark.slow
def test_without_voices_there_was_an_empty_table_of_them(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(noise_sounds, 'STRETCH_S', 1.0)
    monkeypatch.setattr(verb, 'STRETCH_S', 1.0)
    folder = tmp_path / 'noise'
    folder.mkdir()
    hiss = 0.01 * np.random.default_rng(0).normal(size=2 * RATE)
    soundfile.write(folder / 'hiss.wav', hiss, RATE)
    small = ['--data', str(tmp_path), '--minutes', '0.02', '--no-alarms']
    assert main(['benchmark', 'noise', *small, '--voices', '0']) == 0
    printed = capsys.readouterr().out
    assert 'minutes of noise' in printed and 'only heard' not in printed
    assert main(['benchmark', 'noise', *small, '--voices', '-1']) == 2
    assert '0 or more' in capsys.readouterr().err


def test_voices_that_nobody_found_were_left_out_of_the_table():
    missed = [noise_people.VoiceResult('a.wav', noise, None, None, 0) for noise in ('quiet', 'x')]
    table = verb._voice_table(missed)
    assert [list(column.cells) for column in table.columns[1:3]] == [['0 of 1'] * 2, ['-'] * 2]


class TestNoiseOfARoom:
    """The simulated noise."""

    ROOM = RoomConfig(size=(5.0, 4.0, 2.8), t60=0.0, head_position=(2.5, 2.0, 1.2))
    PAIR = np.array([[2.5, 2.1, 1.2], [2.5, 1.9, 1.2]])

    def test_a_sound_from_a_place_comes_with_the_delay_of_its_path(self):
        random = np.random.default_rng(0)
        sound = from_place(
            self.ROOM, self.PAIR, random.normal(size=8000), np.array([2.5, 3.5, 1.2]), RATE
        )
        lag = np.argmax(np.correlate(sound[:, 1], sound[:, 0], 'full')) - (len(sound) - 1)
        assert abs(lag - 0.2 / 343 * RATE) < 1.01

    def test_diffuse_sound_has_no_direction(self):
        random = np.random.default_rng(1)
        sound = from_all_around(self.ROOM, self.PAIR, random.normal(size=16000), RATE, random)
        from_one = from_place(
            self.ROOM, self.PAIR, random.normal(size=16000), np.array([2.5, 3.5, 1.2]), RATE
        )

        def likeness(x):
            spectrum = np.fft.rfft(x[:, 0]) * np.fft.rfft(x[:, 1]).conj()
            return np.abs(np.fft.irfft(spectrum / np.abs(spectrum))).max()

        assert likeness(sound) < 0.5 * likeness(from_one)

    def test_a_fan_is_steady_and_servos_pause(self):
        random = np.random.default_rng(2)

        def loudness(x):
            return np.sqrt((x[: len(x) // 1600 * 1600].reshape(-1, 1600) ** 2).mean(1)) / x.std()

        assert loudness(fan(5 * RATE, RATE, random)).min() > 0.7
        assert loudness(servo(20 * RATE, RATE, random)).min() == 0.0


def test_noises_take_turns_and_each_second_round_comes_from_all_around(monkeypatch):
    """Motors are where they are: servos never come from all around."""
    monkeypatch.setattr(noise_sounds, 'take_samples', lambda source, count, random: source)
    monkeypatch.setattr(
        noise_sounds, 'play_noise', lambda head, samples, is_diffuse, is_servo, random: is_diffuse
    )
    played = list(
        noise_sounds.play_stretches(None, [Path('rain.wav'), Path('sea.wav')], None, range(8))
    )
    names = ['rain', 'sea', 'fan', 'servo']
    assert [stretch.noise for stretch, _ in played] == 2 * names
    assert [is_diffuse for _, is_diffuse in played] == [False] * 4 + [True] * 3 + [False]
    places = {is_diffuse: stretch.played for stretch, is_diffuse in played}
    assert places == {False: 'one place', True: 'all around'}
