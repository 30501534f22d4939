# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""VESSL: several sources at once, each with a mask over time and frequency.

Source: Deleforge, Forbes and Horaud 2015, section 5. Every sub-band of every frame is dominated by
one source or is clutter (W-disjoint orthogonality). Variational EM alternates

    E-W    log q_jm = log lambda_m + E[log p(g_j | x_m)]     m = 1..M, m = 0: clutter, uniform
    E-XZ   q(x_m, z_m) = inverse regression with the weights chi q_jm, one per source
    M      lambda_m proportional to sum_j q_jm

over the observations j = 1..J. chi < 1 is the share of an observation that is news: neighboring
bins and frames repeat each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from av_perception.audio.acoustic_map import AcousticMap
from av_perception.audio.inverse_regression import (
    DirectionPosterior,
    posterior_tables,
    posteriors,
)
from av_perception.interfaces import AudioFeatures
from av_perception.numerics.em import gain_below, run_em
from av_perception.numerics.softmax import softmax

_NEGLIGIBLE = -30.0  # log weight of a piece that no sum notices


@dataclass(frozen=True)
class VesslConfig:
    """The variational EM."""

    #: chi, in (0, 1].
    novelty: float = 0.2
    #: At most so many iterations.
    iterations: int = 60
    #: Stop when the bound grows by less [nat].
    tolerance: float = 0.2
    #: Floor of lambda, in (0, 0.1).
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
    """The valid sub-bands of all frames, ordered by sub-band."""

    #: (J,) index of the frame.
    frame: np.ndarray
    #: (J,) index of the sub-band.
    subband: np.ndarray
    #: (J, G) features, 0 where not present.
    vectors: np.ndarray
    #: (J, G), 1 or 0.
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
        """Select some of them; indices in ascending order."""
        return Observations(
            self.frame[index], self.subband[index], self.vectors[index], self.present[index]
        )


@dataclass(frozen=True)
class Separation:
    """What VESSL found, M sources in J observations."""

    #: Lower bound of the log evidence after every iteration [nat].
    bound: tuple[float, ...]
    #: (M + 1,) lambda, clutter first.
    shares: np.ndarray
    #: M posteriors over directions.
    sources: tuple[DirectionPosterior, ...]
    #: (J, M + 1) responsibilities, clutter first.
    masks: np.ndarray
    #: (J, M) E[log p(g_j | x_m)].
    log_likelihood: np.ndarray
    #: (J, M) expected squared error of an observation under a source, in units of the map's
    #: variance, mean over its present components; 1: as the map expects.
    misfit: np.ndarray


@dataclass(frozen=True)
class _Start:
    """What an iteration starts with: (J, M) E[log p(g_j | x_m)] and (M + 1,) lambda."""

    log_likelihood: np.ndarray
    shares: np.ndarray


@dataclass(frozen=True)
class _Round:
    """All that one iteration computes; fields as of `Separation`, error not yet a mean."""

    masks: np.ndarray
    shares: np.ndarray
    sources: tuple[DirectionPosterior, ...]
    log_likelihood: np.ndarray
    error: np.ndarray


class Vessl:
    """Separates one set of observations; reusable for different numbers of sources and starts.

    Raises ValueError for a map whose sub-bands do not share their pieces.
    """

    def __init__(
        self,
        acoustic_map: AcousticMap,
        observations: Observations,
        config: VesslConfig | None = None,
    ):
        self._map = acoustic_map
        self._config = config or VesslConfig()
        self._seen = observations
        self._clutter = acoustic_map.clutter_log_density(observations.present)
        self._tables = posterior_tables(acoustic_map)
        # where each sub-band's observations begin
        self._first = np.flatnonzero(np.diff(observations.subband, prepend=-1))

    def separate(self, log_likelihood: np.ndarray, iterations: int | None = None) -> Separation:
        """Iterate from sources placed somewhere.

        Parameters
        ----------
        log_likelihood
            (J, M) log likelihoods of the observations under M sources.
        iterations
            How many at most; None: until convergence, as the configuration has it.

        Returns
        -------
        Separation
            The last iteration.
        """
        num_classes = log_likelihood.shape[1] + 1
        run = run_em(
            _Start(log_likelihood, np.full(num_classes, 1 / num_classes)),
            self._iterate,
            lambda last, _: _Start(last.log_likelihood, last.shares),
            gain_below(self._config.tolerance),
            iterations or self._config.iterations,
        )
        last = run.expectation
        size = np.maximum(self._seen.present.sum(axis=1, keepdims=True), 1.0)
        return Separation(
            bound=run.history,
            shares=last.shares,
            sources=last.sources,
            masks=last.masks,
            log_likelihood=last.log_likelihood,
            misfit=last.error / size,
        )

    def _iterate(self, start: _Start) -> tuple[float, _Round]:
        """Run E-W, M and E-XZ once; returns the bound and what they give."""
        masks = self._masks(start)
        shares = self._shares(masks)
        sources = self._locate(masks[:, 1:])
        fits = [self._fit(source) for source in sources]
        log_likelihood = np.stack([-0.5 * (error + norm) for error, norm in fits], axis=1)
        error = np.stack([error for error, _ in fits], axis=1)
        bound = self._bound(masks, shares, sources)
        return bound, _Round(masks, shares, sources, log_likelihood, error)

    def _masks(self, start: _Start) -> np.ndarray:
        """E-W: (J, M + 1), rows sum to one."""
        everything = np.concatenate([self._clutter[:, None], start.log_likelihood], axis=1)
        return softmax(everything + np.log(start.shares))

    def _shares(self, masks: np.ndarray) -> np.ndarray:
        """M: the mean mask, floored."""
        shares = np.maximum(masks.mean(axis=0), self._config.least_share)
        return shares / shares.sum()

    def _locate(self, masks: np.ndarray) -> tuple[DirectionPosterior, ...]:
        """E-XZ of the sources with the masks (J, M)."""
        seen = self._seen
        weight = self._config.novelty * masks[:, None, :, None] * seen.present[:, None, None]
        powers = np.stack([np.ones_like(seen.vectors), seen.vectors, seen.vectors**2], axis=1)
        terms = weight * powers[:, :, None]  # (J, 3, M, G)
        statistics = np.zeros((self._map.num_subbands, *terms.shape[1:]))
        if len(self._first):
            sums = np.add.reduceat(terms, self._first, axis=0)
            statistics[seen.subband[self._first]] = sums
        count, total, square = statistics.transpose(1, 2, 0, 3)
        return tuple(posteriors(self._map, self._tables, count, total, square))

    def _fit(self, source: DirectionPosterior) -> tuple[np.ndarray, np.ndarray]:
        """How well a source explains the observations: E[log p] = -(error + norm) / 2.

        E[(y - L u - l)^2] is quadratic in y with coefficients that depend on the sub-band alone:
        the pieces are averaged there. Returns (J,) expected squared errors in units of the
        variance and (J,) log normalizers.
        """
        likely = np.flatnonzero(source.log_weight > _NEGLIGIBLE)
        weight = source.weight[likely]
        mean = source.mean[likely]
        slope = self._map.slope[:, likely]
        variance = self._map.variance[:, likely]
        predicted = np.einsum('krgi,ri->krg', slope, mean) + self._map.offset[:, likely]
        second = source.covariance[likely][:, None] @ slope.transpose(1, 0, 3, 2)
        spread = np.einsum('krgi,rkig->krg', slope, second)

        def average(term: np.ndarray) -> np.ndarray:
            return np.einsum('r,krg->kg', weight, term)

        square = average(1 / variance)
        linear = average(predicted / variance)
        constant = average((predicted**2 + spread) / variance)
        norm = average(np.log(2 * np.pi * variance))
        k, y, present = self._seen.subband, self._seen.vectors, self._seen.present
        error = (present * (square[k] * y**2 - 2 * linear[k] * y + constant[k])).sum(axis=1)
        return error, (present * norm[k]).sum(axis=1)

    def _bound(
        self, masks: np.ndarray, shares: np.ndarray, sources: tuple[DirectionPosterior, ...]
    ) -> float:
        """Evidence lower bound [nat], maximal over q(x, z) given the masks."""
        entropy = -(masks * np.log(np.maximum(masks, 1e-300))).sum()
        assigned = masks.sum(axis=0) @ np.log(shares) + masks[:, 0] @ self._clutter
        evidence = sum(source.log_evidence for source in sources)
        return float(evidence + self._config.novelty * (assigned + entropy))
