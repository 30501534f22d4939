# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Small batched numerics of Gaussians, in the log domain and in float64."""

from __future__ import annotations

import numpy as np

LOG_2PI = float(np.log(2 * np.pi))


def symmetrize(matrices: np.ndarray) -> np.ndarray:
    """The symmetric part of (..., D, D) matrices: rounding must not grow into asymmetry."""
    return 0.5 * (matrices + matrices.swapaxes(-1, -2))


def propagate_covariance(outer: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """`A B A'` for (..., O, D) outer and (..., D, D) inner; symmetric up to rounding."""
    return outer @ inner @ outer.swapaxes(-1, -2)


def inverse_and_log_det(matrices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Inverse (..., D, D) and log determinant (...,) of positive definite matrices."""
    return np.linalg.inv(matrices), np.linalg.slogdet(matrices)[1]


def log_normal(residual: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """log N(residual; 0, covariance): (..., D), (..., D, D) -> (...,)."""
    size, batch = residual.shape[-1], tuple(range(residual.ndim - 1))
    matrix = np.zeros((size + 1, size + 1, *residual.shape[:-1]))
    matrix[:size, :size] = covariance.transpose(-2, -1, *batch)
    matrix[:size, size] = matrix[size, :size] = residual.transpose(-1, *batch)
    minus_quadratic, log_det = schur_complement(matrix)
    return 0.5 * (minus_quadratic - log_det - size * LOG_2PI)


def quadratic(vectors: np.ndarray, matrices: np.ndarray) -> np.ndarray:
    """`v' A v` for (..., D) and (..., D, D)."""
    return ((vectors[..., None, :] @ matrices)[..., 0, :] * vectors).sum(-1)


def matvec(matrices: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """`A v` for (..., O, D) and (..., D)."""
    return (matrices @ vectors[..., None])[..., 0]


def limit_leading(covariance: np.ndarray, size: int, deviation: float) -> np.ndarray:
    """(N, D, D) covariances whose first `size` components have a standard deviation of at most `deviation` along any axis.

    These rows and columns are shrunk along the eigenvectors that exceed it, so positive definiteness and orientation survive.
    """
    limit = deviation**2
    suspect = np.flatnonzero(np.trace(covariance[:, :size, :size], axis1=1, axis2=2) > limit)
    if not len(suspect):
        return covariance
    values, vectors = np.linalg.eigh(covariance[suspect, :size, :size])
    scale = np.sqrt(limit / np.maximum(values, limit))
    shrink = np.tile(np.eye(covariance.shape[-1]), (len(suspect), 1, 1))
    shrink[:, :size, :size] = (vectors * scale[:, None, :]) @ vectors.swapaxes(1, 2)
    bounded = covariance.copy()
    bounded[suspect] = symmetrize(propagate_covariance(shrink, covariance[suspect]))
    return bounded


def softmax(log_weights: np.ndarray) -> np.ndarray:
    """exp, normalised over the last axis; -inf entries become 0 (each row needs one finite entry)."""
    weights = log_weights - log_weights.max(axis=-1, keepdims=True)
    np.exp(weights, out=weights)
    weights /= weights.sum(axis=-1, keepdims=True)
    return weights


def log_softmax(log_weights: np.ndarray) -> np.ndarray:
    """The logarithm of `softmax`, finite where log_weights are."""
    shifted = log_weights - log_weights.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def schur_complement(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Schur complement `c - b' A^-1 b` and log |A| of many symmetric `[A b; b' c]` with positive definite A, by Gaussian elimination.

    matrix: (D + 1, D + 1, ...); both results (...). Without LAPACK's cost per call, which counts for thousands of small matrices.
    """
    determinant = 1.0
    while len(matrix) > 1:
        pivot, column = matrix[0, 0], matrix[0, 1:]
        determinant = determinant * pivot
        matrix = matrix[1:, 1:] - column[:, None] * (column / pivot)
    return matrix[0, 0], np.log(determinant)
