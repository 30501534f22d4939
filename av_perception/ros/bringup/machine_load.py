# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Who had the processors while a graph ran: the graph, other programs, or the host of the machine.

A burst of late results looks alike whatever causes it. The counters of /proc tell: all processors
together, what a virtual machine's host took from them, and the graph's own processes.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from av_perception.geometry.time import seconds
from av_perception.ros.bringup.usage import process_usage

STAT = Path('/proc/stat')
# Of the first line of /proc/stat, behind the name: user, nice, system, (idle, iowait,) irq,
# softirq; then what the host took. Guests' time is in user and nice already.
_BUSY = (0, 1, 2, 5, 6)
_STOLEN = 7


@dataclass(frozen=True)
class LoadSample:
    """Processor time since the machine started, of all processors together [s]."""

    stamp_ns: int
    #: spent by whoever runs here
    busy_s: float
    #: taken by the host of a virtual machine
    stolen_s: float
    #: spent by the graph's processes, of `busy_s`
    own_s: float


@dataclass(frozen=True)
class Load:
    """How many processors were kept busy on the mean of a spell."""

    own: float
    others: float
    stolen: float


class MachineLoad:
    """Samples of a run, and what they say of a spell of it."""

    def __init__(self, samples: Iterable[LoadSample] = ()):
        self._samples = list(samples)

    def note(self, stamp_ns: int, pids: Iterable[int]) -> None:
        """Sample now; nothing where the system does not tell.

        Parameters
        ----------
        stamp_ns
            Now, on the clock that `during` is asked by [ns].
        pids
            Of the graph's processes.
        """
        try:
            busy_s, stolen_s = read_processors(STAT.read_text())
        except (OSError, ValueError, IndexError):
            return
        usages = [process_usage(pid) for pid in pids]
        own_s = sum(usage.cpu_s for usage in usages if usage is not None)
        self._samples.append(LoadSample(stamp_ns, busy_s, stolen_s, own_s))

    def during(self, first_ns: int, last_ns: int) -> Load | None:
        """Give the load between the samples around a spell; None where they do not hold it."""
        before = [sample for sample in self._samples if sample.stamp_ns <= first_ns]
        after = [sample for sample in self._samples if sample.stamp_ns >= last_ns]
        if not before or not after or first_ns >= last_ns:
            return None
        start = before[-1]
        end = after[0]
        elapsed_s = seconds(end.stamp_ns - start.stamp_ns)
        own_s = end.own_s - start.own_s
        busy_s = end.busy_s - start.busy_s
        return Load(
            own=max(0.0, own_s / elapsed_s),
            others=max(0.0, (busy_s - own_s) / elapsed_s),
            stolen=max(0.0, (end.stolen_s - start.stolen_s) / elapsed_s),
        )


def read_processors(stat: str) -> tuple[float, float]:
    """Read time spent and time taken by the host [s] from the text of /proc/stat.

    Raises
    ------
    ValueError, IndexError
        Where it is no such text.
    """
    name, *fields = stat.split('\n', 1)[0].split()
    if name != 'cpu':
        raise ValueError('the first line of /proc/stat is not that of all processors')
    ticks = [int(field) for field in fields]
    ticks_per_s = os.sysconf('SC_CLK_TCK')
    busy = sum(ticks[index] for index in _BUSY)
    stolen = ticks[_STOLEN] if len(ticks) > _STOLEN else 0
    return busy / ticks_per_s, stolen / ticks_per_s
