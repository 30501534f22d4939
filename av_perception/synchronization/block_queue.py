# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Gives every frame the blocks of sound that belong to it, by stamps alone."""

from __future__ import annotations

from collections import deque

from av_perception.audio.direction_bins import BinBlock
from av_perception.geometry.time import nanoseconds, seconds

# A frame is complete before the bins at its stamp are: it gets those up to so long before it.
LAG_S = 0.04
_START_ANEW_S = 1.0  # a stamp so far back begins another stream
_DEAF_AFTER_S = 0.5  # without blocks for longer there is no sound to judge
_STEP_S = 0.039  # the next block lies so far behind the newest one, with some jitter
_MAX_PENDING = 250  # blocks without frames, 10 s: then the oldest go
_OTHER_CLOCK_S = 10.0  # farther ahead of a frame, sound is stamped by another clock


class BlockQueue:
    """Holds blocks until the frame comes whose stamp lies at least LAG_S behind theirs."""

    def __init__(self) -> None:
        self._blocks: deque[BinBlock] = deque(maxlen=_MAX_PENDING)
        self._newest_ns: int | None = None

    def push(self, blocks: list[BinBlock]) -> None:
        """Take blocks as they come; a stamp far back drops those of the stream before."""
        for block in blocks:
            if self._newest_ns is not None:
                if seconds(block.stamp_ns - self._newest_ns) < -_START_ANEW_S:
                    self._blocks.clear()
            self._newest_ns = block.stamp_ns
            self._blocks.append(block)

    def is_decided(self, stamp_ns: int) -> bool:
        """Whether no block that a frame at stamp_ns gets can still come."""
        if self._newest_ns is None:
            return False
        return self._newest_ns + nanoseconds(_STEP_S) > stamp_ns - nanoseconds(LAG_S)

    def is_deaf(self, stamp_ns: int) -> bool:
        """Whether there is no block, or none for long, at a frame's stamp, or of another clock."""
        if self._newest_ns is None:
            return True
        return not -_OTHER_CLOCK_S <= seconds(stamp_ns - self._newest_ns) <= _DEAF_AFTER_S

    def take(self, stamp_ns: int) -> list[BinBlock] | None:
        """Remove and return the blocks of a frame, oldest first; None where sound is missing."""
        last_ns = stamp_ns - nanoseconds(LAG_S)
        blocks = []
        while self._blocks and self._blocks[0].stamp_ns <= last_ns:
            blocks.append(self._blocks.popleft())
        return None if self.is_deaf(stamp_ns) else blocks
