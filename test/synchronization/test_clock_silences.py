# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Clocks that are set in a silence, and halts after which they only seem to be."""

from __future__ import annotations

import numpy as np
import pytest

from av_perception.synchronization.clock_steps import ClockSteps

SECOND = 1_000_000_000
START = 1_000 * SECOND
BEFORE = [(0.04 * k, 0.04 * k) for k in range(100)]  # stamps and arrivals [s], up to 3.96 s


def observed(arrivals):
    """Take (stamp, arrival and, if known, clock of the machine) in seconds; what has seen it."""
    steps = ClockSteps()
    for stamp_s, clock_s, *wall_s in arrivals:
        walls_ns = [round(START + SECOND * t) for t in wall_s]
        steps.observe(round(START + SECOND * stamp_s), round(SECOND * clock_s), *walls_ns)
    return steps


def on(first_s, count=50, ahead_s=0.0):
    """A regular stream from then on; by how much its clock is ahead of the first one."""
    times = first_s + 0.04 * np.arange(count)
    return [(t + ahead_s, t) for t in times]


@pytest.mark.parametrize('silence_s', [3.0, 30.0, 300.0])
def test_in_a_silence_that_a_step_ends_time_stood_still(silence_s):
    """Regression: one usual interval was all that passed, and tracks did not age."""
    steps = observed(BEFORE + on(3.96 + silence_s, ahead_s=3600.0))
    assert np.isclose(steps.total_ns / SECOND, 3600.0)
    assert f'while {silence_s:.1f} s passed' in steps.reason


def test_after_a_silence_that_a_step_ended_the_step_is_undone():
    steps = observed(BEFORE + on(33.96, ahead_s=3600.0) + on(40.0))
    assert abs(steps.total_ns / SECOND) < 0.1


def test_who_is_late_at_a_step_after_a_stall_is_no_silence():
    """The stall may be ours: the first of the clock ahead waits, and one of before comes next."""
    steps = ClockSteps()
    times_s = []
    for stamp_s, clock_s in [*BEFORE, (3604.0, 5.4), (4.04, 5.45), (4.08, 5.5)]:
        steps.observe(round(START + SECOND * stamp_s), round(SECOND * clock_s))
        times_s.append(stamp_s - steps.total_ns / SECOND)
    assert np.diff(times_s).min() > 0
    assert np.isclose(times_s[-1], 4.08)


@pytest.mark.parametrize('silence_s', [12.0, 30.0, 90.0])
def test_a_clock_of_the_machine_set_in_a_silence_was_a_pause_played_fast(silence_s):
    """Regression: a step of less than nine silences was none, and all of it passed."""
    before = [(t, t, t) for t, _ in BEFORE]
    after = [(stamp, t, stamp) for stamp, t in on(3.96 + silence_s, ahead_s=100.0)]
    assert np.isclose(observed(before + after).total_ns / SECOND, 100.0)


def test_a_pause_played_fast_is_none_though_the_clock_of_the_machine_was_set_before():
    """By as much, but half a minute ago; or just now, and by something else."""
    played = [(4.0 * t, t) for t, _ in BEFORE]
    pause = [(4.0 * t + 100.0, t) for t, _ in on(33.96)]  # the lead rises by 190 s
    for ahead_s, set_s in ((190.0, 3.0), (50.0, 10.0)):
        walls = [(s, t, t + (ahead_s if t > set_s else 0.0)) for s, t in played + pause]
        assert observed(walls).total_ns == 0


LATE = [(4.0 + 0.04 * k, 9.5 + 0.005 * k) for k in range(50)]  # of those that waited
HALTS = {
    'those that waited come, and then newer ones': LATE + on(9.8),
    'the oldest were dropped': [(7.5 + 0.04 * k, 9.5 + 0.005 * k) for k in range(50)] + on(9.8),
    'all were dropped': on(9.5),
    'one has waited, and the next is new': [(4.0, 9.5), (9.46, 9.5)] + on(9.54),
}


@pytest.mark.parametrize('halt', HALTS)
def test_a_halt_of_five_seconds_is_no_step(halt):
    assert observed(BEFORE + HALTS[halt]).total_ns == 0


def waited(arrivals):
    """Take (stamp, simulated time, clock of the machine) as a node does; what waits is last.

    Gives what has seen it, and the stamps that waited, each once [s].
    """
    steps = ClockSteps()
    waiting, has_waited = [], []
    for stamp_s, clock_s, machine_s in arrivals:
        waiting.append(stamp_s)
        clock_ns, machine_ns = round(SECOND * clock_s), round(SECOND * machine_s)
        while waiting:
            stamp_ns = round(START + SECOND * waiting[0])
            if steps.must_wait(stamp_ns, clock_ns, machine_ns):
                has_waited += waiting[:1] if waiting[0] not in has_waited else []
                break
            steps.observe(stamp_ns, clock_ns)
            waiting.pop(0)
    return steps, has_waited


def test_after_a_halt_simulated_time_that_was_late_had_been_set():
    """Regression: frames of after a halt of 5.5 s came before the message that tells the time."""
    before = [(t, t, t) for t, _ in BEFORE]
    halted = [(3.97, 3.98, 9.5)]  # had waited, as its time had
    stale = [(8.9 + 0.04 * k, 3.98, 9.51 + 0.005 * k) for k in range(14)]
    after = [(stamp, t, t) for stamp, t in on(9.6)]
    steps, has_waited = waited(before + halted + stale + after)
    assert steps.total_ns == 0
    assert has_waited == [8.9]


def test_a_step_of_stamps_after_a_halt_of_simulated_time_is_one():
    before = [(t, t, t) for t, _ in BEFORE]
    after = [(stamp, t, t + 5.5) for stamp, t in on(4.0, ahead_s=3600.0)]
    steps, has_waited = waited(before + after)
    assert np.isclose(steps.total_ns / SECOND, 3600.0)
    assert has_waited == [3604.0]


def test_a_step_of_stamps_in_simulated_time_need_not_wait():
    before = [(t, t, t) for t, _ in BEFORE]
    steps, has_waited = waited(before + [(stamp, t, t) for stamp, t in on(4.0, ahead_s=3600.0)])
    assert np.isclose(steps.total_ns / SECOND, 3600.0)
    assert has_waited == []
