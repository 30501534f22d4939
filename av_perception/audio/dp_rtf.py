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

    In information form: the recursion keeps, per bin, the weighted correlation
    C_ij = sum_p' lambda^(p - p') conj(x_i) x_j^T (Q x Q blocks) of the stacked microphone signals.
    The cost sum_{i<j} |x_i^T a_j - x_j^T a_i|^2 is the form a^H R a with R_jj = sum_{i != j} C_ii
    and R_ji = -C_ij: the normal matrix that covariance-form recursive least squares inverts step
    by step.
    """

    def __init__(self, config: DpRtfConfig, num_bins: int, num_channels: int, hop_s: float):
        self._config = config
        self._num_channels = num_channels
        self._forgetting = np.exp(-hop_s / config.memory_s)
        self._history = np.zeros((num_bins, num_channels, config.num_taps - 1), complex)
        size = num_channels * config.num_taps
        self._correlation = np.zeros((num_bins, size, size), complex)
        is_first = np.arange(size) % config.num_taps == 0
        self._first_taps_last = np.argsort(is_first, kind='stable')

    def update(self, frames: np.ndarray) -> None:
        """Take consecutive spectra (frames, bins, channels) into the recursion."""
        num_frames = len(frames)
        taps = self._config.num_taps
        series = np.concatenate([self._history, frames.transpose(1, 2, 0)], axis=-1)
        self._history = series[..., series.shape[-1] - taps + 1 :]
        # Newest sample first: (bins, channels, frames, taps) -> (bins, channels taps, frames)
        windows = np.lib.stride_tricks.sliding_window_view(series, taps, axis=-1)[..., ::-1]
        stacked = np.ascontiguousarray(windows.transpose(0, 1, 3, 2))
        stacked = stacked.reshape(len(series), -1, num_frames)
        weight = self._forgetting ** np.arange(num_frames - 1, -1, -1)
        self._correlation *= self._forgetting**num_frames
        self._correlation += (stacked.conj() * weight) @ stacked.transpose(0, 2, 1)

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
        blocks = self._correlation[bins].reshape(-1, channels, taps, channels, taps)
        normal = -blocks.transpose(0, 3, 2, 1, 4)
        total = np.einsum('fiqip->fqp', blocks)
        for channel in range(channels):
            normal[:, channel, :, channel] += total
        return normal.reshape(-1, channels * taps, channels * taps)

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
        normal = self.normal_matrix(bins)
        diagonal = np.einsum('fkk->fk', normal)  # a view
        baseline = diagonal[:, :: self._config.num_taps].real.mean(axis=1)
        diagonal += (self._config.loading * baseline + np.finfo(float).tiny)[:, None]
        # With the first taps last, their block of R = L L^H has S = L_last L_last^H.
        order = self._first_taps_last
        try:
            factor = np.linalg.cholesky(normal[:, order[:, None], order])
        except np.linalg.LinAlgError:  # without loading, rounding may leave R indefinite
            diagonal += np.finfo(float).eps * np.abs(normal).sum(axis=2)
            factor = np.linalg.cholesky(normal[:, order[:, None], order])
        last = factor[:, -self._num_channels :, -self._num_channels :]
        return last @ last.conj().transpose(0, 2, 1), baseline


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
