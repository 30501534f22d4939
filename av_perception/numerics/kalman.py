# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Kalman filter and Rauch-Tung-Striebel smoother, batched, for real and complex Gaussians.

    x_0 ~ N(m, P),   x_t+1 = A_t x_t + N(0, Q_t),   y_t = H_t x_t + N(0, R_t)

Complex covariances are `E[(x - m)(x - m)^H]`, and a circular complex density has no factor 1/2 in
its exponent (`numerics/complex_gaussian.py`). Every array may have leading batch axes, which
broadcast; in sequences time is the first axis. The single steps are in `kalman_steps`. Sources:
Kalman, J. Basic Engineering 82, 1960; Rauch, Tung and Striebel, AIAA Journal 3(8), 1965.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from av_perception.numerics.gaussian import matvec
from av_perception.numerics.kalman_steps import (
    adjoint,
    hermitian_part,
    predict,
    update,
    update_information,
)


@dataclass(frozen=True)
class Dynamics:
    """Prior and motion. mean: (..., D) and covariance: (..., D, D) of x_0 before any measurement.

    transition: A and noise: Q, broadcast to (T - 1, ..., D, D), entry t leading from x_t to x_t+1.
    """

    mean: np.ndarray
    covariance: np.ndarray
    transition: np.ndarray
    noise: np.ndarray


@dataclass(frozen=True)
class Filtered:
    """What is known of x_t from y_0..y_t.

    means: (T, ..., D); covariances: (T, ..., D, D); predicted_means, predicted_covariances: the
    same from y_0..y_t-1; log_likelihoods: (T, ...) `log p(y_t | y_0..y_t-1)`.
    """

    means: np.ndarray
    covariances: np.ndarray
    predicted_means: np.ndarray
    predicted_covariances: np.ndarray
    log_likelihoods: np.ndarray


@dataclass(frozen=True)
class Smoothed:
    """What is known of x_t from all measurements.

    means: (T, ..., D); covariances: (T, ..., D, D); lag_one: (T - 1, ..., D, D) `Cov(x_t+1, x_t)`.
    """

    means: np.ndarray
    covariances: np.ndarray
    lag_one: np.ndarray


def kalman_filter(dynamics: Dynamics, values, observation, noise) -> Filtered:
    """Filter a sequence of measurements; the sum of its log-likelihoods is that of all of them.

    Parameters
    ----------
    dynamics
        Prior and motion of the state.
    values
        (T, ..., O) y, NaN where nothing was measured.
    observation, noise
        H and R, broadcast to (T, ..., O, D) and (T, ..., O, O).

    Returns
    -------
    Filtered
        State and prediction of every step.
    """
    matrices = _over_time(observation, len(values), values.ndim + 1)
    noises = _over_time(noise, len(values), values.ndim + 1)
    return _filter(dynamics, update, list(zip(matrices, values, noises)))


def information_filter(dynamics: Dynamics, precisions, vectors) -> Filtered:
    """Filter a sequence of evidence in the form of `update_information`.

    Parameters
    ----------
    dynamics
        Prior and motion of the state.
    precisions
        (T, ..., D, D) E.
    vectors
        (T, ..., D) e.

    Returns
    -------
    Filtered
        State and prediction of every step; log_likelihoods are the log evidences.
    """
    return _filter(dynamics, update_information, list(zip(precisions, vectors)))


def rts_smoother(dynamics: Dynamics, filtered: Filtered) -> Smoothed:
    """Smooth what a filter found, backwards in time.

    Parameters
    ----------
    dynamics
        The motion that the filter used.
    filtered
        Its result; the predicted covariances must be positive definite.

    Returns
    -------
    Smoothed
        Moments of every state and of neighbors, given everything.
    """
    count = len(filtered.means)
    transitions = _over_time(dynamics.transition, count - 1, filtered.means.ndim + 1)
    means = [filtered.means[-1]]
    covariances = [filtered.covariances[-1]]
    lag_one = []
    for t in range(count - 2, -1, -1):
        predicted = filtered.predicted_covariances[t + 1]
        # J = P A^H (A P A^H + Q)^-1
        cross = transitions[t] @ filtered.covariances[t]
        gain = adjoint(np.linalg.solve(predicted, cross))
        correction = matvec(gain, means[-1] - filtered.predicted_means[t + 1])
        shrinkage = gain @ (covariances[-1] - predicted) @ adjoint(gain)
        lag_one.append(covariances[-1] @ adjoint(gain))
        means.append(filtered.means[t] + correction)
        covariances.append(hermitian_part(filtered.covariances[t] + shrinkage))
    pairs = np.array(lag_one[::-1]).reshape(-1, *filtered.covariances.shape[1:])
    return Smoothed(np.array(means[::-1]), np.array(covariances[::-1]), pairs)


def _filter(dynamics: Dynamics, bayes, evidence: list[tuple]) -> Filtered:
    """Run the filter for any form of evidence: `bayes(mean, covariance, *evidence[t])`."""
    mean, covariance = np.asarray(dynamics.mean), np.asarray(dynamics.covariance)
    ndim = np.ndim(evidence[0][1]) + 2  # of matrices with time, by the value or vector
    transitions = _over_time(dynamics.transition, len(evidence) - 1, ndim)
    noises = _over_time(dynamics.noise, len(evidence) - 1, ndim)
    rows = []
    for t, now in enumerate(evidence):
        if t > 0:
            mean, covariance = predict(mean, covariance, transitions[t - 1], noises[t - 1])
        before = mean, covariance
        mean, covariance, log_likelihood = bayes(mean, covariance, *now)
        rows.append((mean, covariance, *before, log_likelihood))
    shapes = [np.shape(part) for part in rows[-1]]
    shapes[2:4] = shapes[:2]  # the prior of x_0 may be shared by the batch
    columns = [
        np.array([np.broadcast_to(part, shape) for part in column])
        for column, shape in zip(zip(*rows), shapes)
    ]
    return Filtered(*columns)


def _over_time(matrices: np.ndarray, count: int, ndim: int) -> np.ndarray:
    """(count, ..., D, D): the same at all times but for matrices of `ndim` axes, time first."""
    matrices = np.asarray(matrices)
    shape = matrices.shape[1:] if matrices.ndim == ndim else matrices.shape
    return np.broadcast_to(matrices, (count, *shape))
