# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What lies in a segment of Fast DDS, the shared memory from which a process sends.

A segment is a heap of Boost.Interprocess. Its first block is a table with an entry for each
message that can lie there: how many ports still hold it, how many readers are at it, its size and
place. An entry without either is free, whatever size it still names. All is read from a copy of
the table; nothing is written.
"""

from __future__ import annotations

import os
import re
import struct
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

OWN_PROCESS = Path('/proc/self')
HEAP_BYTES_AT = 96  # how long the heap is, with its head [bytes]
HEAP_AT = 208  # where the heap's first block begins, in the file [bytes]
TABLE_AT = 232  # the table within that block
END_BYTES = 16  # behind the heap
UNIT = 16  # blocks are multiples of it, and so is an entry
BLOCK_HEAD = 16  # between a block's beginning and what lies in it
BLOCK_EXTRA = 12  # what a block is longer than that, before it is rounded up
PER_ENTRY = 48  # so much of the file is for an entry: itself, and what its block is longer
FIXED_BYTES = 544  # the rest that is for no message
IS_TAKEN = 0xC0000000  # flags of a block behind another one that is taken as well
VERSION_BITS = 24  # of an entry's state; above them are the counts
MAX_ENTRIES = 1 << 20
# A process holds the lock of its own segment alone.
_LOCK = re.compile(r'/(fast(?:rtps|dds)_[0-9a-f]{16})_el$')


class UnknownLayout(Exception):
    """A segment that is not laid out as those of the Fast DDS that is known here."""


@dataclass(frozen=True)
class Segment:
    """The messages in a segment, at one moment.

    Attributes
    ----------
    keys : numpy.ndarray
        [n] one number for each use of an entry: another message has another key.
    sizes : numpy.ndarray
        [n] of the messages [bytes].
    starts : numpy.ndarray
        [n] where their blocks begin [bytes].
    held : numpy.ndarray
        [n] bool: whether somebody has still to read it; if not, it is free, or will be.
    heap : tuple of int
        Where the room for messages begins and ends [bytes].
    capacity : int
        So much Fast DDS lets messages have in all [bytes].
    """

    keys: np.ndarray
    sizes: np.ndarray
    starts: np.ndarray
    held: np.ndarray
    heap: tuple[int, int]
    capacity: int

    def only(self, chosen: np.ndarray) -> Segment:
        """Give the same with only those messages that are chosen ([n] bool)."""
        return replace(
            self,
            keys=self.keys[chosen],
            sizes=self.sizes[chosen],
            starts=self.starts[chosen],
            held=self.held[chosen],
        )

    def gaps(self) -> np.ndarray:
        """Give the sizes of what is free between messages that are held [bytes], [m + 1].

        Raises
        ------
        UnknownLayout
            When messages overlap: they were read while that changed, or are none.
        """
        starts = self.starts[self.held]
        order = np.argsort(starts)
        starts = starts[order]
        ends = starts + block_bytes(self.sizes[self.held][order])
        free = np.append(starts, self.heap[1]) - np.concatenate([[self.heap[0]], ends])
        if np.any(free < 0):
            raise UnknownLayout('messages overlap')
        return free

    def num_free(self) -> int:
        """Tell how many bytes Fast DDS takes for free [bytes]."""
        return self.capacity - int(self.sizes[self.held].sum())


def block_bytes(sizes):
    """Tell how much room messages of such sizes take at least [bytes]."""
    return -(-(sizes + BLOCK_EXTRA) // UNIT) * UNIT


def own_segments(process: Path = OWN_PROCESS) -> list[Path]:
    """Give the segments from which a process (its folder in /proc) sends."""
    found = set()
    try:
        names = os.listdir(process / 'fd')
    except OSError:  # no Linux
        return []
    for name in names:
        try:
            target = os.readlink(f'{process}/fd/{name}')
        except OSError:  # closed meanwhile
            continue
        if _LOCK.search(target):
            found.add(Path(target.removesuffix('_el')))
    return sorted(found)


def read_segment(path: Path) -> Segment:
    """Read which messages lie in a segment.

    Parameters
    ----------
    path
        Of the segment's file.

    Returns
    -------
    Segment
        Of all entries of the table that name a message.

    Raises
    ------
    OSError
        When the file is gone.
    UnknownLayout
        When it is not laid out as it should be.
    """
    file = os.open(path, os.O_RDONLY)
    try:
        num_bytes = os.fstat(file).st_size
        num_entries, heap_start = _check_head(os.pread(file, TABLE_AT, 0), num_bytes)
        raw = os.pread(file, num_entries * UNIT, TABLE_AT)
    finally:
        os.close(file)
    if len(raw) < num_entries * UNIT:
        raise UnknownLayout('it is cut short')
    heap = (heap_start, num_bytes - END_BYTES)
    segment = _segment(raw, heap, num_bytes - PER_ENTRY * num_entries - FIXED_BYTES)
    _check_places(segment)
    return segment


def _segment(raw: bytes, heap: tuple[int, int], capacity: int) -> Segment:
    """Give the messages that a table names."""
    table = np.frombuffer(raw, np.uint32).reshape(-1, 4)  # of the state two, size, place
    used = np.flatnonzero(table[:, 2] != 0)
    entries = table[used].astype(np.int64)
    states = entries[:, 0] | entries[:, 1] << 32
    return Segment(
        keys=used << VERSION_BITS | (states & ((1 << VERSION_BITS) - 1)),
        sizes=entries[:, 2],
        starts=entries[:, 3] - BLOCK_HEAD,
        held=states >> VERSION_BITS != 0,
        heap=heap,
        capacity=capacity,
    )


def _check_head(head: bytes, num_bytes: int) -> tuple[int, int]:
    """Give the number of entries and where the heap goes on behind them [bytes]."""
    if len(head) < TABLE_AT:
        raise UnknownLayout('it is cut short')
    (heap_bytes,) = struct.unpack_from('<Q', head, HEAP_BYTES_AT)
    num_units, block, _, table_bytes = struct.unpack_from('<IIQI', head, HEAP_AT)
    num_entries = table_bytes // UNIT
    block_units = block & ~IS_TAKEN
    expected = block_bytes(table_bytes + TABLE_AT - HEAP_AT - BLOCK_HEAD) // UNIT
    if heap_bytes != num_bytes - END_BYTES:
        raise UnknownLayout('its size is not what it says')
    if num_units * UNIT != num_bytes - HEAP_AT - END_BYTES:
        raise UnknownLayout('its heap is not where it was expected')
    if block & IS_TAKEN != IS_TAKEN or block_units != expected or table_bytes % UNIT:
        raise UnknownLayout('its table is not where it was expected')
    if not 0 < num_entries <= min(MAX_ENTRIES, num_bytes // PER_ENTRY):
        raise UnknownLayout(f'a table of {num_entries} entries')
    return num_entries, HEAP_AT + block_units * UNIT


def _check_places(segment: Segment) -> None:
    """Refuse messages that lie outside of the heap, or between its units."""
    ends = segment.starts + block_bytes(segment.sizes)
    start, end = segment.heap
    if np.any(segment.starts < start) or np.any(ends > end) or np.any(segment.starts % UNIT):
        raise UnknownLayout('messages lie where none can be')
