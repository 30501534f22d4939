# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Planted vision is what it says, and figures of what it is worth are medians and means."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from av_perception.benchmarks.av_enhancement import (
    ALWAYS,
    AUDIO,
    HONEST,
    LIES,
    LIVE,
    NOISE,
    SWITCH,
    SeenBenchmark,
    SeenRow,
    make_trials,
    summaries,
)
from av_perception.benchmarks.av_enhancement_plot import draw_gains
from av_perception.benchmarks.av_separation import (
    TalkerMixture,
    VoicesBenchmark,
    equal_voices,
    scored,
    voices_table,
)
from av_perception.benchmarks.enhancement_clips import split_talkers
from av_perception.benchmarks.planted_vision import lying_frames, plant_vision
from av_perception.cli.main import main
from av_perception.dvae.speech_prior import load_prior

DATA = Path(os.environ.get('AV_PERCEPTION_DATA', '../shared/data'))
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason='AV_PERCEPTION_DATA is not at hand')


@needs_data
@pytest.mark.parametrize('r2', [0.0, 0.5, 0.8])
def test_features_explain_what_is_planted_of_unseen_talkers(r2):
    prior = load_prior('vae')
    planted = plant_vision(DATA, prior, 24)
    visual = planted.prior(r2)
    random = np.random.default_rng(1)
    trials = make_trials(DATA, prior, 4, 2.0)
    left = total = 0.0
    for trial in trials:
        mean, _ = visual.prior(trial.features(planted, HONEST, r2, random))
        left = left + ((trial.latents - mean) ** 2).sum(axis=0)
        total = total + ((trial.latents - planted.mean) ** 2).sum(axis=0)
    assert 1 - np.mean(left / total) == pytest.approx(r2, abs=0.07)


@needs_data
def test_where_vision_lies_it_shows_another_talker():
    prior = load_prior('vae')
    planted = plant_vision(DATA, prior, 12)
    trial = make_trials(DATA, prior, 2, 1.5)[0]
    rows = [
        trial.features(planted, vision, 0.999, np.random.default_rng(0)).values
        for vision in (HONEST, LIES)
    ]
    same = np.isclose(*rows).all(axis=1)
    np.testing.assert_array_equal(same, ~lying_frames(len(same)))
    assert lying_frames(len(same)).mean() == pytest.approx(0.4, abs=0.02)


@needs_data
@pytest.mark.slow
def test_seeing_helps_an_unseen_talker_and_the_switch_does_no_harm():
    pytest.importorskip('pystoi')
    prior = load_prior('vae')
    benchmark = SeenBenchmark(DATA, prior, [0.8], [HONEST, NOISE])
    trial = make_trials(DATA, prior, 1, 1.5)[0]
    rows = {(row.vision, row.believed): row for row in benchmark.rows(trial, 0)}
    assert len(rows) == benchmark.num_rows
    alone = rows[AUDIO, ALWAYS]
    assert rows[HONEST, ALWAYS].si_sdr_db > alone.si_sdr_db + 0.5
    assert rows[HONEST, SWITCH].si_sdr_db > alone.si_sdr_db + 0.5
    assert rows[HONEST, SWITCH].seen_honest > 0.7
    assert rows[NOISE, SWITCH].si_sdr_db > alone.si_sdr_db - 0.2
    live = rows[AUDIO, LIVE]
    assert rows[HONEST, LIVE].si_sdr_db > live.si_sdr_db + 0.2
    assert rows[NOISE, LIVE].si_sdr_db > live.si_sdr_db - 0.2
    assert rows[HONEST, LIVE].seen_honest > rows[NOISE, LIVE].seen_honest + 0.3


@needs_data
@pytest.mark.slow
def test_two_unseen_talkers_get_their_own_voices_and_swapped_faces_swap_them():
    prior = load_prior('vae')
    benchmark = VoicesBenchmark(DATA, prior)
    mixture = equal_voices(DATA, 2, 1.5, 0)
    own = benchmark.separated(mixture, 0.8, 0)
    row = scored(mixture, 'av-vae', 0.8, own)
    assert row.is_right and row.gain_db > 4
    swapped = benchmark.separated(mixture, 0.8, 0, order=(1, 0))
    other = scored(mixture, 'av-vae', 0.8, swapped)
    assert not other.is_right
    back = scored(mixture, 'av-vae', 0.8, swapped[:, ::-1])
    assert back.gain_db == pytest.approx(row.gain_db, abs=0.05)


@needs_data
def test_talkers_of_mixtures_are_unseen_and_equally_loud():
    mixture = equal_voices(DATA, 3, 1.0, 1)
    np.testing.assert_allclose(mixture.voices.std(axis=0), 0.05)
    np.testing.assert_allclose(mixture.voices.sum(axis=1), mixture.mixture)
    assert len(split_talkers(DATA)[0]) >= 3


def test_summaries_are_medians_of_differences_on_the_same_clip():
    rows = []
    for k, (alone, seen) in enumerate([(1.0, 2.0), (5.0, 5.5), (9.0, 12.0)]):
        rows.append(SeenRow(AUDIO, 0.0, ALWAYS, 'rain', 0.0, alone, 0.1 * k))
        rows.append(SeenRow(LIES, 0.5, SWITCH, 'rain', 0.0, seen, 0.1 * k + 0.02, 0.1 * k, 0.9))
    found = summaries(rows)
    assert [one.vision for one in found] == [AUDIO, LIES]
    assert found[1].gain_db == 1.0 and found[1].least_gain_db == 0.5
    assert found[1].si_sdr_db == 5.5 and found[1].estoi_gain == pytest.approx(0.02)
    assert found[1].seen_lying == pytest.approx((0.1, 0.1)) and found[1].seen_honest[0] == 0.9


def test_live_streams_are_compared_with_what_is_heard_live():
    rows = []
    for alone, live, seen in [(5.0, 1.0, 2.0), (9.0, 2.0, 3.5)]:
        rows.append(SeenRow(AUDIO, 0.0, ALWAYS, 'rain', 0.0, alone, 0.5))
        rows.append(SeenRow(AUDIO, 0.0, LIVE, 'rain', 0.0, live, 0.5))
        rows.append(SeenRow(LIES, 0.5, LIVE, 'rain', 0.0, seen, 0.5))
    found = {(one.vision, one.believed): one for one in summaries(rows)}
    assert found[LIES, LIVE].gain_db == 1.25 and found[LIES, LIVE].least_gain_db == 1.0
    assert found[AUDIO, LIVE].gain_db == found[AUDIO, ALWAYS].gain_db == 0.0


def test_an_order_is_right_where_no_other_is_nearer():
    random = np.random.default_rng(0)
    voices = random.standard_normal((2000, 3))
    mixture = TalkerMixture('three', voices.sum(axis=1), voices)
    found = voices + 0.1 * random.standard_normal(voices.shape)
    row = scored(mixture, 'one', 0.5, found)
    assert row.is_right and row.gain_db == pytest.approx(20 + 3, abs=1.0)
    wrong = scored(mixture, 'one', 0.5, found[:, [1, 0, 2]])
    assert not wrong.is_right
    table = voices_table([row, wrong])
    assert table[0][:3] == ('three', 'one', 0.5) and table[0][4] == 0.5 and table[0][5] == 2


def test_the_picture_is_drawn(tmp_path):
    rows = []
    for vision in (HONEST, LIES):
        for believed in (ALWAYS, SWITCH):
            rows += [SeenRow(vision, r2, believed, 'rain', 0.0, 3 * r2, r2) for r2 in (0.2, 0.8)]
    alone = [SeenRow(AUDIO, 0.0, ALWAYS, 'rain', 0.0, 0.0, 0.0)]
    draw_gains(summaries(alone + rows), tmp_path / 'gains.png')
    assert (tmp_path / 'gains.png').stat().st_size > 5000


@needs_data
@pytest.mark.slow
def test_the_command_measures_prints_and_writes(tmp_path, capsys, monkeypatch):
    pytest.importorskip('pystoi')
    monkeypatch.setenv('AV_PERCEPTION_DATA', str(DATA))
    words = '--quick --clips 1 --mixtures 1 --duration 1 --r2 0.5 --prior vae --json'.split()
    assert main(['benchmark', 'av-enhancement', *words, str(tmp_path / 'out.json')]) == 0
    shown = capsys.readouterr().out
    assert 'audio alone' in shown and '2 talkers, one channel' in shown
    figures = json.loads((tmp_path / 'out.json').read_text())
    assert len(figures['seen']) == 11 and len(figures['voices']) == 2


@pytest.mark.parametrize(
    ('words', 'told'),
    [
        ('--clips -1', 'must not be negative'),
        ('--duration 0.5', '--duration from 1 to 60 s'),
        ('--r2 1.0', '--r2 must lie from 0 to 1'),
        ('--prior rvae', 'rvae has a memory'),
        ('--prior magic', "no prior of speech is called 'magic'"),
    ],
)
def test_mistakes_are_told_before_any_work(words, told, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv('AV_PERCEPTION_DATA', str(tmp_path))
    assert main(['benchmark', 'av-enhancement', *words.split()]) == 2
    assert told in capsys.readouterr().err
