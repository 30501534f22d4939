# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Goals of the neck: still for small errors, all the way for large ones, within the limits."""

from __future__ import annotations

import math

import numpy as np
import pytest

from av_perception.attention.look_control import LookControlConfig, LookController
from av_perception.geometry.rigid_transform import direction_from_angles


def at(azimuth_deg, elevation_deg=0.0):
    return 2.0 * direction_from_angles(*np.radians([azimuth_deg, elevation_deg]))


def test_the_neck_turns_all_the_way_and_then_stays_in_the_dead_zone():
    control = LookController(LookControlConfig(dead_zone_deg=8.0))
    assert np.degrees(control.look_at(at(60.0, 10.0))) == pytest.approx([60.0, -10.0])
    assert np.degrees(control.look_at(at(67.0, 10.0))) == pytest.approx([60.0, -10.0])
    assert np.degrees(control.look_at(at(69.0, 10.0))) == pytest.approx([69.0, -10.0])


def test_jitter_within_the_dead_zone_never_moves_it():
    random = np.random.default_rng(0)
    control = LookController()
    goals = {control.look_at(at(30.0 + d)) for d in random.uniform(-3.5, 3.5, 100)}
    assert len(goals) == 1


def test_limits_cut_off_what_the_neck_cannot_reach():
    config = LookControlConfig(pan_limits=(-2.0, 1.0), tilt_limits=(-0.3, 0.3))
    control = LookController(config)
    assert control.look_at(at(150.0, 60.0)) == (1.0, -0.3)
    assert control.look_at(at(-170.0, -60.0)) == (-2.0, 0.3)


@pytest.mark.parametrize('nothing', [None, np.full(3, np.nan), np.zeros(3)])
def test_nothing_to_look_at_leaves_it_where_it_is(nothing):
    control = LookController()
    before = control.look_at(at(40.0))
    assert control.look_at(nothing) == before == control.goals


@pytest.mark.parametrize(
    'wrong', [{'dead_zone_deg': -1.0}, {'dead_zone_deg': math.nan}, {'pan_limits': (1.0, -1.0)}]
)
def test_senseless_configurations_are_refused(wrong):
    with pytest.raises(ValueError, match='must'):
        LookControlConfig(**wrong)
