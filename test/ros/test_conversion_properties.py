# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Messages of random content come back as they went; hostile ones are refused with a reason."""

from __future__ import annotations

import numpy as np
import pytest
from av_perception_msgs.msg import SpeakingStatus as SpeakingStatusMsg
from av_perception_msgs.msg import SpeakingStatusArray, Track, TrackArray
from geometry_msgs.msg import Point, TransformStamped, Vector3
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import Image, PointCloud2, PointField

from av_perception.geometry.rigid_transform import RigidTransform
from av_perception.interfaces import (
    AudioChunk,
    AudioFeatures,
    Face,
    LifeState,
    SpeakingFrame,
    SpeakingStatus,
    TrackEstimate,
    TrackFrame,
    VisualFeatures,
)
from av_perception.ros import conversions
from av_perception.ros.conversions.arrays import typed_array, xyz
from av_perception.ros.conversions.images import image_stamp_ns
from av_perception.ros.conversions.poses import points_from_msg

SEEDS = range(4)


def over_the_wire(message):
    return deserialize_message(serialize_message(message), type(message))


def single(values):
    """As a message of single precision keeps it."""
    return np.asarray(values, np.float32).astype(float)


def random_stamp(random) -> int:
    return int(random.integers(0, 2**31) * 10**9 + random.integers(0, 10**9))


@pytest.mark.parametrize('stamp_ns', [0, 1, 999_999_999, 10**9, (2**31 - 1) * 10**9 + 999_999_999])
def test_stamps_at_the_ends_of_their_range(stamp_ns):
    time = conversions.time_from_ns(stamp_ns)
    assert 0 <= time.nanosec < 10**9 and conversions.ns_from_time(over_the_wire(time)) == stamp_ns


def test_a_stamp_before_the_epoch_keeps_its_nanoseconds_positive():
    time = conversions.time_from_ns(-1)
    assert (time.sec, time.nanosec) == (-1, 999_999_999)
    assert conversions.ns_from_time(time) == -1


@pytest.mark.parametrize('seed', SEEDS)
def test_sound_comes_back_bit_for_bit(seed):
    random = np.random.default_rng(seed)
    samples, channels = random.integers(1, 500), random.integers(1, 17)
    chunk = AudioChunk(
        random_stamp(random),
        int(random.integers(8000, 192001)),
        int(random.integers(0, 2**62)),
        random.normal(size=(samples, channels)).astype(np.float32),
    )
    back = conversions.audio_chunk_from_msg(
        over_the_wire(conversions.audio_chunk_to_msg(chunk, 'array'))
    )
    assert back.stamp_ns == chunk.stamp_ns and back.first_sample == chunk.first_sample
    assert back.sample_rate == chunk.sample_rate and back.samples.dtype == np.float32
    np.testing.assert_array_equal(back.samples, chunk.samples)


@pytest.mark.parametrize('order', ['C', 'F'])
def test_samples_are_interleaved_whatever_the_layout_in_memory(order):
    samples = np.asarray(np.arange(12, dtype=np.float32).reshape(4, 3), order=order)
    message = conversions.audio_chunk_to_msg(AudioChunk(0, 16000, 0, samples), 'array')
    assert list(message.samples) == list(range(12)) and message.channels == 3
    strided = conversions.audio_chunk_to_msg(AudioChunk(0, 16000, 0, samples[:, ::2]), 'array')
    assert list(strided.samples) == [0, 2, 3, 5, 6, 8, 9, 11] and strided.channels == 2


@pytest.mark.parametrize('seed', SEEDS)
def test_features_of_sound_come_back(seed):
    random = np.random.default_rng(seed)
    bands, size = random.integers(1, 20), random.integers(1, 60)
    features = AudioFeatures(
        random_stamp(random),
        float(np.float32(random.random())),
        random.normal(size=(bands, size)),
        random.random((bands, size)) < 0.5,
        random.random(bands) * 1e-6,
        random.random(bands) < 0.5,
    )
    back = conversions.audio_features_from_msg(
        over_the_wire(conversions.audio_features_to_msg(features, 'array'))
    )
    assert (back.stamp_ns, back.voice_activity) == (features.stamp_ns, features.voice_activity)
    np.testing.assert_array_equal(back.vectors, single(features.vectors))
    np.testing.assert_array_equal(back.present, features.present)
    np.testing.assert_array_equal(back.energy, single(features.energy))
    np.testing.assert_array_equal(back.valid, features.valid)


@pytest.mark.parametrize('damage', ['none', 'short vector', 'short mask'])
def test_features_of_unequal_sub_bands_are_refused(damage):
    features = AudioFeatures(
        0, 0.5, np.zeros((3, 4)), np.ones((3, 4), bool), np.zeros(3), np.ones(3, bool)
    )
    message = conversions.audio_features_to_msg(features, 'array')
    if damage == 'none':
        message.subbands = []
    elif damage == 'short vector':
        message.subbands[1].vector = typed_array('f', np.zeros(3))
    else:
        message.subbands[2].present = typed_array('B', np.zeros(5))
    with pytest.raises(ValueError, match='vectors of one size'):
        conversions.audio_features_from_msg(message)


@pytest.mark.parametrize('seed', SEEDS)
def test_faces_come_back(seed):
    random = np.random.default_rng(seed)
    faces = []
    for index in range(random.integers(0, 6)):
        root = random.normal(size=(3, 3))
        placed = index % 2 == 0
        faces.append(
            Face(
                random.uniform(-50, 2000, 4),
                float(np.float32(random.random())),
                random.uniform(-50, 2000, (5, 2)),
                random.normal(size=3) if placed else np.full(3, np.nan),
                root @ root.T if placed else np.full((3, 3), np.nan),
                random.normal(size=random.choice([0, 128, 512])),
            )
        )
    features = VisualFeatures(random_stamp(random), tuple(faces))
    back = conversions.visual_features_from_msg(
        over_the_wire(conversions.visual_features_to_msg(features, 'camera'))
    )
    assert back.stamp_ns == features.stamp_ns and len(back.faces) == len(faces)
    for after, before in zip(back.faces, faces):
        assert after.score == before.score
        np.testing.assert_array_equal(after.box, single(before.box))
        np.testing.assert_array_equal(after.landmarks, single(before.landmarks))
        np.testing.assert_array_equal(after.position, before.position)
        np.testing.assert_array_equal(after.covariance, before.covariance)
        np.testing.assert_array_equal(after.embedding, single(before.embedding))


@pytest.mark.parametrize('seed', SEEDS)
def test_tracks_and_who_speaks_come_back(seed):
    random = np.random.default_rng(seed)
    tracks = []
    for _ in range(random.integers(0, 6)):
        seen, heard = (random.random(2) < 0.5).tolist()
        tracks.append(
            TrackEstimate(
                int(random.integers(0, 2**31)),
                LifeState(int(random.integers(0, 3))),
                random.normal(size=6),
                random.normal(size=(6, 6)),
                seen,
                heard,
                not (seen or heard),
                random_stamp(random),
                0,
                float(np.float32(random.random())),
                single(random.uniform(-9, 900, 4)) if seen else None,
                single(random.random(16 * heard)),
                float(np.float32(random.random())),
            )
        )
    frame = TrackFrame(random_stamp(random), tuple(tracks), bool(random.random() < 0.5))
    back = conversions.track_frame_from_msg(
        over_the_wire(conversions.track_frame_to_msg(frame, 'base'))
    )
    assert (back.stamp_ns, back.voice_active) == (frame.stamp_ns, frame.voice_active)
    assert len(back.tracks) == len(tracks)
    for after, before in zip(back.tracks, tracks):
        for name, value in vars(before).items():
            np.testing.assert_array_equal(getattr(after, name), value, err_msg=name)
        assert isinstance(after.state, LifeState)
    statuses = tuple(
        SpeakingStatus(
            track.id,
            bool(random.random() < 0.5),
            float(np.float32(random.random())),
            random_stamp(random),
        )
        for track in tracks
    )
    speaking = SpeakingFrame(frame.stamp_ns, statuses)
    message = over_the_wire(conversions.speaking_frame_to_msg(speaking, 'base'))
    assert conversions.speaking_frame_from_msg(message) == speaking


def test_a_state_of_life_that_does_not_exist_is_refused():
    track = TrackEstimate(
        1, LifeState.ACTIVE, np.zeros(6), np.eye(6), True, False, False, 0, 0, 0.0
    )
    message = conversions.track_frame_to_msg(TrackFrame(0, (track,), False), 'base')
    message.tracks[0].state = 9
    with pytest.raises(ValueError, match='9 is not a valid LifeState'):
        conversions.track_frame_from_msg(message)


@pytest.mark.parametrize(
    'tracks, reason',
    [
        ([Track(id=-5)], 'the id -5: ids count from 0'),
        ([Track(id=7, position=Point(x=np.nan))], 'track 7 is not finite'),
        ([Track(id=7, velocity=Vector3(z=np.inf))], 'track 7 is not finite'),
        ([Track(id=k) for k in range(2000)], '2000 tracks at once, more than the 200'),
    ],
    ids=['negative id', 'nowhere', 'infinitely fast', 'a crowd'],
)
def test_tracks_of_a_stranger_ended_voices(tracks, reason):
    """A topic for each of them was made, or could not be: names have no minus sign."""
    with pytest.raises(ValueError, match=reason):
        conversions.track_frame_from_msg(TrackArray(tracks=tracks))


def test_statuses_of_a_crowd_are_refused():
    statuses = [SpeakingStatusMsg(id=k) for k in range(2000)]
    with pytest.raises(ValueError, match='2000 statuses at once'):
        conversions.speaking_frame_from_msg(SpeakingStatusArray(statuses=statuses))


@pytest.mark.parametrize('seed', SEEDS)
def test_poses_come_back_in_double_precision(seed):
    random = np.random.default_rng(seed)
    pose = RigidTransform.from_xyz_rpy(random.normal(size=3) * 100, random.uniform(-3, 3, 3))
    message = over_the_wire(conversions.transform_to_msg(pose, 'base', 'camera', 5))
    assert (message.header.frame_id, message.child_frame_id) == ('base', 'camera')
    back = conversions.transform_from_msg(message)
    np.testing.assert_array_equal(back.translation, pose.translation)
    np.testing.assert_allclose(back.rotation, pose.rotation, atol=1e-14)


def test_a_transform_that_nobody_filled_in_is_the_identity_and_zeros_are_refused():
    message = TransformStamped()
    np.testing.assert_array_equal(conversions.transform_from_msg(message).rotation, np.eye(3))
    message.transform.rotation.w = 0.0
    with pytest.raises(ValueError, match='has not length 1'):
        conversions.transform_from_msg(message)


def test_a_translation_of_1e30_m_ended_everybody():
    message = TransformStamped()
    message.transform.translation.x = 6.4e6
    assert conversions.transform_from_msg(message).translation[0] == 6.4e6, 'of an Earth frame'
    message.transform.translation.x = -1e30
    with pytest.raises(ValueError, match='1e.30 m leads off the Earth'):
        conversions.transform_from_msg(message)


def cloud(points, padding=4, first=0):
    """A cloud of (N, 3) points whose rows begin with `first` and end with `padding` bytes."""
    step = first + 12 + padding
    data = np.full((len(points), step), 0xAB, np.uint8)
    data[:, first : first + 12] = np.asarray(points, '<f4').view(np.uint8).reshape(-1, 12)
    fields = [
        PointField(name=axis, offset=first + 4 * i, datatype=PointField.FLOAT32, count=1)
        for i, axis in enumerate('xyz')
    ]
    return PointCloud2(
        height=1,
        width=len(points),
        fields=fields,
        point_step=step,
        row_step=step * len(points),
        data=data.tobytes(),
    )


@pytest.mark.parametrize('padding, first', [(0, 0), (4, 0), (1, 8), (20, 3)])
def test_points_are_read_at_any_offset_and_the_infinite_ones_left_out(padding, first):
    points = np.random.default_rng(2).normal(size=(20, 3)).astype(np.float32)
    points[3, 1], points[7, 2], points[9, 0] = np.nan, np.inf, -np.inf
    found = points_from_msg(over_the_wire(cloud(points, padding, first)))
    np.testing.assert_array_equal(found, np.delete(points, [3, 7, 9], axis=0))


def test_an_empty_cloud_has_no_points():
    assert points_from_msg(cloud(np.zeros((0, 3)))).shape == (0, 3)


@pytest.mark.parametrize('field', ['missing', 'double', 'bigendian', 'short', 'narrow'])
def test_clouds_that_cannot_be_read_are_refused(field):
    message = cloud(np.zeros((5, 3)))
    reason = 'no little-endian float32 fields'
    if field == 'missing':
        message.fields = message.fields[:2]
    elif field == 'double':
        message.fields[2].datatype = PointField.FLOAT64
    elif field == 'bigendian':
        message.is_bigendian = True
    elif field == 'short':
        message.width, reason = 6, 'too few for 6 points'
    else:
        message.point_step, reason = 11, 'too few for 5 points of 11'
    with pytest.raises(ValueError, match=reason):
        points_from_msg(message)


def test_an_image_without_a_stamp_is_refused():
    with pytest.raises(ValueError, match='its stamp is 0'):
        image_stamp_ns(Image())
    image = conversions.image_to_msg(np.zeros((2, 2, 3), np.uint8), 7, 'camera')
    assert image_stamp_ns(image) == 7


def test_a_slice_of_a_larger_image_is_sent_alone():
    image = np.random.default_rng(0).integers(0, 256, (10, 12, 3), dtype=np.uint8)
    message = conversions.image_to_msg(image[2:7, 3:9], 7, 'camera')
    assert (message.height, message.width, message.step) == (5, 6, 18)
    np.testing.assert_array_equal(conversions.image_from_msg(message), image[2:7, 3:9])


@pytest.mark.parametrize('step', [0, 5, 8])
def test_rows_shorter_than_their_pixels_are_refused(step):
    message = conversions.image_to_msg(np.zeros((2, 3, 3), np.uint8), 7, 'camera')
    message.step = step
    with pytest.raises(ValueError, match='too few for 3x2 bgr8'):
        conversions.image_from_msg(message)


def test_typed_arrays_are_flat_and_of_the_type_of_the_field():
    assert typed_array('B', [[True, False], [True, True]]).tolist() == [1, 0, 1, 1]
    assert typed_array('d', np.float32([[0.5], [0.25]])).typecode == 'd'
    assert typed_array('f', np.arange(3)).tolist() == [0.0, 1.0, 2.0]
    assert xyz(np.array([1, 2, 3])) == {'x': 1.0, 'y': 2.0, 'z': 3.0}
