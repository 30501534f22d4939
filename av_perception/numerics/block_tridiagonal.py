# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Gaussians over chains of states whose precision is block tridiagonal, in O(T L^3).

    log p(x_1..x_T) = sum_t (h_t' x_t - x_t' J_tt x_t / 2) - sum_t x_t' J_t,t+1 x_t+1 + constant

Block elimination forwards gives the determinant, substitution backwards the moments.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from av_perception.numerics.gaussian import matvec, symmetrize


@dataclass(frozen=True)
class ChainMoments:
    """Moments of the states of a chain.

    means: (T, L); covariances: (T, L, L); lag_one: (T - 1, L, L) `Cov(x_t, x_t+1)`;
    log_det_precision: log determinant of the whole precision.
    """

    means: np.ndarray
    covariances: np.ndarray
    lag_one: np.ndarray
    log_det_precision: float


def chain_moments(diagonal: np.ndarray, upper: np.ndarray, vector: np.ndarray) -> ChainMoments:
    """Moments from the natural parameters.

    Parameters
    ----------
    diagonal
        (T, L, L) blocks J_tt, symmetric; the whole precision is positive definite.
    upper
        (T - 1, L, L) blocks J_t,t+1.
    vector
        (T, L) h.

    Returns
    -------
    ChainMoments
        Means, covariances and the determinant.
    """
    pivots = [diagonal[0]]
    reduced = [vector[0]]
    gains = []  # -S_t^-1 J_t,t+1: the regression of x_t on x_t+1
    for t, block in enumerate(upper):
        gain = -np.linalg.solve(pivots[-1], block)
        gains.append(gain)
        pivots.append(symmetrize(diagonal[t + 1] + block.T @ gain))
        reduced.append(vector[t + 1] + gain.T @ reduced[-1])
    pivot = np.array(pivots)
    inverse = symmetrize(np.linalg.inv(pivot))
    means = [matvec(inverse[-1], reduced[-1])]
    covariances = [inverse[-1]]
    lag_one = []
    for t in range(len(upper) - 1, -1, -1):
        lag_one.append(gains[t] @ covariances[-1])
        means.append(matvec(inverse[t], reduced[t]) + matvec(gains[t], means[-1]))
        covariances.append(symmetrize(inverse[t] + lag_one[-1] @ gains[t].T))
    return ChainMoments(
        np.array(means[::-1]),
        np.array(covariances[::-1]),
        np.array(lag_one[::-1]).reshape(upper.shape),
        float(np.linalg.slogdet(pivot)[1].sum()),
    )
