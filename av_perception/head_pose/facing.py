# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""How probable it is that a face is turned to something.

A face is turned to what lies within a cone about its forward axis. The turn of the head and the
place of the target are Gaussian: the probability is the integral of a Gaussian of two dimensions
over a disc.
"""

from __future__ import annotations

import numpy as np

_LEAST_STD = np.radians(1.0)
_NODES, _NODE_WEIGHTS = np.polynomial.legendre.leggauss(96)


def offsets_to(
    rotation: np.ndarray, directions: np.ndarray, covariance: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Angles from the forward axis of a head to N targets, and their covariances.

    Parameters
    ----------
    rotation
        (3, 3) from the head frame to the frame of the directions.
    directions
        (N, 3) from the head to the targets, of any length.
    covariance
        (3, 3) [rad^2] of a small rotation of the head about the axes of that frame.

    Returns
    -------
    offsets : np.ndarray
        (N, 2) [rad] to the person's left and up.
    covariances : np.ndarray
        (N, 2, 2) [rad^2].
    """
    forward, left, up = np.moveaxis(directions @ rotation, -1, 0)
    offsets = np.stack([np.arctan2(left, forward), np.arctan2(up, np.hypot(forward, left))], -1)
    own = rotation.T @ covariance @ rotation
    # The head turns left by omega_z and up by -omega_y.
    spread = np.array([[own[2, 2], -own[2, 1]], [-own[1, 2], own[1, 1]]])
    return offsets, np.broadcast_to(spread, (len(offsets), 2, 2))


def place_spread(
    rotation: np.ndarray, directions: np.ndarray, covariances: np.ndarray
) -> np.ndarray:
    """Covariances (N, 2, 2) [rad^2] that uncertain places add to the offsets.

    Parameters
    ----------
    rotation, directions
        See `offsets_to`, the directions in meters.
    covariances
        (N, 3, 3) [m^2] of the difference between target and head.
    """
    across = rotation[:, 1:]
    spread = across.T @ covariances @ across
    return spread / np.maximum((directions**2).sum(axis=1), 1e-6)[:, None, None]


def disc_probability(offsets: np.ndarray, covariances: np.ndarray, radius: float) -> np.ndarray:
    """Probability (N,) that a Gaussian lies within `radius` of zero.

    Parameters
    ----------
    offsets
        (N, 2) means.
    covariances
        (N, 2, 2).
    radius
        Of the disc.
    """
    from scipy.special import ndtr  # slow to import, and all nodes know the parameters

    variances, axes = np.linalg.eigh(covariances)
    narrow, wide = np.moveaxis(np.sqrt(np.maximum(variances, _LEAST_STD**2)), -1, 0)
    along = np.einsum('nij,ni->nj', axes, offsets)
    # Along the wide axis by quadrature, across it exactly.
    places = radius * np.sin(0.5 * np.pi * _NODES)
    steps = radius * 0.5 * np.pi * np.cos(0.5 * np.pi * _NODES) * _NODE_WEIGHTS
    half = np.sqrt(np.maximum(radius**2 - places**2, 0.0))
    scaled = (places - along[:, 1:]) / wide[:, None]
    density = np.exp(-0.5 * scaled**2) / (np.sqrt(2 * np.pi) * wide[:, None])
    upper = ndtr((half - along[:, :1]) / narrow[:, None])
    lower = ndtr((-half - along[:, :1]) / narrow[:, None])
    return np.clip((density * (upper - lower)) @ steps, 0.0, 1.0)
