# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Gaussian mixtures of weighted points: the parts of one EM iteration, for known weights (FWD-EM) and for latent ones (WD-EM).

    p(x_i) = sum_k pi_k N(x_i; mu_k, Sigma_k / w_i) + pi_0 / V

A weight w_i says how reliable point i is. Source: Gebru, Alameda-Pineda, Forbes, Horaud, "EM algorithms for weighted-data clustering with
application to audio-visual scene analysis", IEEE TPAMI 38(12), 2016. The uniform class (pi_0, density 1 / V) is optional.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln

_LOG_2PI = float(np.log(2 * np.pi))
_LEAST_MASS = 1e-10  # a component with less keeps its place: there is nothing to estimate it from


@dataclass(frozen=True)
class Mixture:
    """K components. weights pi: (K,) and outlier_weight pi_0 sum to one; means mu: (K, d); covariances Sigma: (K, d, d)."""

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    outlier_weight: float = 0.0

    def __len__(self) -> int:
        return len(self.weights)

    def keep(self, index) -> Mixture:
        """Some of the components, with the weights of what remains scaled to sum to one."""
        weights = self.weights[index]
        return Mixture(
            weights, self.means[index], self.covariances[index], self.outlier_weight
        ).normalized()

    def normalized(self) -> Mixture:
        """The same with weights that sum to one."""
        total = self.weights.sum() + self.outlier_weight
        return Mixture(
            self.weights / total, self.means, self.covariances, float(self.outlier_weight / total)
        )


@dataclass(frozen=True)
class FixedWeights:
    """Known weights. mean: (n,) positive."""

    mean: np.ndarray

    def log_density(self, distance: np.ndarray, log_det: np.ndarray, size: int) -> np.ndarray:
        """log N(x; mu, Sigma / w), (n, K), of (n, K) squared Mahalanobis distances and (K,) log |Sigma| in `size` dimensions."""
        constant = 0.5 * size * (np.log(self.mean) - _LOG_2PI)
        return constant[:, None] - 0.5 * (log_det + self.mean[:, None] * distance)

    def expected(self, distance: np.ndarray, size: int) -> np.ndarray:
        """(n, K) weights, the same for every component."""
        return np.broadcast_to(self.mean[:, None], distance.shape)


@dataclass(frozen=True)
class LatentWeights:
    """Unknown weights with a gamma prior of its own for every point: (n,) shape alpha and rate beta.

    Integrated over the weight, a point follows the Pearson type VII density
    `Gamma(alpha + d/2) / (Gamma(alpha) |Sigma|^(1/2) (2 pi beta)^(d/2)) (1 + D / (2 beta))^-(alpha + d/2)`.
    """

    shape: np.ndarray
    rate: np.ndarray

    @classmethod
    def around(cls, weights: np.ndarray, variance: float) -> LatentWeights:
        """Priors with the given (n,) means and one variance."""
        return cls(weights**2 / variance, weights / variance)

    @property
    def mean(self) -> np.ndarray:
        """(n,) prior means."""
        return self.shape / self.rate

    def log_density(self, distance: np.ndarray, log_det: np.ndarray, size: int) -> np.ndarray:
        """log density (n, K) of (n, K) squared Mahalanobis distances and (K,) log |Sigma| in `size` dimensions."""
        posterior_shape = self.shape + 0.5 * size
        constant = (
            gammaln(posterior_shape)
            - gammaln(self.shape)
            - 0.5 * size * (_LOG_2PI + np.log(self.rate))
        )
        tail = posterior_shape[:, None] * np.log1p(distance / (2 * self.rate[:, None]))
        return constant[:, None] - 0.5 * log_det - tail

    def expected(self, distance: np.ndarray, size: int) -> np.ndarray:
        """(n, K) posterior means `(alpha + d/2) / (beta + D/2)` of the weights under each component."""
        return (self.shape + 0.5 * size)[:, None] / (self.rate[:, None] + 0.5 * distance)


@dataclass(frozen=True)
class Expectation:
    """What the E-steps give. responsibilities eta: (n, K); outliers: (n,) responsibility of the uniform class; weights: (n, K) expected
    weights under each component; log_likelihood: of all points under the mixture that was given.
    """

    responsibilities: np.ndarray
    outliers: np.ndarray
    weights: np.ndarray
    log_likelihood: float


@dataclass(frozen=True)
class WeightedData:
    """Points and all that stays the same during the EM. points: (n, d); weights: FixedWeights or LatentWeights; floor: least eigenvalue of
    a covariance; diagonal: whether covariances are; log_volume: log V of the uniform class; typical_scatter: (d, d) covariance of the whole
    data, to which small components shrink, None for maximum likelihood.
    """

    points: np.ndarray
    weights: FixedWeights | LatentWeights
    floor: float
    diagonal: bool = False
    log_volume: float = 0.0
    typical_scatter: np.ndarray | None = None

    def expect(self, mixture: Mixture) -> Expectation:
        """E-Z and E-W steps: responsibilities and expected weights."""
        size = self.points.shape[1]
        values, vectors = np.linalg.eigh(mixture.covariances)
        values = np.maximum(values, self.floor)
        residual = self.points[None] - mixture.means[:, None]
        whitened = residual @ (vectors / np.sqrt(values)[:, None, :])
        distance = np.einsum('kni,kni->nk', whitened, whitened)
        with np.errstate(divide='ignore'):  # a weight of zero is a density of zero
            log_weights, log_outlier = (
                np.log(mixture.weights),
                np.log(mixture.outlier_weight) - self.log_volume,
            )
        joint = np.column_stack(
            [
                self.weights.log_density(distance, np.log(values).sum(1), size) + log_weights,
                np.full(len(distance), log_outlier),
            ]
        )
        peak = joint.max(1, keepdims=True)
        joint = np.exp(joint - peak)
        total = joint.sum(1, keepdims=True)
        joint /= total
        return Expectation(
            joint[:, :-1],
            joint[:, -1],
            self.weights.expected(distance, size),
            float((np.log(total) + peak).sum()),
        )

    def maximize(self, expectation: Expectation, old: Mixture) -> Mixture:
        """M-step: the likeliest mixture with no covariance eigenvalue below the floor. The covariance divides by the sum of the
        responsibilities, not of the weights; a component without points keeps its place in `old`.
        """
        mass = expectation.responsibilities.sum(0)
        pull = expectation.responsibilities * expectation.weights
        share = pull / np.maximum(pull.sum(0), _LEAST_MASS)
        means = np.where((mass > _LEAST_MASS)[:, None], share.T @ self.points, old.means)
        residual = self.points[None] - means[:, None]
        scatter = (
            (residual * pull.T[:, :, None]).swapaxes(1, 2)
            @ residual
            / np.maximum(mass, _LEAST_MASS)[:, None, None]
        )
        if self.typical_scatter is not None:
            scatter = self._shrunk(scatter, mass)
        covariances = np.where(
            (mass > _LEAST_MASS)[:, None, None], self._bounded(scatter), old.covariances
        )
        return Mixture(
            mass / len(self.points), means, covariances, float(expectation.outliers.mean())
        )

    def _shrunk(self, scatter: np.ndarray, mass: np.ndarray) -> np.ndarray:
        """The most probable covariances under an inverse Wishart prior worth d + 2 points (Fraley and Raftery, J. of Classification 2007)."""
        size, count = scatter.shape[-1], mass[:, None, None]
        typical = self.typical_scatter / len(mass) ** (
            2 / size
        )  # K clusters that share the volume of the data
        return (count * scatter + (size + 2) * typical) / (count + size + 2)

    def _bounded(self, covariances: np.ndarray) -> np.ndarray:
        """The likeliest covariances with no eigenvalue below the floor: scatter matrices with clipped eigenvalues."""
        if self.diagonal:
            return np.maximum(covariances, self.floor) * np.eye(covariances.shape[-1])
        values, vectors = np.linalg.eigh(covariances)
        if (values >= self.floor).all():
            return covariances
        return (vectors * np.maximum(values, self.floor)[:, None, :]) @ vectors.swapaxes(1, 2)


def fit_fixed_number(
    data: WeightedData, start: Mixture, tolerance: float, max_iterations: int
) -> tuple[Mixture, list[float]]:
    """EM with a fixed number of components until the log-likelihood grows by less than the fraction `tolerance`; returns the mixture and
    the log-likelihood of every iteration, which never falls.
    """
    mixture, history = start, []
    for _ in range(max_iterations):
        expectation = data.expect(mixture)
        history.append(expectation.log_likelihood)
        if len(history) > 1 and history[-1] - history[-2] <= tolerance * max(
            abs(history[-1]), 1.0
        ):
            break
        mixture = data.maximize(expectation, mixture)
    return mixture, history
