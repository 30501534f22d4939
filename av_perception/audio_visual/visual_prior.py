# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What features of a mouth say of the latents of speech: p(z | v) in place of N(0, I).

A visual prior gives the mean and the variance of the latents of every frame. Where nothing is
seen it is N(0, I); where features are believed in part, it is the Gaussian with the moments of the
mixture `r p(z | v) + (1 - r) N(0, I)`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from av_perception.audio_visual.features import VisualFeatures


class VisualPrior(Protocol):
    """Of L latents, given D features a frame; arrays are float32."""

    @property
    def num_features(self) -> int:
        """D."""

    @property
    def num_latents(self) -> int:
        """L."""

    def prior(self, features: VisualFeatures) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance (T, L) of the latents, by features of T frames."""

    def blind(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance (L,) of the latents of speech, whatever is seen."""


@dataclass(frozen=True)
class LinearVisualPrior:
    """z | v ~ N(W v + b, diag(variance)).

    weight: (L, D); bias, variance: (L,); blind_mean, blind_variance: (L,) of the latents of the
    talkers in training, whatever is seen; None: N(0, I).
    """

    weight: np.ndarray
    bias: np.ndarray
    variance: np.ndarray
    blind_mean: np.ndarray | None = None
    blind_variance: np.ndarray | None = None

    @property
    def num_features(self) -> int:
        """D."""
        return self.weight.shape[1]

    @property
    def num_latents(self) -> int:
        """L."""
        return self.weight.shape[0]

    def prior(self, features: VisualFeatures) -> tuple[np.ndarray, np.ndarray]:
        """See `VisualPrior`."""
        mean = features.values @ self.weight.T + self.bias
        variance = np.broadcast_to(self.variance, mean.shape)
        return blended(mean, variance, features.reliability)

    def blind(self) -> tuple[np.ndarray, np.ndarray]:
        """See `VisualPrior`."""
        if self.blind_mean is None or self.blind_variance is None:
            return np.zeros_like(self.bias), np.ones_like(self.bias)
        return self.blind_mean, self.blind_variance


def blended(
    mean: np.ndarray, variance: np.ndarray, reliability: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Believe a Gaussian in part, and N(0, I) for the rest: the moments of their mixture.

    Parameters
    ----------
    mean, variance
        (T, L) of the Gaussian.
    reliability
        (T,) its weight r, in 0..1.

    Returns
    -------
    mean, variance
        (T, L) float32 `r m` and `r (p + m^2) + 1 - r - (r m)^2`.
    """
    believed = reliability[:, None]
    center = believed * mean
    spread = believed * variance + (1 - believed) * (1 + believed * mean**2)
    return center.astype(np.float32), spread.astype(np.float32)


def log_density(mean: np.ndarray, variance: np.ndarray, latents: np.ndarray) -> np.ndarray:
    """(T,) log N(z_t; mean_t, diag(variance_t)) of latents (T, L)."""
    terms = (latents - mean) ** 2 / variance + np.log(2 * np.pi * variance)
    return -0.5 * terms.sum(axis=-1)
