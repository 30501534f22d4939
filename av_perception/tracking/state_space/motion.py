# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""One axis of free motion, integrated exactly over a step: what the state spaces share."""

from __future__ import annotations

import numpy as np

_SHORT_STEP = 1e-3  # of the damping time: shorter ones are as good as undamped


def axis_motion(
    density: float, damping_time_s: float, dt_s: float
) -> tuple[np.ndarray, np.ndarray]:
    """Integrate the motion of (position, velocity) along one axis.

    In view `dv = sqrt(q) dW`; out of view `dv = -v / tau dt + sqrt(q) dW`.

    Parameters
    ----------
    density
        Power spectral density q of the white acceleration [m^2/s^3].
    damping_time_s
        tau [s].
    dt_s
        Length of the step [s].

    Returns
    -------
    transitions, noises
        (2, 2, 2) each, [0] of people in view, [1] of people out of view.
    """
    transition, noise = _white_acceleration(density, dt_s)
    damped_transition, damped_noise = _damped_acceleration(density, damping_time_s, dt_s)
    return np.array([transition, damped_transition]), np.array([noise, damped_noise])


def _white_acceleration(density: float, dt_s: float) -> tuple[np.ndarray, np.ndarray]:
    """(2, 2) transition and process noise of `dv = sqrt(q) dW`."""
    transition = np.array([[1.0, dt_s], [0.0, 1.0]])
    noise = density * np.array([[dt_s**3 / 3, dt_s**2 / 2], [dt_s**2 / 2, dt_s]])
    return transition, noise


def _damped_acceleration(density: float, tau: float, dt_s: float) -> tuple[np.ndarray, np.ndarray]:
    """(2, 2) transition and process noise of `dv = -v / tau dt + sqrt(q) dW`.

    That is an integrated Ornstein-Uhlenbeck process.
    """
    decay = np.exp(-dt_s / tau)
    loss = -np.expm1(-dt_s / tau)
    velocity = density * tau / 2 * (1 - decay**2)
    cross = density * tau**2 / 2 * loss**2
    if dt_s > _SHORT_STEP * tau:
        position = density * tau**2 * (dt_s - 2 * tau * loss + tau / 2 * (1 - decay**2))
    else:
        # The closed form cancels here; the series of the undamped process is exact to rounding.
        position = density * dt_s**3 / 3
    transition = np.array([[1.0, tau * loss], [0.0, decay]])
    return transition, np.array([[position, cross], [cross, velocity]])
