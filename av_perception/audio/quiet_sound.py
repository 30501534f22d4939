# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Sound of too low a level: directions do not mind, but the detector of voice hears none in it."""

from __future__ import annotations

from collections import deque

import numpy as np

# Speech of -58 dBFS is noticed half of the time, of -68 dBFS never; its loudest windows have 10 dB
# more. Of -48 dBFS it is noticed as any other.
QUIET_DBFS = -45.0
_RISE_DB = 12.0  # a sound that comes and goes stands out from the rest by so much
_LOUD, _REST = 0.99, 0.1  # quantiles of the windows
_WINDOW_S = 0.03
_JUDGED_S = 30.0
TOO_QUIET = 'quiet sound: voices may not be noticed'


def quiet_sentence(levels: np.ndarray) -> str:
    """Say that sounds are too quiet, and what to do; '' where they are not, or nothing sounds.

    Parameters
    ----------
    levels
        (N,) root mean square of short windows, full scale is 1.
    """
    heard = levels[levels > 0]
    if not len(heard):
        return ''
    loud_dbfs, rest_dbfs = 20 * np.log10(np.quantile(heard, [_LOUD, _REST]))
    if loud_dbfs > QUIET_DBFS or loud_dbfs - rest_dbfs < _RISE_DB:
        return ''
    return (
        f'the loudest sounds have {loud_dbfs:.0f} dBFS: below -55 dBFS voices are not noticed; '
        'raise the gain of the microphones, or let people come nearer'
    )


def window_levels(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """Compute the level of each window of (N, microphones) samples: (windows,)."""
    size = max(1, round(_WINDOW_S * sample_rate))
    whole = samples[: len(samples) // size * size]
    power = np.square(whole).mean(axis=1).reshape(-1, size).mean(axis=1)
    return np.sqrt(power)


class QuietSound:
    """Listens to a stream chunk by chunk.

    Attributes
    ----------
    reason : str
        What was found last; '' where the last half minute was loud enough.
    """

    def __init__(self) -> None:
        self.reason = ''
        self._levels: deque[float] = deque()
        self._length_s = 0.0

    def push(self, samples: np.ndarray, sample_rate: int) -> bool:
        """Take (N, microphones) samples; tells whether they end a half minute that was quiet."""
        if not len(samples):
            return False
        self._levels.append(float(np.sqrt(np.square(samples).mean())))
        self._length_s += len(samples) / sample_rate
        if self._length_s < _JUDGED_S:
            return False
        levels = np.array(self._levels)
        self.reason = quiet_sentence(levels[np.isfinite(levels)])
        self._levels.clear()
        self._length_s = 0.0
        return bool(self.reason)
