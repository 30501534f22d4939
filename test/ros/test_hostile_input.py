# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Sensors that lie: what cannot be used is dropped with a counted warning, and the nodes go on."""

from __future__ import annotations

import numpy as np
import pytest
from av_perception_msgs.msg import (
    AudioChunk,
    AudioFeatures,
    SubbandFeature,
    TrackArray,
    VisualFeatures,
)
from ros_bench import send_pair
from sensor_msgs.msg import Image

from av_perception.interfaces import AudioChunk as Chunk
from av_perception.interfaces import Face
from av_perception.interfaces import VisualFeatures as Faces
from av_perception.nodes.audio_features import AudioFeaturesNode
from av_perception.nodes.tracker import TrackerNode
from av_perception.nodes.visual_features import VisualFeaturesNode
from av_perception.ros.conversions import (
    audio_chunk_from_msg,
    audio_chunk_to_msg,
    image_stamp_ns,
    image_to_msg,
    visual_features_to_msg,
)

SECOND = 1_000_000_000
RANDOM = np.random.default_rng(3)


@pytest.mark.slow
def test_visual_features_survives_bad_images(bench):
    b = bench(
        VisualFeaturesNode,
        {'left/image_raw': Image, 'right/image_raw': Image},
        ('visual_features', VisualFeatures),
    )
    good = RANDOM.integers(0, 255, (480, 640, 3), dtype=np.uint8)
    send_pair(b, 1 * SECOND, good)
    assert b.until(lambda: len(b.heard) == 1)
    send_pair(b, 2 * SECOND, np.zeros((480, 640, 3), np.uint8))  # constant
    send_pair(b, 3 * SECOND, good[:240])  # wrong size
    broken = image_to_msg(good, 4 * SECOND, 'x')
    broken.height = 4800  # too few bytes
    send_pair(b, 4 * SECOND, broken)
    empty = Image()
    empty.header.stamp.sec = 5
    send_pair(b, 5 * SECOND, empty)
    send_pair(b, int(0.9 * SECOND) + 4 * SECOND, good)  # jumps back by 0.1 s
    assert b.until(lambda: b.counted('refused') >= 5), b.node.diagnostics.counters
    b.send('left/image_raw', *(image_to_msg(good, (10 + k) * SECOND, 'x') for k in range(7)))
    assert b.until(lambda: b.counted('no partner') >= 1), 'images whose partner never came'
    heard = len(b.heard)
    send_pair(b, 30 * SECOND, good)
    assert b.until(lambda: len(b.heard) == heard + 1), 'the node goes on'
    assert b.heard[-1].header.stamp.sec == 30 and not b.heard[-1].faces


def chunks(start_ns, count, samples=None, first=0):
    for k in range(count):
        sound = (
            RANDOM.normal(scale=0.05, size=(256, 4)).astype(np.float32)
            if samples is None
            else samples
        )
        yield audio_chunk_to_msg(
            Chunk(start_ns + k * 16_000_000, 16000, first + 256 * k, sound), 'microphone_array'
        )


@pytest.mark.slow
def test_audio_features_survives_bad_sound(bench):
    b = bench(AudioFeaturesNode, {'audio': AudioChunk}, ('audio_features', AudioFeatures))
    b.send('audio', *chunks(SECOND, 10))
    assert b.until(lambda: len(b.heard) >= 2)
    b.send('audio', *chunks(2 * SECOND, 1, np.full((256, 4), np.nan, np.float32), first=2560))
    b.send('audio', *chunks(3 * SECOND, 5, np.zeros((256, 4), np.float32), first=2816))
    b.send('audio', *chunks(4 * SECOND, 5, np.ones((256, 4), np.float32), first=4096))
    b.send(
        'audio', *chunks(5 * SECOND, 1, np.zeros((256, 3), np.float32), first=5376)
    )  # a channel is missing
    torn = next(chunks(6 * SECOND, 1))
    torn.channels = 5  # 1024 samples do not divide by 5
    b.send('audio', torn)
    b.send('audio', *chunks(2 * SECOND, 2))  # jumps back
    assert b.counted('refused') >= 1 and b.counted('dropped') >= 1
    assert sum(b.node.diagnostics.counters.values()) >= 5, b.node.diagnostics.counters
    heard = len(b.heard)
    b.send('audio', *chunks(20 * SECOND, 12, first=100_000))
    assert b.until(lambda: len(b.heard) > heard), 'the node goes on'
    assert all(np.isfinite(s.vector).all() for message in b.heard for s in message.subbands)


def face(x=0.0, covariance=None):
    return Face(
        np.array([300.0, 220.0, 60.0, 70.0]),
        0.9,
        np.zeros((5, 2)),
        np.array([x, 0.0, 2.0]),
        1e-4 * np.eye(3) if covariance is None else covariance,
    )


@pytest.mark.slow
def test_the_tracker_survives_lies(bench):
    b = bench(
        TrackerNode,
        {'visual_features': VisualFeatures, 'audio_features': AudioFeatures},
        ('tracks', TrackArray),
    )

    def see(stamp_ns, *faces):
        b.send(
            'visual_features',
            visual_features_to_msg(Faces(stamp_ns, faces), 'left_camera_optical'),
        )

    for k in range(12):
        see(SECOND + 40_000_000 * k, face())
    assert b.until(lambda: b.heard and len(b.heard[-1].tracks) == 1)
    see(int(1.5 * SECOND), face(np.nan))
    see(int(1.54 * SECOND), face(covariance=-np.eye(3)))
    see(int(1.2 * SECOND), face())  # jumps back
    b.send('audio_features', AudioFeatures())  # no sub-bands at all
    uneven = AudioFeatures(
        subbands=[
            SubbandFeature(vector=[0.5], present=[1]),
            SubbandFeature(vector=[0.5, 0.5], present=[1, 1]),
        ]
    )
    b.send('audio_features', uneven)
    assert b.counted('dropped from /audio_features') == 2
    assert b.counted('late') >= 1 and b.counted('bad faces') >= 2, b.node.diagnostics.counters
    for k in range(5):
        see(int(1.6 * SECOND) + 40_000_000 * k, face())
    assert b.until(lambda: b.heard[-1].header.stamp.nanosec >= 700_000_000)
    assert [t.id for t in b.heard[-1].tracks] == [1], 'the same person'
    assert all(
        np.isfinite(t.covariance).all() and np.isfinite(t.position.x)
        for m in b.heard
        for t in m.tracks
    )


@pytest.mark.parametrize(
    'samples, rate, stamp_ns, reason',
    [
        (256, 0, SECOND, 'its sample rate is 0'),
        (0, 16000, SECOND, 'it is empty'),
        (256, 16000, 0, 'its stamp is 0'),
        (256, 16000, -5 * SECOND, 'its stamp is -5 s'),
    ],
)
def test_chunks_that_lack_something_are_refused_by_name(samples, rate, stamp_ns, reason):
    """Regression: a rate of 0 was taken for another device, an empty chunk for a gap."""
    chunk = Chunk(stamp_ns, rate, 0, np.zeros((samples, 4), np.float32))
    with pytest.raises(ValueError, match=reason):
        audio_chunk_from_msg(audio_chunk_to_msg(chunk, 'microphone_array'))


@pytest.mark.parametrize('rate', [1, 7999, 2**32 - 1])
def test_a_rate_of_1_hz_halted_every_node_that_hears(rate):
    """Each chunk of 320 samples became five minutes of sound."""
    chunk = Chunk(SECOND, rate, 0, np.zeros((320, 4), np.float32))
    with pytest.raises(ValueError, match='its sample rate must lie in 8000'):
        audio_chunk_from_msg(audio_chunk_to_msg(chunk, 'microphone_array'))


def test_a_chunk_of_two_minutes_held_up_every_node_that_hears():
    chunk = Chunk(SECOND, 16000, 0, np.zeros((120 * 16000, 1), np.float32))
    with pytest.raises(ValueError, match='120 s of sound'):
        audio_chunk_from_msg(audio_chunk_to_msg(chunk, 'microphone_array'))


@pytest.mark.parametrize(
    'sec, nanosec, reason', [(5, 4_000_000_000, '4000000000 nanoseconds'), (-5, 0, 'no real time')]
)
def test_a_stamp_that_is_none_ended_everybody(sec, nanosec, reason):
    """It was taken for another time: people were forgotten when the right one came back."""
    image = image_to_msg(np.zeros((4, 4, 3), np.uint8), SECOND, 'camera')
    image.header.stamp.sec = sec
    image.header.stamp.nanosec = nanosec
    with pytest.raises(ValueError, match=reason):
        image_stamp_ns(image)
