# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Rates of joints.

Encoders have a last bit, there are two publishers, velocities, stamps that are of no use.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from av_perception.synchronization.ego_motion import EgoMotion

MS = 1_000_000
START = 100_000 * MS
LAST_BIT = 2 * math.pi / 4096  # of an encoder of 12 bits, rad


def motion():
    return EgoMotion(max_rate=0.3, window_s=0.2)


def first_drowned_ms(angle_at, period_ms, until_ms=1000, name='HeadYaw'):
    """The time [ms] of the first message after which the sound is ego noise; None: never."""
    made = motion()
    for ms in np.arange(0, until_ms, period_ms):
        stamp = START + round(ms * MS)
        made.note_joint(stamp, name, angle_at(ms))
        if made.is_ego_noise(stamp):
            return ms
    return None


def test_the_last_bit_of_an_encoder_at_500_hz_is_no_turn():
    """Regression: one bit over 2 ms was 0.77 rad/s, and who stood still was deaf for ever."""
    rng = np.random.default_rng(0)
    assert first_drowned_ms(lambda ms: LAST_BIT * (round(ms / 2) % 2), 2, 3000) is None
    assert first_drowned_ms(lambda ms: LAST_BIT * rng.integers(-1, 2), 2, 3000) is None
    assert first_drowned_ms(lambda ms: LAST_BIT * rng.integers(-1, 2), 1, 3000) is None


@pytest.mark.parametrize('period_ms', [2, 10, 20, 33.3])
@pytest.mark.parametrize('rate', [0.6, -1.0, 4.0])
def test_a_turn_is_noticed_within_100_ms(rate, period_ms):
    angle = lambda ms: LAST_BIT * round(rate * max(ms - 500, 0) / 1000 / LAST_BIT)  # noqa: E731
    assert 500 < first_drowned_ms(angle, period_ms) <= 600 + period_ms


def test_a_turn_that_rare_messages_tell_is_noticed():
    """Four messages a second: the rate is that since the last one."""
    assert first_drowned_ms(lambda ms: max(ms - 500, 0) / 1000, 250) == 750
    assert first_drowned_ms(lambda ms: 0.2 * ms / 1000, 250) is None


@pytest.mark.parametrize('periods_ms', [(20, 20), (20, 100), (2, 10), (100, 100)])
def test_two_publishers_that_contradict_each_other_are_no_turn(periods_ms):
    """Regression: 0.5 of the robot and 0 of a joint_state_publisher were a turn to and fro."""
    made = motion()
    first, second = (np.arange(0, 3000, p) for p in periods_ms)
    says = sorted([(ms, 0.5) for ms in first] + [(ms + 7, 0.0) for ms in second])
    for ms, angle in says:
        made.note_joint(START + round(ms * MS), 'HeadYaw', angle)
    assert not any(made.is_ego_noise(START + ms * MS) for ms in range(0, 3000, 10))


def test_two_publishers_of_different_joints_do_not_mix():
    made = motion()
    for ms in range(0, 1000, 10):
        made.note_joint(START + ms * MS, 'HeadYaw', 0.0)
        made.note_joint(START + (ms + 5) * MS, 'HeadPitch', 0.4)
    assert not made.is_ego_noise(START + 900 * MS)


def test_a_turn_is_noticed_beside_a_second_publisher_that_stands_still():
    made = motion()
    for ms in range(0, 1000, 20):
        made.note_joint(START + ms * MS, 'HeadYaw', 0.2 + ms / 1000)
        made.note_joint(START + (ms + 7) * MS, 'HeadYaw', 0.0)
    assert made.is_ego_noise(START + 900 * MS)


def test_a_velocity_that_the_driver_measures_tells_at_once():
    made = motion()
    made.note_joint(START, 'HeadYaw', math.nan, 1.0)
    assert made.is_ego_noise(START)


def test_a_velocity_below_the_limit_is_no_turn_whatever_the_encoder_flips():
    made = motion()
    for ms in range(0, 1000, 2):
        made.note_joint(START + ms * MS, 'HeadYaw', LAST_BIT * (ms // 2 % 2), 0.01)
    assert not any(made.is_ego_noise(START + ms * MS) for ms in range(0, 1000, 50))


def test_a_velocity_that_the_driver_takes_from_single_steps_is_no_turn():
    """The same last bit, divided by 2 ms by the driver itself."""
    made = motion()
    angles = LAST_BIT * (np.arange(500) % 2)
    for k, velocity in enumerate(np.diff(angles) / 0.002):
        made.note_joint(START + 2 * k * MS, 'HeadYaw', angles[k + 1], velocity)
    assert not any(made.is_ego_noise(START + ms * MS) for ms in range(300, 1000, 50))


def test_a_velocity_that_is_always_0_does_not_hide_a_turn():
    """Drivers that do not measure it fill it in all the same."""
    made = motion()
    for ms in range(0, 500, 10):
        made.note_joint(START + ms * MS, 'HeadYaw', ms / 1000, 0.0)
    assert made.is_ego_noise(START + 490 * MS)


def test_values_that_are_no_numbers_neither_drown_nor_stay():
    made = motion()
    for ms in range(0, 1000, 10):
        broken = ms % 50 == 0
        angle = math.nan if broken else 0.0
        velocity = math.inf if broken else math.nan
        made.note_joint(START + ms * MS, 'HeadYaw', angle, velocity)
    assert not made.is_ego_noise(START + 900 * MS)
    for ms in range(1000, 1200, 10):
        made.note_joint(START + ms * MS, 'HeadYaw', (ms - 1000) / 1000)
    assert made.is_ego_noise(START + 1190 * MS)


def test_stamps_that_stand_still_or_go_back_are_no_turn():
    made = motion()
    for angle in (0.0, 1.0, 0.5):
        made.note_joint(0, 'HeadYaw', angle)
    assert not made.is_ego_noise(0)
    for ms, angle in ((5000, 0.0), (4990, 0.3), (4980, 0.0), (5000, 0.3)):
        made.note_joint(ms * MS, 'HeadYaw', angle)
    assert not made.is_ego_noise(5000 * MS)


def test_a_clock_set_back_starts_anew_and_a_turn_after_it_is_noticed():
    made = motion()
    for ms in range(9000, 10000, 10):
        made.note_joint(ms * MS, 'HeadYaw', 0.0)
    for ms in range(0, 300, 10):
        made.note_joint(ms * MS, 'HeadYaw', 0.7 + ms / 1000)
    assert made.is_ego_noise(290 * MS) and not made.is_ego_noise(9900 * MS)


def test_a_slow_turn_is_heard_but_drowns_nothing():
    made = motion()
    made.note_rate(START, 0.25)
    for ms, turns in ((-250, False), (-150, True), (0, True), (150, True), (250, False)):
        stamp = START + ms * MS
        assert made.is_turning(stamp) == turns and not made.is_ego_noise(stamp)
    made.note_rate(START + 1000 * MS, -2.0)
    assert made.is_turning(START + 1000 * MS) and made.is_ego_noise(START + 1000 * MS)


@pytest.mark.parametrize('rate', [0.0, 0.04, math.nan])
def test_a_drifting_gyroscope_is_no_turn(rate):
    made = motion()
    made.note_rate(START, rate)
    assert not made.is_turning(START)


def test_motors_that_are_said_not_to_be_heard_never_turn():
    made = EgoMotion(max_rate=0.0, window_s=0.2)
    made.note_rate(START, 4.0)
    assert not made.is_turning(START) and not made.is_ego_noise(START)
    picky = EgoMotion(max_rate=0.02, window_s=0.2)
    picky.note_rate(START, 0.03)
    assert picky.is_turning(START) and picky.is_ego_noise(START)


def test_sound_is_left_out_while_the_robot_talks_and_rings_out():
    """Regression: a robot took its own voice for people below it, who spoke with certainty."""
    made = motion()
    made.note_own_voice(START, True)
    assert not made.is_ego_noise(START - 1)
    assert made.is_own_voice(START) and made.is_ego_noise(START + 5000 * MS)
    made.note_own_voice(START + 3000 * MS, False)
    assert made.is_ego_noise(START + 3400 * MS), 'the room still rings'
    assert not made.is_ego_noise(START + 3600 * MS)
    made.note_own_voice(START + 9000 * MS, False)
    assert not made.is_ego_noise(START + 9000 * MS), 'it did not talk'


def test_who_says_that_the_robot_talks_and_goes_does_not_make_it_deaf_for_ever():
    made = motion()
    made.note_own_voice(START, True)
    assert made.is_ego_noise(START + 59_000 * MS) and not made.is_ego_noise(START + 61_000 * MS)
    for ms in range(100_000, 300_000, 1000):
        made.note_own_voice(START + ms * MS, True)
    assert made.is_ego_noise(START + 310_000 * MS), 'said again and again, it holds on'
    assert not made.is_ego_noise(START + 80_000 * MS), 'it was silent in between'
    made.note_own_voice(START, True)
    assert not made.is_ego_noise(START + 299_000 * MS), 'the clock was set back: it begins anew'
    assert made.is_ego_noise(START)


def test_the_robots_voice_counts_where_motors_do_not():
    made = EgoMotion(max_rate=0.0)
    made.note_own_voice(START, True)
    assert made.is_ego_noise(START) and not made.is_turning(START)
