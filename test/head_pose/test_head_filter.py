# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""One head over time: against one dense Gaussian, in frames that turn, and with hostile input."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from turned_heads import honest_model

from av_perception.head_pose.head_filter import HeadFilter
from av_perception.head_pose.learning import STATE, STEP_S, constant_velocity
from av_perception.head_pose.mean_mesh import HeadMeasurement
from av_perception.head_pose.rotations import angle_axes, rotation_from_angles
from av_perception.numerics.plds import AffinePieces, Plds

STD = np.radians([2.0, 3.0, 4.0])
BIAS = np.diag([1e-3, 2e-3, 3e-3])
STEP_NS = round(STEP_S * 1e9)
FIRST_NS = 10**18


@pytest.fixture(scope='module')
def linear():
    """One piece that is never an outlier: the filter is that of Kalman."""
    observation = AffinePieces(
        np.stack([np.eye(3, STATE), np.zeros((3, STATE))]),
        np.zeros((2, 3)),
        np.stack([STD**2, np.ones(3)]),
    )
    never = np.log([1.0, 1e-200])
    system = Plds(observation, constant_velocity(), never, np.tile(never, (2, 1)))
    return replace(honest_model(), system=system, bias=np.stack([BIAS, np.zeros((3, 3))]))


def seen(angles, residual=0.0):
    return HeadMeasurement(np.array(angles, float), residual, 80.0)


def dense_last_state(measured):
    """Mean and covariance of the last state, measured: angles by step."""
    motion = constant_velocity()
    count = 1 + max(measured)
    powers = [np.linalg.matrix_power(motion.transition[0], n) for n in range(count)]
    impulse = np.zeros((count, STATE, count, STATE))  # from what enters at s to the state at t
    for t in range(count):
        for s in range(t + 1):
            impulse[t, :, s] = powers[t - s]
    entering = np.zeros((count, STATE, count, STATE))
    for t in range(count):
        entering[t, :, t] = motion.noise[0] if t else motion.covariance
    size = count * STATE
    impulse = impulse.reshape(size, size)
    prior = impulse @ entering.reshape(size, size) @ impulse.T
    rows = np.concatenate([np.arange(3) + STATE * t for t in measured])
    noise = np.diag(np.tile(STD**2, len(measured)))
    gain = np.linalg.solve(prior[np.ix_(rows, rows)] + noise, prior[rows]).T
    mean = gain @ np.concatenate(list(measured.values()))
    covariance = prior - gain @ prior[rows]
    return mean[-STATE:], covariance[-STATE:, -STATE:]


def test_one_piece_is_the_dense_gaussian_of_all_states_over_gaps_too(linear):
    rng = np.random.default_rng(0)
    moments = (0, 1, 2, 5, 6, 11)
    measured = {
        t: np.array([0.05 * t, -0.1, 0.02 * t]) + STD * rng.normal(size=3) for t in moments
    }
    head = HeadFilter(linear)
    for t, angles in measured.items():
        state = head.step(FIRST_NS + t * STEP_NS, np.eye(3), seen(angles))
        assert state.measured and head.last_measured_ns == FIRST_NS + t * STEP_NS
    mean, covariance = dense_last_state(measured)
    axes = angle_axes(mean[:3])
    exact = axes @ (covariance[:3, :3] + BIAS) @ axes.T
    np.testing.assert_allclose(state.facing_from_head, rotation_from_angles(mean[:3]), atol=1e-7)
    np.testing.assert_allclose(state.covariance, exact, rtol=1e-5, atol=1e-9)


def test_a_face_that_fits_worse_counts_less_by_the_square(linear):
    state = HeadFilter(linear).step(
        FIRST_NS, np.eye(3), seen([0.0, 0.0, 0.0], 3 * linear.usual_residual)
    )
    prior = np.diag(constant_velocity().covariance)[:3]
    exact = 1 / (1 / prior + 1 / (9 * STD**2)) + np.diag(BIAS)
    # About z, y and x turn yaw, pitch and roll of a head straight ahead.
    np.testing.assert_allclose(np.diag(state.covariance), exact[::-1], rtol=1e-9)


def test_a_head_that_is_not_seen_keeps_its_orientation_while_the_facing_frame_turns(linear):
    head = HeadFilter(linear)
    frames = Rotation.from_euler('ZYX', np.random.default_rng(1).uniform(-0.5, 0.5, (8, 3)))
    first, *others = frames.as_matrix()
    state = head.step(FIRST_NS, first, seen([0.3, -0.2, 0.1]))
    before = first @ state.facing_from_head
    spread = np.trace(state.covariance)
    for t, frame in enumerate(others, 1):
        state = head.step(FIRST_NS + t * STEP_NS, frame, None)
        np.testing.assert_allclose(frame @ state.facing_from_head, before, atol=1e-9)
        assert not state.measured and head.last_measured_ns == FIRST_NS
        assert np.trace(state.covariance) > spread, 'ever less is known'
        spread = np.trace(state.covariance)


@pytest.mark.parametrize('later_ns', [1_000_000_001, 10**12, -1, -(10**17)])
def test_after_a_long_gap_or_a_jump_back_nothing_is_known_but_what_is_measured_then(
    linear, later_ns
):
    head = HeadFilter(linear, longest_gap_s=1.0)
    head.step(FIRST_NS, np.eye(3), seen([0.5, 0.0, 0.0]))
    assert head.step(FIRST_NS + later_ns, np.eye(3), None) is None
    now = seen([-0.5, 0.1, 0.0])
    state = head.step(FIRST_NS + later_ns, np.eye(3), now)
    fresh = HeadFilter(linear).step(FIRST_NS, np.eye(3), now)
    np.testing.assert_array_equal(state.facing_from_head, fresh.facing_from_head)
    np.testing.assert_array_equal(state.covariance, fresh.covariance)


def test_images_without_the_head_for_a_second_forget_it(linear):
    head = HeadFilter(linear, longest_gap_s=1.0)
    head.step(FIRST_NS, np.eye(3), seen([0.5, 0.0, 0.0]))
    known = [
        head.step(FIRST_NS + 200_000_000 * k, np.eye(3), None) is not None for k in range(1, 8)
    ]
    assert known == [True] * 5 + [False] * 2


def test_nothing_is_known_before_the_first_measurement_or_by_an_outlier():
    head = HeadFilter(honest_model())
    assert head.step(FIRST_NS, np.eye(3), None) is None
    assert head.step(FIRST_NS + STEP_NS, np.eye(3), seen([3.0, 1.4, -3.0])) is None
    assert head.last_measured_ns == 0
    state = head.step(FIRST_NS + 2 * STEP_NS, np.eye(3), seen([0.1, 0.0, 0.0]))
    assert state.measured
    angle = Rotation.from_matrix(rotation_from_angles(np.array([0.1, 0, 0])).T) * (
        Rotation.from_matrix(state.facing_from_head)
    )
    assert angle.magnitude() < np.radians(1.0)


def test_an_outlier_among_good_measurements_moves_nothing():
    head, undisturbed = HeadFilter(honest_model()), HeadFilter(honest_model())
    for t in range(6):
        for one in (head, undisturbed):
            one.step(FIRST_NS + t * STEP_NS, np.eye(3), seen([0.2, 0.1, 0.0]))
    wrong = head.step(FIRST_NS + 6 * STEP_NS, np.eye(3), seen([-1.3, -0.9, 1.2]))
    right = undisturbed.step(FIRST_NS + 6 * STEP_NS, np.eye(3), None)
    assert not wrong.measured and head.last_measured_ns == FIRST_NS + 5 * STEP_NS
    np.testing.assert_allclose(wrong.facing_from_head, right.facing_from_head, atol=0.02)


@pytest.mark.parametrize('known', [False, True])
def test_angles_that_are_not_finite_are_no_measurement(linear, known):
    """Regression: NaN left the state as predicted, and yet it was said to be measured."""
    head, other = HeadFilter(linear), HeadFilter(linear)
    if known:
        for one in (head, other):
            one.step(FIRST_NS, np.eye(3), seen([0.2, 0.0, 0.0]))
    state = head.step(FIRST_NS + STEP_NS, np.eye(3), seen([np.nan, 0.0, np.inf]))
    exact = other.step(FIRST_NS + STEP_NS, np.eye(3), None)
    assert head.last_measured_ns == (FIRST_NS if known else 0)
    assert (state is not None) == known
    if state is not None:
        assert not state.measured
        np.testing.assert_array_equal(state.covariance, exact.covariance)
