# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Mixtures of weighted data: against plain EM, Student's t, brute-force integration, replicated
points; selection; degenerate input.
"""

from __future__ import annotations

import numpy as np
import pytest
from clustering_scenes import three_clusters
from scipy.integrate import quad
from scipy.stats import gamma, multivariate_normal, multivariate_t

from av_perception.clustering.estimator import WeightedDataGaussianMixture
from av_perception.clustering.kmeans_start import start_mixture
from av_perception.clustering.message_length import (
    component_parameters,
    merge_twins,
    message_length,
)
from av_perception.clustering.point_weights import (
    DensityWeights,
)
from av_perception.clustering.weighted_mixture import (
    FixedWeights,
    LatentWeights,
    Mixture,
    WeightedData,
    fit_fixed_number,
)

FLOOR = 1e-9


def mixture_of(rng, count=3, size=2) -> Mixture:
    roots = rng.normal(size=(count, size, size))
    return Mixture(
        rng.dirichlet(np.ones(count)),
        rng.normal(size=(count, size)) * 2,
        roots @ roots.swapaxes(1, 2) + 0.2 * np.eye(size),
    )


def test_weights_of_one_are_ordinary_em():
    rng = np.random.default_rng(0)
    points, mixture = three_clusters(60, rng)[0], mixture_of(rng)
    data = WeightedData(points, FixedWeights(np.ones(60)), FLOOR)
    moved = data.maximize(data.expect(mixture), mixture)
    density = np.array(
        [
            w * multivariate_normal(m, c).pdf(points)
            for w, m, c in zip(mixture.weights, mixture.means, mixture.covariances)
        ]
    ).T
    assert data.expect(mixture).log_likelihood == pytest.approx(np.log(density.sum(1)).sum())
    eta = density / density.sum(1, keepdims=True)
    np.testing.assert_allclose(moved.weights, eta.mean(0))
    for k in range(3):
        mean = np.average(points, axis=0, weights=eta[:, k])
        np.testing.assert_allclose(moved.means[k], mean)
        np.testing.assert_allclose(
            moved.covariances[k], np.cov(points.T, aweights=eta[:, k], bias=True)
        )


def test_one_component_with_whole_weights_has_the_mean_of_replicated_points():
    rng = np.random.default_rng(1)
    points, weights = rng.normal(size=(20, 2)), rng.integers(1, 5, 20).astype(float)
    data = WeightedData(points, FixedWeights(weights), FLOOR)
    fit, _ = fit_fixed_number(data, Mixture(np.ones(1), np.zeros((1, 2)), np.eye(2)[None]), 0.0, 5)
    replicated = np.repeat(points, weights.astype(int), axis=0)
    np.testing.assert_allclose(fit.means[0], replicated.mean(0))
    residual = points - fit.means[0]
    np.testing.assert_allclose(
        fit.covariances[0],
        (weights[:, None] * residual).T @ residual / 20,
        err_msg='divided by the number, not by the weights',
    )


@pytest.mark.parametrize('outlier_weight', [0.0, 0.2])
@pytest.mark.parametrize('diagonal', [False, True])
@pytest.mark.parametrize('floor', [1e-9, 0.3])
def test_the_likelihood_never_falls(outlier_weight, diagonal, floor):
    for seed in range(4):
        rng = np.random.default_rng(seed)
        points = np.concatenate([three_clusters(80, rng)[0], rng.uniform(-10, 10, (30, 2))])
        weights = DensityWeights(points)(points)
        for model in (FixedWeights(weights), LatentWeights.around(weights, 1.0)):
            data = WeightedData(points, model, floor, diagonal, np.log(400.0))
            _, history = fit_fixed_number(
                data, start_mixture(points, weights, 4, outlier_weight, rng), 0.0, 60
            )
            assert np.diff(history).min() > -1e-8


def test_equal_shape_and_rate_are_students_t():
    rng = np.random.default_rng(2)
    points, mixture, freedom = rng.normal(size=(30, 2)) * 3, mixture_of(rng), 5.0
    half = np.full(30, freedom / 2)
    expectation = WeightedData(points, LatentWeights(half, half), FLOOR).expect(mixture)
    log_density = np.array(
        [
            multivariate_t(m, c, df=freedom).logpdf(points)
            for m, c in zip(mixture.means, mixture.covariances)
        ]
    ).T
    joint = np.exp(log_density) * mixture.weights
    assert expectation.log_likelihood == pytest.approx(np.log(joint.sum(1)).sum())
    np.testing.assert_allclose(expectation.responsibilities, joint / joint.sum(1, keepdims=True))
    distance = np.array(
        [
            ((points - m) @ np.linalg.inv(c) * (points - m)).sum(1)
            for m, c in zip(mixture.means, mixture.covariances)
        ]
    ).T
    np.testing.assert_allclose(expectation.weights, (freedom + 2) / (freedom + distance))


def test_sure_weights_are_fixed_weights():
    rng = np.random.default_rng(3)
    points, weights, mixture = rng.normal(size=(40, 2)), rng.uniform(0.5, 2, 40), mixture_of(rng)
    sure = WeightedData(points, LatentWeights.around(weights, 1e-7), FLOOR)
    fixed = WeightedData(points, FixedWeights(weights), FLOOR)
    a, b = sure.expect(mixture), fixed.expect(mixture)
    np.testing.assert_allclose(a.responsibilities, b.responsibilities, atol=1e-5)
    np.testing.assert_allclose(a.weights, b.weights, rtol=1e-4)
    np.testing.assert_allclose(
        sure.maximize(a, mixture).covariances, fixed.maximize(b, mixture).covariances, rtol=1e-4
    )


@pytest.mark.slow
def test_the_marginal_is_the_integral_over_the_weights():
    rng = np.random.default_rng(4)
    points, mixture, shape, rate = (
        rng.normal(size=(3, 2)),
        mixture_of(rng, 2),
        np.array([0.4, 1.5, 3.0]),
        np.array([0.6, 1.2, 2.0]),
    )
    data = WeightedData(points, LatentWeights(shape, rate), FLOOR)
    components = list(zip(mixture.weights, mixture.means, mixture.covariances))

    def density(point, a, b, mean, covariance):
        """Integrated over the weight of the point."""

        def joint(v):
            return gamma(a, scale=1 / b).pdf(v) * multivariate_normal(mean, covariance / v).pdf(
                point
            )

        return quad(joint, 0, np.inf, epsabs=1e-9)[0]

    total = 0.0
    for point, a, b in zip(points, shape, rate):
        total += np.log(sum(w * density(point, a, b, m, c) for w, m, c in components))
    assert data.expect(mixture).log_likelihood == pytest.approx(total, abs=1e-6)


@pytest.mark.slow
def test_outliers_lose_their_influence():
    from scipy.spatial.distance import cdist

    true, errors, plain = np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]]), [], []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        points = np.concatenate([three_clusters(280, rng)[0], rng.uniform(-12, 12, (120, 2))])
        robust = WeightedDataGaussianMixture(3, random_state=seed).fit(points)
        ordinary = WeightedDataGaussianMixture(3, weighting='fixed', random_state=seed).fit(
            points, sample_weight=np.ones(400)
        )
        errors.append(cdist(true, robust.means_).min(1).mean())
        plain.append(cdist(true, ordinary.means_).min(1).mean())
        assert np.median(robust.sample_weight_[280:]) < 0.3 * np.median(
            robust.sample_weight_[:280]
        )
    assert np.mean(errors) < 0.5 * np.mean(plain)


def test_the_uniform_class_takes_outliers():
    rng = np.random.default_rng(0)
    points = np.concatenate([three_clusters(300, rng)[0], rng.uniform(-12, 12, (150, 2))])
    model = WeightedDataGaussianMixture(3, outliers=True, random_state=0).fit(points)
    assert model.weights_.sum() + model.outlier_weight_ == pytest.approx(1.0)
    assert (model.labels_[:300] == -1).mean() < 0.05 and (model.labels_[300:] == -1).mean() > 0.8


@pytest.mark.slow
@pytest.mark.parametrize('weights', [None, 'ones'])
def test_the_number_of_clusters_is_found(weights):
    found = []
    for seed in range(3):
        points, _ = three_clusters(400, np.random.default_rng(seed))
        model = WeightedDataGaussianMixture(random_state=seed, n_init=1, max_components=7)
        model.fit(points, sample_weight=None if weights is None else np.ones(400))
        found.append(model.n_components_)
        lengths = dict(model.message_lengths_)
        assert lengths[model.n_components_] == min(
            lengths.values()
        ) and model.weights_.sum() == pytest.approx(1.0)
        assert min(lengths) == 1, 'every number down to one was tried'
    assert found == [3, 3, 3]


@pytest.mark.slow
def test_slivers_are_no_clusters():
    """Regression: without a prior on the covariances a few points that lie on a line shortened the
    message; this data gave 8 clusters.
    """
    points, _ = three_clusters(600, np.random.default_rng(3))
    assert (
        WeightedDataGaussianMixture(weighting='fixed', n_init=1, random_state=3)
        .fit(points, sample_weight=np.ones(600))
        .n_components_
        == 3
    )


def test_a_message_is_as_long_as_the_formula_says():
    mixture = Mixture(np.array([0.25, 0.75]), np.zeros((2, 2)), np.tile(np.eye(2), (2, 1, 1)))
    assert component_parameters(2, False) == 5 and component_parameters(3, True) == 6
    expected = 10.0 + 2.5 * (np.log(0.25) + np.log(0.75)) + 3 * 2 * np.log(50)
    assert message_length(-10.0, mixture, 50, 5) == pytest.approx(expected)


def test_twins_are_merged():
    means = np.array([[0.0, 0.0], [3.0, 0.0], [0.0, 0.0]])
    merged = merge_twins(Mixture(np.array([0.5, 0.3, 0.2]), means, np.tile(np.eye(2), (3, 1, 1))))
    np.testing.assert_allclose(merged.weights, [0.7, 0.3])
    np.testing.assert_allclose(merged.means, means[:2])


def test_rotation_shift_and_scale_do_not_matter():
    points, _ = three_clusters(200, np.random.default_rng(5))
    turn = np.array([[np.cos(0.7), -np.sin(0.7)], [np.sin(0.7), np.cos(0.7)]])
    start = WeightedDataGaussianMixture(3, n_init=1, random_state=1).fit(points)
    moved = WeightedDataGaussianMixture(3, n_init=1, random_state=1).fit(
        1e4 * points @ turn.T + [5e5, -2e6]
    )
    assert (start.labels_ == moved.labels_).all()
    np.testing.assert_allclose(moved.means_, 1e4 * start.means_ @ turn.T + [5e5, -2e6], rtol=1e-5)
    np.testing.assert_allclose(
        moved.covariances_, 1e8 * turn @ start.covariances_ @ turn.T, rtol=1e-3, atol=1e4
    )
    assert moved.log_likelihood_ == pytest.approx(
        start.log_likelihood_ - 200 * 2 * np.log(1e4), rel=1e-6
    )


PLANE = np.random.default_rng(0)
DEGENERATE = {
    'one point': [[1.0, 2.0]],
    'identical points': [[1.0, 2.0]] * 7,
    'two points': [[0.0, 0.0], [1.0, 1.0]],
    'one dimension': [[0.0], [1.0], [1.0]],
    'collinear': np.column_stack([np.arange(9.0), 2 * np.arange(9.0)]),
    'all outliers': PLANE.uniform(size=(40, 2)),
    'one far away': [[1e90, 0.0], [0.0, 1.0], [0.0, 0.0]],
    'more dimensions than points': np.eye(6)[:4],
    'tiny': 1e-200 * PLANE.normal(size=(9, 2)),
}


@pytest.mark.filterwarnings('error')
@pytest.mark.parametrize(
    'options',
    [
        {},
        {'n_components': 3},
        {'outliers': True},
        {'n_components': 2, 'weighting': 'fixed'},
        {'covariance_type': 'diag'},
        {'n_components': 3, 'outliers': True},
    ],
    ids=str,
)
@pytest.mark.parametrize('points', DEGENERATE.values(), ids=DEGENERATE)
def test_degenerate_data_is_answered(points, options):
    model = WeightedDataGaussianMixture(random_state=0, **options).fit(points)
    for value in (
        model.weights_,
        model.means_,
        model.covariances_,
        model.sample_weight_,
        model.log_likelihood_,
        model.predict_proba(points),
        model.score(points),
    ):
        assert np.isfinite(value).all()
    assert (
        1 <= model.n_components_ <= len(points) and (model.predict(points) == model.labels_).all()
    )
    assert np.linalg.eigvalsh(model.covariances_).min() >= 0


def test_far_points_are_predicted():
    model = WeightedDataGaussianMixture(3, random_state=0).fit(
        three_clusters(100, np.random.default_rng(0))[0]
    )
    assert (
        model.predict([[1e60, 0.0]]).shape == (1,)
        and np.isfinite(model.predict_proba([[1e60, 0.0]])).all()
    )


@pytest.mark.parametrize(
    'points, weights, message',
    [
        (np.zeros((0, 2)), None, 'shape'),
        (np.zeros(3), None, 'shape'),
        ([[np.nan, 0.0]], None, 'NaN'),
        ([[np.inf, 0.0]], None, 'NaN'),
        ([[0.0, 0.0]], [0.0], 'positive'),
        ([[0.0, 0.0]], [1.0, 1.0], 'positive'),
        ([[0.0, 0.0]], [np.nan], 'positive'),
    ],
)
def test_what_is_no_data_is_refused(points, weights, message):
    with pytest.raises(ValueError, match=message):
        WeightedDataGaussianMixture(1).fit(points, sample_weight=weights)


@pytest.mark.parametrize(
    'options',
    [
        {'n_components': 0},
        {'weighting': 'none'},
        {'covariance_type': 'tied'},
        {'min_components': 5, 'max_components': 2},
        {'reg_covar': 0.0},
        {'weight_variance': -1.0},
        {'n_init': 0},
    ],
)
def test_bad_parameters_are_refused(options):
    with pytest.raises(ValueError):
        WeightedDataGaussianMixture(**options).fit([[0.0, 1.0], [1.0, 0.0]])
    with pytest.raises(ValueError, match='known: n_components'):
        WeightedDataGaussianMixture().set_params(color=3)
    with pytest.raises(ValueError, match='fit first'):
        WeightedDataGaussianMixture().predict([[0.0]])


@pytest.mark.slow
def test_it_is_an_estimator_like_scikit_learns():
    base = pytest.importorskip(
        'sklearn.base', reason="needs scikit-learn: pip install 'av_perception[evaluation]'"
    )
    mixture = pytest.importorskip('sklearn.mixture')
    points, _ = three_clusters(300, np.random.default_rng(0))
    model = base.clone(
        WeightedDataGaussianMixture(3, weighting='fixed', n_init=2, tol=1e-10, random_state=4)
    )
    assert model.fit_predict(points, sample_weight=np.ones(300)).shape == (300,)
    reference = mixture.GaussianMixture(3, n_init=2, tol=1e-10, max_iter=500, random_state=0).fit(
        points
    )
    assert model.score(points, sample_weight=np.ones(300)) == pytest.approx(
        reference.score(points), abs=1e-4
    )
    order, expected = np.lexsort(model.means_.T), np.lexsort(reference.means_.T)
    np.testing.assert_allclose(
        model.covariances_[order], reference.covariances_[expected], rtol=0.02
    )
