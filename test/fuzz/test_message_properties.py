# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Whatever numbers a message holds, it comes back as it went; whatever it is, it is read or told.

Hypothesis draws the numbers: NaN, infinities, the ends of ranges, empty and unequal lists.
"""

from __future__ import annotations

import importlib
import re
from dataclasses import fields, is_dataclass

import numpy as np
import pytest
from drawn import given, st
from geometry_msgs.msg import PoseArray, TransformStamped
from mutations import is_one_line
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2, PointField

from av_perception.errors import UserError
from av_perception.geometry.rigid_transform import RigidTransform
from av_perception.interfaces import (
    Attention,
    AttentionReason,
    AudioChunk,
    AudioFeatures,
    Face,
    HeadPoseEstimate,
    HeadPoseFrame,
    LifeState,
    MotionForecast,
    MotionForecastFrame,
    MouthCrop,
    MouthFrame,
    SpeakingFrame,
    SpeakingStatus,
    TrackEstimate,
    TrackFrame,
    VisualFeatures,
)
from av_perception.robot_head.plausibility import SAMPLE_RATE_HZ
from av_perception.ros import conversions
from av_perception.ros.conversions import attention as attention_messages
from av_perception.ros.conversions import (
    audio,
    cameras,
    faces,
    forecasts,
    head_poses,
    images,
    mouths,
    poses,
    skeletons,
    tracks,
)
from av_perception.ros.parameters import Parameter

SINGLE = st.floats(width=32)
DOUBLE = st.floats()
FINITE = st.floats(allow_nan=False, allow_infinity=False)
RATE = st.integers(*SAMPLE_RATE_HZ)
STAMP = st.integers(1, (2**31 - 1) * 10**9)
ID = st.integers(0, 2**31 - 1)
UNIT = st.floats(0, 1, width=32)


def array(draw, shape, numbers=SINGLE):
    """Draw a few numbers and lay them out over a shape: large arrays cost no time."""
    few = np.array(draw(st.lists(numbers, min_size=1, max_size=6)))
    return np.resize(few, shape)


def over_the_wire(message):
    return deserialize_message(serialize_message(message), type(message))


def assert_same(after, before):
    """Equal to the last bit, NaN like NaN, dataclasses field by field."""
    assert type(after) is type(before) or not is_dataclass(before)
    if is_dataclass(before):
        for field in fields(before):
            assert_same(getattr(after, field.name), getattr(before, field.name))
    elif isinstance(before, tuple):
        assert len(after) == len(before)
        for one, other in zip(after, before):
            assert_same(one, other)
    elif isinstance(before, dict):
        assert after.keys() == before.keys()
        assert_same(tuple(after.values()), tuple(before.values()))
    elif isinstance(before, AttentionReason) or before is None:
        assert after is before
    else:
        np.testing.assert_array_equal(after, before)


# ---- values of every kind


@st.composite
def chunks(draw):
    shape = (draw(st.integers(1, 50)), draw(st.integers(1, 16)))
    samples = array(draw, shape).astype(np.float32)
    return AudioChunk(draw(STAMP), draw(RATE), draw(st.integers(0, 9)), samples)


@st.composite
def audio_features(draw):
    shape = (draw(st.integers(1, 9)), draw(st.integers(0, 9)))
    return AudioFeatures(
        draw(STAMP),
        draw(SINGLE),
        array(draw, shape),
        array(draw, shape, st.booleans()),
        array(draw, shape[0]),
        array(draw, shape[0], st.booleans()),
    )


@st.composite
def face_frames(draw):
    def face():
        return Face(
            array(draw, 4),
            draw(SINGLE),
            array(draw, (5, 2)),
            array(draw, 3, DOUBLE),
            array(draw, (3, 3), DOUBLE),
            array(draw, draw(st.integers(0, 9))),
            array(draw, draw(st.integers(0, 9))),
        )

    return VisualFeatures(draw(STAMP), tuple(face() for _ in range(draw(st.integers(0, 2)))))


@st.composite
def mouth_frames(draw):
    def mouth():
        levels = st.integers(0, 255)
        box = array(draw, 4, st.floats(allow_nan=False, allow_infinity=False, width=32))
        lips = array(draw, (67, 67), levels).astype(np.uint8)
        eyes = array(draw, (34, 67), levels).astype(np.uint8)
        return MouthCrop(box, lips, eyes, draw(UNIT), draw(SINGLE))

    return MouthFrame(draw(STAMP), tuple(mouth() for _ in range(draw(st.integers(0, 2)))))


@st.composite
def track_frames(draw):
    def track():
        flags = [draw(st.booleans()) for _ in range(3)]
        box = array(draw, 4) if draw(st.booleans()) else None
        return TrackEstimate(
            draw(ID),
            draw(st.sampled_from(LifeState)),
            array(draw, 6, FINITE),
            array(draw, (6, 6), DOUBLE),
            *flags,
            draw(STAMP),
            draw(STAMP),
            draw(SINGLE),
            box,
            array(draw, draw(st.integers(0, 9))),
            draw(SINGLE),
        )

    found = tuple(track() for _ in range(draw(st.integers(0, 2))))
    return TrackFrame(draw(STAMP), found, draw(st.booleans()))


@st.composite
def speaking_frames(draw):
    status = st.builds(SpeakingStatus, ID, st.booleans(), SINGLE, STAMP)
    return SpeakingFrame(draw(STAMP), tuple(draw(st.lists(status, max_size=3))))


@st.composite
def attentions(draw):
    key = draw(st.integers(-1, 99))
    target = array(draw, 3, FINITE) if key >= 0 else None
    reason = draw(st.sampled_from(AttentionReason))
    return Attention(draw(STAMP), reason, key, target, draw(STAMP))


@st.composite
def head_pose_frames(draw):
    def head():
        angles = array(draw, 3, st.floats(-3, 3))
        rotation = RigidTransform.from_xyz_rpy((0, 0, 0), angles).rotation
        return HeadPoseEstimate(
            draw(ID),
            rotation if draw(st.booleans()) else None,
            array(draw, (3, 3), DOUBLE),
            draw(STAMP),
            draw(SINGLE),
            draw(st.booleans()),
            draw(STAMP),
            draw(st.dictionaries(ID, SINGLE, max_size=3)),
        )

    return HeadPoseFrame(draw(STAMP), tuple(head() for _ in range(draw(st.integers(0, 2)))))


@st.composite
def forecast_frames(draw):
    finite = st.floats(allow_nan=False, allow_infinity=False, width=32)
    horizons, samples = draw(st.integers(0, 4)), draw(st.integers(0, 3))

    def forecast():
        return MotionForecast(
            draw(ID),
            draw(st.text(max_size=4)).replace('\0', ''),
            array(draw, (horizons, 3), finite),
            array(draw, (horizons, 3, 3), finite),
            array(draw, (samples, horizons, 3), finite),
            array(draw, (horizons, 2), finite),
        )

    count = draw(st.integers(1, 2))
    return MotionForecastFrame(
        draw(STAMP), array(draw, horizons), tuple(forecast() for _ in range(count))
    )


ROUND_TRIPS = {
    'sound': (chunks(), audio.audio_chunk_to_msg, audio.audio_chunk_from_msg),
    'features': (audio_features(), audio.audio_features_to_msg, audio.audio_features_from_msg),
    'faces': (face_frames(), faces.visual_features_to_msg, faces.visual_features_from_msg),
    'mouths': (mouth_frames(), mouths.mouth_frame_to_msg, mouths.mouth_frame_from_msg),
    'tracks': (track_frames(), tracks.track_frame_to_msg, tracks.track_frame_from_msg),
    'speaking': (speaking_frames(), tracks.speaking_frame_to_msg, tracks.speaking_frame_from_msg),
    'attention': (
        attentions(),
        attention_messages.attention_to_msg,
        attention_messages.attention_from_msg,
    ),
    'forecasts': (
        forecast_frames(),
        forecasts.forecast_frame_to_msg,
        forecasts.forecast_frame_from_msg,
    ),
}


@pytest.mark.parametrize('name', ROUND_TRIPS)
def test_a_value_comes_back_from_its_message(name):
    values, to_message, from_message = ROUND_TRIPS[name]

    @given(values)
    def check(value):
        assert_same(from_message(over_the_wire(to_message(value, 'frame'))), value)

    check()


@given(head_pose_frames())
def test_a_turn_of_a_head_comes_back_as_far_as_a_quaternion_tells(frame):
    message = over_the_wire(head_poses.head_pose_frame_to_msg(frame, 'frame'))
    back = head_poses.head_pose_frame_from_msg(message)
    assert back.stamp_ns == frame.stamp_ns and len(back.heads) == len(frame.heads)
    for after, before in zip(back.heads, frame.heads):
        assert (after.rotation is None) == (before.rotation is None)
        if before.rotation is not None:
            np.testing.assert_allclose(after.rotation, before.rotation, atol=1e-12)
        for name in ('id', 'covariance', 'facing_probability', 'facing', 'others', 'since_ns'):
            assert_same(getattr(after, name), getattr(before, name))


@given(st.data(), st.integers(1, 9), st.integers(1, 9))
def test_an_image_comes_back(data, height, width):
    image = array(data.draw, (height, width, 3), st.integers(0, 255)).astype(np.uint8)
    message = over_the_wire(images.image_to_msg(image, 7, 'camera'))
    np.testing.assert_array_equal(images.image_from_msg(message), image)


# ---- messages of anything


def strategy_of(kind: str):
    """Draw what a field of this ROS type may hold."""
    if match := re.fullmatch(r'sequence<(.+?)(, \d+)?>', kind):
        return st.lists(strategy_of(match[1]), max_size=3)
    if match := re.fullmatch(r'(.+)\[(\d+)\]', kind):
        size = int(match[2])
        few = st.lists(strategy_of(match[1]), min_size=1, max_size=min(size, 6))
        return few.map(lambda values: (values * size)[:size])
    if '/' in kind:
        package, name = kind.split('/')
        return messages(getattr(importlib.import_module(f'{package}.msg'), name))
    if match := re.fullmatch(r'(u?)int(\d+)', kind):
        bits = int(match[2])
        low, high = (0, 2**bits - 1) if match[1] else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        return st.integers(low, high) | st.integers(0, min(high, 9)) | st.just(high)
    known = {
        'float': SINGLE,
        'double': DOUBLE,
        'boolean': st.booleans(),
        'octet': st.binary(min_size=1, max_size=1),
        'string': st.text(max_size=5) | st.sampled_from(['x', 'y', 'z', 'bgr8', 'nv12', 'jpeg']),
    }
    return known[kind.split('<')[0]]


def messages(kind: type):
    """Draw messages of a type: every field, in its range."""
    parts = {name: strategy_of(of) for name, of in kind.get_fields_and_field_types().items()}
    return st.builds(kind, **parts)


def readers() -> dict:
    from av_perception_msgs import msg as av

    return {
        av.AudioChunk: audio.audio_chunk_from_msg,
        av.AudioFeatures: audio.audio_features_from_msg,
        av.VisualFeatures: faces.visual_features_from_msg,
        av.MouthCrops: mouths.mouth_frame_from_msg,
        av.TrackArray: tracks.track_frame_from_msg,
        av.SpeakingStatusArray: tracks.speaking_frame_from_msg,
        av.Attention: attention_messages.attention_from_msg,
        av.HeadPoseArray: head_poses.head_pose_frame_from_msg,
        av.MotionForecastArray: forecasts.forecast_frame_from_msg,
        TransformStamped: poses.transform_from_msg,
        PointCloud2: poses.points_from_msg,
        PoseArray: skeletons.joints_from_msg,
        Image: images.image_from_msg,
        CompressedImage: images.image_from_compressed_msg,
        CameraInfo: cameras.calibration_from_msg,
    }


def test_every_conversion_of_a_message_is_fed():
    named = {name for name in vars(conversions) if name.endswith('_from_msg')}
    fed = {reader.__name__ for reader in readers().values()}
    assert named - fed == set()


@pytest.mark.parametrize('kind', readers(), ids=lambda kind: kind.__name__)
def test_a_message_of_anything_is_read_or_refused_in_one_line(kind):
    read = readers()[kind]

    @given(messages(kind))
    def check(message):
        try:
            read(message)
        except (ValueError, UserError) as error:
            assert is_one_line(error), error

    check()


def test_a_cloud_without_points_may_have_any_step():
    """It was refused in NumPy's words for a step that no type of NumPy has."""
    parts = [PointField(name=axis, datatype=PointField.FLOAT32, count=1) for axis in 'xyz']
    cloud = PointCloud2(fields=parts, point_step=2**32 - 1)
    assert poses.points_from_msg(cloud).shape == (0, 3)


# ---- parameters


@given(
    st.one_of(st.floats(), st.integers(), st.text(), st.booleans(), st.binary(), st.none()),
    st.lists(st.text('abc é', max_size=3), max_size=3),
)
def test_a_parameter_refuses_nan_and_other_words_and_nothing_else(value, choices):
    parameter = Parameter('gain', 0.5, 'Gain.', choices=tuple(choices))
    refused = parameter.refusal(value)
    is_fine = value == value and (not choices or value in choices)
    assert (refused == '') == is_fine and '\n' not in refused


@given(st.floats(allow_nan=False), st.floats(allow_nan=False))
def test_a_descriptor_teaches_the_range_of_a_number(low, high):
    descriptor = Parameter('gain', 0.5, 'Gain.', low, high).descriptor()
    [told] = descriptor.floating_point_range
    assert (told.from_value, told.to_value) == (low, high) and descriptor.name == 'gain'


@given(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1))
def test_a_descriptor_teaches_the_range_of_a_whole_number(low, high):
    [told] = Parameter('count', 3, 'Count.', low, high).descriptor().integer_range
    assert (told.from_value, told.to_value) == (low, high)
