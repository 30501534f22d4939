# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Bodies in a room: where their roots are, and futures that keep their size and walk on."""

from __future__ import annotations

import numpy as np
import pytest

from av_perception.motion_forecast.body_forecaster import TOO_SHORT, BodyForecaster
from av_perception.motion_forecast.body_frame import (
    JOINT_NAMES,
    NUM_JOINTS,
    body_frames,
    turned,
)
from av_perception.motion_forecast.forecaster import ForecastConfig
from av_perception.motion_forecast.skeleton_forecaster import SkeletonForecaster

START_NS = 5_000_000_000
CONFIG = ForecastConfig(samples=4)
# The root's axes (left, up, ahead) for somebody who looks along x of a room with z up.
UPRIGHT = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


@pytest.fixture(scope='module')
def network():
    return SkeletonForecaster()


@pytest.fixture()
def forecaster(network):
    return BodyForecaster(CONFIG, network)


def standing(network, place=(2.0, 0.5, -0.2), angle=0.0):
    """(J, 3) the mean pose at a place, turned about the vertical."""
    local = network.net.center.reshape(-1, 3) @ UPRIGHT.T
    return turned(local, np.array(angle)) + np.array(place)


def walk(forecaster, network, place_of, count=24, rate=30.0, first=0, angle=0.0):
    for k in range(first, first + count):
        joints = standing(network, place_of(k / rate), angle)
        forecaster.observe(START_NS + round(1e9 * k / rate), joints)


def test_joints_have_names_and_sides_correspond():
    assert len(JOINT_NAMES) == len(set(JOINT_NAMES)) == NUM_JOINTS
    lefts = [k for k, name in enumerate(JOINT_NAMES) if name.startswith('left')]
    rights = [k for k, name in enumerate(JOINT_NAMES) if name.startswith('right')]
    names = [JOINT_NAMES[k].removeprefix('left') for k in lefts]
    assert names == [JOINT_NAMES[k].removeprefix('right') for k in rights]


@pytest.mark.parametrize('seed', range(3))
def test_a_planted_frame_is_found(network, seed):
    random = np.random.default_rng(seed)
    rotation = np.linalg.qr(random.normal(size=(3, 3)))[0]
    rotation *= np.linalg.det(rotation)
    origin = random.normal(size=3)
    pose = network.net.center.reshape(-1, 3)
    joints = (pose @ rotation.T + origin)[None]
    frames = body_frames(joints, network.net.center)
    np.testing.assert_allclose(frames.rotations[0], rotation, atol=1e-5)
    np.testing.assert_allclose(frames.origins[0], origin, atol=1e-5)
    np.testing.assert_allclose(frames.poses(joints)[0], network.net.center, atol=1e-5)


def test_a_mirrored_body_gives_no_mirror(network):
    joints = standing(network)[None] * np.array([1.0, -1.0, 1.0])
    frames = body_frames(joints, network.net.center)
    assert np.linalg.det(frames.rotations[0]) == pytest.approx(1.0)


def test_before_the_first_skeleton_there_is_no_forecast(forecaster):
    assert forecaster.forecast() is None


def test_who_walks_on_takes_the_body_along(forecaster, network):
    walk(forecaster, network, lambda s: (1.0 + s, 0.5, -0.2), count=45)
    made = forecaster.forecast()
    assert made.joints.shape == (4, 10, NUM_JOINTS, 3)
    newest = standing(network, (1.0 + 44 / 30, 0.5, -0.2))
    moved = (made.joints[:, 4] - newest).mean((0, 1))
    assert 0.5 < moved[0] < 1.5 and abs(moved[1]) < 0.5
    thighs = np.linalg.norm(made.joints[..., 0, :] - made.joints[..., 1, :], axis=-1)
    assert (np.abs(thighs - 0.4) < 0.12).all()


def test_futures_turn_with_the_room(network):
    angle = np.array(1.1)
    ahead = BodyForecaster(CONFIG, network)
    aside = BodyForecaster(CONFIG, network)
    walk(ahead, network, lambda s: (s, 0.0, 0.0), count=45)
    walk(
        aside,
        network,
        lambda s: turned(np.array([[s, 0.0, 0.0]]), angle)[0],
        count=45,
        angle=float(angle),
    )
    # Walks are drawn along the axes of the room: only what all have in common turns exactly.
    first = [one.forecast().joints.mean((0, 2))[0] for one in (ahead, aside)]
    np.testing.assert_allclose(turned(first[0][None], angle)[0], first[1], atol=0.08)


def test_a_new_body_is_held_and_says_why(forecaster, network):
    walk(forecaster, network, lambda s: (2.0, 0.5, -0.2), count=5)
    made = forecaster.forecast()
    assert made.fallback_reason == TOO_SHORT
    pose = made.joints[0, 3] - made.joints[0, 3].mean(0)
    expected = standing(network) - standing(network).mean(0)
    np.testing.assert_allclose(pose, expected, atol=1e-5)


@pytest.mark.parametrize('rate', [12.0, 30.0, 90.0])
def test_any_rate_of_skeletons_is_enough(forecaster, network, rate):
    walk(forecaster, network, lambda s: (2.0, 0.5, -0.2), count=int(rate), rate=rate)
    assert forecaster.forecast().fallback_reason != TOO_SHORT


def test_a_gap_a_jump_and_a_clock_set_back_begin_anew(network):
    for first, place in ((60, 2.0), (24, 9.0), (-200, 2.0)):
        one = BodyForecaster(CONFIG, network)
        walk(one, network, lambda s: (2.0, 0.5, -0.2))
        walk(one, network, lambda s, place=place: (place, 0.5, -0.2), count=1, first=first)
        made = one.forecast()
        assert made.fallback_reason == TOO_SHORT
        assert np.abs(made.joints[..., 0].mean() - place) < 0.5


def test_late_skeletons_are_left_out_and_counted(forecaster, network):
    walk(forecaster, network, lambda s: (2.0, 0.5, -0.2))
    before = forecaster.forecast().joints
    walk(forecaster, network, lambda s: (2.1, 0.5, -0.2), count=2, first=10)
    np.testing.assert_array_equal(forecaster.forecast().joints, before)
    assert sum(forecaster.counters.values()) == 2


@pytest.mark.parametrize('joints', [np.zeros((17, 3)), np.full((NUM_JOINTS, 3), np.nan)])
def test_broken_skeletons_are_refused(forecaster, joints):
    with pytest.raises(ValueError, match='skeleton'):
        forecaster.observe(START_NS, joints)
