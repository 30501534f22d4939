# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Sound around a rigid sphere: wave equation, boundary, limits of long and short waves."""

import numpy as np
import pytest

from av_perception.audio.propagation import (
    SPEED_OF_SOUND,
    array_response,
    free_field_response,
    rigid_sphere_response,
)
from av_perception.geometry.rigid_transform import direction_from_angles
from av_perception.robot_head.profile import MicrophoneArray, RigidSphere

RADIUS = 0.0875
ANGLES = np.radians(np.arange(0, 181, 15))
AHEAD = np.array([[1.0, 0.0, 0.0]])


def at(points, frequency):
    """Pressure at (P, 3) points of a wave from ahead."""
    return rigid_sphere_response(points, RADIUS, AHEAD, np.array([float(frequency)]))[0, 0]


@pytest.mark.parametrize('frequency', [125, 1000, 4000, 8000])
def test_nothing_flows_through_the_surface(frequency):
    points = direction_from_angles(ANGLES, 0.3) * RADIUS
    step = 1e-5
    surface, above, higher = (at(points * (1 + n * step / RADIUS), frequency) for n in range(3))
    slope = (4 * above - 3 * surface - higher) / (2 * step)
    wavenumber = 2 * np.pi * frequency / SPEED_OF_SOUND
    assert np.abs(slope).max() < 1e-3 * wavenumber


@pytest.mark.parametrize('frequency', [500, 2000, 6000])
def test_the_field_obeys_the_wave_equation(frequency):
    rng = np.random.default_rng(0)
    directions = direction_from_angles(rng.uniform(-3, 3, 20), rng.uniform(-1, 1, 20))
    points = directions * rng.uniform(1.2, 2.0, (20, 1)) * RADIUS
    field = at(points, frequency)
    step = 1e-3
    laplacian = -6 * field
    for axis in step * np.eye(3):
        laplacian = laplacian + at(points + axis, frequency) + at(points - axis, frequency)
    wavenumber = 2 * np.pi * frequency / SPEED_OF_SOUND
    np.testing.assert_allclose(
        laplacian / step**2, -(wavenumber**2) * field, atol=0.02 * wavenumber**2
    )


def test_the_scattered_wave_runs_outward_and_fades():
    """Along a ray its phase falls like exp(-j k r) and its size like 1 / r."""
    frequency, direction = 2000.0, direction_from_angles(2.0, 0.4)
    wavenumber = 2 * np.pi * frequency / SPEED_OF_SOUND
    distance = np.array([30.0, 30.01, 60.0])
    points = distance[:, None] * direction
    incident = free_field_response(points, AHEAD, np.array([frequency]))[0, 0]
    scattered = at(points, frequency) - incident
    assert np.angle(scattered[1] / scattered[0]) == pytest.approx(-0.01 * wavenumber, rel=1e-2)
    assert np.abs(scattered[0] / scattered[2]) == pytest.approx(2.0, rel=1e-2)


def test_long_waves_gain_half_their_phase_again():
    """p = 1 + 3/2 j k a cos(angle) on a small sphere (Rayleigh)."""
    frequency = 5.0
    pressure = at(direction_from_angles(ANGLES, 0.0) * RADIUS, frequency)
    expected = 1 + 1.5j * 2 * np.pi * frequency / SPEED_OF_SOUND * RADIUS * np.cos(ANGLES)
    np.testing.assert_allclose(pressure, expected, atol=2e-4)


def test_short_waves_arrive_as_woodworth_says():
    """a / c (angle + sin angle) between two ears, and twice the pressure where the wave hits."""
    ears = np.array([[0.0, RADIUS, 0.0], [0.0, -RADIUS, 0.0]])
    azimuth = np.radians([20.0, 45.0, 60.0])
    frequencies = np.arange(6000.0, 8000.0, 10.0)
    pressure = rigid_sphere_response(
        ears, RADIUS, direction_from_angles(azimuth, 0.0), frequencies
    )
    phase = np.unwrap(np.angle(pressure[..., 0] * pressure[..., 1].conj()), axis=1)
    delay = np.polyfit(2 * np.pi * frequencies, phase.T, 1)[0]
    np.testing.assert_allclose(
        delay, RADIUS / SPEED_OF_SOUND * (azimuth + np.sin(azimuth)), rtol=0.06
    )
    assert abs(at(RADIUS * AHEAD, 20000.0)[0]) == pytest.approx(2.0, abs=0.05)


def test_a_tiny_sphere_is_the_free_field():
    points = np.array([[0.05, 0.02, 0.0], [-0.03, 0.04, 0.02]])
    directions, frequencies = direction_from_angles(ANGLES, 0.2), np.array([100.0, 2000.0, 8000.0])
    free = free_field_response(points, directions, frequencies)
    np.testing.assert_allclose(
        rigid_sphere_response(points, 1e-4, directions, frequencies), free, atol=1e-3
    )


def test_the_profile_chooses_the_model_and_where_the_sphere_is():
    coordinates, frequencies = ((0.1, RADIUS, 0.0), (0.1, -RADIUS, 0.0)), np.array([1000.0])
    plain = MicrophoneArray(coordinates)
    headed = MicrophoneArray(coordinates, sphere=RigidSphere(RADIUS, (0.1, 0.0, 0.0)))
    directions = direction_from_angles(ANGLES, 0.0)
    centered = rigid_sphere_response(
        np.array([[0.0, RADIUS, 0.0], [0.0, -RADIUS, 0.0]]), RADIUS, directions, frequencies
    )
    np.testing.assert_allclose(array_response(headed, directions, frequencies), centered)
    np.testing.assert_allclose(
        array_response(headed, directions, frequencies, 'free-field'),
        array_response(plain, directions, frequencies),
    )
    for array, model in ((plain, 'rigid-sphere'), (headed, 'cube')):
        with pytest.raises(ValueError, match='model'):
            array_response(array, directions, frequencies, model)
