# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""M step: the process noise of every track, estimated again from frame to frame within bounds."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from av_perception.numerics.gaussian import propagate_covariance, symmetrize


@dataclass(frozen=True)
class DynamicsConfig:
    """How far the process noise of a track may leave the nominal one.

    The published maximum `Lam = Gam + d d' - D Gam_past D'` need not be positive definite and
    collapses when a detection falls on the prediction; hence the prior and the bounds.
    """

    #: weight nu0 of the nominal noise Lam0, in frames; infinite fixes the noise
    prior_weight: float = 10.0
    #: lower bound of the noise relative to Lam0, in (0, 1]
    lowest: float = 0.25
    #: upper bound of the noise relative to Lam0, at least 1
    highest: float = 25.0

    def __post_init__(self):
        if not self.prior_weight > 0:
            raise ValueError('prior_weight must be positive (infinity: fixed process noise)')
        if not 0 < self.lowest <= 1 <= self.highest < np.inf:
            raise ValueError('bounds of the process noise must satisfy 0 < lowest <= 1 <= highest')


class ProcessNoise:
    """Process noise `Lam_n = W_n ratio_n W_n'`.

    `W_n` is the Cholesky factor of the nominal noise of this step, so that ratios survive a change
    of the step's length.

    Parameters
    ----------
    config
        See `DynamicsConfig`.
    base_noise
        (N, D, D) `Lam0` of this step.
    """

    def __init__(self, config: DynamicsConfig, base_noise: np.ndarray):
        self._config, self._base = config, base_noise
        self._fixed = np.isinf(config.prior_weight)
        if not self._fixed:
            self._factor, self._whitener = _factors(base_noise.tobytes(), base_noise.shape)

    def covariance(self, ratio: np.ndarray) -> np.ndarray:
        """(N, D, D) `Lam` of (N, D, D) whitened ratios; exactly the nominal noise when fixed."""
        return self._base if self._fixed else propagate_covariance(self._factor, ratio)

    def update(
        self,
        ratio: np.ndarray,
        propagated: np.ndarray,
        mean_shift: np.ndarray,
        covariance: np.ndarray,
    ) -> np.ndarray:
        """Estimate the noise again (T13): equation (28) of VAVIT with a prior and bounds.

        `proj((nu0 Lam0 + T) / (nu0 + 1))`, `T = Gam + d d' - D Gam_past D'`; the projection clips
        the eigenvalues in the whitened space.

        Parameters
        ----------
        ratio
            (N, D, D) whitened noise so far.
        propagated
            (N, D, D) `D Gam_past D'`.
        mean_shift, covariance
            (N, D) `d = mu - m` and (N, D, D) `Gam` after the E steps.

        Returns
        -------
        np.ndarray
            (N, D, D) new whitened noise.
        """
        if self._fixed:
            return ratio
        outer = mean_shift[:, :, None] * mean_shift[:, None, :]
        target = propagate_covariance(self._whitener, covariance + outer - propagated)
        weight = self._config.prior_weight
        maximum = symmetrize(weight * np.eye(ratio.shape[-1]) + target) / (weight + 1)
        # Of all tracks: to find those within the bounds first would take longer than it spares.
        values, vectors = np.linalg.eigh(maximum)
        clipped = np.clip(values, self._config.lowest, self._config.highest)
        return symmetrize((vectors * clipped[:, None, :]) @ vectors.swapaxes(1, 2))


@lru_cache(maxsize=16)
def _factors(noise: bytes, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Cholesky factors of (N, D, D) process noise, given by its bytes, and their inverses.

    Kept, as steps are mostly as long as the last one and the same people in view.
    """
    factor = np.linalg.cholesky(np.frombuffer(noise).reshape(shape))
    return factor, np.linalg.inv(factor)
