# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Whether a process that was halted hears again what it heard before.

While it is halted, each writer makes its port in shared memory anew. One of them may be left with
a port that another one has replaced: what it sends reaches nobody, for ever, and neither side is
told so. Only a silence shows it, and only a new participant mends it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path

from av_perception.ros.input_monitor import InputMonitor

HALTED_S = 2.0  # so long without a call, and Fast DDS takes the process for dead
BACKLOG_S = 0.5  # so long after a halt, what had come before it is still taken
SILENT_S = 5.0  # longer than any input pauses, also where a driver waits for our answer


def waited_s(schedule: Path = Path('/proc/self/schedstat')) -> float:
    """Tell for how long the main thread has waited for a processor so far [s]; 0 if unknown."""
    try:
        return 1e-9 * int(schedule.read_text().split()[1])
    except (OSError, ValueError, IndexError):  # no Linux, or a kernel without statistics
        return 0.0


class SilenceWatch:
    """Finds the topics that were heard until the process was halted, and are not since."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        waited: Callable[[], float] = waited_s,
    ):
        """clock: that of the monitors [s]; waited: for a processor, so far [s]."""
        self._clock = clock
        self._waited = waited
        self._called = clock()
        self._waited_before = waited()
        self._went_on = 0.0
        self._waited_for: list[InputMonitor] = []

    def silent(self, monitors: Iterable[InputMonitor]) -> list[str]:
        """Name what is silent since a halt, once; call it several times a second."""
        now = self._clock()
        # Who waits for a processor was not halted: lock-step may wait for just this process.
        waited = self._waited()
        halted_s = now - self._called - (waited - self._waited_before)
        self._waited_before = waited
        if halted_s > HALTED_S:
            self._went_on = now
            spoke = (m for m in monitors if m.count)
            self._waited_for = [m for m in spoke if m.last > self._called - m.timeout_s]
        self._called = now
        if not self._waited_for or now - self._went_on < BACKLOG_S + SILENT_S:
            return []
        silent = {m.topic for m in self._waited_for if m.last < self._went_on + BACKLOG_S}
        self._waited_for = []
        return sorted(silent)
