# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Wiener filters: the expected spectrum of a source in a mixture of complex Gaussians.

With one microphone a source of variance v_j gets the share v_j / sum v; with several, a source
with spatial covariance R_j gets `R_j (sum R)^-1 x` (Duong, Vincent and Gribonval,
"Under-determined reverberant audio source separation using a full-rank spatial covariance model",
IEEE Trans. ASLP 18(7), 2010).
"""

from __future__ import annotations

import numpy as np


def wiener_gains(variances: np.ndarray) -> np.ndarray:
    """Gain of every source for one microphone.

    Parameters
    ----------
    variances
        (J, ...) powers of J sources, not negative.

    Returns
    -------
    np.ndarray
        (J, ...) in [0, 1], with sum one, so that the sources add up to the mixture; 1 / J where
        all are zero.
    """
    total = variances.sum(axis=0)
    silent = total <= 0
    return np.where(silent, 1 / len(variances), variances / np.where(silent, 1.0, total))


def rank_one_filter(
    steering: np.ndarray, variance: np.ndarray, noise_covariance: np.ndarray
) -> np.ndarray:
    """Filter of a source that reaches I microphones by `x = a s + b`: `s = w^H x` in the mean.

        w = v R^-1 a / (1 + v a^H R^-1 a)

    Parameters
    ----------
    steering
        (..., I) a.
    variance
        (...) v of s, not negative.
    noise_covariance
        (..., I, I) R of b, Hermitian positive definite.

    Returns
    -------
    np.ndarray
        (..., I) w. Its error has the variance `v (1 - w^H a)`.
    """
    whitened = np.linalg.solve(noise_covariance, steering[..., None])[..., 0]
    # a^H R^-1 a is real
    gain = (np.conj(steering) * whitened).sum(axis=-1).real
    return (variance / (1 + variance * gain))[..., None] * whitened


def multichannel_filters(covariances: np.ndarray) -> np.ndarray:
    """Multichannel filters of J sources of any rank: image j is `G_j x` in the mean.

        G_j = R_j (sum_i R_i)^-1

    Parameters
    ----------
    covariances
        (J, ..., I, I) R_j of what each source gives the I microphones (noise is one of them),
        Hermitian, with a positive definite sum.

    Returns
    -------
    np.ndarray
        (J, ..., I, I) G_j, which sum to the identity, so that the images add up to the mixture.
    """
    total = covariances.sum(axis=0)
    # R and its inverse are Hermitian: R_j T^-1 = (T^-1 R_j)^H
    solved = np.linalg.solve(total[None], covariances)
    return np.conj(solved).swapaxes(-1, -2)
