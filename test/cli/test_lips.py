# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""`train lips` and `enhance --visual`: what they write, and what they refuse with a word."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile
from planted_mouths import banded_voice, showing_mouths
from planted_voices import START_NS

from av_perception.audio_visual.visual_prior import LinearVisualPrior
from av_perception.cli.main import main
from av_perception.cli.trainings import lips as command
from av_perception.lips.examples import LipExample, Stretch
from av_perception.lips.lip_looks import LipLooks
from av_perception.lips.lip_model import GAIN, SPEECH_PRIOR, load_lips, save_lips
from av_perception.lips.lip_reader import learn_encoder
from av_perception.recording.mouth_files import write_mouths


def person(seed, is_photograph):
    sound = np.concatenate([np.zeros(16000), banded_voice(4.0, seed)])
    mouths = showing_mouths(sound, START_NS, seed, is_photograph)
    return LipExample(f'p{seed}', (Stretch(START_NS + 10**9, sound[16000:]),), mouths)


def examples(is_photograph=False, people=5):
    """In place of recordings: what would be found in them."""
    return [person(seed, is_photograph) for seed in range(people)], {'too noisy': 1.5}


@pytest.mark.slow
def test_lips_that_pass_are_written_with_their_card(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, '_examples', lambda paths, head: examples())
    output = tmp_path / 'lips.npz'
    assert main(['train', 'lips', str(tmp_path), '-o', str(output), '--data', 'five of us']) == 0
    card = json.loads((tmp_path / 'lips.json').read_text())
    assert card['people'] == 5 and card[GAIN] >= 1.0 and card['data'] == 'five of us'
    assert load_lips(output).speech_prior == 'vae'
    said = capsys.readouterr().out
    assert '5 people' in said and 'too noisy 1.5 s' in said and 'left out' in said
    assert {path.name for path in tmp_path.iterdir()} == {'lips.npz', 'lips.json'}


@pytest.mark.slow
def test_photographs_are_refused_and_nothing_is_written(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, '_examples', lambda paths, head: examples(is_photograph=True))
    assert main(['train', 'lips', str(tmp_path), '-o', str(tmp_path / 'lips.npz')]) == 1
    assert 'refused: lips tell' in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_done_is_said(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, '_examples', lambda paths, head: examples(people=2))
    for words, said in (
        (['-o', str(tmp_path / 'lips.npz')], '4 are needed'),
        (['-o', str(tmp_path / 'lips.txt')], 'ends in .npz'),
        (['-o', str(tmp_path / 'lips.npz'), '--prior', 'rvae'], 'has a memory'),
    ):
        assert main(['train', 'lips', str(tmp_path), *words]) == 2
        assert said in capsys.readouterr().err


@pytest.fixture()
def seen(tmp_path):
    """A voice in noise, its mouths, and lips that say nothing."""
    sound = np.concatenate([np.zeros(16000), banded_voice(1.0, 1)])
    mouths = showing_mouths(sound, START_NS, 1)
    [mouths_file] = write_mouths(tmp_path, {1: list(mouths)}, START_NS)
    follower = LipLooks()
    encoder = learn_encoder([follower.update(*row) for row in mouths])
    weight = np.full((16, encoder.num_features), 0.2, np.float32)
    visual = LinearVisualPrior(weight, np.zeros(16), np.full(16, 0.2))
    save_lips(tmp_path / 'lips.npz', encoder, visual, {SPEECH_PRIOR: 'vae', GAIN: 1.5})
    noisy = 0.5 * sound + np.random.default_rng(0).normal(0, 0.05, len(sound))
    soundfile.write(tmp_path / 'noisy.wav', noisy, 16000)
    return tmp_path, mouths_file


@pytest.mark.parametrize('mode', ['cvae', 'min_vae', 'swvae'])
def test_enhance_looks_at_the_mouth(seen, mode):
    folder, mouths = seen
    words = ['enhance', str(folder / 'noisy.wav'), '-o', str(folder / 'clear.wav')]
    eyes = ['--visual', mode, '--lips', str(folder / 'lips.npz'), '--mouths', str(mouths)]
    assert main([*words, *eyes, '--json', str(folder / 'clear.json')]) == 0
    voice, rate = soundfile.read(folder / 'clear.wav')
    assert rate == 16000 and len(voice) == 32000 and np.isfinite(voice).all()
    assert voice[:12000].std() < 0.03, 'noise goes'
    assert mode in json.loads((folder / 'clear.json').read_text())['method']


def test_enhance_says_what_eyes_need(seen, capsys):
    folder, mouths = seen
    words = ['enhance', str(folder / 'noisy.wav'), '-o', str(folder / 'clear.wav')]
    for more, said in (
        (['--visual', 'cvae'], 'needs --lips and --mouths'),
        (['--lips', str(folder / 'lips.npz')], 'need --visual'),
        (['--visual', 'cvae', '--lips', 'none.npz', '--mouths', str(mouths)], 'none ship'),
    ):
        assert main([*words, *more]) == 2
        assert said in capsys.readouterr().err
