# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What a forecast says: a Gaussian at every horizon."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class PathGaussian:
    """Where N people will be at H horizons."""

    #: (N, H, 3) [m]
    means: np.ndarray
    #: (N, H, 3, 3) [m^2]
    covariances: np.ndarray

    def draw(self, num_samples: int, random: np.random.Generator) -> np.ndarray:
        """Draw walks whose deviation keeps its direction, so that each is smooth.

        Parameters
        ----------
        num_samples
            S walks of everybody.
        random
            Source of what is drawn.

        Returns
        -------
        np.ndarray
            (N, S, H, 3) [m]; at every horizon a draw of its Gaussian.
        """
        noise = random.standard_normal((len(self.means), num_samples, 3))
        return self.means[:, None] + np.einsum('nhij,nsj->nshi', self.roots(), noise)

    def roots(self) -> np.ndarray:
        """(N, H, 3, 3) A symmetric with A A = covariance, also of those that are singular."""
        values, vectors = np.linalg.eigh(self.covariances)
        scaled = vectors * np.sqrt(np.maximum(values, 0.0))[..., None, :]
        return scaled @ vectors.swapaxes(-1, -2)
