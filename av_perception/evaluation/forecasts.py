# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Figures of merit of forecasts: ADE, FDE, APD, MPJPE and how often intervals hold.

The best-of-several figures and the diversity follow the common protocol: of several forecasts the
one that came nearest counts.
"""

from __future__ import annotations

import numpy as np


def average_displacement(forecasts: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """ADE of the best forecast: (..., S, T, X) and (..., T, X) -> (...)."""
    return _distances(forecasts, truth).mean(-1).min(-1)


def final_displacement(forecasts: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """FDE of the best forecast: (..., S, T, X) and (..., T, X) -> (...)."""
    return _distances(forecasts, truth)[..., -1].min(-1)


def average_pairwise_distance(forecasts: np.ndarray) -> np.ndarray:
    """APD: mean distance of two forecasts, all their numbers in one vector.

    Parameters
    ----------
    forecasts
        (..., S, T, X); of one alone it is 0.

    Returns
    -------
    np.ndarray
        (...)
    """
    count = forecasts.shape[-3]
    if count < 2:
        return np.zeros(forecasts.shape[:-3])
    flat = forecasts.reshape(*forecasts.shape[:-2], -1)
    between = np.linalg.norm(flat[..., :, None, :] - flat[..., None, :, :], axis=-1)
    return between.sum((-1, -2)) / (count * (count - 1))


def joint_error(forecasts: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """MPJPE over time of the forecast whose ADE is best.

    Parameters
    ----------
    forecasts
        (N, S, T, 3 J) [m]
    truth
        (N, T, 3 J) [m]

    Returns
    -------
    np.ndarray
        (N, T) [m] mean distance of a joint.
    """
    best = _distances(forecasts, truth).mean(-1).argmin(-1)
    chosen = forecasts[np.arange(len(best)), best]
    joints = (chosen - truth).reshape(*truth.shape[:-1], -1, 3)
    return np.linalg.norm(joints, axis=-1).mean(-1)


def squared_deviations(means: np.ndarray, covariances: np.ndarray, truth: np.ndarray):
    """Squared Mahalanobis distances of the truth: (..., X), (..., X, X), (..., X) -> (...)."""
    error = truth - means
    return (error * np.linalg.solve(covariances, error[..., None])[..., 0]).sum(-1)


def coverage(deviations: np.ndarray, radii: np.ndarray | float) -> np.ndarray:
    """How often regions hold the truth.

    Parameters
    ----------
    deviations
        (N, H) squared Mahalanobis distances.
    radii
        (N, H) or one for all, Mahalanobis distances of the borders of the regions.

    Returns
    -------
    np.ndarray
        (H,)
    """
    return (deviations <= np.square(radii)).mean(0)


def _distances(forecasts: np.ndarray, truth: np.ndarray) -> np.ndarray:
    return np.linalg.norm(forecasts - truth[..., None, :, :], axis=-1)
