# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The whole graph as separate processes over DDS on a short simulated scene: start, results against the truth, clean shutdown."""

from __future__ import annotations

import numpy as np
import pytest

from av_perception.evaluation.metrics import evaluate
from av_perception.pipelines.full import START_NS, OfflinePipeline
from av_perception.recording.collect import collect_tracks
from av_perception.recording.timing import image_stamp_ns
from av_perception.ros.bringup.session import play_through_graph
from av_perception.simulation.cache import simulated_recording


@pytest.fixture(scope='module')
def recording():
    """Seven seconds of two talkers; rendered once."""
    return simulated_recording('short')


@pytest.fixture(scope='module')
def session(recording, tmp_path_factory):
    """What the graph said of the scene."""
    folder = tmp_path_factory.mktemp('graph')
    return play_through_graph(recording, folder / 'logs', folder / 'bag'), folder


def test_the_people_are_tracked(recording, session):
    result, _ = session
    metrics = evaluate(collect_tracks(result.frames, result.origin_ns), recording.truth)
    assert metrics.mota >= 0.85
    assert metrics.id_switches == 0 and all(metrics.ids_kept.values())
    assert metrics.position_rmse_m <= 0.15
    assert metrics.der <= 0.4


def test_stamps_are_those_of_the_images(recording, session):
    result, _ = session
    images = {result.origin_ns + image_stamp_ns(recording, k) for k in range(recording.num_frames)}
    stamps = [frame.stamp_ns for frame, _ in result.frames]
    assert len(set(stamps) & images) >= 0.9 * len(images)
    assert len(result.latency_ms) >= 0.9 * len(images)


def test_truth_and_bag_are_there(recording, session):
    from rosbags.highlevel import AnyReader

    result, folder = session
    assert result.truth_messages == len(np.unique(recording.truth.time_s))
    with AnyReader([folder / 'bag']) as reader:
        counts = {c.topic: c.msgcount for c in reader.connections}
    for topic in (
        '/audio',
        '/audio_features',
        '/visual_features',
        '/tracks',
        '/speaking_status',
        '/truth',
        '/markers',
        '/tf',
        '/tf_static',
        '/diagnostics',
    ):
        assert counts.get(topic, 0) > 0, topic


def test_every_node_stops_cleanly(session):
    result, _ = session
    assert set(result.exit_statuses.values()) == {0}, result.exit_statuses


def test_the_offline_pipeline_agrees_with_the_graph(recording, session):
    result, _ = session
    live = collect_tracks(result.frames, result.origin_ns)
    offline = collect_tracks(OfflinePipeline(recording).run(), START_NS)
    a, b = evaluate(live, recording.truth), evaluate(offline, recording.truth)
    assert set(live.id) == set(offline.id)
    assert a.mota == pytest.approx(b.mota, abs=0.05)
    assert a.position_rmse_m == pytest.approx(b.position_rmse_m, abs=0.02)
    assert a.der == pytest.approx(b.der, abs=0.1)
