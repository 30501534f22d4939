# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Straight on: a line fitted by least squares, and how wrong it turns out to be.

Every coordinate is fitted by `a + v t` over the last second, t = 0 now. The forecast is `x + v h`
from the newest place x, which was better than from a on all walks tried. Its covariance is that of
the fit, by the tracker's own covariances, and that of what people do meanwhile, calibrated on
walks: `(stand h^stand_power)^2 + (walk |v| h^walk_power)^2`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from av_perception.motion_forecast.history import Histories
from av_perception.motion_forecast.path_gaussian import PathGaussian


@dataclass(frozen=True)
class ConstantVelocityConfig:
    """How a line is fitted, and what it is worth. Raises ValueError."""

    #: [s] over which the line is fitted
    window_s: float = 1.0
    #: whether it begins at the newest place, not on the line
    from_newest: bool = True
    #: how often the errors of neighboring tracks are the same
    correlation: float = 1.0
    #: [m] standard deviation after a second of who stands, and its growth with time
    stand: float = 0.02
    stand_power: float = 1.0
    #: the same for each m/s of who walks
    walk: float = 0.5
    walk_power: float = 1.45
    #: [m] standard deviation of the height after a second
    height: float = 0.05
    #: [1/s] at which the velocity falls; 0: never
    damping: float = 0.0

    def __post_init__(self):
        if not 0.1 <= self.window_s <= 5.0:
            raise ValueError(f'window_s must lie in 0.1..5 s, not {self.window_s}')
        if self.damping < 0:
            raise ValueError(f'damping must not be negative: {self.damping}')


def forecast_straight(
    histories: Histories, horizons_s: np.ndarray, config: ConstantVelocityConfig
) -> PathGaussian:
    """Forecast everybody straight on.

    Parameters
    ----------
    histories
        Of N people, each with a place at least.
    horizons_s
        (H,) [s] from now.
    config
        Window and calibration.

    Returns
    -------
    PathGaussian
        Of N people at H horizons. Who has one place stays there.
    """
    now, ahead = line_weights(histories, config.window_s)
    if config.from_newest:
        now = newest_weights(histories) + np.nanmin(histories.ages, 1)[:, None] * ahead
    reach = horizons_s
    if config.damping > 0:
        reach = -np.expm1(-config.damping * horizons_s) / config.damping
    weights = now[:, None] + reach[:, None] * ahead[:, None]  # (N, H, T)
    positions = np.nan_to_num(histories.positions)
    covariances = np.nan_to_num(histories.covariances)
    means = weights @ positions
    velocity = (ahead[:, None] @ positions)[:, 0]
    fit = np.einsum('nht,ntij->nhij', weights**2, covariances) * config.correlation
    speed = np.linalg.norm(velocity[:, :2], axis=1)[:, None]
    spread = (config.stand * horizons_s**config.stand_power) ** 2
    spread = spread + (config.walk * speed * horizons_s**config.walk_power) ** 2
    fit[..., 0, 0] += spread
    fit[..., 1, 1] += spread
    fit[..., 2, 2] += (config.height * horizons_s) ** 2
    return PathGaussian(means, fit)


def newest_weights(histories: Histories) -> np.ndarray:
    """(N, T) 1 at the newest place of everybody, else 0."""
    return (histories.ages == np.nanmin(histories.ages, 1)[:, None]).astype(float)


def line_weights(histories: Histories, window_s: float) -> tuple[np.ndarray, np.ndarray]:
    """Weights of places in the fitted place now and in the fitted velocity, (N, T) each.

    Places that are older than the window do not count, but the newest always does.
    """
    ages = histories.ages
    newest = np.nanmin(ages, axis=1, keepdims=True)
    used = ages <= np.maximum(newest, window_s)
    count = used.sum(1, keepdims=True)
    times = np.where(used, -ages, 0.0)
    middle = times.sum(1, keepdims=True) / count
    centered = np.where(used, times - middle, 0.0)
    scatter = (centered**2).sum(1, keepdims=True)
    # Without two moments there is no velocity.
    velocity = np.divide(centered, scatter, out=np.zeros_like(centered), where=scatter > 1e-6)
    return used / count - middle * velocity, velocity
