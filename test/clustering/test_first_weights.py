# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The first weights of points by their density, and the first mixture around k-means centers."""

from __future__ import annotations

import numpy as np
import pytest

from av_perception.clustering.kmeans_start import start_mixture
from av_perception.clustering.point_weights import LEAST_WEIGHT, DensityWeights
from av_perception.clustering.weighted_mixture import Mixture


def plain_density(points, neighbors):
    """The definition, point by point."""
    squared = ((points[:, None] - points) ** 2).sum(axis=2)
    np.fill_diagonal(squared, np.inf)
    nearest = np.sort(squared, axis=1)[:, :neighbors]
    weights = np.exp(-nearest / np.median(nearest[:, -1])).sum(axis=1)
    return np.maximum(weights / weights.mean(), LEAST_WEIGHT)


@pytest.mark.parametrize('neighbors', [1, 5, 20])
@pytest.mark.parametrize('size', [1, 2, 3])
def test_weights_are_those_of_the_definition(neighbors, size):
    points = np.random.default_rng(size).normal(size=(60, size))
    weights = DensityWeights(points, neighbors)(points)
    np.testing.assert_allclose(weights, plain_density(points, neighbors), rtol=1e-10)


def test_outliers_weigh_little_and_nothing_is_excluded():
    random = np.random.default_rng(0)
    crowd, strays = random.normal(size=(200, 2)), random.uniform(-40, 40, (10, 2))
    strays = strays[np.linalg.norm(strays, axis=1) > 10]
    points = np.concatenate([crowd, strays])
    weights = DensityWeights(points)(points)
    assert weights[200:].max() < 0.5 * np.median(weights[:200])
    assert weights.min() >= LEAST_WEIGHT


def test_neither_place_nor_scale_nor_order_of_points_counts():
    random = np.random.default_rng(1)
    points = random.normal(size=(50, 2))
    weights = DensityWeights(points)(points)
    moved = 1e3 * points + [5e3, -7e3]
    np.testing.assert_allclose(DensityWeights(moved)(moved), weights, rtol=1e-6)
    order = random.permutation(50)
    np.testing.assert_allclose(DensityWeights(points[order])(points[order]), weights[order])


@pytest.mark.parametrize('count', [1, 2, 5])
def test_few_points_and_points_at_one_place_have_finite_weights(count):
    same = np.ones((count, 2))
    weights = DensityWeights(same)(same)
    assert np.isfinite(weights).all()
    np.testing.assert_allclose(weights, 1)


def test_a_new_point_is_weighed_by_the_known_ones():
    points = np.random.default_rng(2).normal(size=(100, 2))
    density = DensityWeights(points)
    near, far = density(np.array([[0.01, 0.02], [50.0, 0.0]]))
    assert near > 1 and far == LEAST_WEIGHT


def planted(random, sizes=(80, 40, 40)):
    centers = np.array([[0.0, 0.0], [20.0, 0.0], [0.0, 20.0]])
    labels = np.repeat(np.arange(3), sizes)
    return centers[labels] + random.normal(size=(len(labels), 2)), labels


@pytest.mark.parametrize('seed', range(3))
def test_the_first_mixture_is_the_moments_of_planted_groups(seed):
    random = np.random.default_rng(seed)
    points, labels = planted(random)
    weights = random.uniform(0.5, 2.0, len(points))
    expected = np.array(
        [np.average(points[labels == k], axis=0, weights=weights[labels == k]) for k in range(3)]
    )
    share = np.bincount(labels, weights) / weights.sum()
    for _ in range(50):  # the seeds are drawn: one of so many draws has one in each group
        mixture = start_mixture(points, weights, 3, 0.1, random)
        nearest = np.linalg.norm(expected[:, None] - mixture.means, axis=2).argmin(axis=1)
        if len(set(nearest.tolist())) == 3:
            break
    np.testing.assert_allclose(mixture.means[nearest], expected, atol=1e-9)
    np.testing.assert_allclose(mixture.weights[nearest] / 0.9, share, atol=3e-3)
    assert mixture.outlier_weight == 0.1 and mixture.weights.sum() == pytest.approx(0.9)


def test_the_first_covariances_are_round_and_of_the_mean_spread():
    random = np.random.default_rng(3)
    points = random.normal(size=(5000, 2)) * [1.0, 3.0]
    mixture = start_mixture(points, np.ones(5000), 1, 0.0, random)
    covariance = mixture.covariances[0]
    assert covariance[0, 0] == covariance[1, 1] == pytest.approx(points.var(axis=0).mean())
    assert covariance[0, 1] == 0


def test_fewer_places_than_components_give_fewer_components():
    points = np.repeat([[0.0, 0.0], [1.0, 1.0]], 5, axis=0)
    mixture = start_mixture(points, np.ones(10), 4, 0.0, np.random.default_rng(0))
    assert len(mixture) == 2 and mixture.weights.tolist() == pytest.approx([0.5, 0.5])


def test_what_remains_of_a_mixture_is_one():
    random = np.random.default_rng(4)
    mixture = Mixture(
        np.array([0.2, 0.5, 0.2]), random.normal(size=(3, 2)), np.tile(np.eye(2), (3, 1, 1)), 0.1
    )
    kept = mixture.keep(np.array([2, 0]))
    np.testing.assert_allclose(kept.weights, [0.4, 0.4])
    assert kept.outlier_weight == pytest.approx(0.2) and len(kept) == 2
    np.testing.assert_array_equal(kept.means, mixture.means[[2, 0]])
    again = kept.normalized()
    np.testing.assert_allclose(again.weights, kept.weights)
