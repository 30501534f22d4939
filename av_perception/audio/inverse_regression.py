# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Direction of one static source from any number of partly missing feature vectors (Deleforge, Forbes and Horaud 2015, section 4)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from av_perception.audio.acoustic_map import AcousticMap

_NEAR_RAD = np.radians(30.0)
_ROWS, _COLUMNS = np.triu_indices(3)
_UNFOLD = np.zeros((6, 9))  # upper triangle, row by row -> flattened symmetric matrix
_UNFOLD[np.arange(6), 3 * _ROWS + _COLUMNS] = _UNFOLD[np.arange(6), 3 * _COLUMNS + _ROWS] = 1.0


@dataclass(frozen=True)
class DirectionPosterior:
    """p(u | features) = sum_r exp(log_weight_r) N(u; mean_r, covariance_r): log_weight (R,), mean (R, 3), covariance (R, 3, 3).

    log_evidence: log of the integral of prior times (tempered) likelihood [nat].
    """

    log_weight: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray
    log_evidence: float

    @property
    def weight(self) -> np.ndarray:
        """(R,) probabilities of the pieces."""
        return np.exp(self.log_weight)

    @property
    def expectation(self) -> np.ndarray:
        """(3,) E[u]."""
        return self.weight @ self.mean

    def direction(self) -> np.ndarray:
        """(3,) unit vector: the expectation over the pieces that lie near the likeliest one."""
        unit = self.mean / np.maximum(np.linalg.norm(self.mean, axis=1, keepdims=True), 1e-9)
        near = unit @ unit[self.log_weight.argmax()] > np.cos(_NEAR_RAD)
        expectation = (self.weight * near) @ self.mean
        return expectation / np.maximum(np.linalg.norm(expectation), 1e-9)

    @property
    def spread(self) -> np.ndarray:
        """(3, 3) Cov[u]: within the pieces and between them."""
        difference = self.mean - self.expectation
        return np.einsum(
            'r,rij->ij',
            self.weight,
            self.covariance + difference[:, :, None] * difference[:, None],
        )


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
        self._tables = posterior_tables(acoustic_map)
        shape = (acoustic_map.num_subbands, acoustic_map.feature_size)
        self._count, self._sum, self._square = np.zeros(shape), np.zeros(shape), np.zeros(shape)

    def add(self, vectors: np.ndarray, present: np.ndarray, subband_weight: np.ndarray) -> None:
        """Take one frame: vectors, present (K, G); subband_weight (K,) in [0, 1]."""
        weight = self._tempering * present * subband_weight[:, None]
        values = np.where(present, vectors, 0.0)
        for total, part in (
            (self._count, weight),
            (self._sum, weight * values),
            (self._square, weight * values**2),
        ):
            total *= self._forgetting
            total += part

    def posterior(self) -> DirectionPosterior:
        """The posterior mixture; the prior mixture when nothing was added."""
        return posteriors(
            self._map, self._tables, self._count[None], self._sum[None], self._square[None]
        )[0]


def posteriors(
    acoustic_map: AcousticMap, tables, count: np.ndarray, total: np.ndarray, square: np.ndarray
) -> list[DirectionPosterior]:
    """The posteriors of M sources from their (M, K, G) statistics. tables: see `posterior_tables`."""
    of_count, of_sum, of_square = tables
    num_sources = len(count)
    totals = (count.reshape(num_sources, -1) @ of_count.T).reshape(
        num_sources, -1, 10
    ) + prior_columns(acoustic_map)[0]
    totals[..., :4] += (total.reshape(num_sources, -1) @ of_sum.T).reshape(num_sources, -1, 4)
    totals[..., 0] += square.reshape(num_sources, -1) @ of_square.T
    return [posterior_of(source) for source in totals]


def posterior_of(totals: np.ndarray) -> DirectionPosterior:
    """The posterior whose pieces have the quadratic forms `c - 2 u'h + u'Q u` of -2 log(prior x likelihood).

    totals: (R, 10) columns c, h, upper triangle of Q row by row.
    """
    covariance = np.linalg.inv((totals[:, 4:] @ _UNFOLD).reshape(-1, 3, 3))
    vector = totals[:, 1:4]
    mean = (covariance @ vector[..., None])[..., 0]
    log_weight = 0.5 * (
        np.linalg.slogdet(covariance)[1] + (vector * mean).sum(axis=1) - totals[:, 0]
    )
    log_evidence = float(np.logaddexp.reduce(log_weight))
    return DirectionPosterior(log_weight - log_evidence, mean, covariance, log_evidence)


def prior_columns(acoustic_map: AcousticMap) -> np.ndarray:
    """(K, R, 10) columns, as of `posterior_of`, of `-2 log pi - log |P| + (u - center)' P (u - center)`, P the precision of a piece's directions."""
    center, precision = (
        np.asarray(acoustic_map.center, float),
        np.asarray(acoustic_map.center_precision, float),
    )
    vector = (precision @ center[..., None])[..., 0]
    normaliser = 2 * np.asarray(acoustic_map.log_weight, float) + np.asarray(
        acoustic_map.center_log_det_precision, float
    )
    constant = (center * vector).sum(-1) - normaliser
    return np.concatenate([constant[..., None], vector, precision[..., _ROWS, _COLUMNS]], axis=-1)


def posterior_tables(acoustic_map: AcousticMap) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Factors of n, sum g and sum g^2 of all features: (10 R, K G), (4 R, K G), (R, K G).

    Rows of a piece: sum (g - l)^2 / Sig plus log normaliser, L' Sig^-1 (g - l), upper triangle of L' Sig^-1 L.
    """
    slope, offset, precision = (
        acoustic_map.slope,
        acoustic_map.offset[..., None],
        1 / acoustic_map.variance[..., None],
    )
    weighted = slope * precision
    constant = precision * offset**2 + np.log(2 * np.pi / precision)
    of_count = np.concatenate(
        [constant, -weighted * offset, weighted[..., _ROWS] * slope[..., _COLUMNS]], axis=-1
    )
    of_sum = np.concatenate([-2 * precision * offset, weighted], axis=-1)

    def by_piece(table: np.ndarray) -> np.ndarray:  # (K, R, G, columns) -> (R columns, K G)
        return np.ascontiguousarray(table.transpose(1, 3, 0, 2)).reshape(
            table.shape[1] * table.shape[3], -1
        )

    return by_piece(of_count), by_piece(of_sum), by_piece(precision)
