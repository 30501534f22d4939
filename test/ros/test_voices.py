# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The node `voices` over DDS, and its sound below /humans."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from av_perception_msgs.msg import AudioChunk as AudioChunkMsg
from av_perception_msgs.msg import TrackArray
from planted_voices import START_NS, chunks_of, frames_of, planted_voices
from rclpy.duration import Duration
from ros_bench import PATIENCE_S

from av_perception.enhancement.lsa_stream import LsaStream
from av_perception.errors import UserError
from av_perception.nodes.voices import VoicesNode
from av_perception.robot_head import load_head
from av_perception.ros import qos
from av_perception.ros.conversions import (
    audio_chunk_from_msg,
    audio_chunk_to_msg,
    track_frame_to_msg,
)
from av_perception.ros.human_voices import sound_bytes
from av_perception.separation.person_streams import LATE_TRACKS, PersonStreams, PersonStreamsConfig

pytestmark = pytest.mark.slow
HEAD = load_head('respeaker')
INPUTS = {'tracks': TrackArray, 'audio': AudioChunkMsg}
PEOPLE = {4: 35.0, 7: -35.0}


@pytest.fixture(scope='module')
def scene():
    """Two people who speak one after the other for two seconds: chunks, tracks."""
    sound = planted_voices([35.0, -35.0], [(0.3, 1.2), (1.1, 1.9)], 2.2)
    return chunks_of(sound, 512), frames_of(PEOPLE, 58)


def played(one, chunks, frames):
    """Tracks and sound in the order of their stamps."""
    left = list(chunks)
    for frame in frames:
        while left and left[0].stamp_ns + 32_000_000 <= frame.stamp_ns:
            one.send('audio', audio_chunk_to_msg(left.pop(0), HEAD.microphones.frame))
        one.send('tracks', track_frame_to_msg(frame, HEAD.base_frame))
        one.spin(0.002)
    for chunk in left:
        one.send('audio', audio_chunk_to_msg(chunk, HEAD.microphones.frame))


def heard_streams(one, heard):
    """Subscribe to both people; what comes is put below their ids."""
    for key in PEOPLE:
        heard[key] = []
        one.nodes[-1].create_subscription(
            AudioChunkMsg, f'voices/person_{key}', heard[key].append, qos.voice(0.032)
        )


def test_the_node_gives_what_the_core_gives_offline(bench, scene):
    chunks, frames = scene
    one = bench(VoicesNode, INPUTS, None, head='respeaker')
    one.stop_time()
    heard: dict = {}
    heard_streams(one, heard)
    played(one, chunks, frames)

    config = PersonStreamsConfig(track_wait_s=np.inf)
    streams = PersonStreams(HEAD.microphones, 16000, config)
    pieces = []
    for frame in frames:
        pieces += streams.follow(frame, HEAD.microphones.base_from_array)
    for chunk in chunks:
        pieces += streams.push(chunk)
    for key in PEOPLE:
        own = [piece.chunk for piece in pieces if piece.id == key]
        expected = np.concatenate([chunk.samples for chunk in own])
        assert one.until(partial(has, heard[key], len(expected))), count(heard[key])
        found = [audio_chunk_from_msg(message) for message in heard[key]]
        assert np.array_equal(np.concatenate([c.samples for c in found]), expected), 'bit for bit'
        assert abs(found[0].stamp_ns - own[0].stamp_ns) <= 1
        assert heard[key][0].header.frame_id == f'person_{key}'
    assert {m.channels for m in heard[4]} == {1} and heard[4][0].sample_rate == 16000


def test_enhancement_is_switched_while_it_runs_and_no_sample_is_lost(bench, scene):
    from rclpy.parameter import Parameter

    chunks, frames = scene
    one = bench(VoicesNode, INPUTS, None, head='respeaker')
    one.stop_time()
    node = one.nodes[0]
    heard: dict = {}
    heard_streams(one, heard)
    third = len(frames) // 3
    starts = [0, frames[third].stamp_ns, frames[2 * third].stamp_ns, np.inf]
    for index, mode in enumerate(('off', 'vae', 'lsa')):
        [result] = node.set_parameters([Parameter('enhance', value=mode)])
        assert result.successful, result.reason
        own = [chunk for chunk in chunks if starts[index] <= chunk.stamp_ns < starts[index + 1]]
        played(one, own, [f for f in frames if starts[index] <= f.stamp_ns < starts[index + 1]])
    assert one.until(lambda: count(heard[4]) > 24000), count(heard[4])
    found = [audio_chunk_from_msg(message) for message in heard[4]]
    for before, after in zip(found[:-1], found[1:]):
        assert after.first_sample == before.first_sample + len(before.samples)
    assert np.isfinite(np.concatenate([c.samples for c in found])).all()
    [result] = node.set_parameters([Parameter('enhance', value='magic')])
    assert not result.successful and 'off, lsa, vae' in result.reason


def test_the_node_enhances_each_voice_beside_its_microphone(bench, scene):
    chunks, frames = scene
    one = bench(VoicesNode, INPUTS, None, head='respeaker', enhance='lsa')
    one.stop_time()
    heard: dict = {}
    heard_streams(one, heard)
    played(one, chunks, frames)

    streams = PersonStreams(HEAD.microphones, 16000, PersonStreamsConfig(track_wait_s=np.inf))
    pieces = []
    for frame in frames:
        pieces += streams.follow(frame, HEAD.microphones.base_from_array)
    for chunk in chunks:
        pieces += streams.push(chunk)
    for key in PEOPLE:
        both = [piece.with_microphone.samples for piece in pieces if piece.id == key]
        expected = LsaStream().push(np.concatenate(both))
        assert one.until(partial(has, heard[key], len(expected))), count(heard[key])
        samples = [audio_chunk_from_msg(message).samples for message in heard[key]]
        found = np.concatenate(samples)[: len(expected), 0]
        np.testing.assert_allclose(found, expected, atol=1e-6)
        alone = LsaStream().push(np.concatenate(both)[:, 0])
        assert np.abs(alone - expected).max() > 1e-3, 'the microphone matters'


def has(messages, number):
    return count(messages) >= number


def count(messages):
    return sum(len(message.samples) for message in messages)


def test_tracks_that_had_no_turn_yet_are_not_late(bench, scene):
    """Regression: on a busy machine, sound went on without tracks that waited in the queue."""
    chunks, frames = scene
    one = bench(VoicesNode, INPUTS, None, head='respeaker', track_wait=0.0)
    one.send('tracks', track_frame_to_msg(frames[0], HEAD.base_frame))
    tracks = one.publishers['tracks']
    for frame in frames[1:20]:
        tracks.publish(track_frame_to_msg(frame, HEAD.base_frame))
    assert tracks.wait_for_all_acked(Duration(seconds=PATIENCE_S))
    for chunk in chunks[5:20]:
        one.node._sound._receive(audio_chunk_to_msg(chunk, HEAD.microphones.frame))
    assert one.node._streams.track_counters[LATE_TRACKS] == 0
    assert not one.node._streams.is_waiting


def test_topics_come_with_the_tracks_and_go_with_them(bench, scene):
    chunks, frames = scene
    one = bench(VoicesNode, INPUTS, None, head='respeaker')
    exists = partial(one.nodes[-1].count_publishers, 'voices/person_7')
    one.send('tracks', track_frame_to_msg(frames[0], HEAD.base_frame))
    assert one.until(lambda: exists() == 1), 'before the person has spoken'
    one.send('tracks', track_frame_to_msg(frames_of({4: 35.0}, 2)[1], HEAD.base_frame))
    assert one.until(lambda: exists() == 0)


def test_a_head_that_hears_no_directions_is_refused(ros_context):
    from rclpy.parameter import Parameter

    node = VoicesNode(
        context=ros_context, parameter_overrides=[Parameter('head', value='no_such_head')]
    )
    assert not node.start() and 'no_such_head' in node.refusal
    node.destroy_node()


def test_bytes_are_sixteen_bits_little_endian():
    samples = np.array([0.0, 0.5, -1.0, 1.0, 7.0], np.float32)[:, None]
    chunk = chunks_of(samples)[0]
    data = sound_bytes(audio_chunk_to_msg(chunk, 'person_1'))
    found = np.frombuffer(data, '<i2')
    assert found.tolist() == [0, 16384, -32767, 32767, 32767]
    assert chunk.stamp_ns == START_NS


def test_other_channels_are_named(scene):
    streams = PersonStreams(HEAD.microphones, 16000)
    with pytest.raises(UserError, match='channel'):
        streams.push(chunks_of(np.zeros((100, 3), np.float32))[0])
