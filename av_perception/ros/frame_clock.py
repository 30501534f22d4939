# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Whether the clock behind the stamps of a node's frames was set, by the clocks of the node."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from av_perception.synchronization.clock_steps import ClockSteps

if TYPE_CHECKING:
    from av_perception.ros.node import PerceptionNode


def steady_ns() -> int:
    """Read a clock that nobody sets, and that goes on while the machine sleeps [ns]."""
    # Linux's monotonic clock stands still while a machine sleeps: its waking would be a step.
    if hasattr(time, 'CLOCK_BOOTTIME'):
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    return time.monotonic_ns()


class FrameClock:
    """Asks ClockSteps: in simulated time by that, else by a clock that nobody sets."""

    def __init__(self, node: PerceptionNode, steps: ClockSteps):
        """node: whose frames they are; steps: what it knows of their clock."""
        self._node = node
        self._steps = steps

    def must_wait(self, stamp_ns: int) -> bool:
        """Tell whether simulated time may still be behind what this process has slept through."""
        return self._is_simulated and self._steps.must_wait(
            stamp_ns, self._node.now_ns(), steady_ns()
        )

    def was_set(self, stamp_ns: int) -> bool:
        """Take the stamp of a frame [ns]; tell whether the clock was set since the last one."""
        if not self._is_simulated:
            return self._steps.observe(stamp_ns, steady_ns(), time.time_ns())
        now_ns = self._node.now_ns()
        return now_ns != 0 and self._steps.observe(stamp_ns, now_ns)  # 0: not known yet

    @property
    def _is_simulated(self) -> bool:
        return bool(self._node.get_parameter('use_sim_time').value)
