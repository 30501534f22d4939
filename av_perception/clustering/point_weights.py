# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""First weights of points: how many others stand near them, of all points or of the other modality."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

LEAST_WEIGHT = 0.05  # before the weights are known better nothing is excluded


class DensityWeights:
    """`w(x) = sum_j exp(-||x - x_j||^2 / s)` over the q nearest of the points (n, d), scaled to mean one over those, at least 0.05.

    Source: Gebru et al. 2016, section 5. A point does not count itself. s: the median of the squared distance to the q-th neighbour.
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
        """(m, d) points -> (m,) weights."""
        if self._neighbors < 1:
            return np.ones(len(points))
        return np.maximum(self._raw(points) / self._mean, LEAST_WEIGHT)

    def _raw(self, points: np.ndarray) -> np.ndarray:
        return np.exp(-self._squared_distances(points) / self._spread).sum(1)

    def _squared_distances(self, points: np.ndarray) -> np.ndarray:
        """(m, q) to the nearest of the others: a point that is in the set finds itself first and does not count."""
        distance, _ = self._tree.query(points, self._neighbors + 1)
        distance = np.where(distance[:, :1] == 0, distance[:, 1:], distance[:, :-1])
        return distance**2


def cross_modal_weights(
    points: np.ndarray, is_audio: np.ndarray, spread: float, neighbors: int = 20
) -> np.ndarray:
    """(n,) weights of points (n, d) of two modalities: `sum_j exp(-||x_i - x_j||^2 / spread)` over the nearest points of the other one.

    What both senses tell of weighs more. Mean one in each modality, at least 0.05; ones where the other modality has no points.
    """
    weights = np.ones(len(points))
    for own in (is_audio, ~is_audio):
        others = points[~own]
        if not len(others) or not own.any():
            continue
        distance, _ = cKDTree(others).query(points[own], min(neighbors, len(others)))
        raw = np.exp(-(distance.reshape(own.sum(), -1) ** 2) / spread).sum(1)
        weights[own] = raw / raw.mean() if raw.mean() > 0 else 1.0
    return np.maximum(weights, LEAST_WEIGHT)


def audio_scores(
    responsibilities: np.ndarray, weights: np.ndarray, is_audio: np.ndarray
) -> np.ndarray:
    """(K,) share of the weighted audio points that each cluster explains: its speaking score. Zeros without audio points.

    responsibilities, weights: (n, K) of a fitted mixture; is_audio: (n,) bool.
    """
    mass = (responsibilities * weights)[is_audio].sum(0)
    return mass / mass.sum() if mass.sum() > 0 else np.zeros(len(mass))
