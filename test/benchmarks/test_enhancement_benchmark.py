# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Clips are what they say, figures are those of the packages, medians are medians."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from speech_priors import planted_prior

from av_perception.benchmarks import enhancement_clips as clips
from av_perception.benchmarks.enhancement_methods import (
    LIVE,
    LSA,
    NOISY,
    make_methods,
)
from av_perception.benchmarks.enhancement_scores import EnhancementRow, medians
from av_perception.cli.main import main
from av_perception.errors import UserError

DATA = Path(os.environ.get('AV_PERCEPTION_DATA', '../shared/data'))
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason='AV_PERCEPTION_DATA is not at hand')


@needs_data
def test_clips_have_their_noise_and_their_level():
    made = clips.make_clips(DATA, 20, 1.0)
    assert [clip.kind for clip in made[:10]] == list(clips.KINDS)
    for clip in made:
        noise = clip.mixture - clip.voice
        ratio = 20 * np.log10(clip.voice.std() / noise.std())
        assert ratio == pytest.approx(clip.snr_db, abs=0.1)
        assert clip.duration_s == 1.0
    assert {clip.snr_db for clip in made} == set(clips.SNRS_DB)


@needs_data
def test_every_kind_comes_with_every_snr_in_forty_clips():
    pairs = {(k % 10, (k + k // 10) % 4) for k in range(40)}
    assert len(pairs) == 40


@needs_data
def test_talkers_of_the_parts_are_disjoint_and_drawn_as_for_training():
    parts = clips.split_talkers(DATA)
    names = [{path.name.split('-')[0] for path in part} for part in parts]
    assert not names[0] & names[1] and not names[0] & names[2] and not names[1] & names[2]
    assert [len(part) for part in parts[:2]] == [25, 12]


def test_without_voices_it_says_what_to_do(tmp_path):
    with pytest.raises(UserError, match='AV_PERCEPTION_DATA must name the data'):
        clips.make_clips(tmp_path, 1, 1.0)


@pytest.mark.parametrize('name', ['noisy', 'LSA', 'VAE amortized', 'VAE live'])
def test_methods_keep_length_and_place(name):
    methods = make_methods({'VAE': planted_prior()}, ['amortized', LIVE])
    assert list(methods) == [NOISY, LSA, 'VAE amortized', 'VAE live']
    random = np.random.default_rng(0)
    voice = 0.2 * np.sin(0.2 * np.arange(12000)) * (np.arange(12000) > 5000)
    found = methods[name](voice + 0.01 * random.standard_normal(12000))
    assert found.shape == voice.shape
    lags = [np.dot(found[100:-100], np.roll(voice, k)[100:-100]) for k in range(-5, 6)]
    assert np.argmax(lags) == 5


def test_a_prior_that_needs_the_past_of_the_recording_has_no_live_stream():
    assert list(make_methods({'SRNN': planted_prior()}, [LIVE])) == [NOISY, LSA]


def test_medians_are_of_the_clips_of_a_method():
    rows = [
        EnhancementRow('a', 'rain', 0.0, value, 1.0 + value, 0.1 * value, 0.01)
        for value in (1.0, 2.0, 9.0)
    ] + [EnhancementRow('b', 'rain', 0.0, 5.0, 2.0, 0.5, 0.02)]
    found = medians(rows)
    assert list(found) == ['a', 'b']
    assert found['a'] == {
        'si_sdr_db': 2.0,
        'pesq': 3.0,
        'estoi': pytest.approx(0.2),
        'cpu': 0.01,
    }


@needs_data
@pytest.mark.slow
def test_the_command_measures_prints_and_writes(tmp_path, capsys, monkeypatch):
    pytest.importorskip('pesq')
    pytest.importorskip('pystoi')
    monkeypatch.setenv('AV_PERCEPTION_DATA', str(DATA))
    words = '--clips 1 --duration 1 --priors vae --methods amortized live --json'.split()
    assert main(['benchmark', 'enhancement', *words, str(tmp_path / 'out.json')]) == 0
    shown = capsys.readouterr().out
    assert 'VAE amortized' in shown and 'SI-SDR in dB' in shown
    figures = json.loads((tmp_path / 'out.json').read_text())
    methods = [row['method'] for row in figures['rows']]
    assert methods[:4] == [NOISY, LSA, 'VAE amortized', 'VAE live']
    noisy = figures['rows'][0]
    assert noisy['si_sdr_db'] == pytest.approx(noisy['snr_db'], abs=1.0)


@pytest.mark.parametrize(
    ('words', 'told'),
    [
        ('--clips 0', '--clips must be at least 1'),
        ('--duration 0.5', '--duration from 1 to 60 s'),
        ('--priors magic', "no prior of speech is called 'magic'"),
    ],
)
def test_mistakes_are_told_before_any_work(words, told, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv('AV_PERCEPTION_DATA', str(tmp_path))
    assert main(['benchmark', 'enhancement', *words.split()]) == 2
    assert told in capsys.readouterr().err
