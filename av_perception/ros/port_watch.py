# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Whether this process still hears by shared memory, or its ports were taken away.

Who is halted for more than two seconds is dead to Fast DDS: its writers make the port in shared
memory anew with every message, until somebody listens there. When the halted process goes on in
the middle of that, a writer can remove the port that it is just making (two processes hold the
lock of the name, for the lock's file is removed and made anew too). The process then listens on
memory that no longer has a name, and never hears anything again; nothing tells it so. The same
comes of a `fastdds shm clean`, or of whoever else tidies up /dev/shm.
"""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from av_perception.ros.privacy import SHARED_MEMORY

OWN_PROCESS = Path('/proc/self')
LOOK_S = 1.0  # between two looks
HELD_UP_S = 1.0  # so long without a call, and the process has been halted
WARY_S = 10.0  # so long after that it looks with every call
CONFIRM_S = 0.4  # a port that is being made anew is not lost
# A process holds the lock of each port at which it listens alone (_el). That which it shares with
# others (_sl), where newcomers say that they are there, is no loss: who is there says so too, and
# who knows somebody writes to that one's own port.
_LOCK = re.compile(r'/(fast(?:rtps|dds)_port\d+)_el$')


def listened_ports(process: Path) -> set[str]:
    """Name the ports at which a process (its folder in /proc) listens alone."""
    ports: set[str] = set()
    try:
        descriptors = list((process / 'fd').iterdir())
    except OSError:  # no Linux, or it has ended
        return ports
    for descriptor in descriptors:
        try:
            found = _LOCK.search(os.readlink(descriptor).removesuffix(' (deleted)'))
        except OSError:  # closed meanwhile
            continue
        if found:
            ports.add(found[1])
    return ports


def reserve(ports: Iterable[str], memory: Path = SHARED_MEMORY) -> list[int]:
    """Hold the locks of ports for as long as this process lives: no participant listens there.

    Whoever wrote to a participant that is gone may go on to make its ports anew. A new one that
    listened at the same would lose them again, and again.

    Parameters
    ----------
    ports
        Their files' names; one that somebody else holds is left.
    memory
        Where the files of shared memory are.

    Returns
    -------
    list of int
        Descriptors of the locks.
    """
    held = []
    for port in ports:
        try:
            lock = os.open(memory / f'{port}_el', os.O_RDONLY | os.O_CREAT, 0o600)
        except OSError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
        else:
            held.append(lock)
    return held


class OwnPorts:
    """The ports at which a process listens, and whether others find them.

    What is mapped is asked for only when a name leads to memory that was not seen to be mapped:
    the system's list of it takes ten milliseconds, in which no thread can map memory.
    """

    def __init__(self, process: Path = OWN_PROCESS, memory: Path = SHARED_MEMORY):
        """process: its folder in /proc; memory: where the files of shared memory are."""
        self._process = process
        self._memory = memory
        self._mapped: dict[str, set[int]] = {}

    def orphaned(self) -> frozenset[str]:
        """Name the files of those that others do not find; none where the system does not tell."""
        ports = listened_ports(self._process)
        missed = self._missed(ports)
        if missed:
            try:
                self._mapped = _mapped(self._process, ports)
            except OSError:  # no Linux
                return frozenset()
            missed = self._missed(ports)
        return frozenset(missed & self._mapped.keys())

    def _missed(self, ports: set[str]) -> set[str]:
        """Name the ports whose names do not lead to memory that is known to be mapped."""
        return {
            port
            for port in ports
            if _inode(self._memory / port) not in self._mapped.get(port, set())
        }


def _mapped(process: Path, ports: set[str]) -> dict[str, set[int]]:
    """Give the inodes under which ports are mapped into a process."""
    mapped: dict[str, set[int]] = {}
    for line in (process / 'maps').read_text().splitlines():
        if '_port' not in line:
            continue
        parts = line.split(maxsplit=5)
        name = Path(parts[5].removesuffix(' (deleted)')).name
        if name in ports:
            mapped.setdefault(name, set()).add(int(parts[4]))
    return mapped


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except OSError:
        return None


class PortWatch:
    """Looks after the ports of this process now and then, more often after it was halted."""

    def __init__(
        self,
        look: Callable[[], frozenset[str]] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        """look: names what is orphaned, of this process by default; clock: in seconds."""
        self._look = look or OwnPorts().orphaned
        self._clock = clock
        self._called = clock()
        self._looked = self._called
        self._wary_until = -1.0
        self._orphaned_since: dict[str, float] = {}

    def lost(self) -> list[str]:
        """Name the ports that are lost for good; call it several times a second."""
        now = self._clock()
        if now - self._called > HELD_UP_S:
            self._wary_until = now + WARY_S
        self._called = now
        is_wary = now < self._wary_until or bool(self._orphaned_since)
        if not is_wary and now - self._looked < LOOK_S:
            return []
        self._looked = now
        since = self._orphaned_since
        self._orphaned_since = {port: since.get(port, now) for port in self._look()}
        return sorted(p for p, start in self._orphaned_since.items() if now - start >= CONFIRM_S)
