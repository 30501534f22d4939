# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Spectra as the priors of speech take them: windows, loudness, floor.

The divergence of the objective does not see how loud a bin is. Without a floor, models learn the
noise floors and cut-offs of recordings rather than speech; so white noise of this power, 47 dB
under full scale, belongs to the data.
"""

from __future__ import annotations

import numpy as np

from av_perception.spectral.transform import ShortTimeFourier

RATE = 16000  # [Hz]
#: Windows that priors are trained on: 64 ms every 16 ms.
PRIOR_TRANSFORM = ShortTimeFourier(size=1024, hop=256, shape='sine')
#: Power that is added to every bin, of a waveform whose largest sample is 1.
FLOOR = 1e-2


def log_powers(power: np.ndarray, floor: float = FLOOR) -> np.ndarray:
    """(..., F) float32 data of a model, of powers (..., F) of a waveform with maximum 1."""
    return np.log(np.asarray(power, np.float32) + np.float32(floor))


def variances(log_variance: np.ndarray, floor: float = FLOOR) -> np.ndarray:
    """(..., F) variance of speech alone, of log variances that a model decoded.

    What the model says of speech and floor, without the floor; at least a hundredth of it stays.
    """
    whole = np.exp(log_variance)
    return np.maximum(whole - np.float32(floor), np.float32(0.01 * floor))
