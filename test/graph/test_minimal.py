# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The minimal mode as separate processes over DDS, in lock-step: it takes the tracker's place."""

from __future__ import annotations

import pytest
from dds_domains import free_domain
from same_tracks import assert_same_tracks

from av_perception.evaluation.metrics import evaluate
from av_perception.pipelines.full import START_NS
from av_perception.pipelines.two_microphones import TwoMicrophonePipeline
from av_perception.recording.collect import collect_tracks
from av_perception.ros.bringup.graph import Selection
from av_perception.ros.bringup.lock_step import play_in_lock_step
from av_perception.simulation.cache import simulated_recording

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def recording():
    """Seven seconds of two talkers; rendered once."""
    return simulated_recording('short')


@pytest.fixture(scope='module')
def session(recording, tmp_path_factory):
    """What the graph said of the scene."""
    return play_in_lock_step(
        recording,
        tmp_path_factory.mktemp('graph') / 'logs',
        selection=Selection('minimal', events=True),
        domain_id=free_domain(),
    )


def test_people_are_followed_and_heard(recording, session):
    metrics = evaluate(collect_tracks(session.frames, session.origin_ns), recording.truth)
    assert metrics.mota >= 0.95 and metrics.id_switches == 0
    assert metrics.position_rmse_m <= 0.05 and metrics.der <= 0.2
    assert len(session.frames) == recording.num_frames, 'every image has its speaking status'


def test_only_the_nodes_of_the_mode_run_and_stop_cleanly(session):
    assert set(session.exit_statuses) == {
        'visual_features',
        'face_itd_fusion',
        'visualizer',
        'av_events',
    }
    assert set(session.exit_statuses.values()) == {0}
    for node in ('face_itd_fusion', 'av_events'):
        usage = session.usage[node]
        assert usage.cpu_s > 0
        assert 20 < usage.peak_mib < 1000


def test_the_offline_pipeline_agrees_with_the_graph(recording, session):
    offline = collect_tracks(TwoMicrophonePipeline(recording, 'minimal').run(), START_NS)
    assert_same_tracks(collect_tracks(session.frames, session.origin_ns), offline)
