# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""When a dry voice sounds."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import binary_closing, binary_opening, uniform_filter1d

HOP_S = 0.01  # between values of the power, which is that of twice as long
FLOOR_DB = -25.0  # below the loud parts of the voice
SHORTEST_SOUND = 4  # hops; what is shorter is a click
BRIDGED_GAP_S = 0.3


def voice_activity(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """Tell when a voice sounds.

    Its short-time power is compared with that of its loud parts (95 % quantile); clicks are
    dropped and gaps below 0.3 s bridged.

    Parameters
    ----------
    samples
        (N,) of a dry voice.
    sample_rate
        [Hz]

    Returns
    -------
    np.ndarray
        (N,) bool.
    """
    hop = int(round(HOP_S * sample_rate))
    power = uniform_filter1d(np.square(samples), 2 * hop, mode='constant')[::hop]
    heard = power[power > 1e-12]
    if not len(heard):
        return np.zeros(len(samples), bool)
    active = power > np.quantile(heard, 0.95) * 10 ** (FLOOR_DB / 10)
    active = binary_opening(active, np.ones(SHORTEST_SOUND))
    gap = int(BRIDGED_GAP_S / HOP_S)
    active = binary_closing(np.pad(active, gap), np.ones(gap))[gap:-gap]
    return np.repeat(active, hop)[: len(samples)]
