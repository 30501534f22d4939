# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Direct-path relative transfer functions (DP-RTF) by recursive least squares on cross-relations.

Convolutive transfer function model (Li, Girin, Horaud and Gannot 2016, 2019): in one frequency bin
microphone i hears x_i(p) = sum_q a_i(q) s(p - q), so that every pair satisfies

    x_i^T a_j - x_j^T a_i = 0,    x_i = [x_i(p) .. x_i(p - Q + 1)].

The first taps a_i(0) carry the direct path; their ratios are the DP-RTF. Everything is batched
over the bins, for 2 to 16 microphones.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np


@dataclass(frozen=True)
class DpRtfConfig:
    """The least squares.

    Short memory and 6 taps served best for talkers that take turns in rooms of 0.3 to 0.5 s
    reverberation: one tap doubles the error in azimuth, 0.3 s of memory smears one talker into the
    next.
    """

    #: Q, length of the transfer functions [frames], 1..32.
    num_taps: int = 6
    #: Length of the exponential memory, hop / (1 - lambda) [s], positive.
    memory_s: float = 0.1
    #: Diagonal regularizer relative to the mean power, not negative.
    loading: float = 1e-3

    def __post_init__(self):
        if not 1 <= self.num_taps <= 32:
            raise ValueError(f'num_taps must lie in 1..32, not {self.num_taps}')
        if self.memory_s <= 0:
            raise ValueError(f'memory_s must be positive, not {self.memory_s}')
        if self.loading < 0:
            raise ValueError(f'loading must not be negative, not {self.loading}')


class CrossRelationRls:
    """Exponentially weighted least squares on the cross-relations of all pairs.

    In information form. Per bin, with the weighted correlations
    C_ij = sum_p' lambda^(p - p') conj(x_i) x_j^T (Q x Q blocks) of the stacked microphone signals,
    the cost sum_{i<j} |x_i^T a_j - x_j^T a_i|^2 is the form a^H R a with R_jj = sum_{i != j} C_ii
    and R_ji = -C_ij: the normal matrix that covariance-form recursive least squares inverts step
    by step.

    As tap q is the signal q frames ago, C_ij(q, q + d) is what C_ij(0, d) was q frames ago: the
    recursion runs over those sums alone, a sixth of all, and keeps them of the last Q frames.
    """

    def __init__(self, config: DpRtfConfig, num_bins: int, num_channels: int, hop_s: float):
        self._config = config
        self._num_channels = num_channels
        self._forgetting = np.exp(-hop_s / config.memory_s)
        taps = config.num_taps
        # Bins are the last axis, along which all of this runs.
        self._history = np.zeros((taps - 1, num_channels, num_bins), complex)
        # (slot, i, j, d, bin) -C_ij(0, d) of the last Q frames, the newest at `_newest`
        self._sums = np.zeros((taps, num_channels, num_channels, taps, num_bins), complex)
        self._newest = 0
        self._products = np.empty(self._sums.shape[1:], complex)

    def update(self, frames: np.ndarray) -> None:
        """Take consecutive spectra (frames, bins, channels) into the recursion."""
        taps = self._config.num_taps
        series = np.concatenate([self._history, frames.swapaxes(1, 2)])
        self._history = series[len(frames) :]
        for last in range(taps - 1, len(series)):
            past = series[last - taps + 1 : last + 1][::-1]  # (taps, channels, bins)
            past = past.swapaxes(0, 1)
            np.multiply(-series[last].conj()[:, None, None], past, out=self._products)
            before = self._sums[self._newest]
            self._newest = (self._newest - 1) % taps
            now = self._sums[self._newest]
            # As real numbers: NumPy would make the factor complex.
            np.multiply(before.view(float), self._forgetting, out=now.view(float))
            now += self._products

    def normal_matrix(self, bins) -> np.ndarray:
        """Build the normal matrices R of the cross-relations.

        Parameters
        ----------
        bins
            Which bins: a mask, indices or a slice.

        Returns
        -------
        np.ndarray
            (bins, I Q, I Q), rows and columns ordered microphone, tap.
        """
        taps = self._config.num_taps
        channels = self._num_channels
        lower = np.tril(self._lower_normal(bins).transpose(2, 0, 1))
        normal = lower + np.tril(lower, -1).conj().transpose(0, 2, 1)
        # Ordered tap, microphone, the last tap first
        normal = normal.reshape(-1, taps, channels, taps, channels)[:, ::-1, :, ::-1]
        return normal.transpose(0, 2, 1, 4, 3).reshape(-1, channels * taps, channels * taps)

    def _lower_normal(self, bins) -> np.ndarray:
        """(Q I, Q I, bins) normal matrices, of which the lower triangle counts.

        Ordered tap, microphone, the last tap first. The bins stay the last axis, along which all
        that follows is done.
        """
        taps = self._config.num_taps
        channels = self._num_channels
        size = channels * taps
        sums = self._sums.reshape(size * size, -1)
        # Indexing with a mask would lay the bins first.
        sums = sums.take(np.arange(sums.shape[1])[bins], axis=1)
        normal = sums.take(_normal_entries(taps, channels, self._newest), axis=0)
        blocks = normal.reshape(taps, channels, taps, channels, -1)
        total = sum(blocks[:, channel, :, channel] for channel in range(channels))
        for channel in range(channels):
            blocks[:, channel, :, channel] -= total
        return normal.reshape(size, size, -1)

    def solve(self, bins) -> tuple[np.ndarray, np.ndarray]:
        """First taps and normalized residual of the least-squares filters.

        Eliminating all but the first taps alpha leaves the cost alpha^H S alpha with S the Schur
        complement of the other taps in R. The minimum under |alpha| = 1 (eigenvector of S's least
        eigenvalue) favors no microphone, so a weak reference does no harm.

        Parameters
        ----------
        bins
            Which bins: a mask or indices.

        Returns
        -------
        taps
            (bins, channels), of unit norm.
        residual
            (bins,) in [0, 1]: remaining share of the cost of unrelated signals.
        """
        reduced, baseline = self._first_tap_cost(bins)
        values, vectors = np.linalg.eigh(reduced)
        least = np.maximum(values[:, 0], np.finfo(float).tiny)
        residual = 1 / np.maximum(baseline / least, 1.0)
        return vectors[:, :, 0], residual

    def _first_tap_cost(self, bins) -> tuple[np.ndarray, np.ndarray]:
        """S (bins, I, I) and the cost (bins,) per unit of tap energy of unrelated microphones."""
        normal = self._lower_normal(bins)
        channels = self._num_channels
        diagonal = np.einsum('kkf->kf', normal)  # a view
        baseline = diagonal[-channels:].real.mean(axis=0)
        diagonal += self._config.loading * baseline + np.finfo(float).tiny
        # As the first taps come last, their block of R = L L^H has S = L_last L_last^H.
        try:
            factor = np.linalg.cholesky(normal.transpose(2, 0, 1))
        except np.linalg.LinAlgError:  # without loading, rounding may leave R indefinite
            rows = np.abs(self.normal_matrix(bins)).sum(axis=(1, 2)) / len(normal)
            diagonal += np.finfo(float).eps * rows
            factor = np.linalg.cholesky(normal.transpose(2, 0, 1))
        last = factor[:, -channels:, -channels:]
        return last @ last.conj().transpose(0, 2, 1), baseline


@lru_cache(maxsize=64)
def _normal_entries(taps: int, channels: int, newest: int) -> np.ndarray:
    """((Q I)^2,) where each entry -C_ij(q, r) of R_ji is kept, in (slot, i, j, d) flattened.

    Rows and columns are ordered tap, microphone, the last tap first: so q <= r in the lower
    triangle. The others, whose conjugates are kept, are not told.
    """
    order = np.arange(taps)[::-1]
    row, j, column, i = np.meshgrid(order, range(channels), order, range(channels), indexing='ij')
    slot = (newest + row) % taps  # of `row` frames ago
    lag = np.maximum(column - row, 0)
    entries = (((slot * channels + i) * channels + j) * taps + lag).ravel()
    entries.flags.writeable = False
    return entries


def relative_transfer(first_taps: np.ndarray) -> np.ndarray:
    """Bounded DP-RTF of the microphones other than the reference, which is the first one.

        ct_i = c_i / sqrt(1 + |c_i|^2),    c_i = a_i(0) / a_1(0)

    Parameters
    ----------
    first_taps
        (..., channels) complex, of any scale.

    Returns
    -------
    np.ndarray
        (..., channels - 1) complex, |ct| <= 1; 0 where the reference's tap vanishes.
    """
    reference = first_taps[..., :1]
    others = first_taps[..., 1:]
    magnitude = np.abs(reference)
    phase = np.divide(reference, magnitude, out=np.zeros_like(reference), where=magnitude > 0)
    norm = np.hypot(magnitude, np.abs(others))
    return np.divide(others * phase.conj(), norm, out=np.zeros_like(others), where=norm > 0)
