# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What hearing with eyes costs is measured stage by stage and written."""

from __future__ import annotations

import json

import pytest

from av_perception.audio_visual.seen_stream import CVAE, MIN_VAE, SWVAE
from av_perception.benchmarks import lip_cost
from av_perception.cli.main import main


@pytest.mark.slow
def test_all_stages_are_measured(tmp_path, capsys, monkeypatch):
    shortest = lip_cost.lip_costs
    monkeypatch.setattr(lip_cost, 'lip_costs', lambda: shortest(0.5, 1))
    assert main(['benchmark', 'lips', '--cost', '--json', str(tmp_path / 'cost.json')]) == 0
    shown = capsys.readouterr().out
    costs = json.loads((tmp_path / 'cost.json').read_text())['costs']
    stages = [row['stage'] for row in costs]
    assert stages[:3] == ['mouths of two faces', 'reading them', 'vae without eyes']
    assert stages[3:] == [f'vae, {mode}' for mode in (CVAE, MIN_VAE, SWVAE)]
    assert all(stage in shown for stage in stages)
    assert all(row['cores'] > 0 for row in costs)
