# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What the processes of a graph cost, and the nodes in one process, as /proc tells."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

MAX_THREAD_NAME = 15  # of Linux


@dataclass(frozen=True)
class Usage:
    """What a process or a node has cost."""

    #: Processor time of user and system [s].
    cpu_s: float
    #: Peak resident memory [MiB].
    peak_mib: float

    def since(self, earlier: Usage) -> Usage:
        """Give what it cost since an earlier moment."""
        return Usage(self.cpu_s - earlier.cpu_s, self.peak_mib)


def process_usage(pid: int) -> Usage | None:
    """Measure a process; None when it is gone or the system does not tell."""
    folder = Path(f'/proc/{pid}')
    try:
        cpu_s = _cpu_s(folder)
        status_lines = (folder / 'status').read_text().splitlines()
    except OSError:
        return None
    status = dict(line.split(':', 1) for line in status_lines)
    return Usage(cpu_s, int(status['VmHWM'].split()[0]) / 1024)


def cpu_of_nodes(pid: int, names: tuple[str, ...]) -> dict[str, float]:
    """Add up the processor time of each node's threads in one process.

    Parameters
    ----------
    pid : int
        The process that hosts the nodes.
    names : tuple of str
        Of the nodes; their threads bear them.

    Returns
    -------
    dict of str to float
        Seconds by name, of the threads that still live.
    """
    by_thread = {name[:MAX_THREAD_NAME]: name for name in names}
    spent_s = dict.fromkeys(names, 0.0)
    for folder in Path(f'/proc/{pid}/task').glob('*'):
        try:
            name = by_thread.get((folder / 'comm').read_text().strip())
            if name is not None:
                spent_s[name] += _cpu_s(folder)
        except OSError:
            continue  # the thread has ended meanwhile
    return spent_s


def _cpu_s(folder: Path) -> float:
    """Read utime and stime of a process or thread [s]."""
    stat = (folder / 'stat').read_text()
    fields = stat.rpartition(')')[2].split()  # what follows the name: state is field 3
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')
