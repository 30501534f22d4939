# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A mixture on the line of interaural time differences (ITD).

One normal component per audio-visual event, and a uniform class for what belongs to none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from av_perception.numerics.gaussian import LOG_2PI
from av_perception.numerics.softmax import normalize_log


@dataclass(frozen=True)
class ItdMixture:
    """K normal components and a uniform class, whose weights sum to one."""

    #: (K,) of the components.
    weights: np.ndarray
    #: (K,) [s].
    means: np.ndarray
    #: (K,) [s^2].
    variances: np.ndarray
    #: Of the uniform class.
    outlier_weight: float
    #: The uniform class covers -max_itd..max_itd [s].
    max_itd: float

    def __len__(self) -> int:
        return len(self.means)

    def expect(self, itds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Tell which class explains what.

        Parameters
        ----------
        itds
            (M,) differences [s].

        Returns
        -------
        responsibilities
            (M, K + 1), the uniform class last.
        log_likelihood
            (M,).
        """
        joint = np.empty((len(itds), len(self) + 1))
        with np.errstate(divide='ignore'):  # a weight of zero is a density of zero
            scale = np.log(self.weights) - 0.5 * (np.log(self.variances) + LOG_2PI)
            joint[:, -1] = np.log(self.outlier_weight / (2 * self.max_itd))
        joint[:, :-1] = scale - 0.5 * (itds[:, None] - self.means) ** 2 / self.variances
        return normalize_log(joint)
