# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""VESSL: several sources at once, each with a mask over time and frequency (Deleforge, Forbes and Horaud 2015, section 5).

Every sub-band of every frame is dominated by one source or is clutter (W-disjoint orthogonality). Variational EM alternates

    E-W    log q_jm = log lambda_m + E[log p(g_j | x_m)]                         m = 1..M, m = 0: clutter, uniform
    E-XZ   q(x_m, z_m) = inverse regression with the weights chi q_jm            one posterior mixture over directions per source
    M      lambda_m proportional to sum_j q_jm

over the observations j = 1..J. chi < 1 is the share of an observation that is news: neighbouring bins and frames repeat each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from av_perception.audio.acoustic_map import AcousticMap
from av_perception.audio.inverse_regression import DirectionPosterior, posterior_tables, posteriors
from av_perception.interfaces import AudioFeatures

_NEGLIGIBLE = -30.0  # log weight of a piece that no sum notices


@dataclass(frozen=True)
class VesslConfig:
    """novelty: chi in (0, 1]; iterations: at most so many; tolerance: stop when the bound grows by less [nat];
    least_share: floor of lambda.
    """

    novelty: float = 0.2
    iterations: int = 60
    tolerance: float = 0.2
    least_share: float = 1e-3

    def __post_init__(self):
        if not 0 < self.novelty <= 1:
            raise ValueError(f'novelty must lie in (0, 1], not {self.novelty}')
        if self.iterations < 1 or self.tolerance < 0:
            raise ValueError('iterations must be at least 1 and tolerance must not be negative')
        if not 0 < self.least_share < 0.1:
            raise ValueError(f'least_share must lie in (0, 0.1), not {self.least_share}')


@dataclass(frozen=True)
class Observations:
    """The valid sub-bands of all frames, ordered by sub-band. frame, subband: (J,) indices; present: (J, G), 1 or 0;
    vectors: (J, G), 0 where not present.
    """

    frame: np.ndarray
    subband: np.ndarray
    vectors: np.ndarray
    present: np.ndarray

    @classmethod
    def of(cls, frames: Sequence[AudioFeatures]) -> Observations:
        """Gather the valid sub-bands of frames that belong to one analysis."""
        subband, frame = np.nonzero(np.array([f.valid for f in frames]).T)
        present = np.array([f.present for f in frames])[frame, subband]
        vectors = np.array([f.vectors for f in frames])[frame, subband]
        return cls(frame, subband, np.where(present, vectors, 0.0), present.astype(float))

    def __len__(self) -> int:
        return len(self.frame)

    def take(self, index: np.ndarray) -> Observations:
        """Some of them; indices in ascending order."""
        return Observations(
            self.frame[index], self.subband[index], self.vectors[index], self.present[index]
        )


@dataclass(frozen=True)
class Separation:
    """What VESSL found. bound: lower bound of the log evidence after every iteration [nat]; shares: (M + 1,) lambda, clutter first;
    sources: M posteriors over directions; masks: (J, M + 1) responsibilities; log_likelihood: (J, M) E[log p(g_j | x_m)];
    misfit: (J, M) expected squared error of an observation under a source, in units of the map's variance, mean over its present
    components (1: as the map expects).
    """

    bound: tuple[float, ...]
    shares: np.ndarray
    sources: tuple[DirectionPosterior, ...]
    masks: np.ndarray
    log_likelihood: np.ndarray
    misfit: np.ndarray


class Vessl:
    """Separates one set of observations; reusable for different numbers of sources and starts."""

    def __init__(
        self,
        acoustic_map: AcousticMap,
        observations: Observations,
        config: VesslConfig = VesslConfig(),
    ):
        self._map, self._config, self._seen = acoustic_map, config, observations
        self._clutter = acoustic_map.clutter_log_density(observations.present)
        self._tables = posterior_tables(acoustic_map)
        self._first = np.flatnonzero(
            np.diff(observations.subband, prepend=-1)
        )  # where each sub-band's observations begin

    def separate(self, log_likelihood: np.ndarray, iterations: int | None = None) -> Separation:
        """Start from (J, M) log likelihoods of M sources placed somewhere, and iterate to convergence, or so often."""
        iterations = iterations or self._config.iterations
        num_sources = log_likelihood.shape[1]
        shares, bound = np.full(num_sources + 1, 1 / (num_sources + 1)), []
        while True:
            masks = self._masks(log_likelihood, shares)
            shares = self._shares(masks)
            sources = self._locate(masks[:, 1:])
            bound.append(self._bound(masks, shares, sources))
            fits = [self._fit(source) for source in sources]
            log_likelihood = np.stack([-0.5 * (error + norm) for error, norm in fits], axis=1)
            if len(bound) == iterations or (
                len(bound) > 1 and bound[-1] - bound[-2] < self._config.tolerance
            ):
                size = np.maximum(self._seen.present.sum(axis=1, keepdims=True), 1.0)
                misfit = np.stack([error for error, _ in fits], axis=1) / size
                return Separation(tuple(bound), shares, sources, masks, log_likelihood, misfit)

    def _masks(self, log_likelihood: np.ndarray, shares: np.ndarray) -> np.ndarray:
        """E-W: (J, M + 1), rows sum to one."""
        exponent = np.concatenate([self._clutter[:, None], log_likelihood], axis=1) + np.log(
            shares
        )
        values = np.exp(exponent - exponent.max(axis=1, keepdims=True))
        return values / values.sum(axis=1, keepdims=True)

    def _shares(self, masks: np.ndarray) -> np.ndarray:
        """M: the mean mask, floored."""
        shares = np.maximum(masks.mean(axis=0), self._config.least_share)
        return shares / shares.sum()

    def _locate(self, masks: np.ndarray) -> tuple[DirectionPosterior, ...]:
        """E-XZ of the sources with the masks (J, M)."""
        weight = self._config.novelty * masks[:, None, :, None] * self._seen.present[:, None, None]
        terms = (
            weight
            * np.stack(
                [np.ones_like(self._seen.vectors), self._seen.vectors, self._seen.vectors**2],
                axis=1,
            )[:, :, None]
        )
        statistics = np.zeros((self._map.num_subbands, *terms.shape[1:]))
        if len(self._first):
            statistics[self._seen.subband[self._first]] = np.add.reduceat(
                terms, self._first, axis=0
            )
        return tuple(posteriors(self._map, self._tables, *statistics.transpose(1, 2, 0, 3)))

    def _fit(self, source: DirectionPosterior) -> tuple[np.ndarray, np.ndarray]:
        """(J,) expected squared error of every observation in units of the variance, and its log normaliser: E[log p] = -(both) / 2.

        E[(y - L u - l)^2] is quadratic in y with coefficients that depend on the sub-band alone: the pieces are averaged there.
        """
        likely = np.flatnonzero(source.log_weight > _NEGLIGIBLE)
        weight, slope, variance = (
            source.weight[likely],
            self._map.slope[:, likely],
            self._map.variance[:, likely],
        )
        predicted = (
            np.einsum('krgi,ri->krg', slope, source.mean[likely]) + self._map.offset[:, likely]
        )
        second = source.covariance[likely][:, None] @ slope.transpose(1, 0, 3, 2)
        spread = np.einsum('krgi,rkig->krg', slope, second)
        square, linear, constant, norm = (
            np.einsum('r,krg->kg', weight, term)
            for term in (
                1 / variance,
                predicted / variance,
                (predicted**2 + spread) / variance,
                np.log(2 * np.pi * variance),
            )
        )
        k, y, present = self._seen.subband, self._seen.vectors, self._seen.present
        error = (present * (square[k] * y**2 - 2 * linear[k] * y + constant[k])).sum(axis=1)
        return error, (present * norm[k]).sum(axis=1)

    def _bound(
        self, masks: np.ndarray, shares: np.ndarray, sources: tuple[DirectionPosterior, ...]
    ) -> float:
        """The evidence lower bound, maximal over q(x, z) given the masks."""
        entropy = -(masks * np.log(np.maximum(masks, 1e-300))).sum()
        assigned = masks.sum(axis=0) @ np.log(shares) + masks[:, 0] @ self._clutter
        return float(
            sum(source.log_evidence for source in sources)
            + self._config.novelty * (assigned + entropy)
        )
