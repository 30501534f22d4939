# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""k-means against exhaustive search and SciPy, and its starts."""

import itertools

import numpy as np
import pytest
from scipy.cluster.vq import kmeans2

from av_perception.numerics.kmeans import farthest_points, kmeans, plus_plus


def blobs(random, count=50):
    """Three groups of points in the plane, far from each other."""
    centers = np.array([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0]])
    return np.repeat(centers, count, axis=0) + random.standard_normal((3 * count, 2)), centers


def test_two_moves_are_those_of_scipy():
    points = np.random.default_rng(0).standard_normal((80, 3))
    found = kmeans(points, points[:5], rounds=2)
    centers, labels = kmeans2(points, points[:5], iter=2, minit='matrix')
    np.testing.assert_allclose(found.centers, centers, rtol=1e-12)
    np.testing.assert_array_equal(kmeans(points, points[:5], rounds=1).labels, labels)


@pytest.mark.parametrize('start', ['farthest', 'plus_plus'])
def test_groups_are_found(start):
    random = np.random.default_rng(1)
    points, centers = blobs(random)
    first = (
        farthest_points(points, 3)
        if start == 'farthest'
        else plus_plus(points, np.ones(len(points)), 3, random)
    )
    found = kmeans(points, first)
    nearest = [np.argmin(np.linalg.norm(found.centers - c, axis=1)) for c in centers]
    np.testing.assert_allclose(found.centers[nearest], centers, atol=0.6)
    np.testing.assert_array_equal(found.labels, np.repeat(nearest, 50))


def test_weights_count_as_copies_of_a_point():
    random = np.random.default_rng(2)
    points, weights = random.standard_normal((30, 2)), random.integers(1, 4, 30)
    weighted = kmeans(points, points[:4], weights.astype(float))
    copied = kmeans(np.repeat(points, weights, axis=0), points[:4])
    np.testing.assert_allclose(weighted.centers, copied.centers, rtol=1e-12)
    np.testing.assert_array_equal(np.repeat(weighted.labels, weights), copied.labels)


def test_the_best_partition_is_found_from_some_start():
    points = np.random.default_rng(3).standard_normal((8, 2))

    def spread(labels):
        return sum(
            ((points[labels == k] - points[labels == k].mean(axis=0)) ** 2).sum()
            for k in np.unique(labels)
        )

    every = [np.array(labels) for labels in itertools.product([0, 1], repeat=8)]
    pairs = itertools.combinations(range(8), 2)
    found = [kmeans(points, points[list(pair)]).labels for pair in pairs]
    assert min(map(spread, found)) == pytest.approx(min(map(spread, every)))


def test_a_center_without_points_stays():
    points = np.array([[0.0], [1.0]])
    found = kmeans(points, np.array([[0.5], [100.0]]))
    np.testing.assert_array_equal(found.centers, [[0.5], [100.0]])
    np.testing.assert_array_equal(found.one_hot(), [[1.0, 0.0], [1.0, 0.0]])


def test_farthest_points_of_a_line():
    points = np.array([[2.0], [0.0], [10.0], [6.1]])
    np.testing.assert_array_equal(farthest_points(points, 4)[:, 0], [2.0, 10.0, 6.1, 0.0])


def test_more_centers_than_places():
    points = np.array([[1.0], [1.0], [2.0]])
    assert farthest_points(points, 3)[:, 0].tolist() == [1.0, 2.0, 1.0]
    assert len(plus_plus(points, np.ones(3), 3, np.random.default_rng(0))) == 2


def test_plus_plus_draws_in_proportion_to_weight_times_squared_distance():
    points, weights = np.array([[0.0], [1.0], [3.0]]), np.array([1.0, 2.0, 1.0])
    random = np.random.default_rng(4)
    draws = [plus_plus(points, weights, 2, random)[:, 0] for _ in range(4000)]
    pairs = [tuple(draw) for draw in draws]
    # the first in proportion to 1, 2, 1; then from 0 in proportion to 2 and 9
    assert np.mean([first == 1.0 for first, _ in pairs]) == pytest.approx(0.5, abs=0.04)
    second = [other for first, other in pairs if first == 0.0]
    assert np.mean(np.array(second) == 3.0) == pytest.approx(9 / 11, abs=0.06)
