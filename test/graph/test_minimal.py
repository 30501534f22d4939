# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The minimal mode as separate processes over DDS on a short simulated scene: it takes the tracker's place, topic by topic."""

from __future__ import annotations

import pytest

from av_perception.evaluation.metrics import evaluate
from av_perception.pipelines.full import START_NS
from av_perception.pipelines.two_microphones import TwoMicrophonePipeline
from av_perception.recording.collect import collect_tracks
from av_perception.ros.bringup.graph import Selection
from av_perception.ros.bringup.session import play_through_graph
from av_perception.simulation.cache import simulated_recording


@pytest.fixture(scope='module')
def recording():
    """Seven seconds of two talkers; rendered once."""
    return simulated_recording('short')


@pytest.fixture(scope='module')
def session(recording, tmp_path_factory):
    """What the graph said of the scene."""
    return play_through_graph(
        recording,
        tmp_path_factory.mktemp('graph') / 'logs',
        selection=Selection('minimal', events=True),
    )


def test_people_are_followed_and_heard(recording, session):
    metrics = evaluate(collect_tracks(session.frames, session.origin_ns), recording.truth)
    assert metrics.mota >= 0.85 and metrics.id_switches == 0 and metrics.der <= 0.3
    assert len(session.latency_ms) >= 0.9 * recording.num_frames, (
        'every image has its speaking status'
    )


def test_only_the_nodes_of_the_mode_run_and_stop_cleanly(session):
    assert set(session.exit_statuses) == {
        'microphone_array',
        'stereo_camera',
        'visual_features',
        'face_itd_fusion',
        'visualizer',
        'truth',
        'av_events',
    }
    assert set(session.exit_statuses.values()) == {0}
    for node in ('face_itd_fusion', 'av_events'):
        assert (
            0 < session.usage[node].cpu_s < recording_seconds(session)
            and 20 < session.usage[node].peak_mib < 1000
        )


def recording_seconds(session) -> float:
    """From the first stamp to the last."""
    stamps = [frame.stamp_ns for frame, _ in session.frames]
    return 1e-9 * (max(stamps) - min(stamps))


def test_the_offline_pipeline_agrees_with_the_graph(recording, session):
    offline = evaluate(
        collect_tracks(TwoMicrophonePipeline(recording, 'minimal').run(), START_NS),
        recording.truth,
    )
    live = evaluate(collect_tracks(session.frames, session.origin_ns), recording.truth)
    assert offline.mota >= 0.95 and offline.position_rmse_m <= 0.05 and offline.der <= 0.2
    assert offline.mota == pytest.approx(live.mota, abs=0.05) and offline.der == pytest.approx(
        live.der, abs=0.1
    )
