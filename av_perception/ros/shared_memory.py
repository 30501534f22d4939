# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Shared memory that killed processes have left, and its removal.

Fast DDS gives each process a segment for what it sends, and each of its ports a small file. Who is
killed leaves both: 17 MiB each time, until the machine is started anew. Fast DDS itself takes away
what lies in its way (a port that it opens, a segment that somebody still reads), nothing else.

Beside each segment, and each port at which somebody listens, lies a file whose lock (flock) its
process holds for as long as it lives. Who can take the lock has found a leftover.
"""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from av_perception.ros.privacy import SHARED_MEMORY

PROCESSES = Path('/proc')
# What is that young may just be being made: its lock comes first, but not everything has one.
YOUNGEST_S = 5.0
MIB = 1 << 20
# The segment of a process, with what boost adds, and its ports (config/fastdds_*.xml).
NODE_BYTES = 17 * MIB
# What rmw_fastrtps says, for whatever reason.
NO_PARTICIPANT = 'failed to create participant'
_FILE = re.compile(r'(?:sem\.)?(fast(?:rtps|dds)_(?:port\d+|[0-9a-f]{16}))(?:_[es]l|_mutex)?')
_LOCK = re.compile(r'.*_[es]l')


@dataclass(frozen=True)
class Leftovers:
    """What processes have left."""

    #: Segments of messages; each is of a process.
    num_segments: int
    #: Of all files.
    num_bytes: int

    def __str__(self) -> str:
        plural = '' if self.num_segments == 1 else 's'
        return f'{self.num_segments} segment{plural}, {self.num_bytes / MIB:.1f} MiB'


def room(memory: Path = SHARED_MEMORY) -> tuple[int, int] | None:
    """Tell how much memory is free, and how much there is [bytes]; None where it is not."""
    try:
        state = os.statvfs(memory)
    except OSError:
        return None
    return state.f_bavail * state.f_frsize, state.f_blocks * state.f_frsize


def lack_of_room(error: BaseException, memory: Path = SHARED_MEMORY) -> str:
    """Say that there may be no room, where that is what an exception of rclpy can mean; else ''.

    Parameters
    ----------
    error
        Of making a node.
    memory
        Where the files of shared memory are.
    """
    found = room(memory)
    if found is None or NO_PARTICIPANT not in str(error):
        return ''
    free, total = (number / MIB for number in found)
    return (
        f'cannot join the graph: is there room in {memory}? {free:.0f} of {total:.0f} MiB are '
        f'free, and a process takes {NODE_BYTES / MIB:.0f}; av-perception doctor says what to do'
    )


def find_leftovers(memory: Path = SHARED_MEMORY, processes: Path = PROCESSES) -> Leftovers:
    """Tell what processes that were killed have left; for arguments see `remove_leftovers`."""
    return _handle_leftovers(memory, processes, remove=False)


def remove_leftovers(memory: Path = SHARED_MEMORY, processes: Path = PROCESSES) -> Leftovers:
    """Remove what processes of this user that were killed have left.

    Parameters
    ----------
    memory
        Where the files of shared memory are; where it is not (no Linux), nothing is done.
    processes
        Where the system tells of all processes.

    Returns
    -------
    Leftovers
        What was removed. What a process holds or has mapped stays, and so do the files of other
        users.
    """
    return _handle_leftovers(memory, processes, remove=True)


def _handle_leftovers(memory: Path, processes: Path, remove: bool) -> Leftovers:
    num_segments = 0
    num_bytes = 0
    with _held([memory]) as is_alone:  # no other process does the same meanwhile
        groups = _groups(memory) if is_alone else {}
        abandoned = {name: files for name, files in groups.items() if _is_abandoned(files)}
        mapped = _mapped_files(processes) if abandoned else set()
        for name, files in abandoned.items():
            if mapped & {file.name for file in files}:
                continue
            with _held(_locks_of(files)) as are_free:  # its owner may just have come
                if not are_free:
                    continue
                num_segments += '_port' not in name and memory / name in files
                num_bytes += sum(map(_size, files))
                if remove:
                    _remove(files)
    return Leftovers(num_segments, num_bytes)


def _is_abandoned(files: list[Path]) -> bool:
    """Whether files are of this user, not just made, and nobody holds one of their locks."""
    if not _is_ours(files):
        return False
    with _held(_locks_of(files)) as are_free:
        return are_free


def _groups(memory: Path) -> dict[str, list[Path]]:
    """Give the files of each segment and of each port, by its name."""
    groups: dict[str, list[Path]] = {}
    for name in os.listdir(memory):
        found = _FILE.fullmatch(name)
        if found:
            groups.setdefault(found[1], []).append(memory / name)
    return groups


def _is_ours(files: list[Path]) -> bool:
    """Whether all files are of this user, and none has been made or taken just now."""
    try:
        states = [file.stat() for file in files]
    except OSError:  # gone meanwhile: somebody is at work there
        return False
    are_old = time.time() - max(state.st_ctime for state in states) > YOUNGEST_S
    return are_old and all(state.st_uid == os.geteuid() for state in states)


def _mapped_files(processes: Path) -> set[str]:
    """Name the files of Fast DDS that some process, which this user may look at, has mapped."""
    mapped = set()
    for maps in processes.glob('[0-9]*/maps'):
        try:
            text = maps.read_text(errors='replace')
        except OSError:  # another user's, or it has ended
            continue
        mapped |= {found[0] for found in _FILE.finditer(text)}
    return mapped


def _locks_of(files: list[Path]) -> list[Path]:
    return [file for file in files if _LOCK.fullmatch(file.name)]


@contextmanager
def _held(paths: Iterable[Path]) -> Iterator[bool]:
    """Hold the locks of files or folders; False where somebody else holds one."""
    with ExitStack() as stack:
        try:
            for path in paths:
                lock = os.open(path, os.O_RDONLY)
                stack.callback(os.close, lock)
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True


def _size(file: Path) -> int:
    """Tell how much memory a file takes [bytes], which is not its length where it is sparse."""
    try:
        return 512 * file.stat().st_blocks
    except OSError:
        return 0


def _remove(files: list[Path]) -> None:
    """Remove files, their locks last: until then nobody else takes them for leftovers."""
    for file in sorted(files, key=lambda file: bool(_LOCK.fullmatch(file.name))):
        try:
            file.unlink(missing_ok=True)
        except OSError:  # not ours any more
            continue
