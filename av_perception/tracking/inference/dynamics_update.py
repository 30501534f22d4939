# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""M step: the process noise of every person, re-estimated from frame to frame within bounds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from av_perception.numerics.gaussian import propagate_covariance, symmetrize


@dataclass(frozen=True)
class DynamicsConfig:
    """prior_weight: weight nu0 of the nominal noise Lam0, infinity fixes the noise; lowest, highest: bounds relative to Lam0.

    The published maximum `Lam = Gam + d d' - D Gam_past D'` need not be positive definite and collapses when a detection falls on the
    prediction; hence the prior and the bounds.
    """

    prior_weight: float = 10.0
    lowest: float = 0.25
    highest: float = 25.0

    def __post_init__(self):
        if not self.prior_weight > 0:
            raise ValueError('prior_weight must be positive (infinity: fixed process noise)')
        if not 0 < self.lowest <= 1 <= self.highest < np.inf:
            raise ValueError('bounds of the process noise must satisfy 0 < lowest <= 1 <= highest')


class ProcessNoise:
    """Process noise `Lam_n = W_n ratio_n W_n'`, W_n the Cholesky factor of the nominal noise of this step (so ratios survive a change of
    dt).
    """

    def __init__(self, config: DynamicsConfig, base_noise: np.ndarray):
        self._config, self._base = config, base_noise
        self._fixed = np.isinf(config.prior_weight)
        if not self._fixed:
            self._factor = np.linalg.cholesky(base_noise)
            self._whitener = np.linalg.inv(self._factor)

    def covariance(self, ratio: np.ndarray) -> np.ndarray:
        """(N, D, D) `Lam` of (N, D, D) whitened ratios; exactly the nominal noise when the noise is fixed."""
        return self._base if self._fixed else propagate_covariance(self._factor, ratio)

    def update(
        self,
        ratio: np.ndarray,
        propagated: np.ndarray,
        deviation: np.ndarray,
        covariance: np.ndarray,
    ) -> np.ndarray:
        """New ratios: `proj((nu0 Lam0 + T) / (nu0 + 1))`, `T = Gam + d d' - D Gam_past D'`, eigenvalues clipped in the whitened space.

        propagated: `D Gam_past D'`; deviation: d (N, D); covariance: Gam (N, D, D).
        """
        if self._fixed:
            return ratio
        target = propagate_covariance(
            self._whitener, covariance + deviation[:, :, None] * deviation[:, None, :] - propagated
        )
        weight = self._config.prior_weight
        maximum = symmetrize(weight * np.eye(ratio.shape[-1]) + target) / (weight + 1)
        suspect = np.flatnonzero(~self._surely_within_bounds(maximum))
        if len(suspect):
            values, vectors = np.linalg.eigh(maximum[suspect])
            clipped = np.clip(values, self._config.lowest, self._config.highest)
            maximum[suspect] = symmetrize((vectors * clipped[:, None, :]) @ vectors.swapaxes(1, 2))
        return maximum

    def _surely_within_bounds(self, ratio: np.ndarray) -> np.ndarray:
        """(N,) bool by Gershgorin's discs of (N, D, D) matrices; spares the eigenvectors of most people."""
        center = ratio.diagonal(axis1=1, axis2=2)
        radius = np.abs(ratio).sum(2) - np.abs(center)
        return (
            (center - radius >= self._config.lowest) & (center + radius <= self._config.highest)
        ).all(1)
