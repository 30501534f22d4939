# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The benchmark of rendered scenes, on one of three seconds."""

from __future__ import annotations

import json

import pytest

from av_perception.benchmarks.rendered_scenes import SceneResult, switches_per_minute
from av_perception.cli.main import main

SCENE = """
duration: 3.0
room: {size: [5.0, 4.0, 2.8], t60: 0.2, head_position: [0.8, 2.0, 1.4]}
talkers:
  - id: 1
    voice: narrator
    photo: astronaut
    waypoints: [[0.0, 1.4, 0.3, 0.05]]
    turns: [[0.5, 2.5]]
"""


@pytest.mark.slow
def test_a_scene_is_rendered_tracked_and_compared(tmp_path, monkeypatch):
    monkeypatch.setenv('COLUMNS', '150')
    scene = tmp_path / 'one.yaml'
    figures = tmp_path / 'scenes.json'
    scene.write_text(SCENE)
    arguments = ['--scenes', str(scene), '--seeds', '5', '--json', str(figures)]
    pictures = ['--timelines', str(tmp_path / 'pictures')]
    assert main(['benchmark', 'scenes', *arguments, *pictures]) == 0
    (result,) = json.loads(figures.read_text())['results']
    assert result['people'] == result['ids'] == 1
    assert result['id_switches'] == 0 and result['seed'] == 5
    assert result['mota_seen'] > 0.8 and result['position_rmse_seen_m'] < 0.1
    assert result['azimuth_error_heard_deg'] is None
    assert (tmp_path / 'pictures' / 'one_5.png').stat().st_size > 10000


def test_switches_are_counted_per_minute_over_all_scenes():
    results = [
        SceneResult('a', None, 0.5, 3, 3, 1, 1.0, 1.0, 0.0, 0.1, None, None),
        SceneResult('b', None, 1.5, 3, 4, 2, 1.0, 1.0, 0.0, 0.1, None, None),
    ]
    assert switches_per_minute(results) == pytest.approx(1.5)
