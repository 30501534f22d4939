# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Stories of tracks that are forecast: late, missing, jumping, broken; and who falls back."""

from __future__ import annotations

import numpy as np
import pytest

from av_perception.interfaces import LifeState, TrackEstimate, TrackFrame
from av_perception.motion_forecast.forecaster import (
    CONSTANT_VELOCITY,
    DVAE,
    HIT_DVAE,
    IMM,
    NO_SKELETON,
    TOO_SHORT,
    ForecastConfig,
    MotionForecaster,
)

START_NS = 1_000_000_000
PERIOD_NS = 40_000_000


def track(key, position, state=LifeState.ACTIVE, std=0.03):
    mean = np.array([*position, 0.0, 0.0, 0.0], float)
    covariance = np.diag([std**2] * 3 + [0.1] * 3)
    return TrackEstimate(key, state, mean, covariance, True, False, False, 1, 0, 0.0)


def walk(forecaster, place_of, count=40, first=0, key=1, **options):
    """Frames of one person, by a function of the second."""
    for k in range(first, first + count):
        second = k * PERIOD_NS * 1e-9
        one = track(key, place_of(second), **options)
        forecaster.observe(TrackFrame(START_NS + k * PERIOD_NS, (one,), False))


def straight(second):
    return (1.0 + second, 0.5, 0.3)


@pytest.fixture()
def forecaster():
    return MotionForecaster()


def test_before_the_first_tracks_there_is_no_forecast(forecaster):
    assert forecaster.forecast() is None


def test_who_walks_is_forecast_ahead_at_all_horizons(forecaster):
    walk(forecaster, straight)
    frame = forecaster.forecast()
    (one,) = frame.forecasts
    assert (one.id, one.method, one.fallback_reason) == (1, IMM, '')
    np.testing.assert_allclose(frame.horizons_s, np.arange(1, 11) * 0.2)
    assert one.means.shape == (10, 3) and one.samples.shape == (16, 10, 3)
    truth = straight(39 * 0.04 + 1.0)
    assert np.linalg.norm(one.means[4] - truth) < 0.35
    assert (np.linalg.eigvalsh(one.covariances) > 0).all()
    assert (np.diff(one.covariances[:, 0, 0]) > 0).all()
    assert frame.stamp_ns == START_NS + 39 * PERIOD_NS


def test_who_stands_stays(forecaster):
    walk(forecaster, lambda s: (2.0, 0.0, 0.3))
    (one,) = forecaster.forecast().forecasts
    np.testing.assert_allclose(one.means, np.tile([2.0, 0.0, 0.3], (10, 1)), atol=0.05)


def test_the_same_tracks_give_the_same_draws():
    forecasts = []
    for _ in range(2):
        one = MotionForecaster()
        walk(one, straight)
        forecasts.append(one.forecast().forecasts[0].samples)
    np.testing.assert_array_equal(*forecasts)


def test_forecasts_turn_with_the_people():
    turn = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    ahead = MotionForecaster(ForecastConfig(samples=0))
    aside = MotionForecaster(ForecastConfig(samples=0))
    walk(ahead, straight)
    walk(aside, lambda s: turn @ straight(s))
    means = ahead.forecast().forecasts[0].means
    np.testing.assert_allclose(aside.forecast().forecasts[0].means, means @ turn.T, atol=1e-6)


def in_company(x, pace):
    """A forecast of one who walks while two others are there: one at x, one at a pace [m/s]."""
    forecaster = MotionForecaster()
    for k in range(60):
        people = (
            track(1, straight(k * 0.04)),
            track(2, (x, -1.0 + 0.04 * k * pace, 0.4)),
            track(3, (2.0, x, 0.4)),
        )
        forecaster.observe(TrackFrame(START_NS + k * PERIOD_NS, people, False))
    first, *_ = forecaster.forecast().forecasts
    return first


def test_where_others_are_does_not_change_a_forecast():
    one, other = (in_company(x, 0.0) for x in (3.0, 5.0))
    np.testing.assert_allclose(one.means, other.means, atol=1e-9)
    np.testing.assert_allclose(one.covariances, other.covariances, atol=1e-9)


def test_whether_others_stay_tells_how_calm_a_place_is():
    calm, lively = (in_company(3.0, pace) for pace in (0.0, 1.0))
    assert not np.allclose(calm.covariances, lively.covariances, rtol=1e-3)
    # But it is what somebody does that counts most.
    np.testing.assert_allclose(calm.means, lively.means, atol=0.15)


@pytest.mark.parametrize(
    'method, bodies, made, why',
    [
        (HIT_DVAE, (1,), HIT_DVAE, ''),
        (HIT_DVAE, (), IMM, NO_SKELETON),
        (HIT_DVAE, (9,), IMM, NO_SKELETON),
        (DVAE, (), DVAE, ''),
    ],
)
def test_methods_say_what_they_fell_back_to(method, bodies, made, why):
    forecaster = MotionForecaster(ForecastConfig(method=method))
    walk(forecaster, straight)
    (one,) = forecaster.forecast(bodies).forecasts
    assert (one.method, one.fallback_reason) == (made, why)
    assert np.linalg.norm(one.means[4] - straight(39 * 0.04 + 1.0)) < 0.35
    assert one.samples.shape == (16, 10, 3) and one.radii.shape == (10, 2)


def test_dvae_leaves_who_is_known_for_half_a_second_to_imm():
    forecaster = MotionForecaster(ForecastConfig(method=DVAE))
    walk(forecaster, straight, count=14)
    (one,) = forecaster.forecast().forecasts
    assert (one.method, one.fallback_reason) == (IMM, TOO_SHORT)


def test_a_new_person_falls_back_alone(forecaster):
    walk(forecaster, straight, 38)
    for k in (38, 39):
        people = (track(1, straight(k * 0.04)), track(2, (3.0, 1.0, 0.3)))
        forecaster.observe(TrackFrame(START_NS + k * PERIOD_NS, people, False))
    old, new = forecaster.forecast().forecasts
    assert (old.id, old.method, old.fallback_reason) == (1, IMM, '')
    assert (new.id, new.method, new.fallback_reason) == (2, CONSTANT_VELOCITY, TOO_SHORT)
    np.testing.assert_allclose(new.means, np.tile([3.0, 1.0, 0.3], (10, 1)), atol=1e-6)


def test_constant_velocity_is_no_fallback_where_it_was_asked_for():
    forecaster = MotionForecaster(ForecastConfig(method=CONSTANT_VELOCITY))
    walk(forecaster, straight)
    (one,) = forecaster.forecast().forecasts
    assert (one.method, one.fallback_reason) == (CONSTANT_VELOCITY, '')
    np.testing.assert_allclose(one.means[-1], straight(39 * 0.04 + 2.0), atol=1e-6)


def test_sleeping_and_lost_people_are_not_forecast(forecaster):
    walk(forecaster, straight, state=LifeState.SLEEPING)
    assert forecaster.forecast().forecasts == ()
    walk(forecaster, straight, count=5, first=40)
    assert len(forecaster.forecast().forecasts) == 1
    forecaster.observe(TrackFrame(START_NS + 45 * PERIOD_NS, (), False))
    assert forecaster.forecast().forecasts == ()


def test_late_tracks_are_left_out_and_counted(forecaster):
    walk(forecaster, straight)
    before = forecaster.forecast()
    walk(forecaster, lambda s: (9.0, 9.0, 9.0), count=3, first=30)
    after = forecaster.forecast()
    np.testing.assert_array_equal(before.forecasts[0].means, after.forecasts[0].means)
    assert forecaster.counters['tracks left out: not newer than those before'] == 3


def test_a_clock_set_back_begins_anew(forecaster):
    walk(forecaster, straight, first=1000)
    walk(forecaster, lambda s: (3.0, 1.0, 0.3), count=2)
    frame = forecaster.forecast()
    assert frame.stamp_ns == START_NS + PERIOD_NS
    np.testing.assert_allclose(frame.forecasts[0].means[-1], [3.0, 1.0, 0.3], atol=1e-6)
    assert forecaster.counters['clock set back: begun anew'] == 1


def test_a_jump_begins_anew(forecaster):
    walk(forecaster, straight)
    walk(forecaster, lambda s: (5.0, -3.0, 0.3), count=1, first=40)
    (one,) = forecaster.forecast().forecasts
    np.testing.assert_allclose(one.means[-1], [5.0, -3.0, 0.3], atol=1e-6)
    assert one.fallback_reason == TOO_SHORT
    assert forecaster.counters['tracks begun anew: a jump'] == 1


def test_a_gap_begins_anew_and_a_short_one_does_not(forecaster):
    walk(forecaster, straight, 20)
    walk(forecaster, straight, 5, first=28)
    assert forecaster.forecast().forecasts[0].method == IMM
    walk(forecaster, straight, 1, first=60)
    assert forecaster.forecast().forecasts[0].fallback_reason == TOO_SHORT
    assert forecaster.counters['tracks begun anew: a gap'] == 1


@pytest.mark.parametrize(
    'spoil, reason',
    [
        (lambda one: one.mean.__setitem__(0, np.nan), 'not finite'),
        (lambda one: one.covariance.__setitem__((0, 0), np.inf), 'not finite'),
        (lambda one: one.covariance.__setitem__((1, 1), -1.0), 'covariance not positive'),
        (lambda one: one.covariance.__setitem__((0, 0), 100.0), 'range unknown'),
    ],
)
def test_broken_tracks_are_left_out_with_a_reason(forecaster, spoil, reason):
    walk(forecaster, straight)
    broken = track(1, straight(1.6))
    spoil(broken)
    healthy = track(2, (2.0, 2.0, 0.3))
    frame = TrackFrame(START_NS + 40 * PERIOD_NS, (broken, healthy), False)
    forecaster.observe(frame)
    assert [one.id for one in forecaster.forecast().forecasts] == [1, 2]
    assert forecaster.counters[f'tracks left out: {reason}'] == 1
    for one in forecaster.forecast().forecasts:
        assert np.isfinite(one.means).all() and np.isfinite(one.samples).all()


@pytest.mark.parametrize('rate', [7, 12.5, 25, 60, 200])
def test_any_rate_of_tracks_gives_the_same_forecast(rate):
    forecaster = MotionForecaster(ForecastConfig(samples=0))
    for k in range(int(2 * rate)):
        stamp_ns = START_NS + round(1e9 * k / rate)
        second = k / rate
        forecaster.observe(TrackFrame(stamp_ns, (track(1, straight(second)),), False))
    (one,) = forecaster.forecast().forecasts
    last = (int(2 * rate) - 1) / rate
    assert np.linalg.norm(one.means[-1] - straight(last + 2.0)) < 0.7


def test_memory_does_not_grow(forecaster):
    for k in range(2000):
        one = track(k // 10, straight(0.0))
        forecaster.observe(TrackFrame(START_NS + k * PERIOD_NS, (one,), False))
    assert len(forecaster._memory._places) < 10


def test_a_new_window_forgets_and_a_new_method_does_not(forecaster):
    walk(forecaster, straight)
    forecaster.reconfigure(ForecastConfig(method=CONSTANT_VELOCITY))
    assert forecaster.forecast().forecasts[0].method == CONSTANT_VELOCITY
    forecaster.reconfigure(ForecastConfig(max_speed=2.0))
    assert forecaster.forecast() is None


@pytest.mark.parametrize(
    'change, word',
    [
        ({'method': 'oracle'}, 'method'),
        ({'step_s': 3.0}, 'step_s'),
        ({'samples': -1}, 'samples'),
        ({'window_s': 0.5}, 'window'),
    ],
)
def test_senseless_configurations_are_refused(change, word):
    with pytest.raises(ValueError, match=word):
        ForecastConfig(**change)
