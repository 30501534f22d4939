# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The whole graph as separate processes over DDS on a short simulated scene, in lock-step.

However busy the machine, every image is answered, and with the answer of the offline pipeline; and
what is heard of each person is what `track` writes. Given the same tracks it is so bit for bit
(`test/ros/test_voices.py`). Faces travel with single precision, so that tracks, and with them
streams, differ from those offline in the last bits.
"""

from __future__ import annotations

import numpy as np
import pytest
from av_perception_msgs.msg import AudioChunk as AudioChunkMsg
from dds_domains import free_domain
from offline_runs import offline_run
from same_tracks import assert_same_tracks

from av_perception.evaluation.metrics import evaluate
from av_perception.pipelines.full import START_NS
from av_perception.recording.collect import collect_tracks
from av_perception.recording.timing import image_stamp_ns
from av_perception.ros import qos
from av_perception.ros.bringup.graph import Selection
from av_perception.ros.bringup.lock_step import play_in_lock_step
from av_perception.ros.conversions import audio_chunk_from_msg
from av_perception.ros.observer import GraphObserver
from av_perception.separation.person_streams import LATE_TRACKS
from av_perception.simulation.cache import simulated_recording

pytestmark = pytest.mark.slow
IDS = (1, 2)  # the tracker numbers people from 1


@pytest.fixture(scope='module')
def recording():
    """Seven seconds of two talkers; rendered once."""
    return simulated_recording('short')


@pytest.fixture(scope='module')
def played(recording, tmp_path_factory):
    """(what the graph said of the scene, the folder of bag and logs, by id the chunks heard)."""
    folder = tmp_path_factory.mktemp('graph')
    domain = free_domain()
    messages = {key: [] for key in IDS}
    with GraphObserver(domain_id=domain) as ear:
        for key in IDS:
            topic = f'voices/person_{key}'
            ear.node.create_subscription(
                AudioChunkMsg, topic, messages[key].append, qos.voice(0.016)
            )
        selection = Selection(voices=True)
        result = play_in_lock_step(
            recording, folder / 'logs', folder / 'bag', selection, domain_id=domain
        )
    chunks = {key: [audio_chunk_from_msg(m) for m in messages[key]] for key in IDS}
    return result, folder, chunks


@pytest.fixture(scope='module')
def session(played):
    """What the graph said of the scene, and the folder of the bag and the logs."""
    return played[:2]


def test_the_people_are_tracked(recording, session):
    result, _ = session
    metrics = evaluate(collect_tracks(result.frames, result.origin_ns), recording.truth)
    assert metrics.mota >= 0.95
    assert metrics.id_switches == 0 and all(metrics.ids_kept.values())
    assert metrics.position_rmse_m <= 0.02
    assert metrics.der <= 0.2


def test_every_image_is_answered_with_its_stamp(recording, session):
    result, _ = session
    images = [result.origin_ns + image_stamp_ns(recording, k) for k in range(recording.num_frames)]
    assert [frame.stamp_ns for frame, _ in result.frames] == images
    for frame, speaking in result.frames:
        assert {s.id for s in speaking.statuses} == {t.id for t in frame.tracks}


def test_nothing_is_dropped(session):
    """The one gap in the sound, between rehearsal and play, is meant.

    Regression: on a busy machine, blank images of the rehearsal were late.
    """
    result, _ = session
    counted = result.counted()
    lost = ('dropped', 'refused', 'left out', 'late', 'stragglers', 'resets', 'unused')
    assert not [e for e in counted if counted[e] and any(word in e for word in lost)], counted
    assert counted['audio_features, sound: gaps in the sound'] == 1


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
    assert set(result.exit_statuses) == {
        'audio_features',
        'visual_features',
        'tracker',
        'speaking_status',
        'visualizer',
        'voices',
        'bag_recorder',
    }
    assert set(result.exit_statuses.values()) == {0}, result.exit_statuses


def test_the_offline_pipeline_agrees_with_the_graph(session):
    result, _ = session
    live = collect_tracks(result.frames, result.origin_ns)
    assert_same_tracks(live, offline_run('short').tracks)


# ---- voices


@pytest.fixture(scope='module')
def offline():
    """By id the chunks that the pipeline gives."""
    return offline_run('short').voices


def samples_by_time(chunks, origin_ns):
    """(when each sample was captured [samples since second 0], the samples)."""
    places = [
        round((chunk.stamp_ns - origin_ns) * 16e-6) + np.arange(len(chunk.samples))
        for chunk in chunks
    ]
    return np.concatenate(places), np.concatenate([chunk.samples[:, 0] for chunk in chunks])


@pytest.mark.parametrize('key', IDS)
def test_live_and_offline_are_the_same_but_for_rounding(key, offline, played):
    session, _, chunks = played
    places, samples = samples_by_time(chunks[key], session.origin_ns)
    offline_places, expected = samples_by_time(offline[key], START_NS)
    # Offline the sound fades out at its end; live silence follows.
    count = min(len(samples), len(expected)) - 1024
    assert count > 0.9 * len(expected)
    assert np.array_equal(places[:count], offline_places[:count])
    np.testing.assert_allclose(samples[:count], expected[:count], atol=1e-4)


def test_each_person_has_the_own_words(recording, offline):
    """The turns of the scene: 0.4 to 2.6 and 5.0 to 6.6 s, 3.0 to 5.3 s."""
    truth = recording.truth
    sounds = {key: samples_by_time(chunks, START_NS) for key, chunks in offline.items()}
    assert set(sounds) == set(IDS)

    def level(key, start, end):
        places, samples = sounds[key]
        if places[0] > 16000 * start:
            return 0.0  # the stream begins later
        return np.sqrt(np.mean(samples[(places >= 16000 * start) & (places < 16000 * end)] ** 2))

    early = max(IDS, key=lambda key: level(key, 0.8, 2.5))
    (late,) = set(IDS) - {early}
    assert len(set(truth.id.tolist())) == 2
    assert level(late, 3.3, 4.8) > 5.6 * level(early, 3.3, 4.8), '15 dB'
    assert level(early, 5.6, 6.5) > 5.6 * level(late, 5.6, 6.5)


def test_no_sound_goes_on_without_its_tracks(session):
    """Regression: beside a busy process the node fell two images behind, and gave up waiting."""
    counted = session[0].counted()
    assert [event for event, count in counted.items() if LATE_TRACKS in event and count] == []
