# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Adam on named arrays: Kingma and Ba, "Adam: a method for stochastic optimization", ICLR 2015."""

from __future__ import annotations

import numpy as np

Arrays = dict[str, np.ndarray]


class Adam:
    """Descends; one object for one set of arrays.

    Parameters
    ----------
    rate
        Length of a step, positive.
    keep_mean, keep_square
        What the moments keep of those before.
    """

    def __init__(self, rate: float, keep_mean: float = 0.9, keep_square: float = 0.999):
        self._rate = rate
        self._keep_mean = keep_mean
        self._keep_square = keep_square
        self._mean: Arrays = {}
        self._square: Arrays = {}
        self._count = 0

    def moved(self, values: Arrays, slopes: Arrays) -> Arrays:
        """Give the values after a step against the slopes; those without a slope stay."""
        self._count += 1
        result = dict(values)
        for name, slope in slopes.items():
            mean = self._mean.get(name, np.zeros_like(slope))
            square = self._square.get(name, np.zeros_like(slope))
            mean = self._keep_mean * mean + (1 - self._keep_mean) * slope
            square = self._keep_square * square + (1 - self._keep_square) * slope**2
            self._mean[name] = mean
            self._square[name] = square
            unbiased = mean / (1 - self._keep_mean**self._count)
            scale = np.sqrt(square / (1 - self._keep_square**self._count)) + 1e-8
            step = self._rate * unbiased / scale
            result[name] = (values[name] - step).astype(values[name].dtype)
        return result
