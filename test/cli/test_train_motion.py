# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The verb `train motion`: what it refuses, and that its stages are a whole."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest

from av_perception.benchmarks.motion_skeletons import SkeletonRow
from av_perception.cli.main import main
from av_perception.cli.trainings.motion import RECIPE, check_rows, verdict
from av_perception.errors import UserError
from av_perception.motion_forecast.skeletons import CHOSEN_BY, Clip
from av_perception.networks.weights import load_arrays

STILL = SkeletonRow('all', 'still', 65, 0.50, 0.65, 0.0, (), 0, 0.0)
OURS = SkeletonRow('all', 'HiT-DVAE', 65, 0.40, 0.50, 2.5, (), 4, 0.1)


def test_stages_take_the_whole_time():
    assert sum(share for share, _ in RECIPE) == pytest.approx(1.0)


def test_weights_that_are_better_come_with_their_figures():
    assert 'ADE 0.400 m' in verdict(OURS, STILL)


@pytest.mark.parametrize(
    'change, reason',
    [
        ({'ade_m': 0.51}, 'no better than standing still'),
        ({'fde_m': 0.65}, 'no better than standing still'),
        ({'apd_m': 0.1}, 'hardly differ'),
        ({'ade_m': float('nan')}, 'no better than standing still'),
    ],
)
def test_weights_that_are_not_are_refused_with_a_reason(change, reason):
    with pytest.raises(UserError, match=reason) as refusal:
        verdict(replace(OURS, **change), STILL)
    assert len(str(refusal.value).splitlines()) == 1


def test_weights_of_noise_are_refused():
    """The shipped network with another generator stands for one that learned nothing."""
    arrays = dict(load_arrays('hit_dvae_motion'))
    for name in arrays:
        if name.startswith('step.'):
            arrays[name] = np.float32(60) * arrays[name]
    seconds = np.arange(0, 4.2, 1 / 120)
    center = np.asarray(arrays['center'], float).reshape(21, 3)
    swing = 0.1 * np.sin(2 * np.pi * seconds)[:, None, None] * np.array([0.0, 0.0, 1.0])
    with pytest.raises(UserError, match='no better than standing still'):
        verdict(*check_rows(arrays, [Clip('walking', CHOSEN_BY[-1], center + swing)]))


def test_own_clips_cannot_be_checked():
    assert check_rows(load_arrays('hit_dvae_motion'), []) is None


def test_without_pytorch_it_says_what_to_install(tmp_path, monkeypatch, capsys):
    for module in [name for name in sys.modules if name.startswith('av_perception.training')]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, 'torch', None)
    assert main(['train', 'motion', 'clips.npz', '-o', str(tmp_path / 'x.npz')]) != 0
    assert 'pip install "av_perception[train]"' in capsys.readouterr().err
