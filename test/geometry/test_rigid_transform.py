# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Rigid transforms form a group; directions and angles are each other's inverse."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from av_perception.geometry.rigid_transform import (
    BODY_FROM_OPTICAL,
    RigidTransform,
    angles_from_direction,
    direction_from_angles,
    wrap_angle,
)


def some(random) -> RigidTransform:
    return RigidTransform.from_xyz_rpy(random.normal(size=3), random.uniform(-np.pi, np.pi, 3))


def assert_same(a: RigidTransform, b: RigidTransform):
    np.testing.assert_allclose(a.rotation, b.rotation, atol=1e-12)
    np.testing.assert_allclose(a.translation, b.translation, atol=1e-12)


def homogeneous(pose: RigidTransform) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = pose.rotation
    matrix[:3, 3] = pose.translation
    return matrix


@pytest.mark.parametrize('seed', range(5))
def test_products_and_inverses_are_those_of_homogeneous_matrices(seed):
    random = np.random.default_rng(seed)
    a, b = some(random), some(random)
    np.testing.assert_allclose(homogeneous(a @ b), homogeneous(a) @ homogeneous(b), atol=1e-12)
    np.testing.assert_allclose(homogeneous(a.inverse()), np.linalg.inv(homogeneous(a)), atol=1e-12)


@pytest.mark.parametrize('seed', range(5))
def test_transforms_are_a_group(seed):
    random = np.random.default_rng(100 + seed)
    a, b, c = (some(random) for _ in range(3))
    identity = RigidTransform()
    assert_same((a @ b) @ c, a @ (b @ c))
    assert_same(a @ identity, a)
    assert_same(identity @ a, a)
    assert_same(a @ a.inverse(), identity)
    assert_same((a @ b).inverse(), b.inverse() @ a.inverse())


def test_points_move_and_directions_only_turn():
    random = np.random.default_rng(7)
    pose = some(random)
    points = random.normal(size=(4, 5, 3))
    moved = pose.apply(points)
    assert moved.shape == points.shape
    np.testing.assert_allclose(moved - pose.translation, pose.rotate(points), atol=1e-12)
    np.testing.assert_allclose(pose.rotate(points[1, 2]), pose.rotation @ points[1, 2], atol=1e-12)
    np.testing.assert_allclose(pose.inverse().apply(moved), points, atol=1e-12)
    # Lengths, and distances between points, stay.
    np.testing.assert_allclose(
        np.linalg.norm(np.diff(moved, axis=0), axis=-1),
        np.linalg.norm(np.diff(points, axis=0), axis=-1),
    )


def test_roll_pitch_and_yaw_turn_about_fixed_axes_one_after_the_other():
    quarter = np.pi / 2
    x, y, z = np.eye(3)
    turned = RigidTransform.from_xyz_rpy(np.zeros(3), (quarter, 0, 0))
    np.testing.assert_allclose(turned.rotate([x, y, z]), [x, z, -y], atol=1e-12)
    turned = RigidTransform.from_xyz_rpy(np.zeros(3), (0, quarter, 0))
    np.testing.assert_allclose(turned.rotate([x, y, z]), [-z, y, x], atol=1e-12)
    turned = RigidTransform.from_xyz_rpy(np.zeros(3), (0, 0, quarter))
    np.testing.assert_allclose(turned.rotate([x, y, z]), [y, -x, z], atol=1e-12)
    # Roll first, then yaw about the axis that did not move: y goes to z, which yaw leaves.
    turned = RigidTransform.from_xyz_rpy(np.zeros(3), (quarter, 0, quarter))
    np.testing.assert_allclose(turned.rotate(y), z, atol=1e-12)


@pytest.mark.parametrize('seed', range(5))
def test_roll_pitch_and_yaw_are_those_of_scipy(seed):
    angles = np.random.default_rng(seed).uniform(-2 * np.pi, 2 * np.pi, 3)
    turned = RigidTransform.from_xyz_rpy([1, 2, 3], angles)
    np.testing.assert_allclose(
        turned.rotation, Rotation.from_euler('xyz', angles).as_matrix(), atol=1e-15
    )
    np.testing.assert_array_equal(turned.translation, [1.0, 2.0, 3.0])


def test_a_camera_looks_along_x_with_right_to_the_right_and_down_below():
    right, down, ahead = np.eye(3)
    np.testing.assert_array_equal(BODY_FROM_OPTICAL @ ahead, [1, 0, 0])
    np.testing.assert_array_equal(BODY_FROM_OPTICAL @ right, [0, -1, 0])
    np.testing.assert_array_equal(BODY_FROM_OPTICAL @ down, [0, 0, -1])
    assert np.linalg.det(BODY_FROM_OPTICAL) == 1


@pytest.mark.parametrize('scale', [0.9951, 1.0, 1.0049])
def test_a_quaternion_of_nearly_unit_length_is_a_rotation(scale):
    quaternion = Rotation.from_rotvec([0.3, -0.2, 0.9]).as_quat() * scale
    pose = RigidTransform.from_quaternion([1, 2, 3], quaternion)
    np.testing.assert_allclose(pose.rotation @ pose.rotation.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(
        pose.rotation, Rotation.from_quat(quaternion).as_matrix(), atol=1e-12
    )


@pytest.mark.parametrize(
    'xyz, quaternion',
    [
        ([0, 0, 0], [0, 0, 0, 0]),
        ([0, 0, 0], [0, 0, 0, 0.994]),
        ([0, 0, 0], [0, 0, 0, 1.006]),
        ([0, 0, 0], [np.nan, 0, 0, 1]),
        ([0, np.inf, 0], [0, 0, 0, 1]),
        ([0, 0, np.nan], [0, 0, 0, 1]),
    ],
)
def test_what_is_no_pose_is_refused(xyz, quaternion):
    with pytest.raises(ValueError, match='has not length 1, or the translation is not finite'):
        RigidTransform.from_quaternion(xyz, quaternion)


@pytest.mark.parametrize('seed', range(3))
def test_a_pose_survives_its_quaternion(seed):
    random = np.random.default_rng(seed)
    for _ in range(50):
        pose = some(random)
        assert_same(RigidTransform.from_quaternion(pose.translation, pose.quaternion_xyzw), pose)


@pytest.mark.parametrize(
    'azimuth_deg, elevation_deg, direction',
    [
        (0, 0, [1, 0, 0]),
        (90, 0, [0, 1, 0]),
        (-90, 0, [0, -1, 0]),
        (180, 0, [-1, 0, 0]),
        (0, 90, [0, 0, 1]),
        (45, -90, [0, 0, -1]),
        (45, 0, [np.sqrt(0.5), np.sqrt(0.5), 0]),
        (90, 45, [0, np.sqrt(0.5), np.sqrt(0.5)]),
    ],
)
def test_left_is_positive_and_up_is_positive(azimuth_deg, elevation_deg, direction):
    found = direction_from_angles(np.radians(azimuth_deg), np.radians(elevation_deg))
    np.testing.assert_allclose(found, direction, atol=1e-15)


def test_angles_come_back_from_directions_of_any_length():
    random = np.random.default_rng(3)
    azimuth = random.uniform(-np.pi, np.pi, (6, 50))
    elevation = random.uniform(-1.5, 1.5, (6, 50))
    length = 10.0 ** random.uniform(-6, 6, (6, 50, 1))
    directions = direction_from_angles(azimuth, elevation)
    np.testing.assert_allclose(np.linalg.norm(directions, axis=-1), 1)
    found_azimuth, found_elevation = angles_from_direction(length * directions)
    np.testing.assert_allclose(found_azimuth, azimuth, atol=1e-12)
    np.testing.assert_allclose(found_elevation, elevation, atol=1e-12)


def test_one_elevation_serves_many_azimuths():
    directions = direction_from_angles(np.zeros((3, 1)), np.zeros(4))
    assert directions.shape == (3, 4, 3) and (directions == [1, 0, 0]).all()


def test_a_yaw_of_the_head_adds_to_the_azimuth():
    random = np.random.default_rng(5)
    azimuth = random.uniform(-np.pi, np.pi, 100)
    elevation = random.uniform(-1.2, 1.2, 100)
    yaw = 0.7
    turned = RigidTransform.from_xyz_rpy(np.zeros(3), (0, 0, yaw))
    seen = angles_from_direction(turned.rotate(direction_from_angles(azimuth, elevation)))
    np.testing.assert_allclose(wrap_angle(seen[0] - azimuth - yaw), 0, atol=1e-12)
    np.testing.assert_allclose(seen[1], elevation, atol=1e-12)


@pytest.mark.parametrize(
    'angle, wrapped',
    [(0, 0), (np.pi, -np.pi), (-np.pi, -np.pi), (1.5 * np.pi, -0.5 * np.pi), (7, 7 - 2 * np.pi)],
)
def test_an_angle_is_wrapped_into_one_turn(angle, wrapped):
    assert wrap_angle(angle) == pytest.approx(wrapped)


def test_wrapping_changes_an_angle_by_whole_turns_and_once_only():
    angles = np.random.default_rng(1).uniform(-50, 50, 1000)
    wrapped = wrap_angle(angles)
    assert (wrapped >= -np.pi).all() and (wrapped < np.pi).all()
    turns = (angles - wrapped) / (2 * np.pi)
    np.testing.assert_allclose(turns, np.round(turns), atol=1e-12)
    np.testing.assert_allclose(wrap_angle(wrapped), wrapped, atol=1e-14)
