# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The neck keeps its limits and is as fast as they allow."""

from __future__ import annotations

import math

import numpy as np
import pytest

from av_perception.simulation.neck import STEP_S, Joint, JointConfig, Neck, base_from_head

CONFIG = JointConfig((-2.0, 1.5), max_speed=4.0, max_acceleration=25.0)


def shortest_time_s(distance):
    """Of a move from rest to rest: a trapezoid of speed, or a triangle."""
    ramp = CONFIG.max_speed**2 / CONFIG.max_acceleration
    if distance < ramp:
        return 2 * math.sqrt(distance / CONFIG.max_acceleration)
    return CONFIG.max_speed / CONFIG.max_acceleration + distance / CONFIG.max_speed


@pytest.mark.parametrize('goal', [0.02, -0.3, 1.2, -1.9])
def test_a_move_takes_the_shortest_time_and_stops_at_the_goal(goal):
    joint = Joint(CONFIG)
    expected_s = shortest_time_s(abs(goal))
    joint.advance(goal, math.floor(0.7 * expected_s / STEP_S) * STEP_S)
    assert abs(joint.angle - goal) > 1e-3
    joint.advance(goal, math.ceil(0.3 * expected_s / STEP_S + 5) * STEP_S)
    assert joint.angle == pytest.approx(goal, abs=1e-3)
    assert np.all(joint.advance(goal, 0.2)[-10:] == pytest.approx(0.0, abs=1e-9))


def test_limits_hold_whatever_the_goals():
    random = np.random.default_rng(0)
    joint = Joint(CONFIG)
    rates, angles = [0.0], []
    for _ in range(100):
        goal = random.choice([random.uniform(-5, 5), math.nan, math.inf])
        rates += joint.advance(goal, random.integers(1, 40) * STEP_S).tolist()
        angles.append(joint.angle)
    assert max(map(abs, rates)) <= CONFIG.max_speed + 1e-9
    assert CONFIG.limits[0] <= min(angles) and max(angles) <= CONFIG.limits[1]
    change = np.abs(np.diff(rates)) / STEP_S
    stops = np.array(rates[1:]) == 0.0  # at the end of its way a joint is stopped
    assert change[~stops].max() <= CONFIG.max_acceleration + 1e-6


@pytest.mark.parametrize('goal', [3.0, -4.0])
def test_a_goal_beyond_the_limits_is_cut_off_without_a_bump(goal):
    joint = Joint(CONFIG)
    rates = joint.advance(goal, 2.0)
    end = CONFIG.limits[0] if goal < 0 else CONFIG.limits[1]
    assert joint.angle == pytest.approx(end, abs=1e-4)
    assert np.abs(np.diff(rates)).max() <= CONFIG.max_acceleration * STEP_S + 1e-9


def test_what_is_no_goal_brakes():
    joint = Joint(CONFIG)
    joint.advance(1.4, 0.1)
    assert joint.rate > 1.0
    joint.advance(math.nan, 0.3)
    assert joint.rate == 0.0


def test_pan_is_to_the_left_and_tilt_downwards():
    ahead = np.array([1.0, 0.0, 0.0])
    np.testing.assert_allclose(base_from_head(math.pi / 2, 0).rotate(ahead), [0, 1, 0], atol=1e-9)
    np.testing.assert_allclose(base_from_head(0, math.pi / 2).rotate(ahead), [0, 0, -1], atol=1e-9)
    neck = Neck()
    rates = neck.advance(0.5, -0.2, 1.0)
    assert rates.shape == (2, 500)
    np.testing.assert_allclose(
        neck.base_from_head.rotate(ahead), base_from_head(0.5, -0.2).rotate(ahead), atol=1e-3
    )


@pytest.mark.parametrize(
    'wrong', [{'limits': (1.0, 1.0)}, {'max_speed': 0.0}, {'max_acceleration': math.nan}]
)
def test_senseless_joints_are_refused(wrong):
    with pytest.raises(ValueError, match='joint'):
        JointConfig(**{'limits': (-1.0, 1.0), **wrong})


@pytest.mark.parametrize('seed', range(3))
def test_no_goal_takes_a_joint_into_its_stop(seed):
    """Regression: a limit passed by 1e-16 stopped the joint twice as hard as it brakes."""
    random = np.random.default_rng(seed)
    joint = Joint(CONFIG)
    rates, angles = [0.0], [0.0]
    for _ in range(60):
        goal = random.choice([*CONFIG.limits, 9.0, -9.0, random.uniform(-2.0, 1.5), -math.inf])
        for rate in joint.advance(goal, random.integers(1, 300) * STEP_S):
            rates.append(rate)
            angles.append(angles[-1] + rate * STEP_S)
    assert np.abs(np.diff(rates)).max() <= CONFIG.max_acceleration * STEP_S + 1e-9
    assert min(angles) < -1.5 and max(angles) > 1.0, 'it has been about everywhere'
    assert joint.angle == pytest.approx(angles[-1], abs=1e-6), 'the angle is the integral'


@pytest.mark.parametrize('goal', [-2.0, 1.5])
def test_a_goal_at_the_very_limit_is_reached_and_kept(goal):
    joint = Joint(CONFIG)
    joint.advance(goal, 2.0)
    assert joint.angle == pytest.approx(goal, abs=1e-6) and joint.rate == pytest.approx(0)
    assert CONFIG.limits[0] <= joint.angle <= CONFIG.limits[1]
    assert np.abs(joint.advance(2 * goal, 0.5)).max() < 1e-6


def test_time_can_be_cut_anywhere_and_left_is_the_mirror_of_right():
    limits = (-1.0, 1.0)
    whole, cut, mirrored = (Joint(JointConfig(limits)) for _ in range(3))
    goals = [0.7, -0.4, 5.0, math.nan, 0.1]
    for goal in goals:
        expected = whole.advance(goal, 0.12)
        parts = [cut.advance(goal, steps * STEP_S) for steps in (1, 0, 17, 42)]
        np.testing.assert_array_equal(np.concatenate(parts), expected)
        np.testing.assert_array_equal(mirrored.advance(-goal, 0.12), -expected)
    assert mirrored.angle == -whole.angle


@pytest.mark.parametrize('faster', [{'max_speed': 2.0}, {'max_acceleration': 12.0}])
def test_a_stronger_motor_is_there_no_later(faster):
    weak = {'max_speed': 1.0, 'max_acceleration': 6.0}
    steps = []
    for strength in (weak, {**weak, **faster}):
        joint = Joint(JointConfig((-3.0, 3.0), **strength))
        way = STEP_S * np.cumsum(joint.advance(2.0, 4.0))
        steps.append(int(np.argmax(way > 2.0 - 1e-4)))
    assert 0 < steps[1] < steps[0]


def test_every_neck_starts_at_rest_ahead_and_its_joints_do_not_mix():
    neck = Neck()
    np.testing.assert_array_equal(neck.base_from_head.rotation, np.eye(3))
    pan, tilt = neck.advance(9.0, math.nan, 1.5)
    assert neck.pan.angle == pytest.approx(2.09, abs=1e-6) and pan.max() > 3.9
    assert not tilt.any() and neck.tilt.angle == 0.0
    assert Neck().pan.angle == 0.0


def test_a_joint_is_made_within_its_limits():
    """Regression: from beyond its limits a joint was back within one step."""
    joint = Joint(CONFIG, 5.0)
    assert joint.angle == 1.5
    assert np.abs(joint.advance(5.0, 0.1)).max() == 0
