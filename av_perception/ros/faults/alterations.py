# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What can happen to the messages of a sensor on their way.

Each function makes an alteration: called with a message and its number since the fault began, it
gives what is published in its place. Messages are shared: an alteration changes copies only.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from av_perception.ros.conversions import ns_from_time, time_from_ns

Alteration = Callable[[Any, int], list[Any]]
# By so much a clock is set [s]: no stamp of before coincides with one that is still to come.
STEP_S = 1.013
SINCE_1970_S = 1.7e9  # beside a clock that counts from its start
_PATTERN = 1000  # numbers after which what is lost repeats
_FIRST_LOST = 8  # however small the share, this one is lost


def stopped() -> Alteration:
    """Nothing comes."""
    return lambda message, number: []


def lost(share: float, seed: int = 0) -> Alteration:
    """Lose a share of the messages; the same ones of every topic."""
    is_lost = np.random.default_rng(seed).random(_PATTERN) < share
    is_lost[_FIRST_LOST] = True
    return lambda message, number: [] if is_lost[number % _PATTERN] else [message]


def stuttering(count: int) -> Alteration:
    """So many messages come, so many do not, in turn."""
    return lambda message, number: [] if number // count % 2 else [message]


def late(count: int) -> Alteration:
    """Every message comes when so many more have been captured."""
    waiting: deque[Any] = deque()

    def alter(message: Any, number: int) -> list[Any]:
        waiting.append(message)
        return [waiting.popleft()] if len(waiting) > count else []

    return alter


def in_bursts(count: int) -> Alteration:
    """Messages wait, and so many come at once."""
    waiting: list[Any] = []

    def alter(message: Any, number: int) -> list[Any]:
        waiting.append(message)
        if len(waiting) < count:
            return []
        burst = list(waiting)
        waiting.clear()
        return burst

    return alter


def swapped() -> Alteration:
    """Of each two messages the later one comes first."""
    waiting: list[Any] = []

    def alter(message: Any, number: int) -> list[Any]:
        if not waiting:
            waiting.append(message)
            return []
        return [message, waiting.pop()]

    return alter


def repeated() -> Alteration:
    """Every message comes twice."""
    return lambda message, number: [message, message]


def edited(edit: Callable[[Any], None]) -> Alteration:
    """Every message is changed."""

    def alter(message: Any, number: int) -> list[Any]:
        changed = copy.deepcopy(message)
        edit(changed)
        return [changed]

    return alter


def stamped(move: Callable[[int, int], int]) -> Alteration:
    """Stamps are others: move(stamp [ns], number) gives the new one [ns]."""

    def alter(message: Any, number: int) -> list[Any]:
        changed = copy.copy(message)
        for part, holder in _stamps(message, changed):
            holder(time_from_ns(max(0, move(ns_from_time(part), number))))
        return [changed]

    return alter


def shifted(shift_s: float) -> Alteration:
    """Let a clock be off by so much [s]."""
    return stamped(lambda stamp_ns, number: stamp_ns + round(1e9 * shift_s))


def rolling(least_s: float, most_s: float, seed: int = 0) -> Alteration:
    """Each stamp lies between so much and so much behind [s], drawn anew."""
    random = np.random.default_rng(seed)
    return stamped(
        lambda stamp_ns, number: stamp_ns + round(1e9 * random.uniform(least_s, most_s))
    )


def held(count: int) -> Alteration:
    """So many messages in a row have the stamp of the first of them."""
    first: list[int] = [0]

    def move(stamp_ns: int, number: int) -> int:
        if number % count == 0:
            first[0] = stamp_ns
        return first[0]

    return stamped(move)


def drifting(parts_per_million: float, period_s: float, start_s: float = 0.0) -> Alteration:
    """Let a clock run too fast, off by start_s already; period_s: between messages."""
    step_ns = 1e3 * parts_per_million * period_s
    return stamped(lambda stamp_ns, number: stamp_ns + round(1e9 * start_s + number * step_ns))


def _stamps(message: Any, changed: Any) -> list[tuple[Any, Callable[[Any], None]]]:
    """Give each stamp of a message, and what sets it in a copy of the message."""
    if hasattr(message, 'clock'):
        return [(message.clock, partial(setattr, changed, 'clock'))]
    if hasattr(message, 'transforms'):
        changed.transforms = copy.deepcopy(message.transforms)
        headers = [transform.header for transform in changed.transforms]
    else:
        changed.header = copy.deepcopy(message.header)
        headers = [changed.header]
    return [(header.stamp, partial(setattr, header, 'stamp')) for header in headers]
