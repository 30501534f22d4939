# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Clustering of points of unequal reliability, with the interface of scikit-learn's mixtures (which it does not need)."""

from __future__ import annotations

import inspect
import itertools

import numpy as np

from av_perception.clustering.kmeans_start import start_mixture
from av_perception.clustering.message_length import select_number
from av_perception.clustering.point_weights import DensityWeights
from av_perception.clustering.weighted_mixture import (
    FixedWeights,
    LatentWeights,
    Mixture,
    WeightedData,
    fit_fixed_number,
)

_FIRST_OUTLIER_WEIGHT = 0.1
# Powers of the weights for the k-means++ of one start after the other: it prefers far points with the square of their distance, which outliers must
# not win by (3), nor must small clusters, which are less dense, lose by it (1).
_START_EXPONENTS = (3, 1)
_LARGEST = 1e100  # squares of larger numbers come near the end of floating point


class WeightedDataGaussianMixture:
    """A Gaussian mixture in which every point has a weight: component k sees point i with covariance Sigma_k / w_i.

    Source: Gebru, Alameda-Pineda, Forbes, Horaud, "EM algorithms for weighted-data clustering with application to audio-visual scene
    analysis", IEEE TPAMI 38(12), 2016 (FWD-EM, WD-EM and the component-wise WD-EM with minimum message length).

    Parameters
    ----------
    n_components : int or None. None finds the number between min_components and max_components by minimum message length.
    weighting : 'latent' treats the weights as random with the given ones as prior means (WD-EM), so that points which fit no cluster lose
        their influence; 'fixed' takes them as they are (FWD-EM; with weights of one an ordinary Gaussian mixture).
    weight_variance : prior variance of a latent weight, whose mean is one over all points; small is close to fixed weights.
    covariance_type : 'full' or 'diag'.
    outliers : adds a uniform class over the bounding box of the data; its points get the label -1.
    neighbours : how many neighbours the weights are computed from when `fit` is given none.
    n_init : starts, of which the likeliest (with a free number: the shortest message) is kept; None makes six, with a free number two.
    tol : relative change of the log-likelihood that ends the EM.  max_iter : its iterations, or sweeps for each number of components.
    reg_covar : least eigenvalue of a covariance, as a fraction of the median squared distance from the mean of the data.
    random_state : int, numpy Generator or None.

    Attributes after `fit`
    ----------------------
    n_components_, weights_ (K,), means_ (K, d), covariances_ (K, d, d), outlier_weight_; labels_ (n,) and sample_weight_ (n,), the expected
    weights; log_likelihood_ and, with a given number, log_likelihoods_ (one per iteration, never falling); with a free number
    message_lengths_, pairs of a number of components and its length.

    Data with fewer distinct points than components gets as many components as there are points.
    """

    def __init__(
        self,
        n_components=None,
        *,
        weighting='latent',
        weight_variance=0.3,
        covariance_type='full',
        outliers=False,
        min_components=1,
        max_components=10,
        neighbors=20,
        n_init=None,
        tol=1e-5,
        max_iter=200,
        reg_covar=1e-6,
        random_state=None,
    ):
        self.n_components = n_components
        self.weighting = weighting
        self.weight_variance = weight_variance
        self.covariance_type = covariance_type
        self.outliers = outliers
        self.min_components = min_components
        self.max_components = max_components
        self.neighbors = neighbors
        self.n_init = n_init
        self.tol = tol
        self.max_iter = max_iter
        self.reg_covar = reg_covar
        self.random_state = random_state

    def get_params(self, deep: bool = True) -> dict:
        """The parameters by name."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def set_params(self, **parameters) -> WeightedDataGaussianMixture:
        """Set parameters by name. Raises ValueError for an unknown one."""
        for name, value in parameters.items():
            if name not in self.get_params():
                raise ValueError(
                    f'there is no parameter {name!r}; known: {", ".join(self.get_params())}'
                )
            setattr(self, name, value)
        return self

    def fit(self, X, y=None, sample_weight=None) -> WeightedDataGaussianMixture:
        """X: (n, d) finite; y: ignored; sample_weight: (n,) positive, None takes the density of the neighbourhood. Raises ValueError."""
        self._check_parameters()
        points = _checked_points(X)
        self._center = points.mean(0)
        self._scale = float(np.abs(points - self._center).max()) or 1.0
        points = (points - self._center) / self._scale
        self._density = (
            None if sample_weight is not None else DensityWeights(points, self.neighbors)
        )
        weights = self._weights(points, sample_weight)
        data = self._data(points, weights)
        start = _FIRST_OUTLIER_WEIGHT if self._has_outliers else 0.0
        random = np.random.default_rng(self.random_state)
        count = self.max_components if self.n_components is None else self.n_components
        number = self.n_init or (2 if self.n_components is None else 6)
        exponents = itertools.islice(itertools.cycle(_START_EXPONENTS), number)
        starts = [
            start_mixture(points, weights**exponent, count, start, random)
            for exponent in exponents
        ]
        mixture = (
            self._fit_free(data, starts)
            if self.n_components is None
            else self._fit_given(data, starts)
        )
        self._publish(data, mixture)
        return self

    def predict(self, X, sample_weight=None) -> np.ndarray:
        """(n,) index of the likeliest cluster of each point, -1 for the uniform class."""
        _, outliers, responsibilities = self._expect(X, sample_weight)
        return _labels(responsibilities, outliers)

    def fit_predict(self, X, y=None, sample_weight=None) -> np.ndarray:
        """`fit`, then the labels of the same points."""
        return self.fit(X, y, sample_weight).labels_

    def predict_proba(self, X, sample_weight=None) -> np.ndarray:
        """(n, K) responsibilities of the clusters; what is missing to one belongs to the uniform class."""
        return self._expect(X, sample_weight)[2]

    def score(self, X, y=None, sample_weight=None) -> float:
        """Mean log-likelihood of a point, in the units of X."""
        return self._expect(X, sample_weight)[0] / len(X)

    def _check_parameters(self):
        if self.weighting not in ('latent', 'fixed') or self.covariance_type not in (
            'full',
            'diag',
        ):
            raise ValueError(
                "weighting must be 'latent' or 'fixed', covariance_type 'full' or 'diag'"
            )
        if not 1 <= self.min_components <= self.max_components or (
            self.n_components is not None and self.n_components < 1
        ):
            raise ValueError(
                'n_components must be at least 1 or None, and 1 <= min_components <= max_components'
            )
        if (
            min(self.neighbors, 1 if self.n_init is None else self.n_init, self.max_iter) < 1
            or min(self.reg_covar, self.weight_variance) <= 0
            or self.tol < 0
        ):
            raise ValueError(
                'neighbours, n_init, max_iter must be at least 1, reg_covar and weight_variance positive, tol not negative'
            )

    def _weights(self, points: np.ndarray, sample_weight) -> np.ndarray:
        if sample_weight is None:
            return np.ones(len(points)) if self._density is None else self._density(points)
        weights = np.asarray(sample_weight, float)
        if (
            weights.shape != (len(points),)
            or not np.isfinite(weights).all()
            or (weights <= 0).any()
        ):
            raise ValueError(f'sample_weight must hold {len(points)} positive numbers')
        return weights

    def _data(
        self, points: np.ndarray, weights: np.ndarray, fitted: WeightedData | None = None
    ) -> WeightedData:
        """Scaled points with their weights; floor and volume are those of the data of `fit`."""
        model = (
            FixedWeights(weights)
            if self.weighting == 'fixed'
            else LatentWeights.around(weights, self.weight_variance)
        )
        if fitted is not None:
            return WeightedData(points, model, fitted.floor, fitted.diagonal, fitted.log_volume)
        squared = (points**2).sum(1)
        floor = self.reg_covar * (float(np.median(squared)) or float(squared.mean()) or 1.0)
        extent = np.ptp(points, axis=0)
        self._has_outliers = bool(self.outliers and (extent > 0).all())
        log_volume = float(np.log(extent).sum()) if self._has_outliers else 0.0
        return WeightedData(points, model, floor, self.covariance_type == 'diag', log_volume)

    def _fit_given(self, data: WeightedData, starts: list[Mixture]) -> Mixture:
        fits = [fit_fixed_number(data, start, self.tol, self.max_iter) for start in starts]
        mixture, history = max(fits, key=lambda fit: fit[1][-1])
        self.log_likelihoods_ = np.array(history) - data.points.size * np.log(self._scale)
        return mixture

    def _fit_free(self, data: WeightedData, starts: list[Mixture]) -> Mixture:
        selections = [
            select_number(data, start, self.min_components, self.tol, self.max_iter)
            for start in starts
        ]
        best = min(
            selections, key=lambda selection: min(length for _, length in selection.lengths)
        )
        unit = data.points.size * np.log(self._scale)
        self.message_lengths_ = tuple((count, length + unit) for count, length in best.lengths)
        return best.mixture

    def _publish(self, data: WeightedData, mixture: Mixture):
        self._fitted, self._mixture = data, mixture
        self.n_components_, self.weights_, self.outlier_weight_ = (
            len(mixture),
            mixture.weights,
            mixture.outlier_weight,
        )
        self.means_ = mixture.means * self._scale + self._center
        self.covariances_ = mixture.covariances * self._scale**2
        expectation = data.expect(mixture)
        self.log_likelihood_ = expectation.log_likelihood - data.points.size * np.log(self._scale)
        self.labels_ = _labels(expectation.responsibilities, expectation.outliers)
        share = expectation.responsibilities / np.maximum(
            expectation.responsibilities.sum(1, keepdims=True), 1e-300
        )
        self.sample_weight_ = (share * expectation.weights).sum(1)

    def _expect(self, X, sample_weight) -> tuple[float, np.ndarray, np.ndarray]:
        if not hasattr(self, '_mixture'):
            raise ValueError('call fit first')
        points = _checked_points(X)
        if points.shape[1] != len(self._center):
            raise ValueError(
                f'X has {points.shape[1]} columns, the mixture was fitted to {len(self._center)}'
            )
        points = (points - self._center) / self._scale
        expectation = self._data(
            points, self._weights(points, sample_weight), self._fitted
        ).expect(self._mixture)
        return (
            expectation.log_likelihood - points.size * np.log(self._scale),
            expectation.outliers,
            expectation.responsibilities,
        )


def _checked_points(X) -> np.ndarray:
    points = np.asarray(X, float)
    if points.ndim != 2 or 0 in points.shape:
        raise ValueError(
            f'X must have the shape (points, dimensions) and hold at least one of each, not {points.shape}'
        )
    if not (np.abs(points) < _LARGEST).all():
        raise ValueError('X holds NaN, infinite or absurdly large values: leave those rows out')
    return points


def _labels(responsibilities: np.ndarray, outliers: np.ndarray) -> np.ndarray:
    best = responsibilities.argmax(1)
    return np.where(outliers > responsibilities.max(1), -1, best)
