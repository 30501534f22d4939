# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""How long each stage of an image takes."""

from __future__ import annotations

import time


class StageClock:
    """Times between laps, in milliseconds by stage."""

    def __init__(self) -> None:
        self.times_ms: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        """End a stage now."""
        now = time.perf_counter()
        self.times_ms[stage] = 1e3 * (now - self._last)
        self._last = now
