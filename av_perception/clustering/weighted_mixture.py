# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Gaussian mixtures of weighted points: the parts of one EM iteration.

    p(x_i) = sum_k pi_k N(x_i; mu_k, Sigma_k / w_i) + pi_0 / V

A weight w_i says how reliable point i is; it is known (FWD-EM) or latent (WD-EM). The uniform
class (pi_0, density 1 / V) is optional. Source: Gebru, Alameda-Pineda, Forbes, Horaud, "EM
algorithms for weighted-data clustering with application to audio-visual scene analysis", IEEE
TPAMI 38(12), 2016.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln

from av_perception.numerics.em import relative_gain, run_em
from av_perception.numerics.gaussian import LOG_2PI
from av_perception.numerics.softmax import normalize_log

_LEAST_MASS = 1e-10  # a component with less keeps its place: there is nothing to estimate it from


@dataclass(frozen=True)
class Mixture:
    """K components and a uniform class, whose weights sum to one."""

    #: (K,) pi.
    weights: np.ndarray
    #: (K, d) mu.
    means: np.ndarray
    #: (K, d, d) Sigma.
    covariances: np.ndarray
    #: pi_0, of the uniform class.
    outlier_weight: float = 0.0

    def __len__(self) -> int:
        return len(self.weights)

    def keep(self, index) -> Mixture:
        """Keep some of the components, scaling the weights of what remains to sum to one."""
        means, covariances = self.means[index], self.covariances[index]
        return Mixture(self.weights[index], means, covariances, self.outlier_weight).normalized()

    def normalized(self) -> Mixture:
        """Return the same mixture with weights that sum to one."""
        total = self.weights.sum() + self.outlier_weight
        outlier_weight = float(self.outlier_weight / total)
        return Mixture(self.weights / total, self.means, self.covariances, outlier_weight)


@dataclass(frozen=True)
class FixedWeights:
    """Known weights."""

    #: (n,) positive.
    mean: np.ndarray

    def log_density(self, distance: np.ndarray, log_det: np.ndarray, size: int) -> np.ndarray:
        """Evaluate log N(x; mu, Sigma / w).

        Parameters
        ----------
        distance
            (n, K) squared Mahalanobis distances.
        log_det
            (K,) log |Sigma|.
        size
            Dimensions of a point.

        Returns
        -------
        np.ndarray
            (n, K).
        """
        constant = 0.5 * size * (np.log(self.mean) - LOG_2PI)
        return constant[:, None] - 0.5 * (log_det + self.mean[:, None] * distance)

    def expected(self, distance: np.ndarray, size: int) -> np.ndarray:
        """Return (n, K) weights, the same for every component."""
        return np.broadcast_to(self.mean[:, None], distance.shape)


@dataclass(frozen=True)
class LatentWeights:
    """Unknown weights with a gamma prior of its own for every point.

    Integrated over the weight, a point follows the Pearson type VII density
    `Gamma(alpha + d/2) / (Gamma(alpha) |Sigma|^(1/2) (2 pi beta)^(d/2))
    (1 + D / (2 beta))^-(alpha + d/2)`.
    """

    #: (n,) alpha.
    shape: np.ndarray
    #: (n,) beta.
    rate: np.ndarray

    @classmethod
    def around(cls, weights: np.ndarray, variance: float) -> LatentWeights:
        """Make priors with the given (n,) means and one variance."""
        return cls(weights**2 / variance, weights / variance)

    @property
    def mean(self) -> np.ndarray:
        """Prior means, (n,)."""
        return self.shape / self.rate

    def log_density(self, distance: np.ndarray, log_det: np.ndarray, size: int) -> np.ndarray:
        """Evaluate the Pearson type VII density; arguments and result as of `FixedWeights`."""
        posterior_shape = self.shape + 0.5 * size
        scale = 0.5 * size * (LOG_2PI + np.log(self.rate))
        constant = gammaln(posterior_shape) - gammaln(self.shape) - scale
        tail = posterior_shape[:, None] * np.log1p(distance / (2 * self.rate[:, None]))
        return constant[:, None] - 0.5 * log_det - tail

    def expected(self, distance: np.ndarray, size: int) -> np.ndarray:
        """Return (n, K) posterior means `(alpha + d/2) / (beta + D/2)` under each component."""
        return (self.shape + 0.5 * size)[:, None] / (self.rate[:, None] + 0.5 * distance)


@dataclass(frozen=True)
class Expectation:
    """What the E-steps give."""

    #: (n, K) eta.
    responsibilities: np.ndarray
    #: (n,) responsibility of the uniform class.
    outliers: np.ndarray
    #: (n, K) expected weights under each component.
    weights: np.ndarray
    #: Of all points under the mixture that was given.
    log_likelihood: float


@dataclass(frozen=True)
class WeightedData:
    """Points and all that stays the same during the EM."""

    #: (n, d).
    points: np.ndarray
    #: Of the points.
    weights: FixedWeights | LatentWeights
    #: Least eigenvalue of a covariance.
    floor: float
    #: Whether covariances are diagonal.
    diagonal: bool = False
    #: log V of the uniform class.
    log_volume: float = 0.0
    #: (d, d) covariance of the whole data, to which small components shrink; None for maximum
    #: likelihood.
    typical_scatter: np.ndarray | None = None

    def expect(self, mixture: Mixture) -> Expectation:
        """Compute responsibilities (E-Z step) and expected weights (E-W step)."""
        size = self.points.shape[1]
        values, vectors = np.linalg.eigh(mixture.covariances)
        values = np.maximum(values, self.floor)
        residual = self.points[None] - mixture.means[:, None]
        whitened = residual @ (vectors / np.sqrt(values)[:, None, :])
        distance = np.einsum('kni,kni->nk', whitened, whitened)
        with np.errstate(divide='ignore'):  # a weight of zero is a density of zero
            log_weights = np.log(mixture.weights)
            log_outlier = np.log(mixture.outlier_weight) - self.log_volume
        log_density = self.weights.log_density(distance, np.log(values).sum(1), size)
        outlier_column = np.full(len(distance), log_outlier)
        joint = np.column_stack([log_density + log_weights, outlier_column])
        posterior, evidence = normalize_log(joint)
        expected_weights = self.weights.expected(distance, size)
        log_likelihood = float(evidence.sum())
        return Expectation(posterior[:, :-1], posterior[:, -1], expected_weights, log_likelihood)

    def maximize(self, expectation: Expectation, old: Mixture) -> Mixture:
        """Find the likeliest mixture with no covariance eigenvalue below the floor (M-step).

        The covariance divides by the sum of the responsibilities, not of the weights; a component
        without points keeps its place in `old`.
        """
        mass = expectation.responsibilities.sum(0)
        filled = mass > _LEAST_MASS
        pull = expectation.responsibilities * expectation.weights
        share = pull / np.maximum(pull.sum(0), _LEAST_MASS)
        means = np.where(filled[:, None], share.T @ self.points, old.means)
        residual = self.points[None] - means[:, None]
        scatter = (residual * pull.T[:, :, None]).swapaxes(1, 2) @ residual
        scatter = scatter / np.maximum(mass, _LEAST_MASS)[:, None, None]
        if self.typical_scatter is not None:
            scatter = self._shrunk(scatter, mass, self.typical_scatter)
        covariances = np.where(filled[:, None, None], self._bounded(scatter), old.covariances)
        outlier_weight = float(expectation.outliers.mean())
        return Mixture(mass / len(self.points), means, covariances, outlier_weight)

    def _shrunk(self, scatter: np.ndarray, mass: np.ndarray, typical: np.ndarray) -> np.ndarray:
        """(K, d, d) most probable covariances under an inverse Wishart prior of d + 2 points.

        Source: Fraley and Raftery, J. of Classification 2007.
        """
        size = scatter.shape[-1]
        count = mass[:, None, None]
        typical = typical / len(mass) ** (2 / size)  # K clusters share the volume of the data
        return (count * scatter + (size + 2) * typical) / (count + size + 2)

    def _bounded(self, covariances: np.ndarray) -> np.ndarray:
        """(K, d, d) likeliest covariances with no eigenvalue below the floor: it clips them."""
        if self.diagonal:
            return np.maximum(covariances, self.floor) * np.eye(covariances.shape[-1])
        values, vectors = np.linalg.eigh(covariances)
        if (values >= self.floor).all():
            return covariances
        return (vectors * np.maximum(values, self.floor)[:, None, :]) @ vectors.swapaxes(1, 2)


def fit_fixed_number(
    data: WeightedData, start: Mixture, tolerance: float, max_iterations: int
) -> tuple[Mixture, list[float]]:
    """Run EM with a fixed number of components.

    Parameters
    ----------
    data
        Points and weights.
    start
        The first mixture.
    tolerance
        The EM ends when the log-likelihood grows by less than this fraction of it.
    max_iterations
        The EM ends after so many.

    Returns
    -------
    tuple
        The mixture and the log-likelihood of every iteration, which never falls.
    """

    def expect(mixture: Mixture) -> tuple[float, Expectation]:
        expectation = data.expect(mixture)
        return expectation.log_likelihood, expectation

    run = run_em(start, expect, data.maximize, relative_gain(tolerance), max_iterations)
    return run.state, list(run.history)
