# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The clocks by which a node tells that the clock behind its frames was set."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from av_perception.ros import frame_clock
from av_perception.ros.frame_clock import FrameClock, steady_ns
from av_perception.synchronization.clock_steps import ClockSteps

START_NS = 10**18
HOUR_NS = 3600 * 10**9
PERIOD_NS = 40_000_000


class Machine:
    """A node on real time, and the clocks of its machine."""

    def __init__(self, monkeypatch):
        self.steady_ns = 10**12
        self.wall_ns = START_NS
        monkeypatch.setattr(frame_clock, 'steady_ns', lambda: self.steady_ns)
        monkeypatch.setattr(frame_clock, 'time', SimpleNamespace(time_ns=lambda: self.wall_ns))
        self.steps = ClockSteps()
        node = SimpleNamespace(get_parameter=lambda name: SimpleNamespace(value=False))
        self.clock = FrameClock(node, self.steps)

    def passes(self, passed_ns: int, set_ns: int = 0) -> bool:
        """Let time pass, and the wall clock be set; tell what the next frame says."""
        self.steady_ns += passed_ns
        self.wall_ns += passed_ns + set_ns
        return self.clock.was_set(self.wall_ns)


@pytest.fixture
def machine(monkeypatch):
    machine = Machine(monkeypatch)
    assert not any(machine.passes(PERIOD_NS) for _ in range(10))
    return machine


def test_a_machine_that_slept_for_an_hour_has_set_no_clock(machine):
    """Regression: the monotonic clock had stood still, and people were kept for the hour."""
    assert not machine.passes(HOUR_NS)
    assert machine.steps.total_ns == 0


def test_a_clock_that_is_set_by_an_hour_was_set(machine):
    assert machine.passes(PERIOD_NS, HOUR_NS)
    assert machine.steps.total_ns == HOUR_NS


@pytest.mark.skipif(not hasattr(time, 'CLOCK_BOOTTIME'), reason='a system without that clock')
def test_the_steady_clock_counts_the_sleep_of_the_machine():
    before_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    assert before_ns <= steady_ns() <= time.clock_gettime_ns(time.CLOCK_BOOTTIME)
