# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""How many bins a voice leaves in a block: few in noise, where each must then count for more."""

from __future__ import annotations

import numpy as np

from av_perception.audio.voice_share import silence

_MEMORY_BLOCKS = 250.0  # 10 s
_PRIOR_BLOCKS = 10.0  # of voice, as they usually are
_SILENT_PRIOR_BLOCKS = 5.0  # without voice, and without bins
# What stands out without voice is of another source: there a block's bins are no voice's alone.
_OF_SILENCE = 2.0
_LEAST_SHARE = 0.15


class BinSupply:
    """Compares the bins of blocks with voice with the usual number."""

    def __init__(self):
        self.reset()

    def reset(self) -> None:
        """Forget all blocks."""
        self._weight = np.zeros(2)  # of the blocks with voice, and without
        self._bins = np.zeros(2)

    def note(self, num_bins: int, voice_activity: float | None) -> None:
        """Take a block; without a voice activity it tells nothing."""
        if voice_activity is None:
            return
        weight = np.array([voice_activity, silence(np.asarray(voice_activity))])
        keep = 1 - 1 / _MEMORY_BLOCKS
        self._weight = keep * self._weight + weight
        self._bins = keep * self._bins + weight * num_bins

    def share_of(self, usual: float) -> float:
        """Share of the usual number of bins that blocks of voice have here.

        Parameters
        ----------
        usual
            Mean number of bins of a block of voice in a quiet room; 0: nothing is usual.

        Returns
        -------
        float
            In [0.15, 1]; 1 where `usual` is 0 or nothing was heard so far. What stands out
            without voice counts twice beside it.
        """
        if usual == 0:
            return 1.0
        prior = np.array([_PRIOR_BLOCKS, _SILENT_PRIOR_BLOCKS])
        mean = (self._bins + prior * np.array([usual, 0.0])) / (self._weight + prior)
        return float(np.clip((mean[0] + _OF_SILENCE * mean[1]) / usual, _LEAST_SHARE, 1.0))
