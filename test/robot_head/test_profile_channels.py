# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Channels, geometry and projections of a head profile, and calibration files on disk."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import yaml

from av_perception.errors import UserError
from av_perception.robot_head import CameraGeometry, HeadProfile, MicrophoneArray, load_head
from av_perception.robot_head.camera_calibration import (
    CameraCalibration,
    read_calibrations,
    rectified_geometry,
)

SQUARE = ((0.03, 0.03, 0.0), (0.03, -0.03, 0.0), (-0.03, 0.03, 0.0), (-0.03, -0.03, 0.0))
CAMERA = CameraGeometry(640, 480, (500.0, 510.0), (322.0, 239.0), 0.06)


def numbered(channels, samples=3):
    """Sound whose samples name their channel."""
    return np.tile(np.arange(channels, dtype=np.float32), (samples, 1))


def test_the_channels_that_the_profile_names_are_picked_in_its_order():
    array = MicrophoneArray(SQUARE, device_channels=(4, 1, 0, 5))
    for channels in (6, 8):
        np.testing.assert_array_equal(array.pick(numbered(channels))[0], [4, 1, 0, 5])
    assert array.num_device_channels == 6
    with pytest.raises(UserError, match='5 channels, but device_channels .* go up to 5'):
        array.pick(numbered(5))


def test_a_recording_of_the_microphones_alone_is_taken_as_it_is():
    array = MicrophoneArray(SQUARE, device_channels=(4, 1, 0, 5))
    sound = numbered(4)
    assert array.pick_recorded(sound) is sound
    np.testing.assert_array_equal(array.pick_recorded(numbered(6))[0], [4, 1, 0, 5])
    array.require_recorded(4, 'talk.wav')
    with pytest.raises(UserError, match='talk.wav has 3 channels, but device_channels'):
        array.require_recorded(3, 'talk.wav')


def test_without_named_channels_there_are_as_many_as_microphones():
    array = MicrophoneArray(SQUARE)
    sound = numbered(4)
    assert array.pick(sound) is sound and array.num_device_channels == 4
    with pytest.raises(UserError, match='2 channels, the head profile has 4 microphones') as few:
        array.pick(numbered(2))
    with pytest.raises(UserError, match='8 channels.* or name the microphones') as many:
        array.pick(numbered(8))
    assert 'device_channels' in str(many.value) and 'device_channels' not in str(few.value)


def test_channels_are_called_as_a_person_finds_them():
    assert MicrophoneArray(SQUARE).channel_name(2) == 'channel 2'
    array = MicrophoneArray(SQUARE, device_channels=(4, 1, 0, 5))
    assert array.channel_name(0) == 'microphone 0 (channel 4 of the device)'


@pytest.mark.parametrize(
    'fields, told',
    [
        ({'coordinates': ()}, '1 to 16 microphones, not 0'),
        ({'coordinates': SQUARE * 5}, '1 to 16 microphones, not 20'),
        ({'sample_rate': 7999}, 'sample_rate must lie in 8000..192000 Hz, not 7999'),
        ({'sample_rate': 192001}, 'sample_rate must lie in'),
        (
            {'device_channels': (0, 1, 2)},
            'device_channels must name one channel for each of the 4',
        ),
        ({'device_channels': (0, 1, 2, 2)}, 'device_channels must name one channel for each'),
        ({'device_channels': (0, 1, 2, -3)}, 'device_channels count from 0'),
        ({'channel_map': ('front_left',)}, 'channel_map must name one channel for each of the 4'),
        ({'delivery_s': -0.1}, 'delivery_s must lie in 0..2 s'),
        ({'delivery_s': 2.1}, 'delivery_s must lie in 0..2 s'),
    ],
)
def test_what_no_array_is_is_named(fields, told):
    with pytest.raises(ValueError, match=told):
        dataclasses.replace(MicrophoneArray(SQUARE), **fields)


def test_the_hash_tells_geometries_apart_but_not_what_rounding_does():
    array = MicrophoneArray(SQUARE)
    near = tuple((x + 2e-5, y - 2e-5, z) for x, y, z in SQUARE)
    assert MicrophoneArray(near).geometry_hash == array.geometry_hash
    far = ((SQUARE[0][0] + 2e-4, *SQUARE[0][1:]), *SQUARE[1:])
    others = [MicrophoneArray(far), MicrophoneArray(SQUARE[::-1]), MicrophoneArray(SQUARE[:3])]
    hashes = {other.geometry_hash for other in (array, *others)}
    assert len(hashes) == 4 and all(len(name) == 16 for name in hashes)
    moved = dataclasses.replace(array, position=(0.1, 0.0, 0.2))
    assert moved.geometry_hash == array.geometry_hash, 'a map is in the array frame'


def test_the_pose_of_the_array_turns_and_shifts_its_microphones():
    array = MicrophoneArray(SQUARE, position=(0.1, 0.2, 0.3), orientation_rpy_deg=(0, 0, 90))
    placed = array.base_from_array.apply(array.positions)
    np.testing.assert_allclose(placed[0], [0.07, 0.23, 0.3], atol=1e-12)
    np.testing.assert_allclose(placed[1], [0.13, 0.23, 0.3], atol=1e-12)


@pytest.mark.parametrize('seed', range(3))
def test_projection_and_disparity_are_those_of_two_pinholes(seed):
    random = np.random.default_rng(seed)
    points = np.column_stack([random.uniform(-1, 1, (20, 2)), random.uniform(0.3, 6, 20)])
    left = CAMERA.project(points)
    shifted = points - [CAMERA.baseline, 0, 0]  # in the right camera's frame
    right = CAMERA.project(shifted)
    np.testing.assert_allclose(left[:, 1], right[:, 1])
    np.testing.assert_allclose(left[:, 0] - right[:, 0], CAMERA.disparity(points[:, 2]))
    np.testing.assert_allclose(left, (points[:, :2] / points[:, 2:]) * [500, 510] + [322, 239])


def test_what_is_ahead_of_the_camera_is_ahead_of_the_robot():
    camera = dataclasses.replace(CAMERA, position=(0.1, 0.03, 0.4))
    np.testing.assert_allclose(
        camera.base_from_optical.apply([0.5, -0.2, 2.0]), [2.1, -0.47, 0.6], atol=1e-12
    )


@pytest.mark.parametrize(
    'fields, told',
    [
        ({'baseline': -0.06}, 'are left and right swapped'),
        ({'frame_rate': 0.0}, 'frame_rate must lie in 0.5..1000 Hz'),
        ({'frame_rate': np.inf}, 'frame_rate must be finite'),
        ({'baseline': np.nan}, 'baseline must be finite'),
    ],
)
def test_what_no_camera_is_is_named(fields, told):
    with pytest.raises(ValueError, match=told):
        dataclasses.replace(CAMERA, **fields)


def test_a_head_senses_something_and_two_microphones_hear_directions():
    with pytest.raises(ValueError, match='needs microphones, a camera or both'):
        HeadProfile('stone')
    assert not HeadProfile('eyes', camera=CAMERA).can_hear_directions
    assert not HeadProfile('one', MicrophoneArray(SQUARE[:1])).can_hear_directions
    assert HeadProfile('two', MicrophoneArray(SQUARE[:2])).can_hear_directions


def distorted(right=False):
    """A calibration with numbers of many digits."""
    plain = CameraCalibration.rectified(CAMERA, right)
    return dataclasses.replace(
        plain,
        matrix=plain.matrix * np.array([[1.01, 1, 1.002], [1, 0.99, 1 / 3 + 0.6], [1, 1, 1]]),
        distortion=np.array([-0.21, 0.05, 1e-4, -1 / 3000, 1e-9]),
    )


@pytest.mark.parametrize('right', [False, True])
def test_a_calibration_file_is_read_as_it_was_written(right, tmp_path):
    calibration = distorted(right)
    calibration.write(tmp_path / 'camera.yaml', 'left')
    assert CameraCalibration.read(tmp_path / 'camera.yaml') == calibration
    assert not calibration.is_rectified and CameraCalibration.rectified(CAMERA, right).is_rectified


def test_a_pair_of_files_gives_back_the_geometry_of_the_head(tmp_path):
    for side in (False, True):
        distorted(side).write(tmp_path / f'{side}.yaml', 'camera')
    pair = read_calibrations([tmp_path / 'False.yaml', tmp_path / 'True.yaml'])
    geometry = rectified_geometry(pair)
    assert (geometry['width'], geometry['height']) == (640, 480)
    assert (geometry['focal'], geometry['center']) == ([500.0, 510.0], [322.0, 239.0])
    assert geometry['baseline'] == pytest.approx(0.06)
    assert rectified_geometry(pair[:1])['baseline'] == 0


@pytest.mark.parametrize(
    'change, told',
    [
        (lambda left, right: (right, left), 'do not swap left and right'),
        (lambda left, right: (left, left), 'no negative fourth column'),
        (
            lambda left, right: (left, dataclasses.replace(right, width=800)),
            'the left images are 640x480, the right ones 800x480',
        ),
        (
            lambda left, right: (
                left,
                dataclasses.replace(
                    right,
                    projection=right.projection + 9 * np.eye(2, 4)[[0, 1, 1]] * [[1], [1], [0]],
                ),
            ),
            'matrices of left and right differ',
        ),
    ],
)
def test_two_calibrations_that_are_no_pair_are_told(change, told):
    pair = change(*(CameraCalibration.rectified(CAMERA, side) for side in (False, True)))
    with pytest.raises(ValueError, match=told):
        rectified_geometry(pair)


@pytest.mark.parametrize(
    'key, value, told',
    [
        ('image_width', None, "the key 'image_width' is missing"),
        ('camera_matrix', {'rows': 3}, "the key 'data' is missing"),
        ('camera_matrix', {'data': [1.0] * 8}, 'cannot reshape'),
        ('projection_matrix', {'data': ['one'] * 12}, 'could not convert string'),
        ('image_height', 'tall', 'whole number of pixels'),
        ('camera_matrix', {'data': [float('nan')] * 9}, 'numbers that are not finite'),
        ('camera_matrix', {'data': [0.0] * 9}, 'its focal length is 0: run'),
    ],
)
def test_what_is_wrong_in_a_calibration_file_is_named(key, value, told, tmp_path):
    path = tmp_path / 'camera.yaml'
    distorted().write(path, 'left')
    content = yaml.safe_load(path.read_text())
    content[key] = value
    if value is None:
        del content[key]
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(UserError, match=told) as caught:
        CameraCalibration.read(path)
    assert str(path) in str(caught.value) and '\n' not in str(caught.value)


def test_a_calibration_that_cannot_be_written_is_one_line(tmp_path):
    with pytest.raises(UserError, match='cannot write .*No such file'):
        distorted().write(tmp_path / 'absent' / 'camera.yaml', 'left')


@pytest.mark.parametrize('names', ['left.yaml', [], ['a', 'b', 'c'], [1, 2]])
def test_a_head_lists_one_or_two_calibration_files(names, tmp_path):
    path = tmp_path / 'mine.yaml'
    path.write_text(yaml.safe_dump({'name': 'mine', 'camera': {'calibration': names}}))
    with pytest.raises(UserError) as caught:
        load_head(str(path))
    assert str(path) in str(caught.value) and '\n' not in str(caught.value)


def test_a_number_is_said_once_by_the_head_or_by_its_calibration(tmp_path):
    distorted().write(tmp_path / 'left.yaml', 'left')
    path = tmp_path / 'mine.yaml'
    camera = {'calibration': ['left.yaml']}
    path.write_text(yaml.safe_dump({'name': 'mine', 'camera': camera}))
    head = load_head(str(path))
    assert head.camera.focal == (500.0, 510.0)
    assert head.camera.calibration == (str(tmp_path / 'left.yaml'),)
    path.write_text(yaml.safe_dump({'name': 'mine', 'camera': {**camera, 'width': 640}}))
    with pytest.raises(UserError, match='both say it: remove camera.width'):
        load_head(str(path))
