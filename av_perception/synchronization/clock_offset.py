# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""By how much the clock of another machine is ahead, as NTP finds it (RFC 5905, sections 8, 10).

We ask for the time and note when we asked and when the answer came. The other clock was read in
between, so the middle is wrong by half the way there and back at most: the quickest of the last
answers says most.
"""

from __future__ import annotations

from collections import deque

from av_perception.geometry.time import seconds

ANSWERS = 8  # as the clock filter of NTP
TOLERATED_S = 0.1  # more than a sensor's latency varies


class ClockOffset:
    """What the answers of another clock say."""

    def __init__(self, num_answers: int = ANSWERS):
        """num_answers: so many of the last are looked at."""
        self._answers: deque[tuple[int, int]] = deque(maxlen=num_answers)  # round trip, offset

    def push(self, asked_ns: int, told_ns: int, came_ns: int) -> None:
        """Take an answer: when we asked, what the other clock said, when that came [ns]."""
        if came_ns < asked_ns:  # our clock was set back meanwhile
            self._answers.clear()
            return
        self._answers.append((came_ns - asked_ns, told_ns - (asked_ns + came_ns) // 2))

    @property
    def is_known(self) -> bool:
        """Whether an answer has come."""
        return bool(self._answers)

    @property
    def ahead_s(self) -> float:
        """By so much the other clock is ahead [s]; negative: behind."""
        return seconds(min(self._answers)[1])

    @property
    def error_s(self) -> float:
        """So far it may be off at most [s]."""
        return seconds(min(self._answers)[0]) / 2

    def sentence(self, name: str) -> str:
        """Say that the clock of a node's machine is wrong, and what to do; '' while it is not."""
        if not self.is_known or abs(self.ahead_s) - self.error_s <= TOLERATED_S:
            return ''
        side = 'ahead of' if self.ahead_s > 0 else 'behind'
        return (
            f'the clock of {name} is {abs(self.ahead_s):.2f} s {side} this one (to '
            f'{max(self.error_s, 0.001):.3f} s): set the clocks of both machines by chrony'
        )
