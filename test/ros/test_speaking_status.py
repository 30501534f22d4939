# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The node `speaking_status` over DDS: both methods, missing or broken sound, moving heads."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from av_perception_msgs.msg import AudioChunk as AudioChunkMsg
from av_perception_msgs.msg import SpeakingStatusArray, TrackArray
from planted_voices import track_at
from tf2_msgs.msg import TFMessage

from av_perception.audio.bin_stream import BinStream, direction_likelihood
from av_perception.diarization.speaking_estimator import SpeakingEstimator, SpeakingEstimatorConfig
from av_perception.diarization.speaking_filter import SpeakingFilter
from av_perception.geometry.rigid_transform import RigidTransform
from av_perception.interfaces import AudioChunk, TrackFrame
from av_perception.nodes.speaking_status import SpeakingStatusNode
from av_perception.robot_head import load_head
from av_perception.ros import transforms
from av_perception.ros.conversions import (
    audio_chunk_to_msg,
    speaking_frame_from_msg,
    track_frame_from_msg,
    track_frame_to_msg,
    transform_to_msg,
)
from av_perception.simulation.cache import simulated_recording

pytestmark = pytest.mark.slow

START_NS = 10**9
PERIOD_NS = 40_000_000
CHUNK = 1024  # samples
NUM_FRAMES = 60
HEAD = load_head('simulated')
INPUTS = {'tracks': TrackArray, 'audio': AudioChunkMsg}
OUTPUT = ('speaking_status', SpeakingStatusArray)


@pytest.fixture(scope='module')
def chunks():
    """Two talkers, as the microphones of the simulated head hear them."""
    recording = simulated_recording('short')
    sound = recording.read_audio(0, NUM_FRAMES * 640 + 4 * CHUNK)
    return [
        AudioChunk(
            START_NS + round(first * 1e9 / 16000), 16000, first, sound[first : first + CHUNK]
        )
        for first in range(0, len(sound), CHUNK)
    ]


@pytest.fixture(scope='module')
def frames():
    """Tracks where the talkers of the scene sit; of the sound the second has all."""
    truth = simulated_recording('short').truth
    azimuth = {}
    for i in np.unique(truth.id):
        x, y = truth.position[truth.id == i][0, :2]
        azimuth[int(i)] = np.degrees(np.arctan2(y, x))
    tracks = tuple(track_at(i, a, share=float(i == max(azimuth))) for i, a in azimuth.items())
    return [TrackFrame(START_NS + k * PERIOD_NS, tracks, True) for k in range(NUM_FRAMES)]


def message(frame, frame_id=HEAD.base_frame):
    return track_frame_to_msg(frame, frame_id)


def play(one, frames, chunks, frame_id=HEAD.base_frame, before_frame=lambda frame: None):
    """Tracks in their order, each after the sound that is captured by then."""
    left = list(chunks)
    for frame in frames:
        while left and left[0].stamp_ns <= frame.stamp_ns:
            one.send('audio', audio_chunk_to_msg(left.pop(0), HEAD.microphones.frame))
        before_frame(frame)
        one.send('tracks', message(frame, frame_id))
    for chunk in left:
        one.send('audio', audio_chunk_to_msg(chunk, HEAD.microphones.frame))
    assert one.until(lambda: len(one.heard) == len(frames)), len(one.heard)
    return [speaking_frame_from_msg(m) for m in one.heard]


def expected(frames, chunks, pose=HEAD.microphones.base_from_array):
    """What the estimator says offline, of what the messages hold."""
    likelihood = direction_likelihood(HEAD.microphones)
    bins = BinStream(likelihood, 16000)
    estimator = SpeakingEstimator(SpeakingEstimatorConfig(audio_wait_s=np.inf), likelihood)
    for chunk in chunks:
        estimator.take_blocks(bins.push(chunk))
    for frame in frames:
        estimator.follow(track_frame_from_msg(message(frame)), pose, 0)
    return [status for _, status in estimator.poll(0) + estimator.flush()]


def assert_same(live, offline):
    for one, other in zip(live, offline, strict=True):
        assert one.stamp_ns == other.stamp_ns
        for a, b in zip(one.statuses, other.statuses, strict=True):
            assert (a.id, a.speaking, a.since_ns) == (b.id, b.speaking, b.since_ns)
            assert a.probability == pytest.approx(b.probability, abs=1e-6)


def test_the_node_says_what_the_estimator_says_offline(bench, frames, chunks):
    one = bench(SpeakingStatusNode, INPUTS, OUTPUT)
    one.stop_time()
    said = play(one, frames, chunks)
    assert_same(said, expected(frames, chunks))
    assert any(s.speaking for status in said for s in status.statuses)
    assert {m.header.frame_id for m in one.heard} == {HEAD.base_frame}


def test_method_vavit_needs_no_sound_and_is_the_published_filter(bench, frames):
    one = bench(SpeakingStatusNode, {'tracks': TrackArray}, OUTPUT, method='vavit')
    published = SpeakingFilter()
    offline = [published.step(track_frame_from_msg(message(frame))) for frame in frames]
    assert_same(play(one, frames, ()), offline)
    assert not [s for s in one.node.subscriptions if s.topic_name.endswith('/audio')]


def test_without_sound_the_node_says_so_and_falls_back_to_vavit(bench, frames):
    one = bench(SpeakingStatusNode, INPUTS, OUTPUT)
    statuses = one.listen_to_diagnostics()
    published = SpeakingFilter()
    offline = [published.step(track_frame_from_msg(message(frame))) for frame in frames]
    assert_same(play(one, frames, ()), offline)
    assert one.counted('tracks without sound') > 0
    assert one.until(lambda: any('no message on /audio' in s.message for s in statuses))


def test_a_gap_in_the_sound_leaves_no_track_without_status(bench, frames, chunks):
    heard = [c for k, c in enumerate(chunks) if not 12 <= k < 26]
    one = bench(SpeakingStatusNode, INPUTS, OUTPUT)
    said = play(one, frames, heard)
    assert [s.stamp_ns for s in said] == [f.stamp_ns for f in frames]
    assert one.counted('gaps in the sound') == 1


def test_broken_sound_and_places_that_are_no_numbers_are_survived(bench, frames, chunks):
    """NaN samples, a covariance and a place of NaN, ids that come and go."""
    broken = [
        replace(c, samples=np.full_like(c.samples, np.nan)) if k % 9 == 4 else c
        for k, c in enumerate(chunks)
    ]
    lost = replace(track_at(9, 0), mean=np.full(6, np.nan), covariance=np.full((6, 6), np.nan))
    changing = []
    for k, frame in enumerate(frames):
        kept = [t for t in frame.tracks if (k // 7 + t.id) % 3]
        changing.append(replace(frame, tracks=tuple(kept)))
    one = bench(SpeakingStatusNode, INPUTS, OUTPUT)

    def send_stranger(frame):
        one.send('tracks', message(replace(frame, tracks=(*frame.tracks, lost))))

    said = play(one, changing, broken, before_frame=send_stranger)
    for frame, status in zip(changing, said):
        assert [s.id for s in status.statuses] == [t.id for t in frame.tracks]
        assert all(0 <= s.probability <= 1 for s in status.statuses)
    assert one.counted('NaN') > 0
    assert one.counted('dropped from /tracks') == len(frames)


def test_a_moving_head_hears_where_its_transforms_say(bench, frames, chunks, monkeypatch):
    monkeypatch.setattr(transforms, 'make_lookup', transforms.OwnLookup)
    odom_from_base = RigidTransform.from_xyz_rpy((2.0, 1.0, 0.0), (0.0, 0.0, 1.2))
    moved = []
    for frame in frames:
        tracks = [
            replace(t, mean=np.r_[odom_from_base.apply(t.mean[:3]), np.zeros(3)])
            for t in frame.tracks
        ]
        moved.append(replace(frame, tracks=tuple(tracks)))
    array = HEAD.microphones

    def send_transforms(frame):
        one.send(
            '/tf',
            TFMessage(
                transforms=[
                    transform_to_msg(odom_from_base, 'odom', HEAD.base_frame, frame.stamp_ns),
                    transform_to_msg(
                        array.base_from_array, HEAD.base_frame, array.frame, frame.stamp_ns
                    ),
                    transform_to_msg(
                        HEAD.camera.base_from_optical,
                        HEAD.base_frame,
                        HEAD.camera.frame,
                        frame.stamp_ns,
                    ),
                ]
            ),
        )

    inputs = {**INPUTS, '/tf': TFMessage}
    one = bench(SpeakingStatusNode, inputs, OUTPUT, reference_frame='odom')
    one.stop_time()
    said = play(one, moved, chunks, 'odom', send_transforms)
    for live, offline in zip(said, expected(frames, chunks), strict=True):
        assert [s.speaking for s in live.statuses] == [s.speaking for s in offline.statuses]
    assert not one.counted('without transform')


def test_where_no_transform_comes_the_sound_is_not_judged_but_all_tracks_are(
    bench, frames, chunks, monkeypatch
):
    monkeypatch.setattr(transforms, 'make_lookup', transforms.OwnLookup)
    one = bench(SpeakingStatusNode, INPUTS, OUTPUT, reference_frame='odom')
    said = play(one, frames[:20], chunks[:20], 'odom')
    assert not any(s.speaking for status in said[5:] for s in status.statuses)
    assert one.counted('without transform') == 20


def test_the_method_takes_effect_at_configure_only(bench):
    from rclpy.parameter import Parameter

    one = bench(SpeakingStatusNode, {'tracks': TrackArray}, OUTPUT)
    refused = one.node.set_parameters([Parameter('method', value='vavit')])[0]
    assert not refused.successful and 'takes effect at configure' in refused.reason
    assert one.node.set_parameters([Parameter('look_ahead', value=0.08)])[0].successful
    assert one.node._estimator._joint.config.look_ahead_s == 0.08
