# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The verb `enhance`: what it refuses before any work, and what it writes."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile
from speech_priors import planted_prior

from av_perception.cli import enhance
from av_perception.cli.main import main

RATE = 16000


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where the verb runs: a noisy tone on two channels, the second silent."""
    monkeypatch.chdir(tmp_path)
    time_s = np.arange(RATE) / RATE
    random = np.random.default_rng(0)
    noisy = 0.2 * np.sin(2 * np.pi * 300 * time_s) * (time_s > 0.4)
    noisy += 0.02 * random.standard_normal(RATE)
    soundfile.write('noisy.wav', np.column_stack([noisy, np.zeros(RATE)]), RATE)
    (tmp_path / 'text.wav').write_text('this is no sound')
    return tmp_path


def call(*words):
    return main(['enhance', 'noisy.wav', '-o', 'clear.wav', *words])


@pytest.mark.parametrize(
    'words, told',
    [
        ('absent.wav -o clear.wav', 'there is no recording absent.wav: name a WAV or FLAC file'),
        ('text.wav -o clear.wav', 'text.wav is not a readable sound file'),
        ('noisy.wav -o clear.mp3', 'name a file that ends in .wav or .flac'),
        ('noisy.wav -o absent/clear.wav', 'there is no folder'),
        ('noisy.wav -o clear.wav --noise rest.txt', 'name a file that ends in .wav or .flac'),
        ('noisy.wav -o clear.wav --json absent/a.json', 'there is no folder'),
        ('noisy.wav -o clear.wav --plot .', 'it is a folder, name a file'),
        ('noisy.wav -o clear.wav --channel 2', '--channel must lie in 0..1, not 2'),
        ('noisy.wav -o clear.wav --channel -1', '--channel must not be negative, but is -1'),
        ('noisy.wav -o clear.wav --iterations 0', '--iterations must lie in 1..1000, not 0'),
        ('noisy.wav -o clear.wav --seed -1', '--seed must not be negative, but is -1'),
        ('noisy.wav -o clear.wav --prior magic', "no prior of speech is called 'magic'"),
        ('noisy.wav -o clear.wav --prior text.wav', 'cannot read the weights text.wav'),
    ],
)
def test_a_mistake_is_one_line_before_any_work(folder, capsys, words, told):
    before = sorted(folder.rglob('*'))
    assert main(['enhance', *words.split()]) == 2
    error = capsys.readouterr().err
    assert error.startswith('av-perception: error: ') and told in error and error.count('\n') == 1
    assert sorted(folder.rglob('*')) == before


def test_a_method_that_is_not_there_comes_with_the_usage(folder, capsys):
    with pytest.raises(SystemExit) as caught:
        call('--method', 'magic')
    assert caught.value.code == 2 and 'invalid choice' in capsys.readouterr().err


@pytest.mark.slow
def test_voice_and_noise_add_up_to_the_recording(folder, capsys):
    words = ('--noise', 'rest.wav', '--json', 'out.json', '--plot', 'out.png')
    assert call('--prior', 'none', *words) == 0
    noisy = soundfile.read('noisy.wav')[0][:, 0]
    voice, rate = soundfile.read('clear.wav')
    rest = soundfile.read('rest.wav')[0]
    assert rate == RATE and voice.shape == noisy.shape
    np.testing.assert_allclose(voice + rest, noisy, atol=1e-4)
    assert np.std(voice[2000:6000]) < 0.5 * np.std(noisy[2000:6000])
    figures = json.loads((folder / 'out.json').read_text())
    assert figures['method'] == 'lsa' and figures['duration_s'] == 1.0
    assert figures['noise_file'] == 'rest.wav' and figures['level_change_db'] < 0
    assert (folder / 'out.png').stat().st_size > 5000
    assert 'clear.wav' in capsys.readouterr().out


def test_a_prior_is_used_as_was_asked_for(folder, monkeypatch):
    monkeypatch.setattr(enhance, 'load_prior', lambda name: planted_prior())
    assert call('--prior', 'vae', '--method', 'amortized', '--json', 'out.json') == 0
    figures = json.loads((folder / 'out.json').read_text())
    assert (figures['prior'], figures['method']) == ('vae', 'amortized')
    amortized = soundfile.read('clear.wav')[0]
    assert call('--prior', 'vae', '--method', 'peem', '--iterations', '2') == 0
    assert not np.allclose(soundfile.read('clear.wav')[0], amortized, atol=1e-4)


def test_without_words_the_best_prior_is_used_thoroughly(folder):
    assert call('--json', 'out.json', '--iterations', '2') == 0
    figures = json.loads((folder / 'out.json').read_text())
    assert (figures['prior'], figures['method']) == ('wide_vae', 'vem')
    assert np.isfinite(soundfile.read('clear.wav')[0]).all()


def test_another_channel_and_silence(folder):
    assert call('--channel', '1', '--method', 'amortized') == 0
    assert not soundfile.read('clear.wav')[0].any()


def test_another_rate_becomes_16_khz(folder):
    tone = 0.1 * np.sin(2 * np.pi * 440 * np.arange(22050) / 44100)
    soundfile.write('noisy.wav', tone, 44100)
    assert call('--prior', 'none') == 0
    voice, rate = soundfile.read('clear.wav')
    assert rate == RATE and len(voice) == RATE // 2


def test_samples_that_are_no_numbers_become_silence_and_are_told(folder, capsys):
    samples = 0.1 * np.random.default_rng(0).standard_normal(RATE)
    samples[100:110] = np.nan
    soundfile.write('noisy.wav', samples, RATE, subtype='FLOAT')
    assert call('--prior', 'none', '--json', 'out.json') == 0
    assert json.loads((folder / 'out.json').read_text())['samples_that_were_no_numbers'] == 10
    assert '10 samples were no numbers' in capsys.readouterr().out
    assert np.isfinite(soundfile.read('clear.wav')[0]).all()
