# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Densities of complex vectors, as spectra of several microphones are: dense reference forms."""

from __future__ import annotations

import math

import numpy as np


def log_complex_normal(residual: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Circular complex Gaussian (Goodman, Annals of Mathematical Statistics 34(1), 1963).

        log N_c(x; m, S) = -log |pi S| - (x - m)^H S^-1 (x - m)

    Parameters
    ----------
    residual
        (..., D) x - m.
    covariance
        (..., D, D) S = E[(x - m)(x - m)^H], Hermitian positive definite.

    Returns
    -------
    np.ndarray
        (...) log density over the 2 D real numbers in x.

    Raises
    ------
    numpy.linalg.LinAlgError
        When a covariance is not positive definite.
    """
    square, log_det = _square_and_log_det(residual, covariance)
    return -square - log_det - residual.shape[-1] * math.log(math.pi)


def log_angular_central(vectors: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """Complex angular central Gaussian: the law of x / |x| for x ~ N_c(0, B).

        log A(z; B) = log (D - 1)! - log 2 - D log pi - log |B| - D log z^H B^-1 z

    It depends neither on the scale of B nor on the phase of z, and sees where a sound comes from
    but not how loud it is (Kent, J. Royal Statistical Society B 59, 1997; Ito, Araki and Nakatani,
    EUSIPCO 2016).

    Parameters
    ----------
    vectors
        (..., D) not zero; only their direction z = x / |x| counts.
    shape
        (..., D, D) B, Hermitian positive definite.

    Returns
    -------
    np.ndarray
        (...) log density over the surface of the unit sphere in C^D, of area 2 pi^D / (D - 1)!.

    Raises
    ------
    numpy.linalg.LinAlgError
        When a shape is not positive definite.
    """
    size = vectors.shape[-1]
    square, log_det = _square_and_log_det(vectors, shape)
    power = (vectors.real**2 + vectors.imag**2).sum(axis=-1)
    log_area = math.log(2) + size * math.log(math.pi) - math.lgamma(size)
    return -log_area - log_det - size * (np.log(square) - np.log(power))


def _square_and_log_det(vectors, matrices) -> tuple[np.ndarray, np.ndarray]:
    """`x^H S^-1 x` and `log |S|` by the Cholesky factor of S."""
    factor = np.linalg.cholesky(matrices)
    whitened = np.linalg.solve(factor, vectors[..., None])[..., 0]
    square = (whitened.real**2 + whitened.imag**2).sum(axis=-1)
    diagonal = np.diagonal(factor, axis1=-2, axis2=-1).real
    return square, 2 * np.log(diagonal).sum(axis=-1)
