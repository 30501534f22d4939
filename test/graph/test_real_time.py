# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The graph with its sensor nodes, which do not wait: what is answered, not how much of it."""

from __future__ import annotations

import pytest

from av_perception.recording.timing import image_stamp_ns
from av_perception.ros.bringup import session
from av_perception.ros.bringup.graph import Selection
from av_perception.ros.bringup.runner import GraphRunner
from av_perception.simulation.cache import simulated_recording

pytestmark = pytest.mark.slow


def test_all_nodes_of_a_selection_play_together_and_stop_cleanly(tmp_path, monkeypatch):
    monkeypatch.setattr(session, 'START_TIMEOUT_S', 600.0)  # beside busy processes
    monkeypatch.setattr(GraphRunner.stop, '__defaults__', (120.0,))
    recording = simulated_recording('short')
    played = session.play_through_graph(
        recording, tmp_path, selection=Selection('minimal', events=True)
    )
    nodes = {
        'microphone_array',
        'stereo_camera',
        'visual_features',
        'face_itd_fusion',
        'visualizer',
        'truth',
        'av_events',
    }
    assert nodes <= set(played.diagnostics) and nodes <= set(played.usage)
    assert played.exit_statuses == {'composed': 0}
    offsets = {image_stamp_ns(recording, index) for index in range(recording.num_frames)}
    last_ns = max(offsets)
    answered = [frame.stamp_ns - played.origin_ns for frame, _ in played.frames]
    assert answered and {offset for offset in answered if offset <= last_ns} & offsets
    assert played.truth_messages > 0
    assert min(played.latency_ms) > 0
