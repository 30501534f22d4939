# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Possible futures of a skeleton, with a fallback where the network is not to be trusted.

The network is tried on what was seen: it forecasts the second half of the poses from the first.
Where standing still would have been clearly nearer, or the poses are unlike all it was trained on,
the last pose is held instead, with the wobble that such poses had.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from av_perception.motion_forecast.hit_dvae import HitDvae
from av_perception.networks.weights import load_arrays

WEIGHTS = 'hit_dvae_motion'
WORSE_THAN_STILL = 'the network was worse on the poses seen than standing still'
UNLIKE = 'the poses are unlike those it was trained on'


@dataclass(frozen=True)
class SkeletonConfig:
    """How draws are made, and when not."""

    #: factor of the noise of all latents, chosen on clips that are neither trained on nor
    #: reported: the higher, the more draws differ
    temperature: float = 1.3
    #: the first draw holds the last pose, which is what people who stop do
    holds_one: bool = True
    #: fall back where the error on the poses seen is so many times that of standing still
    max_ratio: float = 1.5
    #: [m] fall back where a pose lies farther than this from the mean one
    max_distance_m: float = 4.0


@dataclass(frozen=True)
class SkeletonForecast:
    """Futures of one skeleton."""

    #: (S, T, X) [m]
    poses: np.ndarray
    #: why the network was not used, '' when it was
    fallback_reason: str


class SkeletonForecaster:
    """Draws futures of one skeleton at a time."""

    def __init__(self, net: HitDvae | None = None, config: SkeletonConfig | None = None):
        """Take a network, or the one that comes with this package."""
        self.net = net or HitDvae(load_arrays(WEIGHTS))
        self.config = config or SkeletonConfig()

    def forecast(self, seen: np.ndarray, ahead: int, num_samples: int) -> SkeletonForecast:
        """Draw futures; the same for the same poses.

        Parameters
        ----------
        seen
            (O, X) [m] poses at the network's rate, root motion removed.
        ahead
            Frames to come.
        num_samples
            S futures.

        Raises
        ------
        ValueError
            For poses of another size, fewer than two, or not finite.
        """
        random = np.random.default_rng(0)
        reason = self._reason(np.asarray(seen, float))
        if reason:
            return SkeletonForecast(_held(seen, ahead, num_samples, random), reason)
        made = self.net.sample(seen, ahead, num_samples, random, self.config.temperature)
        if self.config.holds_one and num_samples > 1:
            made[0] = np.asarray(seen)[-1]
        return SkeletonForecast(made, '')

    def _reason(self, seen: np.ndarray) -> str:
        """Why not to trust the network on these poses, '' to trust it."""
        half = len(seen) // 2
        if half < 2 or not np.isfinite(seen).all():
            return ''
        center = self.net.center
        if np.linalg.norm(seen - center, axis=1).max() > self.config.max_distance_m:
            return UNLIKE
        truth = seen[half:]
        # Without noise: what the network thinks likeliest.
        made = self.net.sample(seen[:half], len(truth), 1, np.random.default_rng(0), 0.0)[0]
        own = np.linalg.norm(made - truth, axis=1).mean()
        still = np.linalg.norm(seen[half - 1] - truth, axis=1).mean()
        return WORSE_THAN_STILL if own > self.config.max_ratio * still + 0.02 else ''


def _held(seen: np.ndarray, ahead: int, num_samples: int, random) -> np.ndarray:
    """Hold the last pose; all but the first draw drift by the steps seen, to and fro."""
    steps = np.diff(seen, axis=0)
    signs = random.standard_normal((num_samples, ahead, 1, len(steps)))
    signs[:1] = 0.0
    drift = (signs @ steps)[:, :, 0] / np.sqrt(len(steps))
    return seen[-1] + np.cumsum(drift, axis=1)
