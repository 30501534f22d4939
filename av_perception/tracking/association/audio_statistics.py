# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The acoustic map, arranged so that one matrix product per frame scores every sub-band, piece and person.

A sub-band's feature vector given the direction u and the piece r is `g = L_r u + l_r + e`, e ~ N(0, Sigma_r) with diagonal Sigma_r. Only
components that are present count. Everything the inference needs is quadratic in u:

    sum_g w (g - L u - l)^2 = c - 2 u'h + u'Q u,   w = present / variance,   Q = L' w L,   h = L' w (g - l),   c = (g - l)' w (g - l).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from av_perception.audio.inverse_regression import prior_columns
from av_perception.interfaces import AudioFeatures
from av_perception.numerics.gaussian import LOG_2PI

# Columns of the statistics of one (sub-band, piece): c plus the log determinant, h, upper triangle of Q row by row.
NUM_COLUMNS = 10
VECTOR, MATRIX = slice(1, 4), slice(4, NUM_COLUMNS)
_ROWS, _COLUMNS = np.triu_indices(3)
# (9, 6): a flattened symmetric matrix is `_FOLD @ triangle`, and `trace(A Q) = A.ravel() @ _FOLD @ triangle of Q`.
_FOLD = np.zeros((9, 6))
_FOLD[3 * _ROWS + _COLUMNS, np.arange(6)] = _FOLD[3 * _COLUMNS + _ROWS, np.arange(6)] = 1.0


@dataclass(frozen=True)
class AudioEvidence:
    """Statistics of the usable sub-bands of one frame, already tempered.

    statistics: (K, R, 10), columns as above with the Gaussian's normaliser added to c; piece_prior: (K, R, 10) columns of the quadratic
    form of `-2 log(pi_kr N(u; center_kr, Omega_kr))`; log_clutter: (K,) log density of sound of nobody; loudness: (K,) shares, sum one.
    """

    statistics: np.ndarray
    piece_prior: np.ndarray
    log_clutter: np.ndarray
    loudness: np.ndarray


class AudioStatistics:
    """Per-map constants. acoustic_map: an AcousticMap (K sub-bands, R pieces, G components); tempering: 0 < s <= 1, multiplies the
    audio log likelihood and the clutter term alike, because neighbouring components are not independent.
    """

    def __init__(self, acoustic_map, tempering: float):
        self.num_subbands, self._num_pieces, self.feature_size = acoustic_map.offset.shape
        self._tempering = tempering
        self._log_range = np.asarray(acoustic_map.log_range, float)
        self._coefficients = self._likelihood_coefficients(acoustic_map)
        self._complete = self._coefficients[0].sum(axis=1)
        self._piece_prior = prior_columns(acoustic_map)

    def _likelihood_coefficients(self, acoustic_map) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Factors of present, present * g and present * g^2: (K, G, 10 R), (K, G, 4 R), (K, G, R)."""
        slope, offset = (
            np.asarray(acoustic_map.slope, float),
            np.asarray(acoustic_map.offset, float),
        )
        weight = self._tempering / np.asarray(acoustic_map.variance, float)
        constant = (
            weight * offset**2
            + self._tempering * LOG_2PI
            - self._tempering * np.log(weight / self._tempering)
        )
        vector = weight[..., None] * slope
        matrix = vector[..., _ROWS] * slope[..., _COLUMNS]
        alone = np.concatenate([constant[..., None], -vector * offset[..., None], matrix], axis=-1)
        with_feature = np.concatenate([-2 * (weight * offset)[..., None], vector], axis=-1)
        return tuple(
            self._by_component(columns) for columns in (alone, with_feature, weight[..., None])
        )

    def _by_component(self, columns: np.ndarray) -> np.ndarray:
        """(K, R, G, columns) -> contiguous (K, G, R * columns)."""
        return np.ascontiguousarray(columns.swapaxes(1, 2)).reshape(
            self.num_subbands, self.feature_size, -1
        )

    def _of_presence(self, present: np.ndarray) -> np.ndarray:
        """(K, R, 10) what depends on the presence (K, G) of the components only; prepared for sub-bands in which all are present."""
        statistics, partial = self._complete.copy(), np.flatnonzero(~present.all(axis=1))
        if len(partial):
            statistics[partial] = (present[partial, None, :] @ self._coefficients[0][partial])[
                :, 0
            ]
        return statistics.reshape(self.num_subbands, self._num_pieces, -1)

    def evidence(self, features: AudioFeatures) -> AudioEvidence:
        """The statistics of the valid sub-bands (at least one must be valid)."""
        present = (features.present & features.valid[:, None]).astype(float)
        vectors = np.where(present > 0, features.vectors, 0.0)
        statistics = self._of_presence(present)
        linear, square = (
            (factor[:, None, :] @ table).reshape(self.num_subbands, self._num_pieces, -1)
            for factor, table in zip((vectors, vectors * vectors), self._coefficients[1:])
        )
        statistics[..., :4] += linear
        statistics[..., :1] += square
        used = np.flatnonzero(features.valid & present.any(axis=1))
        all_used = len(used) == self.num_subbands
        columns, prior = (
            (statistics, self._piece_prior)
            if all_used
            else (statistics[used], self._piece_prior[used])
        )
        # Loudness (Stevens' power law), not power: otherwise the lowest sub-band alone would decide who speaks.
        loudness = np.maximum(features.energy[used], 1e-12) ** 0.3
        log_clutter = -self._tempering * (present[used] @ self._log_range)
        return AudioEvidence(columns, prior, log_clutter, loudness / loudness.sum())


def quadratic_factors(direction: np.ndarray, spread: np.ndarray | None = None) -> np.ndarray:
    """(N, 10) factors that turn statistics into the expected quadratic form: `[1, -2 E[u], E[u u']]`.

    direction: (N, 3) means of u; spread: (N, 3, 3) covariances (None: u is exact).
    """
    second = direction[:, :, None] * direction[:, None, :]
    if spread is not None:
        second += spread
    factors = np.empty((len(direction), NUM_COLUMNS))
    factors[:, 0] = 1.0
    factors[:, VECTOR] = -2 * direction
    factors[:, MATRIX] = second.reshape(-1, 9) @ _FOLD
    return factors


def bilinear_factors(vectors: np.ndarray) -> np.ndarray:
    """(N, V, V, 10) factors that turn statistics into the forms `v_i' [Q -h; -h' c] v_j`: (N, V, 4) homogeneous vectors v.

    The form of (u, 1) with itself is the quadratic form in u.
    """
    products = vectors[:, :, None, :, None] * vectors[:, None, :, None, :]
    factors = np.empty((*products.shape[:3], NUM_COLUMNS))
    factors[..., 0] = products[..., 3, 3]
    factors[..., VECTOR] = -(products[..., :3, 3] + products[..., 3, :3])
    factors[..., MATRIX] = products[..., :3, :3].reshape(*products.shape[:3], 9) @ _FOLD
    return factors


def matrix_of(statistics: np.ndarray) -> np.ndarray:
    """(N, 10) statistics -> (N, 3, 3) Q."""
    return (statistics[:, MATRIX] @ _FOLD.T).reshape(-1, 3, 3)
