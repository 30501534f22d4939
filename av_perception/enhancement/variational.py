# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Variational E-steps: a Gaussian of the latents that is as near to their posterior as it can be.

    J = E_q[sum_tf |x|^2 / V + log V] + sum_t KL(q(z_t) || p(z_t))

`EncoderStep` tunes the encoder's parameters to the recording (Leglaive, Alameda-Pineda, Girin and
Horaud, ICASSP 2020); the decoder stays. `GaussianStep` needs no encoder that can be tuned: each
frame has a mean and a covariance of its own, moved by the natural gradient, with the expected
curvature in place of the Hessian (Khan and Rue, "The Bayesian learning rule", 2021).
"""

from __future__ import annotations

import numpy as np

from av_perception.enhancement.adam import Adam
from av_perception.enhancement.chains import whitening
from av_perception.enhancement.posterior import Posterior, fisher_step
from av_perception.enhancement.prior import TunablePrior


class EncoderStep:
    """The encoder's Gaussian, tuned by Adam on draws from it.

    Parameters
    ----------
    prior
        Whose encoder is tuned.
    heard
        (T, F) power that the encoder is fed with.
    samples, steps, rate
        R, gradient steps in a call, and the rate of Adam.
    random
        Source of the draws.
    """

    def __init__(
        self,
        prior: TunablePrior,
        heard: np.ndarray,
        samples: int,
        steps: int,
        rate: float,
        random: np.random.Generator,
    ):
        self._prior = prior
        self._heard = heard
        self._num_samples = samples
        self._steps = steps
        self._adam = Adam(rate)
        self._random = random

    def __call__(self, posterior: Posterior) -> np.ndarray:
        """Tune, then draw (R, T, L)."""
        for _ in range(self._steps):
            slopes = self._slopes(posterior)
            tuned = self._adam.moved(self._prior.encoder_parameters(), slopes)
            self._prior = self._prior.with_encoder(tuned)
        mean, variance = self._prior.encode(self._heard)
        draws = self._random.standard_normal((self._num_samples, *mean.shape))
        return (mean + np.sqrt(variance) * draws).astype(mean.dtype)

    def _slopes(self, posterior: Posterior) -> dict[str, np.ndarray]:
        """Gradients of J in the encoder's parameters, by one draw."""
        mean, variance = self._prior.encode(self._heard)
        deviation = np.sqrt(variance)
        draw = self._random.standard_normal(mean.shape).astype(mean.dtype)
        latents = mean + deviation * draw
        slope = posterior.likelihood_gradient(latents)
        prior_mean, prior_variance = self._prior.prior(latents)
        mean_slope = slope + (mean - prior_mean) / prior_variance
        log_slope = 0.5 * (slope * draw * deviation + variance / prior_variance - 1)
        return self._prior.encoder_gradient(self._heard, mean_slope, log_slope)


class GaussianStep:
    """A mean and a covariance of each frame.

    Parameters
    ----------
    mean
        (T, L) of the encoder.
    samples, steps
        R, and how often a call moves the Gaussians.
    random
        Source of the draws.
    """

    def __init__(self, mean: np.ndarray, samples: int, steps: int, random: np.random.Generator):
        self._mean = mean
        self._num_samples = samples
        self._steps = steps
        self._random = random
        self._is_first = True

    def __call__(self, posterior: Posterior) -> np.ndarray:
        """Move the Gaussians, then draw (R, T, L)."""
        if self._is_first:
            self._mean = fisher_step(posterior, self._mean)
            self._is_first = False
        for _ in range(self._steps):
            self._mean = self._moved(posterior)
        return self._draws(whitening(posterior, self._mean))

    def _moved(self, posterior: Posterior) -> np.ndarray:
        """Means after a natural gradient step: by slope and curvature in the mean of draws."""
        draws = self._draws(whitening(posterior, self._mean))
        found = [posterior.fisher(z) for z in draws]
        slope = np.mean([f[0] for f in found], axis=0)
        curvature = np.mean([f[1] for f in found], axis=0)
        step = -np.linalg.solve(curvature, slope[:, :, None])[..., 0]
        return (self._mean + np.clip(step, -1.0, 1.0)).astype(self._mean.dtype)

    def _draws(self, factor: np.ndarray) -> np.ndarray:
        """(R, T, L), in pairs that lie opposite each other: their mean has less noise."""
        half = -(-self._num_samples // 2)
        normal = self._random.standard_normal((half, *self._mean.shape))
        normal = np.concatenate([normal, -normal])[: self._num_samples]
        moved = (factor @ normal[..., None])[..., 0]
        return (self._mean + moved).astype(self._mean.dtype)
