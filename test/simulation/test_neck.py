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
