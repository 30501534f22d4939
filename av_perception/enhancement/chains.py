# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Markov chains for the latents of a recording.

ldem follows the gradient and diffuses (unadjusted Langevin), mala lets Metropolis decide on such
moves, mcem walks at random. Chains move in latents `z = m + A u` whitened with the curvature at
the encoder's mean, `A A' = C^-1`: one step size then suits all directions. Sadeghi and Serizel,
"Fast and efficient speech enhancement with variational autoencoders", ICASSP 2023.
"""

from __future__ import annotations

import numpy as np

from av_perception.enhancement.posterior import Posterior
from av_perception.numerics import mcmc

LDEM = 'ldem'
MALA = 'mala'
MCEM = 'mcem'
# Share of proposals that should be taken (Roberts and Rosenthal 1998; Gelman et al. 1996).
_TARGET = {MALA: 0.57, MCEM: 0.3}
_ADAPTATION = 0.3  # of the logarithm of a step size, per step
_FARTHEST = 1.0  # that a drift of ldem leads, in whitened latents
_DIFFUSION = 0.1  # step of ldem, in units of the whitened latents


class ChainStep:
    """R chains, which go on where they were. See `latent_steps.LatentStep`.

    Parameters
    ----------
    mean
        (T, L) of the encoder.
    how
        LDEM, MALA or MCEM.
    chains, steps
        R, and how often they move in a call.
    random
        Source of all draws.
    """

    def __init__(
        self, mean: np.ndarray, how: str, chains: int, steps: int, random: np.random.Generator
    ):
        self._mean = mean
        self._how = how
        self._num_chains = chains
        self._steps = steps
        self._random = random
        self._factor = np.zeros((0, 0, 0))  # A (T, L, L), empty before the first call
        # What moves as one, whitened (R, U, D): a frame where they are on their own, else all.
        self._units = np.zeros((chains, 0, 0))
        self._size = np.zeros((chains, 0, 1))

    @property
    def step_sizes(self) -> np.ndarray:
        """(R, U, 1) as adapted so far."""
        return self._size

    def __call__(self, posterior: Posterior) -> np.ndarray:
        """Let all chains move; gives (R, T, L) where they are."""
        if not self._factor.size:
            self._begin(posterior)
        if self._how == LDEM:
            self._diffuse(posterior)
        elif self._how == MALA:
            self._langevin(posterior)
        else:
            self._walk(posterior)
        return self._latents(self._units)

    def _begin(self, posterior: Posterior) -> None:
        self._factor = whitening(posterior, self._mean)
        frames, size = self._mean.shape
        units = frames if posterior.prior.is_frame_wise else 1
        shape = (self._num_chains, units, frames * size // units)
        self._units = 0.1 * self._random.standard_normal(shape)
        # (of a normal of D dimensions: where such chains are known to move fast)
        first = {LDEM: _DIFFUSION, MALA: 0.8 * shape[2] ** (-1 / 3), MCEM: 5.7 / shape[2]}
        self._size = np.full((*shape[:2], 1), first[self._how])

    def _latents(self, units: np.ndarray) -> np.ndarray:
        """(R, T, L) of whitened units."""
        whitened = units.reshape(len(units), *self._mean.shape)
        moved = (self._factor @ whitened[..., None])[..., 0]
        return (self._mean + moved).astype(self._mean.dtype)

    def _log_density(self, posterior: Posterior, units: np.ndarray) -> np.ndarray:
        """(R, U) up to a constant."""
        misfit = np.stack([posterior.misfit(z) for z in self._latents(units)])
        return -misfit.reshape(*units.shape[:2], -1).sum(axis=2)

    def _slope(self, posterior: Posterior, units: np.ndarray) -> np.ndarray:
        """(R, U, D) gradient of the log density."""
        slope = np.stack([posterior.gradient(z) for z in self._latents(units)])
        whitened = (self._factor.swapaxes(1, 2) @ slope[..., None])[..., 0]
        return -whitened.reshape(units.shape)

    def _diffuse(self, posterior: Posterior) -> None:
        for _ in range(self._steps):
            noise = np.sqrt(2 * self._size) * self._random.standard_normal(self._units.shape)
            drift = self._size * self._slope(posterior, self._units)
            # Far from the mode a step that nobody checks could overshoot for ever.
            self._units = self._units + np.clip(drift, -_FARTHEST, _FARTHEST) + noise

    def _langevin(self, posterior: Posterior) -> None:
        def target(units: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            return self._log_density(posterior, units), self._slope(posterior, units)

        chains = mcmc.start_langevin(self._units, target)
        for _ in range(self._steps):
            chains = mcmc.langevin_step(chains, target, self._size, self._random)
            self._adapt(chains.accepted)
        self._units = chains.position

    def _walk(self, posterior: Posterior) -> None:
        def target(units: np.ndarray) -> np.ndarray:
            return self._log_density(posterior, units)

        chains = mcmc.start_walk(self._units, target)
        for _ in range(self._steps):
            chains = mcmc.walk_step(chains, target, np.sqrt(self._size), self._random)
            self._adapt(chains.accepted)
        self._units = chains.position

    def _adapt(self, accepted: np.ndarray) -> None:
        """Lengthen steps that are always taken, shorten those that never are."""
        excess = accepted[..., None] - _TARGET[self._how]
        self._size = self._size * np.exp(_ADAPTATION * excess)


def whitening(posterior: Posterior, latents: np.ndarray) -> np.ndarray:
    """Roots (T, L, L) of the inverse curvature at latents (T, L): `A A' = C^-1`."""
    curvature = posterior.fisher(latents)[1].astype(float)
    lower = np.linalg.cholesky(curvature)
    eye = np.broadcast_to(np.eye(latents.shape[1]), lower.shape)
    # C = L L', so A = L^-T
    return np.linalg.solve(lower.swapaxes(1, 2), eye)
