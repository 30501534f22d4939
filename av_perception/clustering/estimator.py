# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Clustering of points of unequal reliability, with the interface of scikit-learn's mixtures.

scikit-learn itself is not needed.
"""

# ruff: noqa: N803 (scikit-learn calls the data X)

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
# Powers of the weights for the k-means++ of one start after the other. It prefers far points with
# the square of their distance, which outliers must not win by (3), nor must small clusters, which
# are less dense, lose by it (1).
_START_EXPONENTS = (3, 1)
_LARGEST = 1e100  # squares of larger numbers come near the end of floating point


class WeightedDataGaussianMixture:
    """A Gaussian mixture in which every point has a weight.

    Component k sees point i with covariance Sigma_k / w_i. Source: Gebru, Alameda-Pineda, Forbes,
    Horaud, "EM algorithms for weighted-data clustering with application to audio-visual scene
    analysis", IEEE TPAMI 38(12), 2016 (FWD-EM, WD-EM and the component-wise WD-EM with minimum
    message length).

    Data with fewer distinct points than components gets as many components as there are points.

    Parameters
    ----------
    n_components : int or None
        None finds the number between min_components and max_components by minimum message length.
    weighting : str
        'latent' treats the weights as random with the given ones as prior means (WD-EM), so that
        points which fit no cluster lose their influence; 'fixed' takes them as they are (FWD-EM;
        with weights of one an ordinary Gaussian mixture).
    weight_variance : float
        Prior variance of a latent weight, whose mean is one over all points; small is close to
        fixed weights.
    covariance_type : str
        'full' or 'diag'.
    outliers : bool
        Adds a uniform class over the bounding box of the data; its points get the label -1.
    neighbors : int
        How many neighbors the weights are computed from when `fit` is given none.
    n_init : int or None
        Starts, of which the likeliest (with a free number: the shortest message) is kept; None
        makes six, with a free number two.
    tol : float
        Relative change of the log-likelihood that ends the EM.
    max_iter : int
        Iterations of the EM, or sweeps for each number of components.
    reg_covar : float
        Least eigenvalue of a covariance, as a fraction of the median squared distance from the
        mean of the data.
    random_state : int, numpy.random.Generator or None
        Source of the starts.

    Attributes
    ----------
    n_components_, weights_, means_, covariances_, outlier_weight_
        The mixture: K, (K,), (K, d), (K, d, d) and the weight of the uniform class.
    labels_, sample_weight_
        (n,) clusters and expected weights of the points.
    log_likelihood_, log_likelihoods_
        The last one; with a given number, one per iteration, never falling.
    message_lengths_
        With a free number: pairs of a number of components and its length.
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
        """Return the parameters by name."""
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
        """Fit the mixture.

        Parameters
        ----------
        X : array_like
            (n, d) finite.
        y
            Ignored.
        sample_weight : array_like or None
            (n,) positive; None takes the density of the neighborhood.

        Raises
        ------
        ValueError
            When a parameter or the data cannot be used.
        """
        self._check_parameters()
        points = _checked_points(X)
        self._center = points.mean(0)
        self._scale = float(np.abs(points - self._center).max()) or 1.0
        points = (points - self._center) / self._scale
        self._density = None
        if sample_weight is None:
            self._density = DensityWeights(points, self.neighbors)
        weights = self._weights(points, sample_weight)
        data = self._data(points, weights)
        starts = self._starts(points, weights)
        fit = self._fit_free if self.n_components is None else self._fit_given
        self._publish(data, fit(data, starts))
        return self

    def _starts(self, points: np.ndarray, weights: np.ndarray) -> list[Mixture]:
        """First mixtures, one per start, with as many components as there may be."""
        outlier_weight = _FIRST_OUTLIER_WEIGHT if self._has_outliers else 0.0
        random = np.random.default_rng(self.random_state)
        is_free = self.n_components is None
        count = self.max_components if is_free else self.n_components
        number = self.n_init or (2 if is_free else 6)
        exponents = itertools.islice(itertools.cycle(_START_EXPONENTS), number)
        return [
            start_mixture(points, weights**exponent, count, outlier_weight, random)
            for exponent in exponents
        ]

    def predict(self, X, sample_weight=None) -> np.ndarray:
        """Return the (n,) likeliest clusters of the points, -1 for the uniform class."""
        _, outliers, responsibilities = self._expect(X, sample_weight)
        return _labels(responsibilities, outliers)

    def fit_predict(self, X, y=None, sample_weight=None) -> np.ndarray:
        """Fit, and return the labels of the same points."""
        return self.fit(X, y, sample_weight).labels_

    def predict_proba(self, X, sample_weight=None) -> np.ndarray:
        """Return (n, K) responsibilities; what is missing to one is the uniform class's."""
        return self._expect(X, sample_weight)[2]

    def score(self, X, y=None, sample_weight=None) -> float:
        """Return the mean log-likelihood of a point, in the units of X."""
        return self._expect(X, sample_weight)[0] / len(X)

    def _check_parameters(self):
        kinds = (self.weighting in ('latent', 'fixed'), self.covariance_type in ('full', 'diag'))
        if not all(kinds):
            raise ValueError(
                "weighting must be 'latent' or 'fixed', covariance_type 'full' or 'diag'"
            )
        has_none = self.n_components is not None and self.n_components < 1
        if has_none or not 1 <= self.min_components <= self.max_components:
            raise ValueError(
                'n_components must be at least 1 or None, and '
                '1 <= min_components <= max_components'
            )
        num_starts = 1 if self.n_init is None else self.n_init
        if min(self.neighbors, num_starts, self.max_iter) < 1:
            raise ValueError('neighbors, n_init and max_iter must be at least 1')
        if min(self.reg_covar, self.weight_variance) <= 0 or self.tol < 0:
            raise ValueError('reg_covar and weight_variance must be positive, tol not negative')

    def _weights(self, points: np.ndarray, sample_weight) -> np.ndarray:
        if sample_weight is None:
            return np.ones(len(points)) if self._density is None else self._density(points)
        weights = np.asarray(sample_weight, float)
        fits = weights.shape == (len(points),) and np.isfinite(weights).all()
        if not fits or (weights <= 0).any():
            raise ValueError(f'sample_weight must hold {len(points)} positive numbers')
        return weights

    def _data(
        self, points: np.ndarray, weights: np.ndarray, fitted: WeightedData | None = None
    ) -> WeightedData:
        """Scaled points with their weights; floor and volume are those of the data of `fit`."""
        model: FixedWeights | LatentWeights = FixedWeights(weights)
        if self.weighting == 'latent':
            model = LatentWeights.around(weights, self.weight_variance)
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
        best = min(selections, key=lambda found: min(length for _, length in found.lengths))
        unit = data.points.size * np.log(self._scale)
        self.message_lengths_ = tuple((count, length + unit) for count, length in best.lengths)
        return best.mixture

    def _publish(self, data: WeightedData, mixture: Mixture):
        self._fitted = data
        self._mixture = mixture
        self.n_components_ = len(mixture)
        self.weights_ = mixture.weights
        self.outlier_weight_ = mixture.outlier_weight
        self.means_ = mixture.means * self._scale + self._center
        self.covariances_ = mixture.covariances * self._scale**2
        expectation = data.expect(mixture)
        self.log_likelihood_ = expectation.log_likelihood - data.points.size * np.log(self._scale)
        responsibilities = expectation.responsibilities
        self.labels_ = _labels(responsibilities, expectation.outliers)
        share = responsibilities / np.maximum(responsibilities.sum(1, keepdims=True), 1e-300)
        self.sample_weight_ = (share * expectation.weights).sum(1)

    def _expect(self, X, sample_weight) -> tuple[float, np.ndarray, np.ndarray]:
        """Log-likelihood, (n,) responsibilities of the uniform class and (n, K) of the others."""
        if not hasattr(self, '_mixture'):
            raise ValueError('call fit first')
        points = _checked_points(X)
        if points.shape[1] != len(self._center):
            raise ValueError(
                f'X has {points.shape[1]} columns, the mixture was fitted to {len(self._center)}'
            )
        points = (points - self._center) / self._scale
        data = self._data(points, self._weights(points, sample_weight), self._fitted)
        expectation = data.expect(self._mixture)
        log_likelihood = expectation.log_likelihood - points.size * np.log(self._scale)
        return log_likelihood, expectation.outliers, expectation.responsibilities


def _checked_points(X) -> np.ndarray:
    points = np.asarray(X, float)
    if points.ndim != 2 or 0 in points.shape:
        raise ValueError(
            'X must have the shape (points, dimensions) and hold at least one of each, '
            f'not {points.shape}'
        )
    if not (np.abs(points) < _LARGEST).all():
        raise ValueError('X holds NaN, infinite or absurdly large values: leave those rows out')
    return points


def _labels(responsibilities: np.ndarray, outliers: np.ndarray) -> np.ndarray:
    best = responsibilities.argmax(1)
    return np.where(outliers > responsibilities.max(1), -1, best)
