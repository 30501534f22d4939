# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""From a probability to a decision that does not flicker."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from av_perception.geometry.time import seconds

_DELAY_TOLERANCE_S = 1e-6  # stamps are rounded
_LARGEST_LOWERING = 3.0  # [nat] of the lower threshold


class HysteresisConfig(Protocol):
    """Thresholds of the probability, and how long they must stay crossed [s]."""

    @property
    def on(self) -> float:
        """Above it somebody silent crosses."""

    @property
    def off(self) -> float:
        """Below it somebody who speaks crosses."""

    @property
    def on_delay_s(self) -> float:
        """How long `on` must stay exceeded."""

    @property
    def off_delay_s(self) -> float:
        """How long the probability must stay below `off`."""


@dataclass
class Decision:
    """Whether somebody counts as speaking.

    since_ns: stamp of the last change; crossed_ns: when the opposite threshold was crossed, None
    while it is not.
    """

    since_ns: int
    speaking: bool = False
    crossed_ns: int | None = None

    def update(
        self,
        probability: float,
        stamp_ns: int,
        config: HysteresisConfig,
        off: float | None = None,
    ) -> bool:
        """Change the decision once the threshold has been crossed for the delay.

        `since_ns` is then the crossing; returns whether it has changed. `off` takes the place of
        the configured one.
        """
        if self.speaking:
            is_crossed = probability < (config.off if off is None else off)
            delay_s = config.off_delay_s
        else:
            is_crossed = probability > config.on
            delay_s = config.on_delay_s
        if not is_crossed:
            self.crossed_ns = None
            return False
        if self.crossed_ns is None:
            self.crossed_ns = stamp_ns
        if seconds(stamp_ns - self.crossed_ns) < delay_s - _DELAY_TOLERANCE_S:
            return False
        self.speaking = not self.speaking
        self.since_ns = self.crossed_ns
        self.crossed_ns = None
        return True


class TurnEndsConfig(Protocol):
    """How the lower threshold follows what becomes of the ends of turns."""

    @property
    def resume_s(self) -> float:
        """Who speaks again so soon after the end of a turn had not ended it [s]."""

    @property
    def resume_step(self) -> float:
        """Its logarithm falls by so much where a turn had not ended [nat]."""

    @property
    def end_step(self) -> float:
        """And rises by so much where one had, up to the configured threshold [nat]."""


class TurnEnds:
    """Learns how sure the end of a turn must be: surer where ends were often taken back.

    Of all people together, since noise and reverberation, which tear turns, are those of the room.
    The threshold settles where `end_step` / (`resume_step` + `end_step`) of the ends are taken
    back, or at the configured one where fewer are.
    """

    def __init__(self):
        self.reset()

    def reset(self) -> None:
        """Forget all turns."""
        self._lowering = 0.0
        self._ended_ns: dict[int, int] = {}  # of those who may still resume, by id

    def lowered(self, off: float) -> float:
        """Return what the threshold `off` is now."""
        return off * math.exp(-self._lowering)

    def note(self, person: int, decision: Decision, config: TurnEndsConfig) -> None:
        """Take a decision that has changed."""
        if not decision.speaking:
            self._ended_ns[person] = decision.since_ns
            return
        ended_ns = self._ended_ns.pop(person, None)
        if ended_ns is None:
            return
        if seconds(decision.since_ns - ended_ns) <= config.resume_s:
            self._lowering = min(self._lowering + config.resume_step, _LARGEST_LOWERING)
        else:
            self._lowering = max(self._lowering - config.end_step, 0.0)

    def settle(self, stamp_ns: int, config: TurnEndsConfig) -> None:
        """Count the ends that nobody can take back any more."""
        for person, ended_ns in list(self._ended_ns.items()):
            if seconds(stamp_ns - ended_ns) > config.resume_s:
                del self._ended_ns[person]
                self._lowering = max(self._lowering - config.end_step, 0.0)
