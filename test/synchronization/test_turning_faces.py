# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Faces of a head that turns: wider the faster, along the turn alone, and unknown when blurred."""

from __future__ import annotations

import numpy as np
import pytest

from av_perception.geometry.rigid_transform import RigidTransform
from av_perception.interfaces import Face, VisualFeatures
from av_perception.synchronization.turning_faces import BLUR_RATE, STAMP_ERROR_S, TurningFaces

STEP_NS = 40_000_000
PLACE = np.array([0.3, -0.1, 1.5])
COVARIANCE = np.diag([1e-4, 2e-4, 4e-4])
FACE = Face(
    np.array([300.0, 200.0, 50.0, 60.0]),
    0.9,
    np.zeros((5, 2)),
    PLACE,
    COVARIANCE,
    np.array([0.6, 0.8]),
    np.ones(8),
)


def pose(angle):
    return RigidTransform.from_xyz_rpy((0.0, 0.0, 0.0), (0.0, 0.0, angle))


def seen(rate, face=FACE, gap_ns=STEP_NS, faces=None):
    """The image after a turn at a rate [rad/s]."""
    turning = TurningFaces()
    turning.take(VisualFeatures(STEP_NS), pose(0.0))
    visual = VisualFeatures(STEP_NS + gap_ns, (face,) if faces is None else faces)
    return visual, turning.take(visual, pose(1e-9 * gap_ns * rate))


@pytest.mark.parametrize('rate', [0.0, 0.01, -0.01])
def test_a_head_that_stands_takes_faces_as_they_are(rate):
    visual, taken = seen(rate)
    assert taken is visual


@pytest.mark.parametrize('rate', [0.25, -0.5, 4.0])
def test_the_error_is_that_of_a_stamp_that_is_off(rate):
    """Against the spread of places under random turns about random axes."""
    _, taken = seen(rate)
    added = taken.faces[0].covariance - COVARIANCE
    random = np.random.default_rng(0)
    turns = random.normal(0, abs(rate) * STAMP_ERROR_S, (40_000, 3))
    np.testing.assert_allclose(
        added, np.cov(np.cross(turns, PLACE).T), atol=0.04 * np.trace(added)
    )
    assert abs(PLACE @ added @ PLACE) < 1e-9, 'the distance is as sure as before'


def test_a_blurred_face_says_where_somebody_is_not_who():
    """Regression: the look of a face that the head turned past was that of a stranger."""
    _, slow = seen(0.9 * BLUR_RATE)
    _, fast = seen(1.1 * BLUR_RATE)
    assert slow.faces[0].embedding.size == 2 and slow.faces[0].appearance.size == 8
    assert fast.faces[0].embedding.size == 0 and fast.faces[0].appearance.size == 0
    np.testing.assert_array_equal(fast.faces[0].position, PLACE)


def test_what_cannot_be_known_widens_nothing():
    first = VisualFeatures(STEP_NS, (FACE,))
    assert TurningFaces().take(first, pose(1.0)) is first, 'the first image'
    for gap_ns in (0, -STEP_NS, 10**9):
        visual, taken = seen(4.0, gap_ns=gap_ns)
        assert taken is visual
    turning = TurningFaces()
    assert turning.take(None, pose(0.0)) is None
    assert turning.take(first, None) is first


def test_faces_that_are_no_faces_pass_to_who_counts_them():
    broken = Face(np.zeros(4), 0.9, np.zeros((5, 2)), np.zeros(2), np.zeros((2, 2)))
    unknown = Face(np.zeros(4), 0.9, np.zeros((5, 2)), np.full(3, np.nan), np.full((3, 3), np.nan))
    _, taken = seen(4.0, faces=(broken, unknown, FACE))
    assert taken.faces[0] is broken
    assert np.isnan(taken.faces[1].covariance).all()
    assert np.isfinite(taken.faces[2].covariance).all()
