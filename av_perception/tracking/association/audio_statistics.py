# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The acoustic map, arranged so that one matrix product per frame scores all sub-bands.

A sub-band's feature vector given the direction u and the piece r is `g = L_r u + l_r + e`,
e ~ N(0, Sigma_r) with diagonal Sigma_r (T3 of docs/tracker_equations.md). Only components that are
present count. Everything the inference needs is quadratic in u:

    sum_g w (g - L u - l)^2 = c - 2 u'h + u'Q u,   w = present / variance,
    Q = L' w L,   h = L' w (g - l),   c = (g - l)' w (g - l).

Sizes: K sub-bands, R pieces, G components, N tracks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from av_perception.audio.inverse_regression import prior_columns
from av_perception.interfaces import AudioFeatures
from av_perception.numerics.gaussian import LOG_2PI

_LEAST_ENERGY = 1e-12
_LOUDNESS_EXPONENT = 0.3  # of the power, by Stevens' law

# Columns of the statistics of one (sub-band, piece): c plus the log determinant, h, upper triangle
# of Q row by row.
NUM_COLUMNS = 10
VECTOR, MATRIX = slice(1, 4), slice(4, NUM_COLUMNS)
_ROWS, _COLUMNS = np.triu_indices(3)
# (9, 6): a flattened symmetric matrix is `_FOLD @ triangle`, and
# `trace(A Q) = A.ravel() @ _FOLD @ triangle of Q`.
_FOLD = np.zeros((9, 6))
_FOLD[3 * _ROWS + _COLUMNS, np.arange(6)] = 1.0
_FOLD[3 * _COLUMNS + _ROWS, np.arange(6)] = 1.0


@dataclass(frozen=True)
class AudioEvidence:
    """Statistics of the K usable sub-bands of one frame, already tempered.

    statistics: (K, R, 10), columns as above with the Gaussian's normalizer added to c;
    piece_prior: (K, R, 10) columns of the quadratic form of
    `-2 log(pi_kr N(u; center_kr, Omega_kr))`; log_clutter: (K,) log density of clutter;
    loudness: (K,) shares of the loudness, sum one.
    """

    statistics: np.ndarray
    piece_prior: np.ndarray
    log_clutter: np.ndarray
    loudness: np.ndarray


class AudioStatistics:
    """The constants of an acoustic map.

    Parameters
    ----------
    acoustic_map
        An AcousticMap.
    tempering
        0 < s <= 1, multiplies the audio log likelihood and the clutter term alike, because
        neighboring components are not independent.
    """

    def __init__(self, acoustic_map, tempering: float):
        self.num_subbands, self._num_pieces, self.feature_size = acoustic_map.offset.shape
        self._tempering = tempering
        self._log_range = np.asarray(acoustic_map.log_range, float)
        # Factors of present, present * g and present * g^2: (K, G, 10 R), (K, G, 4 R), (K, G, R).
        alone, with_feature, with_square = self._likelihood_columns(acoustic_map)
        self._of_present = self._by_component(alone)
        self._of_feature = self._by_component(with_feature)
        self._of_square = self._by_component(with_square)
        self._complete = self._of_present.sum(axis=1)
        # The same for all components of a bin at once, (K, bins, 10 R).
        self._components = self._layout(acoustic_map.num_microphones - 1)
        by_component = self._of_present.reshape(*self._components, -1)
        self._of_bins = np.ascontiguousarray(by_component.sum(axis=(1, 3)))
        self._piece_prior = prior_columns(acoustic_map)

    def _likelihood_columns(self, acoustic_map) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(K, R, G, columns) what a component adds: alone, times g, times g^2."""
        slope = np.asarray(acoustic_map.slope, float)
        offset = np.asarray(acoustic_map.offset, float)
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
        return alone, with_feature, weight[..., None]

    def _by_component(self, columns: np.ndarray) -> np.ndarray:
        """(K, R, G, columns) -> contiguous (K, G, R * columns)."""
        by_component = np.ascontiguousarray(columns.swapaxes(1, 2))
        return by_component.reshape(self.num_subbands, self.feature_size, -1)

    def _layout(self, num_others: int) -> tuple[int, int, int, int]:
        """(K, 2, bins, microphones but one): real and imaginary parts, as `subband_vectors` does.

        Of features that are none of bins, each is taken for a bin of its own.
        """
        if self.feature_size % (2 * num_others):
            return self.num_subbands, 1, self.feature_size, 1
        return self.num_subbands, 2, self.feature_size // (2 * num_others), num_others

    def _sum_of_present(self, present: np.ndarray) -> np.ndarray:
        """(K, R, 10) what depends on the presence (K, G) of the components only.

        Prepared for sub-bands in which all are present.
        """
        whole = present.all(axis=1, keepdims=True)
        if np.all(whole):
            return self._complete.reshape(self.num_subbands, self._num_pieces, -1).copy()
        # All of them: picking those out of the table takes longer than the product, whose time is
        # that of reading the table.
        table = self._of_present
        by_component = present.reshape(self._components)
        by_bin = by_component[:, 0, :, 0]
        # Bins are present or not as a whole, unless a microphone is dead.
        if (by_component == by_bin[:, None, :, None]).all():
            present = by_bin
            table = self._of_bins
        sums = (present[:, None, :] @ table)[:, 0]
        statistics = np.where(whole, self._complete, sums)
        return statistics.reshape(self.num_subbands, self._num_pieces, -1)

    def evidence(self, features: AudioFeatures) -> AudioEvidence:
        """Sum up the valid sub-bands of one frame.

        Parameters
        ----------
        features
            Of one analysis window; at least one sub-band must be valid.

        Returns
        -------
        AudioEvidence
            Of the valid sub-bands, in their order.
        """
        present = (features.present & features.valid[:, None]).astype(float)
        vectors = np.where(present > 0, features.vectors, 0.0)
        shape = (self.num_subbands, self._num_pieces, -1)
        statistics = self._sum_of_present(present)
        statistics[..., :4] += (vectors[:, None, :] @ self._of_feature).reshape(shape)
        squares = vectors * vectors
        statistics[..., :1] += (squares[:, None, :] @ self._of_square).reshape(shape)
        piece_prior = self._piece_prior
        used = np.flatnonzero(features.valid & present.any(axis=1))
        if len(used) < self.num_subbands:
            statistics = statistics[used]
            piece_prior = piece_prior[used]
        # Loudness, not power: otherwise the lowest sub-band alone would decide who speaks.
        loudness = np.maximum(features.energy[used], _LEAST_ENERGY) ** _LOUDNESS_EXPONENT
        log_clutter = -self._tempering * (present[used] @ self._log_range)
        return AudioEvidence(statistics, piece_prior, log_clutter, loudness / loudness.sum())


def quadratic_factors(direction: np.ndarray, spread: np.ndarray | None = None) -> np.ndarray:
    """Turn directions into factors of the statistics, `[1, -2 E[u], E[u u']]`.

    Parameters
    ----------
    direction
        (N, 3) means of u.
    spread
        (N, 3, 3) covariances; None: u is exact.

    Returns
    -------
    np.ndarray
        (N, 10): statistics times factors is the expected quadratic form.
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
    """Turn homogeneous vectors into factors of the statistics.

    Parameters
    ----------
    vectors
        (N, V, 4) homogeneous vectors v.

    Returns
    -------
    np.ndarray
        (N, V, V, 10): statistics times factors are the forms `v_i' [Q -h; -h' c] v_j`. That of
        (u, 1) with itself is the quadratic form in u.
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
