"""Small batched numerics of Gaussians, in the log domain and in float64."""

from __future__ import annotations

import numpy as np

LOG_2PI = float(np.log(2 * np.pi))


def symmetrise(matrices: np.ndarray) -> np.ndarray:
    """The symmetric part of (..., D, D) matrices: rounding must not grow into asymmetry."""
    return 0.5 * (matrices + matrices.swapaxes(-1, -2))


def congruence(outer: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """`A B A'` for (..., O, D) outer and (..., D, D) inner; symmetric up to rounding."""
    return outer @ inner @ outer.swapaxes(-1, -2)


def inverse_and_log_det(matrices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Inverse (..., D, D) and log determinant (...,) of positive definite matrices."""
    return np.linalg.inv(matrices), np.linalg.slogdet(matrices)[1]


def log_normal(residual: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """log N(residual; 0, covariance): (..., D), (..., D, D) -> (...,)."""
    precision, log_det = inverse_and_log_det(covariance)
    return -0.5 * (residual.shape[-1] * LOG_2PI + log_det + quadratic(residual, precision))


def quadratic(vectors: np.ndarray, matrices: np.ndarray) -> np.ndarray:
    """`v' A v` for (..., D) and (..., D, D)."""
    return ((vectors[..., None, :] @ matrices)[..., 0, :] * vectors).sum(-1)


def apply(matrices: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """`A v` for (..., O, D) and (..., D)."""
    return (matrices @ vectors[..., None])[..., 0]


def softmax(log_weights: np.ndarray) -> np.ndarray:
    """exp, normalised over the last axis; -inf entries become 0 (each row needs one finite entry)."""
    weights = np.exp(log_weights - log_weights.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def log_softmax(log_weights: np.ndarray) -> np.ndarray:
    """The logarithm of `softmax`, finite where log_weights are."""
    shifted = log_weights - log_weights.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def log_det_and_quadratic_3x3(matrix: np.ndarray, vector: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """log |A| and `v' A^-1 v` of many positive definite 3x3 matrices by the adjugate.

    matrix: (..., 6, B) rows xx, xy, xz, yy, yz, zz; vector: (..., 3, B); both results (..., B). Orders of magnitude faster than LAPACK
    calls for thousands of matrices; safe here because their smallest eigenvalue is at least one.
    """
    xx, xy, xz, yy, yz, zz = np.moveaxis(matrix, -2, 0)
    x, y, z = np.moveaxis(vector, -2, 0)
    minor_xx, minor_xy, minor_xz = yy * zz - yz * yz, xz * yz - xy * zz, xy * yz - xz * yy
    minor_yy, minor_yz, minor_zz = xx * zz - xz * xz, xy * xz - xx * yz, xx * yy - xy * xy
    determinant = xx * minor_xx + xy * minor_xy + xz * minor_xz
    adjugate_form = (x * (x * minor_xx + 2 * (y * minor_xy + z * minor_xz)) + y * (y * minor_yy + 2 * z * minor_yz) + z * z * minor_zz)
    return np.log(determinant), adjugate_form / determinant
