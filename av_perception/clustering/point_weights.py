# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""First weights of points: how many others stand near them."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

LEAST_WEIGHT = 0.05  # before the weights are known better nothing is excluded


class DensityWeights:
    """The density of points near a point.

    `w(x) = sum_j exp(-||x - x_j||^2 / s)` over the q nearest of the points, scaled to mean one
    over those, at least 0.05. A point does not count itself. s is the median of the squared
    distance to the q-th neighbor. Source: Gebru et al. 2016, section 5.

    Parameters
    ----------
    points
        (n, d).
    neighbors
        q; fewer where there are fewer points.
    """

    def __init__(self, points: np.ndarray, neighbors: int = 20):
        self._tree = cKDTree(points)
        self._neighbors = min(neighbors, len(points) - 1)
        self._mean = 1.0
        if self._neighbors > 0:
            squared = self._squared_distances(points)
            farthest = np.median(squared[:, -1])
            self._spread = float(farthest) if farthest > 0 else float(squared.mean()) or 1.0
            self._mean = float(self._raw(points).mean()) or 1.0

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Return the (m,) weights of (m, d) points."""
        if self._neighbors < 1:
            return np.ones(len(points))
        return np.maximum(self._raw(points) / self._mean, LEAST_WEIGHT)

    def _raw(self, points: np.ndarray) -> np.ndarray:
        return np.exp(-self._squared_distances(points) / self._spread).sum(1)

    def _squared_distances(self, points: np.ndarray) -> np.ndarray:
        """(m, q) to the nearest of the others: a point of the set finds itself first."""
        distance, _ = self._tree.query(points, self._neighbors + 1)
        distance = np.where(distance[:, :1] == 0, distance[:, 1:], distance[:, :-1])
        return distance**2
