# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""One direction of a bad network: what it loses, delays, queues and drops."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass

FRAME_OVERHEAD = 24  # bytes that Ethernet adds to a frame on the wire
MULTICAST = 0x01  # of the first byte of a destination address
ARP = b'\x08\x06'  # type of the frames that ask for addresses, by broadcast


@dataclass(frozen=True)
class Conditions:
    """How a network is, in both directions."""

    #: Part of the frames that is lost.
    loss: float = 0.0
    #: Of every frame, one way [s].
    delay_s: float = 0.0
    #: What passes [bit/s]; 0: anything.
    rate_bps: float = 0.0
    #: Frames wait so long for their turn, others are dropped: the buffer of an access point [s].
    queue_s: float = 0.25
    #: Whether it carries multicast.
    has_multicast: bool = True


class Wire:
    """Frames in, frames out, by the clock of whoever calls.

    Attributes
    ----------
    conditions : Conditions
        May change at any time.
    is_up : bool
        False: nothing comes through, and what was under way is lost.
    counters : dict
        Frames carried, lost and dropped (no room in the queue), and bytes carried.
    """

    def __init__(self, conditions: Conditions, seed: int = 0):
        self.conditions = conditions
        self.is_up = True
        self.counters = {'carried': 0, 'lost': 0, 'dropped': 0, 'bytes': 0}
        self._random = random.Random(seed)
        self._free_s = 0.0  # when what was accepted so far has left
        self._under_way: deque[tuple[float, bytes]] = deque()

    def push(self, frame: bytes, now_s: float) -> None:
        """Take a frame."""
        conditions = self.conditions
        if not conditions.has_multicast and frame[0] & MULTICAST and frame[12:14] != ARP:
            return
        if not self.is_up or self._random.random() < conditions.loss:
            self.counters['lost'] += 1
            return
        start_s = max(now_s, self._free_s)
        if conditions.rate_bps:
            if start_s - now_s > conditions.queue_s:
                self.counters['dropped'] += 1
                return
            start_s += 8 * (len(frame) + FRAME_OVERHEAD) / conditions.rate_bps
            self._free_s = start_s
        self._under_way.append((start_s + conditions.delay_s, frame))

    def pop_due(self, now_s: float) -> list[bytes]:
        """Give the frames that have come through by now, in order."""
        due = []
        while self._under_way and self._under_way[0][0] <= now_s:
            due.append(self._under_way.popleft()[1])
        if not self.is_up:
            self.counters['lost'] += len(due)
            return []
        self.counters['carried'] += len(due)
        self.counters['bytes'] += sum(map(len, due))
        return due

    def next_due_s(self) -> float | None:
        """Tell when the next frame comes through; None when nothing is under way."""
        return self._under_way[0][0] if self._under_way else None
