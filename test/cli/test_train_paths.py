# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The verb `train paths`, whole: weights that both methods can load."""

from __future__ import annotations

import pytest

from av_perception.cli.main import main
from av_perception.cli.trainings import paths
from av_perception.dvae.model_file import model_of
from av_perception.motion_forecast.path_dvae import PathDvae
from av_perception.motion_forecast.path_gate import NUM_FEATURES, gate_from_arrays
from av_perception.networks.weights import read_arrays

KINDS = ('standing', 'crossings')


@pytest.fixture()
def few(monkeypatch):
    """Two kinds of walks, a scene of each."""
    pytest.importorskip('torch', reason='PyTorch is not installed (extra train)')
    monkeypatch.setattr(paths, 'KINDS', {kind: 1.0 for kind in KINDS})
    monkeypatch.setattr(paths, 'HELD_OUT', {kind: 1 for kind in KINDS})
    monkeypatch.setattr(paths, '_MORE', {})


@pytest.mark.slow
def test_the_gate_is_trained_and_written(tmp_path, few):
    out = tmp_path / 'gate.npz'
    assert main(['train', 'paths', '--seeds', '1', '--steps', '2', '-o', str(out)]) == 0
    assert gate_from_arrays(read_arrays(out)).weights_in.shape[0] == NUM_FEATURES


@pytest.mark.slow
def test_the_srnn_is_trained_and_written_with_its_card(tmp_path, few):
    out = tmp_path / 'srnn.npz'
    words = ['--method', 'dvae', '--seeds', '1', '--steps', '2', '-o', str(out)]
    assert main(['train', 'paths', *words]) == 0
    model, card = model_of(read_arrays(out), str(out))
    assert model.name == 'srnn' and card['steps'] == 2 and card['windows'] > 10
    PathDvae(model, card)
    assert out.stat().st_size < 200_000


@pytest.mark.parametrize('words', [('--seeds', '0'), ('--steps', '0'), ('--method', 'oracle')])
def test_senseless_arguments_are_refused(tmp_path, capsys, words):
    try:
        code = main(['train', 'paths', *words, '-o', str(tmp_path / 'x.npz')])
    except SystemExit as stop:
        code = stop.code
    assert code not in (0, None)
    assert words[0] in capsys.readouterr().err
