# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A mixture on the ITD line: one normal component per audio-visual event, and a uniform class for what belongs to none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_LOG_2PI = float(np.log(2 * np.pi))


@dataclass(frozen=True)
class ItdMixture:
    """weights: (K,) and outlier_weight sum to one; means: (K,) [s]; variances: (K,) [s^2]; max_itd: the uniform class covers
    -max_itd..max_itd [s].
    """

    weights: np.ndarray
    means: np.ndarray
    variances: np.ndarray
    outlier_weight: float
    max_itd: float

    def __len__(self) -> int:
        return len(self.means)

    def expect(self, itds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(M,) differences -> (M, K + 1) responsibilities, the uniform class last, and (M,) log-likelihoods."""
        joint = np.empty((len(itds), len(self) + 1))
        with np.errstate(divide='ignore'):  # a weight of zero is a density of zero
            scale = np.log(self.weights) - 0.5 * (np.log(self.variances) + _LOG_2PI)
            joint[:, -1] = np.log(self.outlier_weight / (2 * self.max_itd))
        joint[:, :-1] = scale - 0.5 * (itds[:, None] - self.means) ** 2 / self.variances
        peak = joint.max(1, initial=-np.inf)
        joint = np.exp(joint - peak[:, None])
        total = joint.sum(1)
        return joint / total[:, None], np.log(total) + peak
