# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The verb train: from a folder of sounds to weights that enhancement can load."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from toy_talkers import write_talkers

from av_perception.cli.main import main


def run(*words) -> int:
    return main(['train', 'speech-prior', *map(str, words)])


def test_without_pytorch_it_says_what_to_install(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, 'torch', None)
    write_talkers(tmp_path / 'speech', 3)
    assert run(tmp_path / 'speech', '-o', tmp_path / 'vae.npz') != 0
    assert 'pip install "av_perception[train]"' in capsys.readouterr().err


def test_errors_say_what_to_do(tmp_path, capsys):
    pytest.importorskip('torch', reason='PyTorch is not installed (extra train)')
    speech = write_talkers(tmp_path / 'speech', 3)
    out = tmp_path / 'out.npz'
    for words, expected in (
        ((tmp_path / 'none', '-o', out), 'there is no folder'),
        ((speech, '-o', out), 'has 3 talkers'),
        ((speech, '-o', out, '--model', 'gan'), 'known: vae'),
        ((speech, '-o', out, '--model', 'rvae'), '--vae FILE'),
        ((speech, '-o', out, '--epochs', '0'), '--epochs must be positive'),
        ((speech, '-o', out, '--check', '0'), '--check and --test must be positive'),
        ((speech, '-o', out, '--vae', out), 'begins at random'),
        ((speech, '-o', out, '--model', 'dkf', '--vae', out), 'cannot read'),
    ):
        assert run(*words) != 0
        assert expected in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.slow
def test_from_sounds_to_priors(tmp_path):
    """A VAE, an SRNN that begins as it, and a second call that only reads what is there."""
    pytest.importorskip('torch', reason='PyTorch is not installed (extra train)')
    from av_perception.dvae.speech_prior import load_prior

    speech = write_talkers(tmp_path / 'speech', 5)
    held_out = ('--check', 1, '--test', 1, '--epochs', 1)
    vae = tmp_path / 'vae.npz'
    report = tmp_path / 'report.json'
    words = (speech, '-o', vae, *held_out, '--json', report, '--data', 'buzzes')
    assert run(*words) == 0
    first = vae.read_bytes()
    assert run(*words) == 0
    assert vae.read_bytes() == first
    found = json.loads(report.read_text())
    assert len(found['history']) == 1
    assert np.isfinite(found['resynthesis']['own_past']['si_sdr_db'])
    assert {len(names) for names in found['talkers'].values()} == {3, 1}
    srnn = tmp_path / 'srnn.npz'
    assert run(speech, '--model', 'srnn', '--vae', vae, '-o', srnn, *held_out) == 0
    prior = load_prior(str(srnn))
    assert prior.card['data'] == 'speech'
    assert set(prior.card['resynthesis']) == {'own_past', 'true_past'}
    assert load_prior(str(vae)).card['talkers'] == {'train': 3, 'check': 1, 'test': 1}
