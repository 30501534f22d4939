# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Where to look, and the angles of the neck."""

from __future__ import annotations

import numpy as np
import pytest
from attention_stories import person
from scipy.spatial.transform import Rotation

from av_perception.attention.aim import angle_between, neck_angles, point_to_look_at
from av_perception.geometry.rigid_transform import angles_from_direction

ORIGIN = np.array([0.3, -0.2, 1.1])


def test_the_neck_turns_the_head_to_the_point():
    rng = np.random.default_rng(0)
    for point in rng.normal(size=(50, 3)):
        pan, tilt = neck_angles(point)
        head_axis = (Rotation.from_rotvec([0, 0, pan]) * Rotation.from_rotvec([0, tilt, 0])).apply(
            [1.0, 0.0, 0.0]
        )
        np.testing.assert_allclose(head_axis, point / np.linalg.norm(point), atol=1e-12)


def test_a_known_elevation_stays_and_an_unknown_one_is_the_horizon():
    track = person(1, 35.0, elevation_deg=20.0)
    for variance, wanted in ((1e-12, 20.0), (1e12, 0.0)):
        track.covariance[:3, :3] = variance * np.eye(3)
        azimuth, elevation = np.degrees(
            angles_from_direction(point_to_look_at(track, np.zeros(3), np.radians(10.0)))
        )
        assert azimuth == pytest.approx(35.0) and elevation == pytest.approx(wanted, abs=1e-4)


def test_the_elevation_is_the_posterior_mean_of_sampled_elevations():
    """Against samples of the prior, weighted by the likelihood of the track's elevation."""
    track = person(1, 60.0, elevation_deg=12.0)
    track.mean[:3] += ORIGIN
    sd_rad = np.radians(6.0)
    track.covariance[:3, :3] = (2.0 * sd_rad) ** 2 * np.eye(3)  # at 2 m
    point = point_to_look_at(track, ORIGIN, np.radians(10.0))
    prior = np.random.default_rng(1).normal(0.0, np.radians(10.0), 400_000)
    weight = np.exp(-0.5 * ((np.radians(12.0) - prior) / sd_rad) ** 2)
    expected = np.sum(weight * prior) / weight.sum()
    elevation = angles_from_direction(point - ORIGIN)[1]
    assert elevation == pytest.approx(expected, abs=np.radians(0.1))
    assert np.linalg.norm(point - ORIGIN) == pytest.approx(2.0)


def test_angles_between_are_exact_where_the_cosine_is_flat():
    tiny = np.array([1.0, 1e-9, 0.0])
    assert angle_between(np.array([1.0, 0, 0]), tiny) == pytest.approx(1e-9)
    assert angle_between(np.array([1.0, 0, 0]), np.array([-1.0, 0, 0])) == pytest.approx(np.pi)
