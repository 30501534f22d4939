# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A first mixture: k-means++ seeds and a few rounds of weighted k-means."""

from __future__ import annotations

import numpy as np

from av_perception.clustering.weighted_mixture import Mixture
from av_perception.numerics.kmeans import kmeans, plus_plus

_LEAST_SHARE = 1e-3  # of all weight: what a cluster without points starts with


def start_mixture(
    points: np.ndarray,
    weights: np.ndarray,
    count: int,
    outlier_weight: float,
    random: np.random.Generator,
) -> Mixture:
    """Make a mixture around weighted k-means centers.

    Parameters
    ----------
    points, weights
        (n, d), and (n,) positive.
    count
        Number of components; fewer come out where the points have fewer places.
    outlier_weight
        Weight of the uniform class.
    random
        Source of the seeds.
    """
    seeds = plus_plus(points, weights, count, random)
    clusters = kmeans(points, seeds, weights)
    centers, labels = clusters.centers, clusters.labels
    share = np.bincount(labels, weights, minlength=len(centers)) + _LEAST_SHARE * weights.sum()
    squares = (points - centers[labels]) ** 2
    spread = (squares * weights[:, None]).sum(0).mean() / weights.sum()
    covariances = np.tile(np.eye(points.shape[1]) * spread, (len(centers), 1, 1))
    component_weights = (1 - outlier_weight) * share / share.sum()
    return Mixture(component_weights, centers, covariances, outlier_weight)
