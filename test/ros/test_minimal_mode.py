# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The nodes that hear with two microphones, against real rclpy and DDS.

The tracker's topics, unseen sounds, events, bad input.
"""

from __future__ import annotations

import numpy as np
import pytest
from av_perception_msgs.msg import AudioChunk, SpeakingStatusArray, TrackArray, VisualFeatures
from clustering_scenes import sound_at
from geometry_msgs.msg import Vector3Stamped
from rclpy.parameter import Parameter as RosParameter
from sensor_msgs.msg import Imu, PointCloud2, PointField

from av_perception.interfaces import AudioChunk as Chunk
from av_perception.interfaces import Face
from av_perception.interfaces import VisualFeatures as Faces
from av_perception.nodes.av_events import AvEventsNode
from av_perception.nodes.face_itd_fusion import FaceItdFusionNode
from av_perception.robot_head import load_head
from av_perception.ros import qos
from av_perception.ros.conversions import (
    audio_chunk_to_msg,
    header,
    points_from_msg,
    visual_features_to_msg,
)

SECOND, PERIOD = 1_000_000_000, 40_000_000
TALKER, LISTENER = np.array([1.5, 0.6, 0.1]), np.array([1.6, -0.6, 0.1])
BLOCK = 640  # samples in 40 ms
HEAD = load_head('simulated')
ANY_SOUND = {'vad_threshold': 0.0}  # no voice activity: the sounds here are noise
SIGHT_AND_SOUND = {'visual_features': VisualFeatures, 'audio': AudioChunk}


def face(position_base):
    optical = HEAD.camera.base_from_optical.inverse().apply(position_base)
    return Face(
        np.array([*(HEAD.camera.project(optical) - 30), 60.0, 60.0]),
        0.9,
        np.zeros((5, 2)),
        optical,
        1e-4 * np.eye(3),
    )


def publish(b, topic, message):
    b.publishers[topic].publish(message)
    b.until(lambda: False, 0.005)


def play(b, frames, source, *people, start=0):
    """Noise from `source` in bursts, images of `people` at the beginning of every block.

    The noise floor needs pauses, in which it hears something.
    """
    is_burst = np.repeat(np.arange(frames) % 25 > 2, BLOCK)
    sound = sound_at(source, BLOCK * frames, np.random.default_rng(1), HEAD)
    sound = sound * np.where(is_burst, 1.0, 1e-3)[:, None]
    for k in range(start, start + frames):
        samples = sound[(k - start) * BLOCK : (k - start + 1) * BLOCK]
        publish(
            b,
            'audio',
            audio_chunk_to_msg(
                Chunk(SECOND + k * PERIOD, 16000, k * BLOCK, samples.astype(np.float32)),
                'microphone_array',
            ),
        )
        publish(
            b,
            'visual_features',
            visual_features_to_msg(
                Faces(SECOND + k * PERIOD, tuple(map(face, people))), HEAD.camera.frame
            ),
        )


@pytest.mark.slow
def test_the_fusion_speaks_the_trackers_topics(bench):
    b = bench(FaceItdFusionNode, SIGHT_AND_SOUND, ('tracks', TrackArray), **ANY_SOUND)
    statuses = []
    b.client.create_subscription(
        SpeakingStatusArray, 'speaking_status', statuses.append, qos.FEATURES
    )
    play(b, 40, TALKER, TALKER, LISTENER)
    assert b.until(lambda: len(b.heard) >= 38 and len(statuses) == len(b.heard)), (
        b.node.diagnostics.counters
    )
    last = b.heard[-1]
    assert last.header.frame_id == HEAD.base_frame and [t.id for t in last.tracks] == [1, 2]
    assert (
        last.tracks[0].position.x == pytest.approx(TALKER[0], abs=0.01)
        and last.tracks[0].heard
        and not last.tracks[1].heard
    )
    assert [s.header for s in statuses] == [t.header for t in b.heard], (
        'stamps are those of the images'
    )
    speaking = {s.id: s.speaking for s in statuses[-1].statuses}
    assert speaking == {1: True, 2: False}


@pytest.mark.slow
def test_a_sound_of_nobody_gives_its_bearing(bench):
    b = bench(FaceItdFusionNode, SIGHT_AND_SOUND, ('unseen_sound', Vector3Stamped), **ANY_SOUND)
    play(b, 30, TALKER, LISTENER)
    assert b.until(lambda: b.heard)
    azimuth = np.degrees(np.arctan2(b.heard[-1].vector.y, b.heard[-1].vector.x))
    assert azimuth == pytest.approx(np.degrees(np.arctan2(TALKER[1], TALKER[0])), abs=3.0)


@pytest.mark.slow
def test_the_fusion_survives_lies(bench):
    b = bench(FaceItdFusionNode, SIGHT_AND_SOUND, ('tracks', TrackArray), **ANY_SOUND)
    play(b, 12, TALKER, TALKER)
    broken = face(TALKER)
    broken.position[0] = np.nan
    b.send(
        'visual_features', visual_features_to_msg(Faces(2 * SECOND, (broken,)), HEAD.camera.frame)
    )
    b.send(
        'visual_features',
        visual_features_to_msg(Faces(int(1.9 * SECOND), (face(TALKER),)), HEAD.camera.frame),
    )
    nan, narrow = np.full((BLOCK, 4), np.nan, np.float32), np.zeros((BLOCK, 3), np.float32)
    for k, samples in enumerate((nan, narrow)):
        b.send(
            'audio',
            audio_chunk_to_msg(
                Chunk(2 * SECOND + k, 16000, 5000 * k, samples), 'microphone_array'
            ),
        )
    assert b.until(
        lambda: b.counted('NaN') == 1 and b.counted('refused') == 1 and b.counted('late') == 1
    ), b.node.diagnostics.counters
    assert b.until(lambda: b.counted('bad faces') == 1), b.node.diagnostics.counters
    heard = len(b.heard)
    play(b, 10, TALKER, TALKER, start=50)
    assert b.until(lambda: len(b.heard) >= heard + 9), 'the node goes on'
    assert all(
        np.isfinite(t.covariance).all() and np.isfinite(t.position.x)
        for m in b.heard
        for t in m.tracks
    )


@pytest.mark.slow
def test_a_head_that_turns_does_not_listen(bench):
    b = bench(
        FaceItdFusionNode, {**SIGHT_AND_SOUND, 'imu': Imu}, ('tracks', TrackArray), **ANY_SOUND
    )
    turn = Imu(header=header(SECOND + 18 * PERIOD, 'base_link'))
    turn.angular_velocity.z = 0.8
    b.send('imu', turn)
    play(b, 40, TALKER, TALKER)
    assert b.until(lambda: len(b.heard) >= 38)
    heard = {
        round(
            (m.header.stamp.sec * 1e9 + m.header.stamp.nanosec - SECOND) / PERIOD
        ): m.voice_active
        for m in b.heard
    }
    assert not any(heard[k] for k in range(9, 28)) and heard[36], heard
    assert b.counted('the head turns') >= 10


def test_events_from_faces(bench):
    b = bench(AvEventsNode, SIGHT_AND_SOUND, ('av_events', TrackArray), **ANY_SOUND)
    play(b, 30, TALKER, TALKER, LISTENER)
    assert b.until(lambda: len(b.heard) >= 28)
    events = {round(t.position.y, 1): t.heard for t in b.heard[-1].tracks}
    assert events == {0.6: True, -0.6: False}


def cloud(points, frame, step=16):
    """A PointCloud2 of (N, 3) points with four bytes between the rows."""
    rows = np.zeros((len(points), step // 4), np.float32)
    rows[:, :3] = points
    fields = [
        PointField(name=axis, offset=4 * k, datatype=PointField.FLOAT32, count=1)
        for k, axis in enumerate('xyz')
    ]
    return PointCloud2(
        header=header(SECOND, frame),
        width=len(points),
        height=1,
        fields=fields,
        point_step=step,
        row_step=step * len(points),
        data=rows.tobytes(),
    )


def test_events_from_a_cloud(bench):
    b = bench(
        AvEventsNode,
        {'points': PointCloud2, 'audio': AudioChunk},
        ('av_events', TrackArray),
        input='points',
        **ANY_SOUND,
    )
    near = np.random.default_rng(0).normal(0, 0.03, (60, 3))
    b.send('points', cloud(LISTENER + near, 'elsewhere'), cloud(LISTENER + near, HEAD.base_frame))
    assert b.until(lambda: b.heard) and b.counted('dropped from /points') == 1
    assert len(b.heard[-1].tracks) == 1 and b.heard[-1].tracks[0].position.y == pytest.approx(
        -0.6, abs=0.02
    )


def test_clouds_are_read_and_broken_ones_refused():
    points = np.array([[1.0, 2.0, 3.0], [np.nan, 0.0, 0.0], [4.0, 5.0, 6.0]])
    np.testing.assert_allclose(points_from_msg(cloud(points, 'x')), points[[0, 2]])
    short, flat = cloud(points, 'x'), cloud(points, 'x')
    short.width, flat.fields = 5, flat.fields[:2]
    for message, text in ((short, 'too few'), (flat, 'x, y and z')):
        with pytest.raises(ValueError, match=text):
            points_from_msg(message)
    assert points_from_msg(cloud(np.zeros((0, 3)), 'x')).shape == (0, 3)


@pytest.mark.parametrize(
    'node_type, parameters, message',
    [
        (FaceItdFusionNode, {'head': 'respeaker'}, 'no camera'),
        (AvEventsNode, {'first_microphone': 0, 'second_microphone': 9}, 'channels 0..3'),
        (FaceItdFusionNode, {'first_microphone': 2}, 'channels 0..3'),
        (FaceItdFusionNode, {'recent': 1.0}, 'recent_s'),
    ],
)
def test_a_configuration_that_cannot_be_says_why(ros_context, node_type, parameters, message):
    node = node_type(
        context=ros_context,
        parameter_overrides=[RosParameter(k, value=v) for k, v in parameters.items()],
    )
    assert not node.start() and message in node.refusal
    node.destroy_node()
