# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Direction of one static source from any number of partly missing feature vectors.

Source: Deleforge, Forbes and Horaud 2015, section 4. All sub-bands share their pieces, so that all
features are one vector with one hidden piece r. With chi the weights of the features,

    V_r^-1 = Om_r^-1 + sum chi L' L / Sig                   per piece and sum over the features
    mu_r = V_r (Om_r^-1 nu_r + sum chi (g - l) L / Sig)
    p(u | g) = sum_r rho_r N(u; mu_r, V_r),

where n = sum chi, sum chi g and sum chi g^2 of every feature are sufficient.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from av_perception.audio.acoustic_map import AcousticMap

Tables = tuple[np.ndarray, np.ndarray, np.ndarray]

_NEAR_RAD = np.radians(30.0)
_ROWS, _COLUMNS = np.triu_indices(3)


def _unfold() -> np.ndarray:
    """(6, 9) from the upper triangle, row by row, to the flattened symmetric matrix."""
    unfold = np.zeros((6, 9))
    unfold[np.arange(6), 3 * _ROWS + _COLUMNS] = 1.0
    unfold[np.arange(6), 3 * _COLUMNS + _ROWS] = 1.0
    return unfold


_UNFOLD = _unfold()


@dataclass(frozen=True)
class DirectionPosterior:
    """A mixture over directions: p(u | g) = sum_r exp(log_weight_r) N(u; mean_r, covariance_r)."""

    #: (R,) log rho.
    log_weight: np.ndarray
    #: (R, 3) mu, in the array frame.
    mean: np.ndarray
    #: (R, 3, 3) V.
    covariance: np.ndarray
    #: Log of the integral of prior times (tempered) likelihood [nat].
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
        between = difference[:, :, None] * difference[:, None]
        return np.einsum('r,rij->ij', self.weight, self.covariance + between)


def posteriors(
    acoustic_map: AcousticMap,
    tables: Tables,
    count: np.ndarray,
    total: np.ndarray,
    square: np.ndarray,
) -> list[DirectionPosterior]:
    """Posteriors of M sources from their sufficient statistics.

    Parameters
    ----------
    acoustic_map
        The map.
    tables
        Its `posterior_tables`.
    count, total, square
        (M, K, G) sums of chi, chi g and chi g^2 per source.

    Returns
    -------
    list
        M posteriors; the prior mixture where nothing was counted.
    """
    of_count, of_sum, of_square = tables
    num_sources = len(count)
    forms = (count.reshape(num_sources, -1) @ of_count.T).reshape(num_sources, -1, 10)
    forms = forms + prior_columns(acoustic_map)[0]
    forms[..., :4] += (total.reshape(num_sources, -1) @ of_sum.T).reshape(num_sources, -1, 4)
    forms[..., 0] += square.reshape(num_sources, -1) @ of_square.T
    return [posterior_of(source) for source in forms]


def posterior_of(totals: np.ndarray) -> DirectionPosterior:
    """Posterior from quadratic forms `c - 2 u'h + u'Q u` of -2 log(prior x likelihood).

    Parameters
    ----------
    totals
        (R, 10) columns c, h, upper triangle of Q row by row, one row per piece.

    Returns
    -------
    DirectionPosterior
        The mixture.
    """
    covariance = np.linalg.inv((totals[:, 4:] @ _UNFOLD).reshape(-1, 3, 3))
    vector = totals[:, 1:4]
    mean = (covariance @ vector[..., None])[..., 0]
    log_det = np.linalg.slogdet(covariance)[1]
    log_weight = 0.5 * (log_det + (vector * mean).sum(axis=1) - totals[:, 0])
    log_evidence = float(np.logaddexp.reduce(log_weight))
    return DirectionPosterior(log_weight - log_evidence, mean, covariance, log_evidence)


def prior_columns(acoustic_map: AcousticMap) -> np.ndarray:
    """Quadratic forms of the prior.

    Parameters
    ----------
    acoustic_map
        The map.

    Returns
    -------
    np.ndarray
        (K, R, 10) columns, as of `posterior_of`, of
        `-2 log pi - log |P| + (u - nu)' P (u - nu)` with P = Om^-1.
    """
    center = np.asarray(acoustic_map.center, float)
    precision = np.asarray(acoustic_map.center_precision, float)
    log_weight = np.asarray(acoustic_map.log_weight, float)
    log_det = np.asarray(acoustic_map.center_log_det_precision, float)
    vector = (precision @ center[..., None])[..., 0]
    constant = (center * vector).sum(-1) - (2 * log_weight + log_det)
    return np.concatenate([constant[..., None], vector, precision[..., _ROWS, _COLUMNS]], axis=-1)


def posterior_tables(acoustic_map: AcousticMap) -> Tables:
    """Factors that turn the statistics of all features into the pieces' quadratic forms.

    Parameters
    ----------
    acoustic_map
        The map, whose sub-bands share their pieces, as `learn_map` makes them.

    Returns
    -------
    of_count, of_sum, of_square
        (10 R, K G), (4 R, K G), (R, K G) factors of n, sum g and sum g^2. Rows of a piece:
        sum (g - l)^2 / Sig plus log normalizer, L' Sig^-1 (g - l), upper triangle of L' Sig^-1 L.

    Raises
    ------
    ValueError
        When the sub-bands do not share their pieces.
    """
    if not (np.ptp(acoustic_map.center, axis=0) == 0).all():
        raise ValueError('the sub-bands of this acoustic map do not share their pieces')
    slope = acoustic_map.slope
    offset = acoustic_map.offset[..., None]
    precision = 1 / acoustic_map.variance[..., None]
    weighted = slope * precision
    constant = precision * offset**2 + np.log(2 * np.pi / precision)
    of_count = np.concatenate(
        [constant, -weighted * offset, weighted[..., _ROWS] * slope[..., _COLUMNS]], axis=-1
    )
    of_sum = np.concatenate([-2 * precision * offset, weighted], axis=-1)
    return _by_piece(of_count), _by_piece(of_sum), _by_piece(precision)


def _by_piece(table: np.ndarray) -> np.ndarray:
    """(K, R, G, columns) -> (R columns, K G)."""
    rows = table.shape[1] * table.shape[3]
    return np.ascontiguousarray(table.transpose(1, 3, 0, 2)).reshape(rows, -1)
