# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A clock that is set ahead, and all that only looks like it."""

from __future__ import annotations

import numpy as np

from av_perception.interfaces import LifeState, TrackEstimate, TrackFrame
from av_perception.synchronization.clock_steps import ClockSteps

MS = 1_000_000
SECOND = 1_000 * MS
START = 1_000 * SECOND


def total_s(arrivals):
    """What is taken for steps [s], of (stamp, arrival) in seconds."""
    steps = ClockSteps()
    for stamp_s, clock_s in arrivals:
        steps.observe(round(START + stamp_s * SECOND), round(clock_s * SECOND))
    return steps.total_ns / SECOND


def regular(first, count, period_s=0.04, rate=1.0, ahead_s=0.0):
    times = first + period_s * np.arange(count)
    return [(t + ahead_s, t / rate) for t in times]


def test_a_clock_that_is_set_ahead_is_a_step():
    assert np.isclose(total_s(regular(0, 50) + regular(2, 50, ahead_s=5.0)), 5.0)


def test_two_steps_add_up():
    arrivals = regular(0, 50) + regular(2, 50, ahead_s=5.0) + regular(4, 50, ahead_s=3605.0)
    assert np.isclose(total_s(arrivals), 3605.0)


def test_a_camera_that_pauses_is_none():
    assert total_s(regular(0, 50) + regular(12, 50)) == 0


def test_a_stall_of_this_machine_is_none():
    """The messages of three seconds come at once, after it."""
    late = [(stamp_s, 5.0 + 0.001 * k) for k, (stamp_s, _) in enumerate(regular(2, 75))]
    assert total_s(regular(0, 50) + late + regular(5.1, 50)) == 0


def test_messages_that_are_late_and_then_dropped_are_none():
    stalled = [(2.0, 5.0), (5.0, 5.04)]
    assert total_s(regular(0, 50) + stalled + regular(5.08, 50)) == 0


def test_a_recording_played_four_times_as_fast_with_a_gap_is_none():
    assert total_s(regular(0, 50, rate=4.0) + regular(7, 50, rate=4.0)) == 0


def test_a_recording_that_begins_anew_is_none():
    second_round = [(stamp_s, 20 + stamp_s) for stamp_s, _ in regular(0, 50)]
    assert total_s(regular(0, 500) + second_round) == 0


def observed(arrivals):
    """Take (stamp, arrival, clock of the machine) in seconds; the sum of the steps [s]."""
    steps = ClockSteps()
    for stamp_s, clock_s, wall_s in arrivals:
        stamp_ns, clock_ns, wall_ns = (round(SECOND * t) for t in (stamp_s, clock_s, wall_s))
        steps.observe(START + stamp_ns, clock_ns, START + wall_ns)
    return steps.total_ns / SECOND


def test_a_stamp_of_the_year_2038_and_back_ended_everybody():
    ahead = regular(2, 50, ahead_s=2e9)
    assert abs(total_s(regular(0, 50) + ahead + regular(4, 50))) < 0.1


def test_a_driver_that_takes_turns_between_two_clocks_ended_everybody():
    arrivals = [(t + (3600 if k % 2 else 0), clock) for k, (t, clock) in enumerate(regular(0, 60))]
    assert np.isclose(total_s(arrivals), 3600.0), 'the last one is of the clock ahead'
    assert abs(total_s([*arrivals, (2.4, 2.4)])) < 0.1


def test_who_is_late_when_a_clock_comes_back_ended_everybody():
    """The first image of the clock before had waited 1.4 s on a busy machine."""
    late = [(2.0 + 0.04 * k, 3.4) for k in range(35)]
    ahead = regular(2, 1, ahead_s=3600.0)
    assert abs(total_s(regular(0, 50) + ahead + late + regular(3.44, 50))) < 0.1


def test_who_is_late_when_a_clock_goes_ahead_ended_everybody():
    """The step was too small by so much, and the time of the tracker went back at its end."""
    steps = ClockSteps()
    turns = [
        (4.0, 5.2),
        (3604.04, 5.3),
        (4.08, 5.35),
        (3604.12, 5.4),
        (4.16, 5.45),
    ]
    times_s = []
    for stamp_s, clock_s in regular(0, 100) + turns:
        steps.observe(START + round(SECOND * stamp_s), round(SECOND * clock_s))
        times_s.append(stamp_s - steps.total_ns / SECOND)
    assert np.diff(times_s).min() > 0
    assert np.isclose(times_s[-1], 4.16)


def test_of_two_steps_the_second_is_undone():
    arrivals = regular(0, 50) + regular(2, 50, ahead_s=5.0) + regular(4, 50, ahead_s=3605.0)
    assert np.isclose(total_s(arrivals + regular(6, 50, ahead_s=5.0)), 5.0)
    assert abs(total_s(arrivals + regular(6, 50))) < 0.1, 'both'


def test_a_clock_of_the_machine_that_was_set_back_ended_everybody():
    """Three images of before the setting come after it."""
    before = [(t, t, t) for t, _ in regular(0, 50)]
    waiting = [(t, t, t - 7200) for t, _ in regular(2, 3)]
    after = [(t - 7200, t, t - 7200) for t, _ in regular(2.12, 50)]
    assert np.isclose(observed(before + waiting + after), -7200.0)


def test_a_recording_that_begins_anew_after_the_machine_was_set_back_is_none():
    before = [(t, t, t) for t, _ in regular(0, 500)]
    anew = [(t, t + 20, t + 20 - 7200) for t, _ in regular(0, 50)]
    assert observed(before + anew) == 0


def test_simulated_time_that_jumps_back_alone_ended_everybody():
    """Stamps go on, and only what they are compared with goes back, or comes of two nodes."""
    back = [(t, t - 900) for t, _ in regular(2, 50)]
    assert total_s(regular(0, 50) + back + regular(4, 50)) == 0
    turns = [(t, t - 50 * (k % 2)) for k, (t, _) in enumerate(regular(0, 100))]
    assert total_s(turns) == 0


def test_others_get_their_stamps_back():
    steps = ClockSteps()
    for stamp_ns, clock_ns in ((START, 0), (START + 60 * SECOND, 40 * MS)):
        steps.observe(stamp_ns, clock_ns)
    assert 'ids' in steps.reason and '60.0 s' in steps.reason
    track = TrackEstimate(
        1, LifeState.ACTIVE, np.zeros(6), np.eye(6), True, False, False, START, 0, 0.0
    )
    inside = START + 60 * SECOND - steps.total_ns
    frame = steps.restore(TrackFrame(inside, (track,), False))
    assert frame.stamp_ns == START + 60 * SECOND
    assert frame.tracks[0].last_seen_ns == START + steps.total_ns
    assert frame.tracks[0].last_heard_ns == 0, 'never stays never'
