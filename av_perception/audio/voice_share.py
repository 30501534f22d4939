# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""How far what comes from a direction is voice: as far as it sounds with the detected voice."""

from __future__ import annotations

from collections import deque

import numpy as np

_FEW_BLOCKS = 5.0  # without voice: fewer say little of what sounds between the words


def silence(voiced: np.ndarray) -> np.ndarray:
    """How far blocks of some voice activity are without voice: not at all from one half on."""
    return np.clip(1 - 2 * voiced, 0.0, 1.0)


class VoiceShare:
    """Knows how much of the last `window_s` seconds was with voice, and how much without."""

    def __init__(self, window_s: float):
        self._window_ns = round(window_s * 1e9)
        self.reset()

    def reset(self) -> None:
        """Forget all blocks."""
        self._blocks: deque[tuple[int, float]] = deque()

    def note(self, stamp_ns: int, voiced: float) -> None:
        """Take a block with its voice activity, be there bins in it or not."""
        self._blocks.append((stamp_ns, voiced))
        while self._blocks[0][0] < stamp_ns - self._window_ns:
            self._blocks.popleft()

    def of(self, voiced_bins: float, silent_bins: float) -> float:
        """Share of the voiced among bins, or among those of as much time with voice as without.

        The less of both: beside a long speech most bins of a noise are voiced, too.
        """
        activity = np.array([voiced for _, voiced in self._blocks])
        rate = voiced_bins / max(activity.sum(), 1.0)
        between = silent_bins / (silence(activity).sum() + _FEW_BLOCKS)
        share = voiced_bins / max(voiced_bins + silent_bins, 1e-9)
        return float(min(share, rate / max(rate + between, 1e-9)))
