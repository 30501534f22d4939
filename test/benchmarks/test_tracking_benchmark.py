# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The tracker benchmark: everybody is tracked while the clock runs. No time is asserted."""

from __future__ import annotations

import json

import pytest

from av_perception.benchmarks import tracker_speed
from av_perception.cli.main import main
from av_perception.robot_head.profile import load_head


@pytest.mark.slow
def test_everybody_is_tracked_while_timed():
    size = tracker_speed.ProblemSize(people=5, faces=7, subbands=4, components=6, pieces=8)
    timing = tracker_speed.measure(size, load_head('simulated'), 20)
    assert timing.tracks == 5 and 0 < timing.median_ms <= timing.p99_ms


@pytest.mark.slow
def test_command_writes_figures_and_plot(tmp_path, monkeypatch, capsys):
    small = tracker_speed.ProblemSize(people=1, faces=2, subbands=2, components=4, pieces=2)
    monkeypatch.setattr(tracker_speed, 'SWEEPS', {'people': [small]})
    files = ['--json', str(tmp_path / 'a.json'), '--plot', str(tmp_path / 'a.png')]
    assert main(['benchmark', 'tracker', '--steps', '20', *files]) == 0
    figures = json.loads((tmp_path / 'a.json').read_text())
    assert figures['nominal']['size']['people'] == 8
    assert figures['sweeps']['people'][0]['tracks'] == 1
    assert (tmp_path / 'a.png').stat().st_size > 1000
    assert 'median' in capsys.readouterr().out


def test_help_teaches_an_example(capsys):
    with pytest.raises(SystemExit) as stop:
        main(['benchmark', 'tracker', '--help'])
    assert stop.value.code == 0
    assert 'av-perception benchmark tracker' in capsys.readouterr().out
