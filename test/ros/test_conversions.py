# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Messages and data types: what goes in comes out, and what does not fit is refused."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CameraInfo, CompressedImage

from av_perception.geometry.rigid_transform import RigidTransform
from av_perception.interfaces import (
    AudioChunk,
    AudioFeatures,
    Face,
    HeadPoseEstimate,
    HeadPoseFrame,
    LifeState,
    SpeakingFrame,
    SpeakingStatus,
    TrackEstimate,
    TrackFrame,
    VisualFeatures,
)
from av_perception.robot_head import load_head
from av_perception.robot_head.camera_calibration import CameraCalibration
from av_perception.ros import conversions

STAMP_NS = 1_763_900_000_123_456_789
RANDOM = np.random.default_rng(1)


def over_the_wire(message):
    """The message as a subscriber gets it."""
    return deserialize_message(serialize_message(message), type(message))


def assert_same(a, b):
    """Equality of nested data types, arrays to single precision."""
    assert type(a) is type(b) or np.isscalar(a) or isinstance(a, np.ndarray)
    if dataclasses.is_dataclass(a):
        for field in dataclasses.fields(a):
            assert_same(getattr(a, field.name), getattr(b, field.name))
    elif isinstance(a, tuple):
        assert len(a) == len(b)
        for x, y in zip(a, b):
            assert_same(x, y)
    elif isinstance(a, (np.ndarray, float)):
        np.testing.assert_allclose(a, b, rtol=1e-6)
    else:
        assert a == b


def face(embedding_size=0):
    return Face(
        RANDOM.uniform(0, 100, 4),
        0.75,
        RANDOM.uniform(0, 100, (5, 2)),
        RANDOM.normal(size=3),
        np.eye(3),
        RANDOM.normal(size=embedding_size),
    )


def track(box):
    return TrackEstimate(
        7,
        LifeState.SLEEPING,
        RANDOM.normal(size=6),
        np.eye(6),
        True,
        False,
        False,
        STAMP_NS,
        0,
        0.25,
        box,
        np.array([0.25, 1.0]),
    )


def turned_head(track_id, facing_probability):
    return HeadPoseEstimate(
        track_id,
        RigidTransform.from_xyz_rpy((0, 0, 0), (0.1, -0.2, 2.5)).rotation,
        np.diag([0.01, 0.02, 0.03]),
        STAMP_NS - 40_000_000,
        facing_probability,
        True,
        STAMP_NS - 1_000_000_000,
        {2: 0.125, 5: 0.0},
    )


def test_sound_without_a_stamp_says_whose_fault_it_is():
    """Regression: it was dropped as late, which leads astray."""
    chunk = AudioChunk(0, 16000, 0, np.zeros((256, 4), np.float32))
    with pytest.raises(ValueError, match='the driver does not stamp its sound'):
        conversions.audio_chunk_from_msg(conversions.audio_chunk_to_msg(chunk, 'array'))


CASES = {
    'audio': (
        AudioChunk(STAMP_NS, 16000, 12345, RANDOM.normal(size=(256, 4)).astype(np.float32)),
        lambda d: conversions.audio_chunk_to_msg(d, 'array'),
        conversions.audio_chunk_from_msg,
    ),
    'audio features': (
        AudioFeatures(
            STAMP_NS,
            0.5,
            RANDOM.normal(size=(16, 48)),
            RANDOM.random((16, 48)) > 0.5,
            RANDOM.random(16),
            RANDOM.random(16) > 0.5,
        ),
        lambda d: conversions.audio_features_to_msg(d, 'array'),
        conversions.audio_features_from_msg,
    ),
    'visual features': (
        VisualFeatures(STAMP_NS, (face(), face(128))),
        lambda d: conversions.visual_features_to_msg(d, 'camera'),
        conversions.visual_features_from_msg,
    ),
    'no face': (
        VisualFeatures(STAMP_NS),
        lambda d: conversions.visual_features_to_msg(d, 'camera'),
        conversions.visual_features_from_msg,
    ),
    'tracks': (
        TrackFrame(STAMP_NS, (track(None), track(np.array([1.0, 2.0, 3.0, 4.0]))), True),
        lambda d: conversions.track_frame_to_msg(d, 'base'),
        conversions.track_frame_from_msg,
    ),
    'speaking': (
        SpeakingFrame(STAMP_NS, (SpeakingStatus(3, True, 0.875, STAMP_NS),)),
        lambda d: conversions.speaking_frame_to_msg(d, 'base'),
        conversions.speaking_frame_from_msg,
    ),
    'head poses': (
        HeadPoseFrame(STAMP_NS, (turned_head(1, 0.75), HeadPoseEstimate(2))),
        lambda d: conversions.head_pose_frame_to_msg(d, 'base'),
        conversions.head_pose_frame_from_msg,
    ),
}


@pytest.mark.parametrize('name', CASES)
def test_round_trip(name):
    data, to_message, from_message = CASES[name]
    assert_same(from_message(over_the_wire(to_message(data))), data)


def test_unknown_head_poses_claim_nothing():
    message = over_the_wire(
        conversions.head_pose_frame_to_msg(HeadPoseFrame(STAMP_NS, (HeadPoseEstimate(2),)), 'base')
    )
    (head,) = message.heads
    assert not head.known and not head.facing and not len(message.facing_ids)
    assert np.isnan(head.facing_probability) and np.isnan(head.covariance).all()


def test_who_faces_the_robot_comes_likeliest_first():
    heads = tuple(turned_head(k, p) for k, p in ((1, 0.75), (2, 0.95), (3, 0.85)))
    message = conversions.head_pose_frame_to_msg(HeadPoseFrame(STAMP_NS, heads), 'base')
    assert list(message.facing_ids) == [2, 3, 1]


def test_an_orientation_that_is_no_rotation_is_refused():
    frame = HeadPoseFrame(STAMP_NS, (turned_head(1, 0.5),))
    message = conversions.head_pose_frame_to_msg(frame, 'base')
    message.heads[0].orientation.w = float('nan')
    with pytest.raises(ValueError, match='quaternion'):
        conversions.head_pose_frame_from_msg(message)


def test_stamps_are_exact():
    assert conversions.ns_from_time(conversions.time_from_ns(STAMP_NS)) == STAMP_NS


def test_padded_rows_are_understood():
    bgr = RANDOM.integers(0, 255, (4, 3, 3), dtype=np.uint8)
    message = conversions.image_to_msg(bgr, STAMP_NS, 'camera')
    message.data, message.step = np.pad(bgr.reshape(4, 9), ((0, 0), (0, 7))).tobytes(), 16
    np.testing.assert_array_equal(conversions.image_from_msg(message), bgr)


def test_what_does_not_fit_is_refused():
    message = conversions.image_to_msg(np.zeros((4, 4, 3), np.uint8), STAMP_NS, 'camera')
    message.height = 5
    with pytest.raises(ValueError, match='too few'):
        conversions.image_from_msg(message)
    message.encoding = '32FC1'
    with pytest.raises(ValueError, match='encoding'):
        conversions.image_from_msg(message)
    sound = conversions.audio_chunk_to_msg(
        AudioChunk(0, 16000, 0, np.zeros((5, 3), np.float32)), 'array'
    )
    sound.channels = 4
    with pytest.raises(ValueError, match='divide'):
        conversions.audio_chunk_from_msg(sound)
    sound.channels = 0
    with pytest.raises(ValueError):
        conversions.audio_chunk_from_msg(sound)


def test_camera_info_carries_the_baseline():
    camera = load_head('simulated').camera
    left, right = (
        conversions.camera_info_to_msg(
            CameraCalibration.rectified(camera, side), STAMP_NS, 'camera'
        )
        for side in (False, True)
    )
    assert -right.p[3] / right.p[0] == pytest.approx(camera.baseline) and left.p[3] == 0


def test_a_calibration_survives_the_wire():
    matrix = np.array([[500.0, 0, 320], [0, 501, 240], [0, 0, 1]])
    calibration = CameraCalibration(
        640,
        480,
        matrix,
        np.array([-0.2, 0.05, 0.001, 0.002]),
        'plumb_bob',
        np.eye(3),
        np.column_stack([matrix, [-50.0, 0, 0]]),
    )
    assert (
        conversions.calibration_from_msg(
            over_the_wire(conversions.camera_info_to_msg(calibration, STAMP_NS, 'camera'))
        )
        == calibration
    )
    with pytest.raises(ValueError, match='not calibrated'):
        conversions.calibration_from_msg(CameraInfo(width=640, height=480))


@pytest.mark.parametrize('suffix, difference', [('.png', 0), ('.jpg', 12)])
def test_compressed_images(suffix, difference):
    bgr = cv2.resize(
        RANDOM.integers(0, 255, (6, 8, 3), dtype=np.uint8),
        (160, 120),
        interpolation=cv2.INTER_CUBIC,
    )
    message = CompressedImage(format=suffix[1:], data=cv2.imencode(suffix, bgr)[1].tobytes())
    found = conversions.image_from_compressed_msg(over_the_wire(message))
    assert found.shape == bgr.shape and np.abs(found.astype(int) - bgr).mean() <= difference
    message.data = message.data[: len(message.data) // 2]
    if suffix == '.jpg':
        with pytest.raises(ValueError, match='torn after'):
            conversions.image_from_compressed_msg(message)
    for junk in (b'', b'no image at all'):
        message.data = junk
        with pytest.raises(ValueError, match='are no image'):
            conversions.image_from_compressed_msg(message)


@pytest.mark.parametrize(
    'padding',
    [b'', bytes(100), bytes(4096), b'\xff' * 70, RANDOM.bytes(300).replace(b'\xff', b'')],
)
def test_what_fills_up_the_buffer_behind_the_end_of_a_jpeg_is_no_damage(padding):
    bgr = cv2.resize(RANDOM.integers(0, 255, (6, 8, 3), dtype=np.uint8), (160, 120))
    whole = cv2.imencode('.jpg', bgr)[1].tobytes()
    padded = CompressedImage(format='jpeg', data=whole + padding)
    np.testing.assert_array_equal(
        conversions.image_from_compressed_msg(padded),
        cv2.imdecode(np.frombuffer(whole, np.uint8), cv2.IMREAD_COLOR),
    )
    for end in (len(whole) // 2, len(whole) - 1):  # torn, in a buffer that is filled up too
        with pytest.raises(ValueError, match='torn after'):
            conversions.image_from_compressed_msg(
                CompressedImage(format='jpeg', data=whole[:end] + padding)
            )


def test_the_end_of_a_thumbnail_is_not_that_of_a_jpeg():
    bgr = cv2.resize(RANDOM.integers(0, 255, (6, 8, 3), dtype=np.uint8), (160, 120))
    whole, thumbnail = (cv2.imencode('.jpg', image)[1].tobytes() for image in (bgr, bgr[::8, ::8]))
    segment = b'\xff\xe1' + (len(thumbnail) + 2).to_bytes(2, 'big') + thumbnail
    with_thumbnail = whole[:2] + segment + whole[2:]
    conversions.image_from_compressed_msg(CompressedImage(format='jpeg', data=with_thumbnail))
    with pytest.raises(ValueError, match='torn after'):
        conversions.image_from_compressed_msg(
            CompressedImage(format='jpeg', data=with_thumbnail[:-900])
        )


def test_transform_keeps_the_pose():
    pose = RigidTransform.from_xyz_rpy([1, 2, 3], [0.1, -0.2, 0.3])
    message = conversions.transform_to_msg(pose, 'base', 'camera', STAMP_NS).transform
    rotation = message.rotation
    back = RigidTransform.from_quaternion(
        [message.translation.x, message.translation.y, message.translation.z],
        [rotation.x, rotation.y, rotation.z, rotation.w],
    )
    np.testing.assert_allclose(back.rotation, pose.rotation, atol=1e-12)
    np.testing.assert_allclose(back.translation, pose.translation)
