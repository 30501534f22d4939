# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The directions among which sound is searched, for arrays of every shape."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from av_perception.audio.direction_grid import direction_grid
from av_perception.geometry.rigid_transform import angles_from_direction, direction_from_angles
from av_perception.robot_head import MicrophoneArray
from av_perception.robot_head.profile import RigidSphere

LINE = MicrophoneArray(((0.0, 0.06, 0.0), (0.0, 0.0, 0.0), (0.0, -0.06, 0.0)))
ALONG = MicrophoneArray(((0.06, 0.0, 0.0), (0.0, 0.0, 0.0), (-0.06, 0.0, 0.0)))
SQUARE = MicrophoneArray(
    ((0.03, 0.03, 0.0), (0.03, -0.03, 0.0), (-0.03, 0.03, 0.0), (-0.03, -0.03, 0.0))
)
TETRAHEDRON = MicrophoneArray((*SQUARE.coordinates[:3], (0.0, 0.0, 0.05)))
ON_A_SPHERE = dataclasses.replace(SQUARE, sphere=RigidSphere(0.0425))


def angles_deg(grid):
    """Azimuth and elevation of the grid in the base frame."""
    in_base = grid.array.base_from_array.rotate(grid.directions)
    azimuth, elevation = angles_from_direction(in_base)
    return np.degrees(azimuth), np.degrees(elevation)


@pytest.mark.parametrize(
    'array, elevations, behind',
    [
        (LINE, [0], False),
        (ALONG, [0], True),
        (SQUARE, [0, 25, 50], True),
        (TETRAHEDRON, [-25, 0, 25, 50], True),
        (ON_A_SPHERE, [-25, 0, 25, 50], True),
    ],
    ids=['line', 'line ahead', 'level', 'in space', 'on a sphere'],
)
def test_an_array_is_searched_where_it_can_tell(array, elevations, behind):
    azimuth, elevation = angles_deg(direction_grid(array))
    assert sorted(set(elevation.round(6).tolist())) == elevations
    assert (np.abs(azimuth).max() > 90.1) == behind
    assert azimuth.min() < -85 and azimuth.max() > 85


@pytest.mark.parametrize('step_deg', [2.0, 5.0, 12.0])
def test_neighbors_on_the_horizon_are_a_step_apart_and_farther_above(step_deg):
    azimuth, elevation = angles_deg(direction_grid(TETRAHEDRON, step_deg))
    for ring in (0.0, 25.0, 50.0):
        sorted_deg = np.sort(azimuth[np.isclose(elevation, ring)])
        gaps = np.append(np.diff(sorted_deg), sorted_deg[0] + 360 - sorted_deg[-1])
        np.testing.assert_allclose(gaps, gaps.mean(), rtol=1e-9)
        assert gaps.mean() * np.cos(np.radians(ring)) == pytest.approx(step_deg, rel=0.1)


def test_a_half_circle_has_both_of_its_ends():
    azimuth, _ = angles_deg(direction_grid(LINE))
    np.testing.assert_allclose(azimuth, np.linspace(-90, 90, 37), atol=1e-9)


@pytest.mark.parametrize('yaw_deg', [0.0, 30.0, -120.0])
def test_a_turned_array_is_searched_in_the_same_directions_of_the_robot(yaw_deg):
    turned = dataclasses.replace(TETRAHEDRON, orientation_rpy_deg=(0.0, 0.0, yaw_deg))
    here, there = direction_grid(TETRAHEDRON), direction_grid(turned)
    np.testing.assert_allclose(there.azimuth, here.azimuth)
    np.testing.assert_allclose(
        turned.base_from_array.rotate(there.directions), here.directions, atol=1e-12
    )
    np.testing.assert_allclose(there.azimuth_of(there.directions), there.azimuth, atol=1e-9)


@pytest.mark.parametrize('array', [SQUARE, TETRAHEDRON, LINE])
def test_directions_have_unit_length_and_are_all_different(array):
    grid = direction_grid(array)
    np.testing.assert_allclose(np.linalg.norm(grid.directions, axis=1), 1)
    cosines = grid.directions @ grid.directions.T - 2 * np.eye(len(grid))
    assert cosines.max() < np.cos(np.radians(2)) and len(grid) == len(grid.azimuth)


@pytest.mark.parametrize('azimuth_deg', [-179.0, -90.0, 0.0, 33.0, 180.0])
@pytest.mark.parametrize('elevation_deg', [0.0, 40.0])
def test_near_counts_azimuth_alone_and_across_the_back(azimuth_deg, elevation_deg):
    grid = direction_grid(SQUARE)
    direction = direction_from_angles(np.radians(azimuth_deg), np.radians(elevation_deg))
    (near,) = grid.near(direction, 20.0)
    difference = np.abs((np.degrees(grid.azimuth) - azimuth_deg + 180) % 360 - 180)
    assert 0 < near.sum() < len(grid)
    np.testing.assert_array_equal(near, difference <= 20 + 1e-6)


def test_near_of_no_directions_and_of_several():
    grid = direction_grid(SQUARE)
    assert grid.near(np.zeros((0, 3)), 20.0).shape == (0, len(grid))
    both = grid.near(np.eye(3)[:2], 30.0)
    np.testing.assert_array_equal(both[1], grid.near(np.eye(3)[1], 30.0)[0])
