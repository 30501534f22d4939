# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""One axis of free motion, integrated exactly over a step: what the state-space models share."""

from __future__ import annotations

import numpy as np


def axis_motion(
    density: float, damping_time_s: float, dt_s: float
) -> tuple[np.ndarray, np.ndarray]:
    """(2, 2, 2) transitions and process noises of (position, velocity) over dt_s, [0] of people in view, [1] of people out of view.

    In view `dv = sqrt(q) dW` with q = density; out of view `dv = -v / tau dt + sqrt(q) dW` with tau = damping_time_s.
    """
    seen, unseen = (
        _white_acceleration(density, dt_s),
        _damped_acceleration(density, damping_time_s, dt_s),
    )
    return np.array([seen[0], unseen[0]]), np.array([seen[1], unseen[1]])


def _white_acceleration(density: float, dt_s: float) -> tuple[np.ndarray, np.ndarray]:
    """(2, 2) transition and process noise of `dv = sqrt(q) dW`."""
    transition = np.array([[1.0, dt_s], [0.0, 1.0]])
    noise = density * np.array([[dt_s**3 / 3, dt_s**2 / 2], [dt_s**2 / 2, dt_s]])
    return transition, noise


def _damped_acceleration(density: float, tau: float, dt_s: float) -> tuple[np.ndarray, np.ndarray]:
    """(2, 2) transition and process noise of `dv = -v / tau dt + sqrt(q) dW` (integrated Ornstein-Uhlenbeck process)."""
    decay, loss = np.exp(-dt_s / tau), -np.expm1(-dt_s / tau)
    velocity, cross = density * tau / 2 * (1 - decay**2), density * tau**2 / 2 * loss**2
    # The closed form cancels for short steps, where the series of the undamped process is exact to rounding.
    position = (
        density * tau**2 * (dt_s - 2 * tau * loss + tau / 2 * (1 - decay**2))
        if dt_s > 1e-3 * tau
        else density * dt_s**3 / 3
    )
    transition = np.array([[1.0, tau * loss], [0.0, decay]])
    return transition, np.array([[position, cross], [cross, velocity]])
