# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""k-means of weighted points and two ways to start it.

Source: Lloyd, "Least squares quantization in PCM", IEEE Trans. Information Theory 28(2), 1982.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Clusters:
    """centers: (K, d); labels: (n,) index of the nearest center of every point."""

    centers: np.ndarray
    labels: np.ndarray

    def one_hot(self) -> np.ndarray:
        """(n, K) membership, 1.0 in the column of each point's cluster."""
        return np.eye(len(self.centers))[self.labels]


def kmeans(
    points: np.ndarray, start: np.ndarray, weights: np.ndarray | None = None, rounds: int = 20
) -> Clusters:
    """Move centers to the weighted mean of the points nearest to them, until they stay.

    Parameters
    ----------
    points
        (n, d), n at least 1.
    start
        (K, d) first centers, as from `farthest_points` or `plus_plus`.
    weights
        (n,) not negative; None weighs all points the same.
    rounds
        Largest number of moves.

    Returns
    -------
    Clusters
        The centers after the last move and the labels that belong to them. A center without points
        stays; of two equally near centers the first has the point.
    """
    weights = np.ones(len(points)) if weights is None else weights
    centers = start
    labels = _nearest(points, centers)
    for _ in range(rounds):
        moved = _means(points, weights, labels, centers)
        if np.array_equal(moved, centers):
            break
        centers = moved
        labels = _nearest(points, centers)
    return Clusters(centers, labels)


def farthest_points(points: np.ndarray, count: int, first: int = 0) -> np.ndarray:
    """Start centers by the farthest-point traversal: deterministic.

    Source: Gonzalez, "Clustering to minimize the maximum intercluster distance", Theoretical
    Computer Science 38, 1985.

    Parameters
    ----------
    points
        (n, d), n at least 1.
    count
        Number of centers.
    first
        Index of the point that is the first center.

    Returns
    -------
    np.ndarray
        (count, d): each the point farthest from all before it. Where there are fewer places than
        `count`, the first point is repeated.
    """
    chosen = [first]
    distance = _squared_distances(points, points[first])
    for _ in range(count - 1):
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, _squared_distances(points, points[chosen[-1]]))
    return points[chosen]


def plus_plus(
    points: np.ndarray, weights: np.ndarray, count: int, random: np.random.Generator
) -> np.ndarray:
    """Start centers by k-means++ (Arthur and Vassilvitskii, SODA 2007), for weighted points.

    Parameters
    ----------
    points
        (n, d), n at least 1.
    weights
        (n,) not negative, one at least positive.
    count
        Number of centers.
    random
        Source of the draws.

    Returns
    -------
    np.ndarray
        (at most count, d): drawn one by one in proportion to weight times squared distance from
        those already drawn; fewer where the points have fewer places.
    """
    chosen = [int(random.choice(len(points), p=weights / weights.sum()))]
    nearest = _squared_distances(points, points[chosen[0]])
    while len(chosen) < count and (chance := weights * nearest).sum() > 0:
        chosen.append(int(random.choice(len(points), p=chance / chance.sum())))
        distance = _squared_distances(points, points[chosen[-1]])
        nearest = np.minimum(nearest, distance)
    return points[chosen]


def _nearest(points: np.ndarray, centers: np.ndarray) -> np.ndarray:
    difference = points[:, None] - centers
    return np.einsum('nkd,nkd->nk', difference, difference).argmin(axis=1)


def _squared_distances(points: np.ndarray, center: np.ndarray) -> np.ndarray:
    """(n,) from one center (d,)."""
    return np.sum((points - center) ** 2, axis=1)


def _means(
    points: np.ndarray, weights: np.ndarray, labels: np.ndarray, old: np.ndarray
) -> np.ndarray:
    """(K, d) weighted means of the clusters; those without weight stay where they were."""
    mass = np.bincount(labels, weights, minlength=len(old))
    sums = np.column_stack(
        [np.bincount(labels, weights * column, minlength=len(old)) for column in points.T]
    )
    return np.where((mass > 0)[:, None], sums / np.maximum(mass, 1e-300)[:, None], old)
