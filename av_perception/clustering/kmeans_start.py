# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A first mixture: k-means++ seeds and a few rounds of weighted k-means."""

from __future__ import annotations

import numpy as np
from scipy.spatial.distance import cdist

from av_perception.clustering.weighted_mixture import Mixture

_ROUNDS = 20


def start_mixture(
    points: np.ndarray,
    weights: np.ndarray,
    count: int,
    outlier_weight: float,
    random: np.random.Generator,
) -> Mixture:
    """`count` components (fewer where the points (n, d) have fewer places) around weighted k-means centres; weights: (n,) positive."""
    centers = _seeds(points, weights, count, random)
    for _ in range(_ROUNDS):
        label = cdist(points, centers, 'sqeuclidean').argmin(1)
        moved = _centers(points, weights, label, centers)
        if np.array_equal(moved, centers):
            break
        centers = moved
    label = cdist(points, centers, 'sqeuclidean').argmin(1)
    share = np.bincount(label, weights, minlength=len(centers)) + 1e-3 * weights.sum()
    spread = ((points - centers[label]) ** 2 * weights[:, None]).sum(0).mean() / weights.sum()
    covariances = np.tile(np.eye(points.shape[1]) * spread, (len(centers), 1, 1))
    return Mixture(
        (1 - outlier_weight) * share / share.sum(), centers, covariances, outlier_weight
    )


def _seeds(
    points: np.ndarray, weights: np.ndarray, count: int, random: np.random.Generator
) -> np.ndarray:
    """(at most count, d) points drawn one by one in proportion to weight times squared distance from those already drawn."""
    chosen = [int(random.choice(len(points), p=weights / weights.sum()))]
    nearest = cdist(points, points[chosen], 'sqeuclidean')[:, 0]
    while len(chosen) < count and (chance := weights * nearest).sum() > 0:
        chosen.append(int(random.choice(len(points), p=chance / chance.sum())))
        nearest = np.minimum(nearest, cdist(points, points[chosen[-1:]], 'sqeuclidean')[:, 0])
    return points[chosen]


def _centers(
    points: np.ndarray, weights: np.ndarray, label: np.ndarray, old: np.ndarray
) -> np.ndarray:
    mass = np.bincount(label, weights, minlength=len(old))
    sums = np.column_stack(
        [np.bincount(label, weights * column, minlength=len(old)) for column in points.T]
    )
    return np.where((mass > 0)[:, None], sums / np.maximum(mass, 1e-300)[:, None], old)
