"""Direction of one static source from any number of partly missing feature vectors (Deleforge, Forbes and Horaud 2015, section 4)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from av_perception.audio.acoustic_map import AcousticMap


@dataclass(frozen=True)
class DirectionPosterior:
    """p(u | features) = sum_r exp(log_weight_r) N(u; mean_r, covariance_r): log_weight (R,), mean (R, 3), covariance (R, 3, 3)."""

    log_weight: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray

    @property
    def weight(self) -> np.ndarray:
        """(R,) probabilities of the pieces."""
        return np.exp(self.log_weight)

    @property
    def expectation(self) -> np.ndarray:
        """(3,) E[u]."""
        return self.weight @ self.mean

    @property
    def spread(self) -> np.ndarray:
        """(3, 3) Cov[u]: within the pieces and between them."""
        difference = self.mean - self.expectation
        return np.einsum('r,rij->ij', self.weight, self.covariance + difference[:, :, None] * difference[:, None])


class InverseRegression:
    """Accumulates the sufficient statistics n, sum g and sum g^2 of every feature; their size does not grow with time.

    The pieces must be shared by the sub-bands, as `learn_map` makes them: all features then are one vector with one hidden piece.
    tempering: exponent on the likelihood (frames and bins are not independent). forgetting: what a frame still counts one frame later; below 1
    the posterior follows a source that moves.
    """

    def __init__(self, acoustic_map: AcousticMap, tempering: float = 1.0, forgetting: float = 1.0):
        if not (np.ptp(acoustic_map.center, axis=0) == 0).all():
            raise ValueError('the sub-bands of this acoustic map do not share their pieces')
        if not 0 < forgetting <= 1:
            raise ValueError(f'forgetting must lie in (0, 1], not {forgetting}')
        self._map, self._tempering, self._forgetting = acoustic_map, tempering, forgetting
        shape = (acoustic_map.num_subbands, acoustic_map.feature_size)
        self._count, self._sum, self._square = np.zeros(shape), np.zeros(shape), np.zeros(shape)

    def add(self, vectors: np.ndarray, present: np.ndarray, subband_weight: np.ndarray) -> None:
        """Take one frame: vectors, present (K, G); subband_weight (K,) in [0, 1]."""
        weight = self._tempering * present * subband_weight[:, None]
        values = np.where(present, vectors, 0.0)
        for total, part in ((self._count, weight), (self._sum, weight * values), (self._square, weight * values ** 2)):
            total *= self._forgetting
            total += part

    def posterior(self) -> DirectionPosterior:
        """The posterior mixture; the prior mixture when nothing was added."""
        model = self._map
        precision = 1 / model.variance
        centered = self._sum[:, None] - self._count[:, None] * model.offset                         # sum of g - l
        centered_square = self._square[:, None] - 2 * model.offset * self._sum[:, None] + self._count[:, None] * model.offset ** 2
        prior, center = model.center_precision[0], model.center[0]
        information = prior + np.einsum('kg,krg,krgi,krgj->rij', self._count, precision, model.slope, model.slope, optimize=True)
        prior_vector = np.einsum('rij,rj->ri', prior, center)
        vector = prior_vector + np.einsum('krg,krg,krgi->ri', centered, precision, model.slope, optimize=True)
        covariance = np.linalg.inv(information)
        mean = np.einsum('rij,rj->ri', covariance, vector)
        misfit = (centered_square * precision).sum(axis=(0, 2)) + np.einsum('kg,krg->r', self._count, np.log(2 * np.pi * model.variance))
        quadratic = np.einsum('ri,ri->r', center, prior_vector) - np.einsum('ri,ri->r', mean, vector)
        shrinkage = np.linalg.slogdet(information)[1] - model.center_log_det_precision[0]
        log_weight = model.log_weight[0] - 0.5 * (shrinkage + misfit + quadratic)
        return DirectionPosterior(log_weight - np.logaddexp.reduce(log_weight), mean, covariance)

    def direction(self, around: np.ndarray | None = None, radius_rad: float = np.radians(30.0)) -> np.ndarray:
        """(3,) unit vector: E[u] over the pieces centred within `radius_rad` of the unit vector `around` (default: of the likeliest piece).

        Where no piece lies that near, `around` itself.
        """
        posterior = self.posterior()
        center = self._map.center[0] / np.linalg.norm(self._map.center[0], axis=1, keepdims=True)
        middle = center[posterior.weight.argmax()] if around is None else around
        near = center @ middle > np.cos(radius_rad)
        if not near.any():
            return middle
        weight = np.where(near, posterior.log_weight, -np.inf)
        expectation = np.exp(weight - weight.max()) @ posterior.mean
        return expectation / np.linalg.norm(expectation)
