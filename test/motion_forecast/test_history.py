# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""For how long people have stayed, and how calm a place is."""

from __future__ import annotations

import numpy as np
import pytest

from av_perception.interfaces import LifeState, TrackEstimate, TrackFrame
from av_perception.motion_forecast.history import (
    STAY_M,
    STAY_MEMORY_S,
    STAY_PERIOD_S,
    Histories,
    TrackMemory,
    calm,
    stays,
)


def frame(second, *places):
    tracks = []
    for key, place in enumerate(places):
        mean = np.array([*place, 0.0, 0.0, 0.0])
        state = LifeState.ACTIVE
        covariance = 1e-4 * np.eye(6)
        tracks.append(TrackEstimate(key, state, mean, covariance, True, False, False, 1, 0, 0.0))
    return TrackFrame(1_000_000_000 + round(1e9 * second), tuple(tracks), False)


def test_stays_by_hand():
    ages = np.array([[3.0, 2.0, 1.0, 0.0], [np.nan, 2.0, 1.0, 0.0], [3.0, 2.0, 1.0, 0.0]])
    positions = np.zeros((3, 4, 3))
    positions[0, 1, 0] = 2 * STAY_M
    positions[1, 0] = np.nan
    positions[2, :, 2] = [9.0, 9.0, 9.0, 0.0]  # heights do not count
    np.testing.assert_allclose(stays(ages, positions), [2.0, 2.0, 3.0])


def test_nobody_stays():
    assert stays(np.zeros((0, 4)), np.zeros((0, 4, 3))).shape == (0,)


def test_a_place_is_as_calm_as_its_people_on_the_mean():
    assert calm(np.array([2.0, 2.0])) == pytest.approx(2.0)
    assert 0.2 < calm(np.array([0.2, 10.0])) < 5.0


@pytest.mark.parametrize('seconds', [0.5, 4.0, 25.0])
def test_the_memory_knows_for_how_long_somebody_has_stood(seconds):
    memory = TrackMemory(1.6, 0.1, 0.5, 6.0)
    for second in np.arange(0, 3.0, 0.04):
        memory.observe(frame(second, (second, 0, 0), (0, 0, 0)))
    for second in np.arange(3.0, 3.0 + seconds, 0.04):
        memory.observe(frame(second, (3.0, 0, 0), (0, 0, 0)))
    known = memory.histories([0, 1])
    walked = seconds + STAY_M  # at 1 m/s the last bit is near already
    assert known.stays_s[0] == pytest.approx(min(walked, STAY_MEMORY_S), abs=STAY_PERIOD_S + 0.05)
    stood = min(3.0 + seconds, STAY_MEMORY_S)
    assert known.stays_s[1] == pytest.approx(stood, abs=STAY_PERIOD_S + 0.05)
    np.testing.assert_allclose(known.calm_s, calm(known.stays_s))


def test_who_begins_anew_has_not_stayed():
    memory = TrackMemory(1.6, 0.1, 0.5, 6.0)
    for second in (*np.arange(0, 8, 0.1), *np.arange(12, 13, 0.1)):
        memory.observe(frame(second, (0, 0, 0)))
    assert memory.histories([0]).stays_s[0] <= 1.0


def test_rows_keep_what_belongs_together():
    ages = np.tile([1.0, 0.5, 0.0], (3, 1))
    positions = np.arange(27.0).reshape(3, 3, 3)
    covariances = np.tile(np.eye(3), (3, 3, 1, 1))
    known = Histories(ages, positions, covariances, np.arange(3.0), np.arange(3.0) + 5)
    some = known.rows(np.array([2, 0]))
    np.testing.assert_array_equal(some.stays_s, [2.0, 0.0])
    np.testing.assert_array_equal(some.calm_s, [7.0, 5.0])
    np.testing.assert_array_equal(some.positions, positions[[2, 0]])
