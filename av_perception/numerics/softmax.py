# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Sums and ratios of exponentials that neither overflow nor vanish: the E-step of every mixture.

The largest exponent of a row is subtracted first. An exponent of -inf is a weight of zero; a row
of nothing else sums to zero, whose logarithm is -inf. NumPy alone, since SciPy's `logsumexp` costs
more than a small array takes.
"""

from __future__ import annotations

import numpy as np

_LEAST = float(np.finfo(np.float32).min)  # no exponent but -inf is smaller


def log_sum_exp(values: np.ndarray, axis: int = -1, keepdims: bool = False) -> np.ndarray:
    """Logarithm of the sum of exponentials along an axis.

    Parameters
    ----------
    values
        (..., K) exponents, finite or -inf.
    axis
        The axis that is summed over.
    keepdims
        Whether that axis stays, with size one.

    Returns
    -------
    np.ndarray
        `log sum_k exp(values_k)`, (...); -inf where all are -inf.
    """
    values = _floating(values)
    peak = _peak(values, axis)
    total = np.exp(values - peak).sum(axis=axis, keepdims=True)
    result = peak + _log(total)
    return result if keepdims else result.squeeze(axis)


def softmax(log_weights: np.ndarray) -> np.ndarray:
    """Weights in proportion to exponentials, over the last axis.

    Parameters
    ----------
    log_weights
        (..., K) exponents, finite or -inf; each row needs a finite one.

    Returns
    -------
    np.ndarray
        (..., K) rows that sum to one, 0 where the exponent is -inf. Rows without a finite exponent
        have no weights: see `normalize_log`.
    """
    log_weights = _floating(log_weights)
    weights = log_weights - log_weights.max(axis=-1, keepdims=True)
    np.exp(weights, out=weights)
    weights /= weights.sum(axis=-1, keepdims=True)
    return weights


def log_softmax(log_weights: np.ndarray) -> np.ndarray:
    """Logarithm of `softmax`, as exact for weights that would underflow.

    Parameters
    ----------
    log_weights
        (..., K) exponents, finite or -inf; each row needs a finite one.

    Returns
    -------
    np.ndarray
        (..., K) logarithms, -inf where the exponent is.
    """
    log_weights = _floating(log_weights)
    shifted = log_weights - log_weights.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def normalize_log(log_joint: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bayes' rule for a discrete variable: `p(k | x) = p(k, x) / sum_k p(k, x)`.

    Parameters
    ----------
    log_joint
        (..., K) log joint densities, finite or -inf.

    Returns
    -------
    posterior
        (..., K) rows that sum to one. What no class explains (all -inf) belongs to none: zeros.
    log_evidence
        (...) log densities of the observations, -inf where no class explains it.
    """
    log_joint = _floating(log_joint)
    peak = _peak(log_joint, -1)
    posterior = np.exp(log_joint - peak)
    total = posterior.sum(axis=-1, keepdims=True)
    log_evidence = peak + _log(total)
    posterior /= np.maximum(total, 1)  # the largest term is 1, unless there is none
    return posterior, log_evidence[..., 0]


def _floating(values: np.ndarray) -> np.ndarray:
    """As an array of floating point numbers, of the precision they have."""
    values = np.asarray(values)
    return values if values.dtype.kind == 'f' else values.astype(float)


def _peak(values: np.ndarray, axis: int) -> np.ndarray:
    """Largest along an axis, which is kept; finite even where all are -inf, to be subtracted."""
    return np.maximum(values.max(axis=axis, keepdims=True), _LEAST)


def _log(total: np.ndarray) -> np.ndarray:
    with np.errstate(divide='ignore'):  # an empty sum is -inf, which is what it should be
        return np.log(total)
