# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Small batched numerics of Gaussians, in the log domain and in float64."""

from __future__ import annotations

import numpy as np

LOG_2PI = float(np.log(2 * np.pi))


def symmetrize(matrices: np.ndarray) -> np.ndarray:
    """Return the symmetric part of (..., D, D): rounding must not grow into asymmetry."""
    return 0.5 * (matrices + matrices.swapaxes(-1, -2))


def propagate_covariance(outer: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """Return `A B A'` of (..., O, D) outer and (..., D, D) inner, symmetric up to rounding."""
    return outer @ inner @ outer.swapaxes(-1, -2)


def inverse_and_log_det(matrices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return inverse (..., D, D) and log determinant (...,) of positive definite matrices."""
    return np.linalg.inv(matrices), np.linalg.slogdet(matrices)[1]


def log_normal(residual: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Evaluate log N(residual; 0, covariance): (..., D), (..., D, D) -> (...,)."""
    size = residual.shape[-1]
    batch = tuple(range(residual.ndim - 1))
    matrix = np.zeros((size + 1, size + 1, *residual.shape[:-1]))
    matrix[:size, :size] = covariance.transpose(-2, -1, *batch)
    matrix[:size, size] = matrix[size, :size] = residual.transpose(-1, *batch)
    minus_quadratic, log_det = schur_complement(matrix)
    return 0.5 * (minus_quadratic - log_det - size * LOG_2PI)


def quadratic(vectors: np.ndarray, matrices: np.ndarray) -> np.ndarray:
    """Return `v' A v` of (..., D) and (..., D, D)."""
    return ((vectors[..., None, :] @ matrices)[..., 0, :] * vectors).sum(-1)


def matvec(matrices: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Return `A v` of (..., O, D) and (..., D)."""
    return (matrices @ vectors[..., None])[..., 0]


def limit_leading(covariance: np.ndarray, size: int, max_std: float) -> np.ndarray:
    """Bound the standard deviation of the leading components along any axis.

    These rows and columns are shrunk along the eigenvectors that exceed the bound, so positive
    definiteness and orientation survive.

    Parameters
    ----------
    covariance
        (N, D, D).
    size
        How many components lead.
    max_std
        The bound.
    """
    limit = max_std**2
    trace = covariance.diagonal(axis1=1, axis2=2)[:, :size].sum(1)
    suspect = (trace > limit).nonzero()[0]
    if not len(suspect):
        return covariance
    values, vectors = np.linalg.eigh(covariance[suspect, :size, :size])
    scale = np.sqrt(limit / np.maximum(values, limit))
    shrink = np.tile(np.eye(covariance.shape[-1]), (len(suspect), 1, 1))
    shrink[:, :size, :size] = (vectors * scale[:, None, :]) @ vectors.swapaxes(1, 2)
    bounded = covariance.copy()
    bounded[suspect] = symmetrize(propagate_covariance(shrink, covariance[suspect]))
    return bounded


def schur_complement(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eliminate all but the last row of many symmetric `[A b; b' c]` with positive definite A.

    By Gaussian elimination, without LAPACK's cost per call, which counts for thousands of small
    matrices.

    Parameters
    ----------
    matrix
        (D + 1, D + 1, ...).

    Returns
    -------
    tuple of np.ndarray
        `c - b' A^-1 b` and log |A|, both (...).
    """
    determinant = 1.0
    while len(matrix) > 1:
        pivot = matrix[0, 0]
        column = matrix[0, 1:]
        determinant = determinant * pivot
        matrix = matrix[1:, 1:] - column[:, None] * (column / pivot)
    return matrix[0, 0], np.log(determinant)
