# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What a noisy recording says of the latents: negative log joint, gradient and curvature.

    U(z) = w sum_tf (|x|^2 / V + log V)  +  sum_t |z_t - m_t|^2 / (2 p_t) + log(p_t) / 2,
    V = g v(z) + noise,   r = g v / V,
    dU/dz = w J' (r (1 - |x|^2 / V)) + (z - m) / p,   E[d2U/dz2] ~ w J' diag(r^2) J + 1 / p

with J the derivatives of log v (all frames in one product). The evidence weight w is below one
because windows overlap: what one sample says is counted in several frames and bins. The mean m_t
and variance p_t of a dynamical prior are those that the latents before it give; that they move
with those latents is left out of the gradient (each frame is fitted to its own past), not of U.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from av_perception.enhancement.noise_model import NoiseModel
from av_perception.enhancement.prior import SpeechPrior


@dataclass(frozen=True)
class Posterior:
    """Of the latents, given power, noise and gains as they are now, and the evidence weight."""

    prior: SpeechPrior
    power: np.ndarray
    model: NoiseModel
    weight: float = 1.0

    def misfit(self, latents: np.ndarray, decoded: np.ndarray | None = None) -> np.ndarray:
        """(T,) the terms of U of every frame, for latents (T, L); decoded: (T, F) their v."""
        mean, variance = self.prior.prior(latents)
        penalty = (latents - mean) ** 2 / variance + np.log(variance)
        if decoded is None:
            decoded = self.prior.decode(latents)
        return self.likelihood_misfit(decoded) + 0.5 * penalty.sum(axis=1)

    def likelihood_misfit(self, variance: np.ndarray) -> np.ndarray:
        """(..., T) the first sum of U alone, for variances of speech (..., T, F)."""
        total = self.model.total(variance)
        return self.weight * (self.power / total + np.log(total)).sum(axis=-1)

    def gradient(self, latents: np.ndarray) -> np.ndarray:
        """(T, L) of U."""
        mean, variance = self.prior.prior(latents)
        return self.likelihood_gradient(latents) + (latents - mean) / variance

    def likelihood_gradient(self, latents: np.ndarray) -> np.ndarray:
        """(T, L) of the first sum of U alone."""
        weights = self._weights(self.prior.decode(latents))[0]
        return self.prior.decode_gradient(latents, weights)

    def fisher(
        self, latents: np.ndarray, decoded: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Gradient (T, L) of U, and its expected curvature within a frame (T, L, L).

        decoded: (T, F) v of these latents; None: they are decoded here.
        """
        if decoded is None:
            decoded = self.prior.decode(latents)
        weights, share = self._weights(decoded)
        jacobian = self.prior.decode_jacobian(latents)
        scaled = jacobian * share[:, :, None]
        curvature = self.weight * (scaled.swapaxes(1, 2) @ scaled)
        mean, variance = self.prior.prior(latents)
        diagonal = np.arange(latents.shape[1])
        curvature[:, diagonal, diagonal] += 1 / variance
        if self.prior.is_frame_wise:
            slope = (jacobian.swapaxes(1, 2) @ weights[:, :, None])[..., 0]
        else:
            slope = self.prior.decode_gradient(latents, weights)
        return slope + (latents - mean) / variance, curvature

    def _weights(self, variance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(T, F) derivatives of the likelihood's part of U in log v, and r."""
        speech = self.model.speech(variance)
        total = speech + self.model.noise
        share = speech / total
        return self.weight * share * (1 - self.power / total), share


@dataclass(frozen=True)
class FisherStep:
    """Where a step of Fisher scoring led.

    latents: (T, L); decoded: (T, F) v of them; misfit: (T,) U; curvature: (T, L, L) where the step
    began.
    """

    latents: np.ndarray
    decoded: np.ndarray
    misfit: np.ndarray
    curvature: np.ndarray


def fisher_step(
    posterior: Posterior, latents: np.ndarray, longest: float = 2.0, tries: int = 4
) -> np.ndarray:
    """Take one step of Fisher scoring, as long as lowers U.

    Parameters
    ----------
    posterior
        Of the latents.
    latents
        (T, L) to start from.
    longest
        No latent moves farther.
    tries
        How often a step is halved that does not lower U; then nothing moves.

    Returns
    -------
    np.ndarray
        (T, L) with a U that is no higher. Where frames are on their own, each decides for itself.
    """
    decoded = posterior.prior.decode(latents)
    lengths = 0.5 ** np.arange(tries)
    return fisher_move(posterior, latents, decoded, lengths, longest).latents


def fisher_move(
    posterior: Posterior,
    latents: np.ndarray,
    decoded: np.ndarray,
    lengths: Sequence[float] | np.ndarray,
    longest: float = 2.0,
) -> FisherStep:
    """Take a step of Fisher scoring, and give all that was found on the way.

    Parameters
    ----------
    posterior, latents, longest
        As for `fisher_step`.
    decoded
        (T, F) v of these latents.
    lengths
        Of the step, tried in turn until U is lower.

    Returns
    -------
    FisherStep
        With a U that is no higher.
    """
    slope, curvature = posterior.fisher(latents, decoded)
    step = -np.linalg.solve(curvature, slope[:, :, None])[..., 0]
    step = np.clip(step, -longest, longest)
    start = FisherStep(latents, decoded, posterior.misfit(latents, decoded), curvature)
    return _moved(posterior, start, step, lengths)


def _moved(
    posterior: Posterior,
    start: FisherStep,
    step: np.ndarray,
    lengths: Sequence[float] | np.ndarray,
) -> FisherStep:
    """Go along a step (T, L), in each frame by the first length that lowers U."""
    latents = start.latents
    decoded = start.decoded
    misfit = start.misfit
    is_open = np.ones(len(latents), bool)  # frames that have not moved
    for length in lengths:
        moved = (latents + np.where(is_open[:, None], length * step, 0.0)).astype(latents.dtype)
        moved_decoded = posterior.prior.decode(moved)
        after = posterior.misfit(moved, moved_decoded)
        gain = misfit - after
        if not posterior.prior.is_frame_wise:
            gain = np.full(len(gain), gain.sum())
        is_better = is_open & (gain > 0)
        latents = np.where(is_better[:, None], moved, latents)
        decoded = np.where(is_better[:, None], moved_decoded, decoded)
        misfit = np.where(is_better, after, misfit)
        is_open = is_open & ~is_better
        if not is_open.any():
            break
    return FisherStep(latents, decoded, misfit, start.curvature)
