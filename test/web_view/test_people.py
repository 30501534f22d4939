# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What the page is told of people: places as the robot sees them, angles, what is not known."""

from __future__ import annotations

import json
import math

import numpy as np

from av_perception.geometry.rigid_transform import RigidTransform
from av_perception.interfaces import (
    Attention,
    AttentionReason,
    HeadPoseEstimate,
    HeadPoseFrame,
    LifeState,
    SpeakingFrame,
    SpeakingStatus,
    TrackEstimate,
    TrackFrame,
)
from av_perception.visualization.colors import color_of
from av_perception.web_view.people import page_state

STAMP_NS = 5_000_000_000
AT_THE_ORIGIN = RigidTransform()


def track(key=1, place=(2.0, 1.0, 0.3), state=LifeState.ACTIVE, last_seen_ns=1, spread=None):
    covariance = np.eye(6) * 0.01
    if spread is not None:
        covariance[:2, :2] = spread
    mean = np.array([*place, 0.5, 0.0, 0.0])
    return TrackEstimate(key, state, mean, covariance, True, False, False, last_seen_ns, 0, 0.0)


def state_of(*tracks, speaking=(), base=AT_THE_ORIGIN, heads=None, attention=None):
    frame = TrackFrame(STAMP_NS, tracks, True)
    return page_state(frame, SpeakingFrame(STAMP_NS, tuple(speaking)), base, heads, attention)


def test_places_are_those_that_the_robot_sees_wherever_it_stands():
    """A robot at (1, 1) that looks along y has who stands at (1, 3) two meters ahead."""
    turned = RigidTransform.from_xyz_rpy((1.0, 1.0, 0.0), (0.0, 0.0, math.pi / 2))
    (person,) = state_of(track(place=(1.0, 3.0, 0.3)), base=turned)['people']
    assert (person['x'], person['y'], person['range_m']) == (2.0, 0.0, 2.0)
    assert person['azimuth_deg'] == 0.0
    # It walks along the reference frame's x: to the robot's right.
    assert (person['vx'], person['vy']) == (0.0, -0.5)


def test_the_ellipse_holds_95_percent_of_what_the_covariance_says():
    angle = math.radians(30.0)
    axis = np.array([math.cos(angle), math.sin(angle)])
    spread = 0.04 * np.outer(axis, axis) + 0.0025 * np.eye(2)
    (person,) = state_of(track(spread=spread))['people']
    assert abs(person['ellipse_deg'] % 180.0 - 30.0) < 0.2
    samples = np.random.default_rng(0).multivariate_normal((0, 0), spread, 20000)
    across = np.array([-axis[1], axis[0]])
    inside = (samples @ axis / person['major_m']) ** 2 + (
        samples @ across / person['minor_m']
    ) ** 2
    assert abs(np.mean(inside < 1.0) - 0.95) < 0.01


def test_who_speaks_since_when_and_in_which_color():
    status = SpeakingStatus(7, True, 0.93, STAMP_NS - 2_500_000_000)
    people = state_of(track(7), track(8), speaking=[status])['people']
    assert (people[0]['speaking'], people[0]['probability'], people[0]['since_s']) == (
        True,
        0.93,
        2.5,
    )
    assert people[0]['color'] == '#{:02x}{:02x}{:02x}'.format(*color_of(7))
    assert (people[1]['speaking'], people[1]['probability']) == (False, 0.0)


def test_a_gaze_that_nobody_knows_is_not_guessed():
    turned = RigidTransform.from_xyz_rpy((0, 0, 0), (0.0, 0.0, math.pi)).rotation
    heads = HeadPoseFrame(
        STAMP_NS, (HeadPoseEstimate(1, turned, facing=True), HeadPoseEstimate(2))
    )
    people = state_of(track(1), track(2), track(3), heads=heads)['people']
    assert [person['facing'] for person in people] == [True, None, None]
    assert abs(people[0]['gaze_deg']) == 180.0 and people[1]['gaze_deg'] is None


def test_sleepers_candidates_and_senseless_numbers_are_not_shown():
    lost = track(4, place=(math.nan, 0.0, 0.0))
    wild = track(5, spread=np.full((2, 2), np.inf))
    sleeper = track(2, state=LifeState.SLEEPING)
    candidate = track(3, state=LifeState.TENTATIVE)
    state = state_of(track(1), sleeper, candidate, lost, wild)
    assert [person['id'] for person in state['people']] == [1]
    json.dumps(state, allow_nan=False)


def test_only_heard_and_looked_at():
    attention = Attention(STAMP_NS, AttentionReason.HEARD, 6, np.ones(3))
    state = state_of(track(6, last_seen_ns=0), track(7), attention=attention)
    assert [p['place_known'] for p in state['people']] == [False, True]
    assert [p['looked_at'] for p in state['people']] == [True, False]
    assert state['looks_because'] == 'is heard out of view'
