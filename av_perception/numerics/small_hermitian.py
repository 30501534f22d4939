# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Inverses of many small Hermitian matrices at once, with the batch in the last axis.

`numpy.linalg` calls LAPACK once per matrix, which costs far more than the arithmetic of a matrix
of two or three rows. Here the loop runs over the rows and every statement over the whole batch.
The algorithm is Gauss-Jordan elimination in place (the sweep operator: Beaton 1964; Goodnight, The
American Statistician 33(3), 1979), which needs no pivoting for positive definite matrices.
"""

from __future__ import annotations

import numpy as np

_LEAST_PIVOT = 1e-250


def inverse_and_log_det(matrices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Invert positive definite matrices.

    Parameters
    ----------
    matrices
        (..., J, J, F) Hermitian positive definite, real or complex.

    Returns
    -------
    inverse
        (..., J, J, F).
    log_det
        (..., F) logarithm of the determinants of `matrices`.
    """
    result = matrices.copy()
    log_det = np.zeros((*matrices.shape[:-3], matrices.shape[-1]))
    for k in range(matrices.shape[-2]):
        pivot = np.maximum(result[..., k, k, :].real, _LEAST_PIVOT)
        log_det += np.log(pivot)
        row = result[..., k, :, :].copy()
        column = result[..., :, k, :] / pivot[..., None, :]
        result -= column[..., :, None, :] * row[..., None, :, :]
        result[..., k, :, :] = row / pivot[..., None, :]
        result[..., :, k, :] = -column
        result[..., k, k, :] = 1 / pivot
    return result, log_det


def product(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """(..., A, C, F) of (..., A, B, F) and (..., B, C, F)."""
    return np.einsum('...abf,...bcf->...acf', left, right)


def adjoint(matrices: np.ndarray) -> np.ndarray:
    """(..., B, A, F) conjugate transpose of (..., A, B, F)."""
    return np.conj(matrices.swapaxes(-3, -2))


def trace_of_product(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """(..., F) real part of `tr(left right)`, both (..., J, J, F)."""
    return np.einsum('...abf,...baf->...f', left, right).real
