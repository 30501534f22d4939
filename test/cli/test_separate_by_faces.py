# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""`separate --method av-vae`: people whom one microphone cannot tell apart, by planted mouths."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile

from av_perception.audio_visual.people_file import SeenPerson, save_people
from av_perception.audio_visual.visual_files import save_visual_prior
from av_perception.audio_visual.visual_prior import LinearVisualPrior
from av_perception.cli.main import main
from av_perception.dvae.spectra import PRIOR_TRANSFORM
from av_perception.dvae.speech_prior import load_prior

RATE = 16000
WORDS = '--method av-vae --visual seen.npz --visual-prior lips.npz'.split()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A mixture of two voices that the small prior makes, and features that know its latents."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    prior = load_prior('vae')
    frames = 70
    voices = []
    people = {}
    for person in (3, 8):
        walk = np.cumsum(random.standard_normal((frames, 16)), axis=0)
        latents = (walk / np.sqrt(1 + np.arange(frames))[:, None]).astype(np.float32)
        variance = prior.decode(latents)
        spectra = np.sqrt(variance / 2) * (
            random.standard_normal(variance.shape) + 1j * random.standard_normal(variance.shape)
        )
        count = (frames - 4) * PRIOR_TRANSFORM.hop
        voices.append(PRIOR_TRANSFORM.inverse(spectra[: PRIOR_TRANSFORM.num_frames(count)], count))
        # (an image per frame, at the middle of its window)
        stamps = (np.arange(frames) * 256 - 256) / RATE
        values = latents + 0.1 * random.standard_normal(latents.shape)
        people[person] = SeenPerson(stamps, values, np.ones(frames))
    voices = np.array(voices) / np.abs(voices).max()
    soundfile.write('talk.wav', 0.5 * voices.sum(axis=0), RATE)
    save_people('seen.npz', people)
    eye = np.eye(16, dtype=np.float32)
    visual = LinearVisualPrior(eye, np.zeros(16), np.full(16, 0.05))
    save_visual_prior('lips.npz', visual, {'speech_prior': 'vae'})
    return voices


def call(*words):
    return main(['separate', 'talk.wav', '-o', 'out', *words])


def similarity(one, other):
    return float(one @ other / np.sqrt((one @ one) * (other @ other)))


def test_each_person_gets_the_voice_of_their_face(folder):
    assert call(*WORDS, '--json', 'out.json') == 0
    result = json.loads(open('out.json').read())
    assert [entry['id'] for entry in result['people']] == [3, 8]
    assert result['method'] == 'av-vae' and result['people'][0]['azimuth_deg'] is None
    for person, own, other in ((3, folder[0], folder[1]), (8, folder[1], folder[0])):
        found, rate = soundfile.read(f'out/person_{person}.flac')
        assert rate == RATE and len(found) == len(own)
        assert similarity(found, own) > similarity(found, other) + 0.2


@pytest.mark.parametrize(
    ('words', 'told'),
    [
        ('--method av-vae', 'needs --visual'),
        ('--method masks --visual seen.npz', 'go with --method av-vae'),
        (f'{" ".join(WORDS)} --people 2', 'takes the people of --visual'),
        (f'{" ".join(WORDS)} --channel 4', '--channel must lie in 0..0'),
        ('--method av-vae --visual no.npz --visual-prior lips.npz', 'no.npz'),
        ('--method av-vae --visual seen.npz --visual-prior seen.npz', 'no visual prior'),
    ],
)
def test_mistakes_are_told(words, told, folder, capsys):
    assert call(*words.split()) == 2
    assert told in capsys.readouterr().err


def test_features_of_another_size_are_told(folder, capsys):
    people = SeenPerson(np.arange(3.0), np.ones((3, 2)), np.ones(3))
    save_people('seen.npz', {1: people})
    assert call(*WORDS) == 2
    assert 'train the prior on such features' in capsys.readouterr().err
