# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The benchmark of rendered scenes, on one of three seconds."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
from tracking_scenes import HEAD, START_NS, face_at, image

from av_perception.benchmarks.rendered_scenes import (
    SceneResult,
    found_share,
    switches_per_minute,
)
from av_perception.cli.main import main
from av_perception.recording.tables import TruthTable

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
    assert result['faces_found'] > 0.8
    assert result['mota_seen'] > 0.8 and result['position_rmse_seen_m'] < 0.1
    assert result['azimuth_error_heard_deg'] is None
    assert (tmp_path / 'pictures' / 'one_5.png').stat().st_size > 10000


def test_switches_are_counted_per_minute_over_all_scenes():
    results = [
        SceneResult('a', None, 0.5, 3, 3, 1, 1.0, 1.0, 1.0, 0.0, 0.1, None, None),
        SceneResult('b', None, 1.5, 3, 4, 2, 1.0, 1.0, 1.0, 0.0, 0.1, None, None),
    ]
    assert switches_per_minute(results) == pytest.approx(1.5)


def test_faces_are_found_where_they_are_near_the_person_in_the_same_image():
    assert START_NS == 10**9
    truth = TruthTable(
        time_s=np.array([0.0, 0.0, 0.04, 0.04, 0.08]),
        id=np.array([1, 2, 1, 2, 1]),
        position=np.array([[2.0, 0.4, 0.1], [2.0, -0.4, 0.1]] * 2 + [[2.0, 0.4, 0.1]]),
        speaking=np.zeros(5, bool),
        visible=np.array([True, True, True, False, True]),
    )
    near = face_at([2.1, 0.4, 0.1])
    far = face_at([2.0, 1.0, 0.1])
    images = [image(0, near, far), image(1, far), image(2)]
    recording = SimpleNamespace(head=HEAD)
    assert found_share(images, truth, recording) == pytest.approx(1 / 4)
    assert (
        found_share(images[:1], truth, SimpleNamespace(head=SimpleNamespace(camera=None))) is None
    )
