# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What a tracker knows of walks: places from a stereo head's faces, filtered as ours filters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from av_perception.numerics.kalman import Dynamics, kalman_filter

_ACCELERATION = 1.0  # [m^2/s^3] spectral density that the tracker assumes


@dataclass(frozen=True)
class WalkTracks:
    """Tracks of N people at T moments."""

    #: (T,) [s]
    times_s: np.ndarray
    #: (T, N, 3) [m], NaN for who is away
    positions: np.ndarray
    #: (T, N, 3, 3) [m^2]
    covariances: np.ndarray
    #: (T, N, 3) [m] where they really are
    truth: np.ndarray


def measured(
    truth: np.ndarray, random: np.random.Generator, noise: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Measure heads (..., 3) as a stereo head does: depth is worse, and worse far away.

    Parameters
    ----------
    truth
        (..., 3) [m]
    random
        Source of the errors.
    noise
        Factor of all errors.

    Returns
    -------
    tuple of np.ndarray
        Places (..., 3) [m] and their covariances (..., 3, 3) [m^2].
    """
    distance = np.linalg.norm(truth, axis=-1, keepdims=True)
    ray = truth / np.maximum(distance, 0.3)
    across = noise * (0.008 + 0.004 * distance)
    along = noise * (0.01 + 0.008 * distance**2)
    outer = ray[..., :, None] * ray[..., None, :]
    flat = across[..., None] ** 2 * np.eye(3)
    covariances = flat + (along**2 - across**2)[..., None] * outer
    error = across * random.standard_normal(truth.shape)
    deeper = np.sqrt(np.maximum(along**2 - across**2, 0.0))
    error = error + deeper * ray * random.standard_normal(distance.shape)
    return truth + error, covariances


def track_walks(truth: np.ndarray, rate: float, seed: int, noise: float = 1.0) -> WalkTracks:
    """Track heads (T, N, 3) [m] seen at a rate [Hz]; NaN for who is away.

    noise: factor of the errors of the sensor.
    """
    random = np.random.default_rng([seed, 11])
    places, spreads = measured(truth, random, noise)
    count, people = truth.shape[:2]
    is_here = np.isfinite(truth).all(-1)
    step = 1.0 / rate
    motion = np.eye(6)
    motion[:3, 3:] = step * np.eye(3)
    push = np.array([[step**3 / 3, step**2 / 2], [step**2 / 2, step]]) * _ACCELERATION
    positions = np.full_like(truth, np.nan)
    covariances = np.full((count, people, 3, 3), np.nan)
    for person in range(people):
        for first, last in _stretches(is_here[:, person]):
            start = np.concatenate([places[first, person], np.zeros(3)])
            spread = np.diag([4.0, 4.0, 4.0, 1.0, 1.0, 0.1])
            dynamics = Dynamics(start, spread, motion, np.kron(push, np.eye(3)))
            state = kalman_filter(
                dynamics, places[first:last, person], np.eye(3, 6), spreads[first:last, person]
            )
            positions[first:last, person] = state.means[:, :3]
            covariances[first:last, person] = state.covariances[:, :3, :3]
    return WalkTracks(np.arange(count) * step, positions, covariances, truth)


def _stretches(is_here: np.ndarray) -> list[tuple[int, int]]:
    """First and last (not included) moment of every stretch in which somebody is here."""
    edges = np.flatnonzero(np.diff(is_here.astype(int), prepend=0, append=0))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist()))
