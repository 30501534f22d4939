# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The priors that ship, on talkers whom their training has not seen."""

from __future__ import annotations

import json

import numpy as np
import pytest

from av_perception.benchmarks.speech_priors import compare, unseen_talkers
from av_perception.cli.main import main
from av_perception.dvae.speech_prior import PRIORS, load_prior


@pytest.mark.slow
def test_priors_know_the_speech_of_unseen_talkers(data_directory):
    """Three of the talkers, a few seconds each; docs/speech_priors.md has all."""
    sounds = [
        sound[:64000] for sound in unseen_talkers(data_directory / 'speech/librispeech_train', 3)
    ]
    rows = {row.name: row for row in compare({n: load_prior(n) for n in PRIORS}, sounds)}
    vae = rows['vae']
    assert vae.mean_si_sdr_db >= 3
    for name in ('rvae', 'dkf'):
        assert rows[name].mean_si_sdr_db >= vae.mean_si_sdr_db + 1.5
    assert rows['srnn'].mean_si_sdr_db >= vae.mean_si_sdr_db
    assert np.isfinite(rows['srnn'].true_past_db)
    if np.isfinite(vae.mean_estoi):  # pystoi is installed
        assert vae.mean_estoi >= 0.75
        for name in ('rvae', 'dkf'):
            assert rows[name].mean_estoi >= vae.mean_estoi + 0.03
        assert rows['srnn'].mean_estoi >= vae.mean_estoi


@pytest.mark.slow
def test_the_benchmark_writes_a_row_per_prior(data_directory, tmp_path, monkeypatch, capsys):
    import av_perception.cli.benchmarks.speech_priors as command

    monkeypatch.setattr(command, 'QUICK', 1)
    folder = data_directory / 'speech' / 'librispeech_train'
    path = tmp_path / 'priors.json'
    words = ['benchmark', 'speech-priors', '--quick', '--speech', str(folder), '--json', str(path)]
    assert main(words) == 0
    found = json.loads(path.read_text())
    assert [row['name'] for row in found['priors']] == list(PRIORS)
    assert found['talkers'] == 1
    assert 'wide_vae' in capsys.readouterr().out


def test_a_folder_that_is_not_there_is_answered(tmp_path, capsys):
    assert main(['benchmark', 'speech-priors', '--speech', str(tmp_path / 'none')]) != 0
    assert '--speech must name' in capsys.readouterr().err
