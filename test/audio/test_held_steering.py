# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Steering of people who stand is held; what is held is never further off than it says."""

import numpy as np

from av_perception.audio.direction_bins import DirectionLikelihood, log_of_length
from av_perception.audio.held_steering import TOLERANCE_RAD, HeldSteering, JoinedSteering
from av_perception.audio.steering import GeometricSteering
from av_perception.geometry.rigid_transform import direction_from_angles
from av_perception.robot_head.profile import MicrophoneArray

SQUARE = ((0.02, 0.02, 0.0), (-0.02, 0.02, 0.0), (-0.02, -0.02, 0.0), (0.02, -0.02, 0.0))
FREQUENCIES = np.array([500.0, 1000.0, 4000.0])


class Counted(GeometricSteering):
    """Counts the directions it is asked for."""

    asked = 0

    def vectors(self, directions, frequencies):
        self.asked += len(np.atleast_2d(directions))
        return super().vectors(directions, frequencies)


def test_only_who_has_moved_is_computed_anew():
    steering = Counted(MicrophoneArray(coordinates=SQUARE))
    likelihood = DirectionLikelihood(steering, FREQUENCIES)
    held = HeldSteering()
    azimuths = np.array([0.3, -0.5, 1.0])
    for _ in range(10):
        first = held.towards(likelihood, direction_from_angles(azimuths, 0.0))
        azimuths = azimuths + [0.0, 0.1 * TOLERANCE_RAD, 0.0]
    assert steering.asked == 3
    azimuths[2] += 0.1
    second = held.towards(likelihood, direction_from_angles(azimuths, 0.0))
    assert steering.asked == 4
    np.testing.assert_array_equal(first[:, :, :2], second[:, :, :2])
    fresh = likelihood.whitened_steering(direction_from_angles(azimuths, 0.0))
    np.testing.assert_allclose(second[:, :, 2], fresh[:, :, 2], rtol=1e-6)


def test_a_slow_walk_is_followed_within_the_tolerance():
    likelihood = DirectionLikelihood(
        GeometricSteering(MicrophoneArray(coordinates=SQUARE)), FREQUENCIES
    )
    held = HeldSteering()
    for azimuth in np.arange(0.0, 0.5, 0.3 * TOLERANCE_RAD):
        now = direction_from_angles(np.array([azimuth, 2.0]), 0.0)
        found = held.towards(likelihood, now)
        near = direction_from_angles(np.array([azimuth - TOLERANCE_RAD, 2.0]), 0.0)
        limit = np.abs(likelihood.whitened_steering(near) - likelihood.whitened_steering(now))
        error = np.abs(found - likelihood.whitened_steering(now))
        assert (error <= 1.1 * limit + 1e-6).all()


def test_people_who_come_go_or_change_places_are_right():
    likelihood = DirectionLikelihood(
        GeometricSteering(MicrophoneArray(coordinates=SQUARE)), FREQUENCIES
    )
    other = likelihood.heard_by((True, True, False, True))
    held = HeldSteering()
    for which, azimuths in (
        (likelihood, [0.1, 0.9]),
        (likelihood, [0.9, 0.1]),
        (likelihood, [0.9]),
        (likelihood, []),
        (likelihood, [0.2, 0.9, -1.0]),
        (other, [0.2, 0.9, -1.0]),
    ):
        directions = direction_from_angles(np.array(azimuths, float), 0.0).reshape(-1, 3)
        found = held.towards(which, directions)
        np.testing.assert_allclose(found, which.whitened_steering(directions), rtol=1e-6)


def test_grid_and_people_together_are_what_they_are_apart():
    likelihood = DirectionLikelihood(
        GeometricSteering(MicrophoneArray(coordinates=SQUARE)), FREQUENCIES
    )
    grid = direction_from_angles(np.linspace(-3.0, 3.0, 7), 0.1)
    joined = JoinedSteering(likelihood, grid)
    for azimuths in ([], [0.1, 0.9], [0.1, 0.9], [0.5, 0.9], [0.9], [], [0.2, 0.9, -1.0]):
        people = direction_from_angles(np.array(azimuths, float), 0.0).reshape(-1, 3)
        scaled, of_length = joined.with_people(people)
        fresh = likelihood.whitened_steering(np.concatenate([grid, people]))
        np.testing.assert_allclose(scaled, fresh, rtol=1e-6)
        np.testing.assert_allclose(of_length, log_of_length(fresh), rtol=1e-5)
