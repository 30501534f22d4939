# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Where noise comes from: the directions of what sounds while nobody speaks.

Its density of a bin is that of a mixture, n(y) = sum_d n_d p_d(y) + n_0 p_0(y), over the grid of
directions and sound from everywhere. The weights follow by stepwise EM (Cappe and Moulines 2009)
from bins without voice, and stay what they are while somebody speaks.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from av_perception.geometry.time import seconds

_SPREAD = 0.02  # share of the weights over all directions before each block
_FEW = 200.0  # bins for which the first guess counts
_VOICE = 0.5  # voice activity from which a block may hold a word


@dataclass(frozen=True)
class DirectionalNoiseConfig:
    """What is learnt of noise, and what it explains."""

    #: Bins without voice that the weights remember, at least 1.
    memory_bins: float = 1500.0
    #: Time without voice before and after a block that counts as noise [s]: words fade out in
    #: echoes, and begin before the detector hears them.
    quiet_s: float = 0.5
    #: From fewer bins no noise is known: in a quiet room they may be the begin of a word.
    known_bins: float = 400.0
    #: Nobody is looked for where so much of the noise comes from, in (0, 1].
    source_share: float = 0.25

    def __post_init__(self):
        if self.memory_bins < 1 or min(self.quiet_s, self.known_bins) < 0:
            raise ValueError('memory_bins must be at least 1, quiet_s and known_bins not negative')
        if not 0 < self.source_share <= 1:
            raise ValueError('source_share must lie in (0, 1]')


class DirectionalNoise:
    """Recursive; starts as sound from everywhere.

    weight: (D,) float32 of the directions; everywhere: of sound from all around; revision: number
    of their changes.

    Parameters
    ----------
    config
        See `DirectionalNoiseConfig`.
    near
        (D, D) bool, which directions of the grid are one place.
    """

    def __init__(self, config: DirectionalNoiseConfig, near: np.ndarray):
        self._config = config
        self._near = near.astype(np.float32)
        self.revision = 0
        self.reset()

    def reset(self) -> None:
        """Forget all noise."""
        self.revision += 1
        self.weight = np.zeros(len(self._near), np.float32)
        self.everywhere = 1.0
        self._heard = 0.0
        self._waiting: deque[tuple[int, np.ndarray, np.ndarray, np.ndarray]] = deque()
        self._last_voice_ns: int | None = None

    def learn(
        self,
        stamp_ns: int,
        voiced: float,
        density: np.ndarray,
        everywhere: np.ndarray,
        people: np.ndarray,
    ) -> None:
        """Take the bins of a block.

        Parameters
        ----------
        stamp_ns
            Of the block.
        voiced
            Its voice activity, in [0, 1].
        density
            (R, D) of every bin under every direction.
        everywhere
            (R,) of every bin as sound from everywhere.
        people
            (R,) of every bin as that of the known people, with their weights.
        """
        if voiced >= _VOICE:
            self._last_voice_ns = stamp_ns
            self._waiting.clear()
        if len(density) and self._is_quiet(stamp_ns):
            self._waiting.append((stamp_ns, density, everywhere, people))
        while self._waiting and self._is_ripe(stamp_ns):
            self._follow(*self._waiting.popleft()[1:])

    def sources(self) -> np.ndarray:
        """(D,) bool: directions from which much of the noise comes."""
        if self._heard < self._config.known_bins:
            return np.zeros(len(self.weight), bool)
        return self._near @ self.weight >= self._config.source_share

    def _follow(self, density: np.ndarray, everywhere: np.ndarray, people: np.ndarray) -> None:
        """One step of the EM."""
        # E-step, with a little of every direction: noise may begin anywhere.
        weight = (1 - _SPREAD) * self.weight + np.float32(_SPREAD / len(self.weight))
        diffuse = (1 - _SPREAD) * self.everywhere
        mixture = density @ weight + diffuse * everywhere + people
        inverse = 1 / np.maximum(mixture, 1e-30)
        found = weight * (inverse @ density) / len(density)
        diffuse = diffuse * float(inverse @ everywhere) / len(density)
        # M-step, in steps of the block's share of what was heard, and no more than the memory
        step = len(density) / (len(density) + min(self._heard + _FEW, self._config.memory_bins))
        self._heard += len(density)
        self.revision += 1
        self.weight = ((1 - step) * self.weight + step * found).astype(np.float32)
        self.everywhere = (1 - step) * self.everywhere + step * diffuse
        total = float(self.weight.sum()) + self.everywhere
        if total > 0:
            self.weight /= total
            self.everywhere /= total

    def _is_ripe(self, stamp_ns: int) -> bool:
        """Whether nobody has begun to speak for so long after the oldest block that waits."""
        waited_s = seconds(stamp_ns - self._waiting[0][0])
        return waited_s < 0 or waited_s >= self._config.quiet_s

    def _is_quiet(self, stamp_ns: int) -> bool:
        """Whether the last word has faded out; a clock set back says so too."""
        if self._last_voice_ns is None:
            return True
        silent_s = seconds(stamp_ns - self._last_voice_ns)
        return silent_s < 0 or silent_s >= self._config.quiet_s
