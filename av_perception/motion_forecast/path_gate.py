# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Which forecast to believe: a small gate between lines and the modes, learnt on simulated walks.

A line over a second is best for who walks on; the modes are best for who stops, turns or stands.
The gate looks at how somebody has moved, independent of place and direction, and gives each expert
a weight; the forecast's mean is the weighted mean. Its other outputs say how wrong that will be:
the radii, in standard deviations of the modes, within which the truth lies in 68 and 95 % of
cases. People walk on or do something else, so the second is farther out than a Gaussian's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache

import numpy as np

from av_perception.motion_forecast.constant_velocity import (
    line_weights,
    newest_weights,
)
from av_perception.motion_forecast.history import Histories
from av_perception.motion_forecast.motion_modes import ModeStates
from av_perception.networks.weights import load_arrays

WINDOWS_S = (0.6, 1.0, 1.6)  # of the lines
NUM_EXPERTS = len(WINDOWS_S) + 1  # and the modes
NUM_FEATURES = 16
LEVELS = (0.68, 0.95)
NUM_OUTPUTS = NUM_EXPERTS + 3 * len(LEVELS)
MAX_LOG = 3.0  # of radii over a Gaussian's


@dataclass(frozen=True)
class Gate:
    """Two layers."""

    #: (NUM_FEATURES,) that make every feature about 0 and about 1 large
    center: np.ndarray
    scale: np.ndarray
    #: (NUM_FEATURES, D), (D,), (D, NUM_OUTPUTS), (NUM_OUTPUTS,)
    weights_in: np.ndarray
    bias_in: np.ndarray
    weights_out: np.ndarray
    bias_out: np.ndarray

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Compute outputs (N, NUM_OUTPUTS) of features (N, NUM_FEATURES)."""
        normed = np.clip((features - self.center) / self.scale, -5.0, 5.0)
        return np.tanh(normed @ self.weights_in + self.bias_in) @ self.weights_out + self.bias_out


def gate_from_arrays(arrays: Mapping[str, np.ndarray]) -> Gate:
    """Make a gate of arrays by name."""
    return Gate(**{field.name: np.asarray(arrays[field.name], float) for field in fields(Gate)})


@cache
def shipped_gate() -> Gate:
    """Load the gate that comes with this package. Raises UserError when it is damaged."""
    return gate_from_arrays(load_arrays('path_gate'))


def expert_weights(outputs: np.ndarray) -> np.ndarray:
    """(N, NUM_EXPERTS) positive, of sum 1."""
    logits = outputs[:, :NUM_EXPERTS]
    weights = np.exp(logits - logits.max(1, keepdims=True))
    return weights / weights.sum(1, keepdims=True)


def region_radii(outputs: np.ndarray, horizons_s: np.ndarray) -> np.ndarray:
    """(N, H, L) radii of the regions of LEVELS at horizons (H,) [s], over those of a Gaussian."""
    curves = outputs[:, NUM_EXPERTS:].reshape(-1, len(LEVELS), 3, 1)
    constant, slope, bend = curves.transpose(2, 0, 1, 3)
    # Outside of the horizons trained on nothing is known of the curve.
    logs = np.log(np.clip(horizons_s, 0.2, 2.0))
    radii = np.exp(np.clip(constant + slope * logs + bend * logs**2, -MAX_LOG, MAX_LOG))
    return np.maximum.accumulate(radii, axis=1).swapaxes(1, 2)


def gaussian_radius(level: float) -> float:
    """Mahalanobis distance within which a share of a Gaussian in two dimensions lies."""
    return math.sqrt(-2 * math.log(1 - level))


def gaussian_radii() -> np.ndarray:
    """(2,) radii of the regions of LEVELS of a Gaussian."""
    return np.array([gaussian_radius(level) for level in LEVELS])


def line_experts(histories: Histories, horizons_s: np.ndarray) -> np.ndarray:
    """Means (N, E, H, 2) of the lines over all windows."""
    places = np.nan_to_num(histories.positions[..., :2])
    reach = horizons_s + np.nanmin(histories.ages, 1)[:, None]
    aheads = np.stack([line_weights(histories, window_s)[1] for window_s in WINDOWS_S], 1)
    newest = newest_weights(histories)[:, None] @ places
    return newest[:, :, None] + reach[:, None, :, None] * (aheads @ places)[:, :, None]


def features(histories: Histories, now: ModeStates) -> np.ndarray:
    """How N people have moved, (N, NUM_FEATURES), without place and direction.

    Parameters
    ----------
    histories
        Of their places.
    now
        What the modes make of them.
    """
    places = np.nan_to_num(histories.positions[..., :2])
    lines = [line_weights(histories, window_s) for window_s in WINDOWS_S]
    velocities = np.stack([(ahead[:, None] @ places)[:, 0] for _, ahead in lines], 1)
    speeds = np.linalg.norm(velocities, axis=2)
    heading = velocities[:, 1] / (speeds[:, 1:2] + 0.05)
    across = np.stack([-heading[:, 1], heading[:, 0]], 1)
    change = velocities[:, 0] - velocities[:, 2]
    modes = (now.probabilities[..., None] * now.means[..., 2:]).sum(1)
    spread = np.nan_to_num(histories.covariances[..., :2, :2])
    newest = spread[:, -1]
    noise = np.sqrt(np.trace(newest, axis1=1, axis2=2) + 1e-6)
    along = np.sqrt(np.einsum('ni,nij,nj->n', heading, newest, heading) + 1e-6)
    span = np.nanmax(histories.ages, 1) - np.nanmin(histories.ages, 1)
    rows = (
        *speeds.T,
        (change * heading).sum(1),
        np.abs((change * across).sum(1)),
        np.linalg.norm(modes, axis=1),
        np.log(noise),
        np.log(along),
        span,
        np.log(_misfit(histories, places, *lines[2]) + 0.005),
        *np.log(now.probabilities[:, [0, 1, 2]] + 1e-3).T,
        np.linalg.norm(modes - velocities[:, 1], axis=1),
        np.log(histories.stays_s + 0.1),
        np.log(histories.calm_s + 0.1),
    )
    return np.stack(rows, 1)


def _misfit(histories: Histories, places: np.ndarray, now: np.ndarray, ahead: np.ndarray):
    """(N,) [m] root mean square distance of places from the line of weights `now`, `ahead`."""
    ages = np.nan_to_num(histories.ages)[..., None]
    fitted = (now[:, None] @ places) - ages * (ahead[:, None] @ places)
    known = np.isfinite(histories.ages)
    misfit = np.where(known[..., None], places - fitted, 0.0)
    return np.sqrt((misfit**2).sum((1, 2)) / (2 * known.sum(1)))
