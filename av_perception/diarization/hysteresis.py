# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""From a probability to a decision that does not flicker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from av_perception.geometry.time import seconds

_DELAY_TOLERANCE_S = 1e-6  # stamps are rounded


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

    def update(self, probability: float, stamp_ns: int, config: HysteresisConfig) -> None:
        """Change the decision once the threshold has been crossed for the delay.

        `since_ns` is then the crossing.
        """
        if self.speaking:
            is_crossed = probability < config.off
            delay_s = config.off_delay_s
        else:
            is_crossed = probability > config.on
            delay_s = config.on_delay_s
        if not is_crossed:
            self.crossed_ns = None
            return
        if self.crossed_ns is None:
            self.crossed_ns = stamp_ns
        if seconds(stamp_ns - self.crossed_ns) >= delay_s - _DELAY_TOLERANCE_S:
            self.speaking = not self.speaking
            self.since_ns = self.crossed_ns
            self.crossed_ns = None
