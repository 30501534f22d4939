# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Variational EM that keeps what speech itself is, beside its latents: q(s) q(z) q(alpha).

    q(s_tf) = N_c(mu, zeta),  1 / gamma = E_q(z)[1 / (g v(z))],  b the noise's variance,
    zeta = gamma b / (gamma + b),  mu = gamma / (gamma + b) x

Latents see the power `|mu|^2 + zeta` as if it were clean speech, noise the power
`|x - mu|^2 + zeta`; the gain of a frame has a closed form. This is how the publications treat the
mixture of encoders; of a single prior it is their alternative to sampling with speech integrated
out, which the engine does and which needs fewer rounds. See `seeing_vae.MinVae` for q(alpha):

    q_n = pi / (pi + (1 - pi) exp(-D_n)),  D_n = E_q(z)[log N(z; mu_A, sigma_A) - log N(z; mu_V,
    sigma_V)],  pi = mean of q_n,  p(z_n) to the power q_n of the one times 1 - q_n of the other.

The free energy, of point estimates of the latents, never rises.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from av_perception.audio_visual.seeing_objective import choice_divergence, hearing_posterior
from av_perception.audio_visual.seen_prior import SeenPrior
from av_perception.audio_visual.visual_prior import log_density
from av_perception.enhancement.engine import (
    EVIDENCE_WEIGHT,
    check_fit,
    heard_power,
    safe_powers,
)
from av_perception.enhancement.latent_steps import PEEM, LatentStep, LatentStepConfig, step_from
from av_perception.enhancement.noise_model import NoiseModel, start_noise, update_noise
from av_perception.enhancement.posterior import Posterior
from av_perception.enhancement.prior import SpeechPrior

_LEAST_NOISE = 1e-12  # beside speech that is known
_WEIGHT_LIMIT = 1e-3  # of pi: a branch that is never chosen may be, some day


@dataclass(frozen=True)
class MomentsConfig:
    """Rounds, E-step and noise."""

    #: E-step of the latents: those of enhancement but vem.
    method: str = PEEM
    #: Rounds, at least 1.
    iterations: int = 10
    #: Spectra that noise is made of beside its first guess.
    rank: int = 4
    #: How much a bin counts against the prior.
    evidence_weight: float = EVIDENCE_WEIGHT
    #: Work of the E-step of the latents.
    latents: LatentStepConfig = field(default_factory=LatentStepConfig)
    #: Of all draws.
    seed: int = 0

    def __post_init__(self):
        check_fit(self.iterations, self.rank, self.evidence_weight)


@dataclass(frozen=True)
class Branches:
    """N(mu_m, sigma_m I) of latents that the ears (row 0) or the eyes (row 1) chose, and pi.

    means: (2, L); variances: (2,); weight: pi, in 0..1; is_learnt: whether pi is fitted.
    """

    means: np.ndarray
    variances: np.ndarray
    weight: float = 0.5
    is_learnt: bool = True


@dataclass(frozen=True)
class Moments:
    """What is known of speech.

    Attributes
    ----------
    gain
        (T, F) in 0..1: the mean of speech is `gain * x`.
    hearing
        (T,) q_n, that the ears chose; ones where there are no branches.
    weight
        pi, at the end.
    free_energy
        (rounds,) after each; for one sample of the latents it is what is lowered.
    """

    gain: np.ndarray
    hearing: np.ndarray
    weight: float
    free_energy: np.ndarray


@dataclass(frozen=True)
class _Speech:
    """q(s): gain (T, F) of the mean, and zeta (T, F)."""

    gain: np.ndarray
    variance: np.ndarray

    def power(self, power: np.ndarray) -> np.ndarray:
        """(T, F) of speech, for the power of the recording."""
        return self.gain**2 * power + self.variance

    def rest(self, power: np.ndarray) -> np.ndarray:
        """(T, F) power of the noise."""
        return (1 - self.gain) ** 2 * power + self.variance


def enhance_by_moments(
    power: np.ndarray,
    prior: SpeechPrior,
    config: MomentsConfig | None = None,
    guess: np.ndarray | None = None,
    branches: Branches | None = None,
    start: np.ndarray | None = None,
    progress: Callable[[float], None] = lambda fraction: None,
) -> Moments:
    """Fit noise, latents and speech to the power of a recording.

    Parameters
    ----------
    power, guess, config, progress
        As for `enhancement.engine.enhance_power`, with a `MomentsConfig`.
    prior
        Of speech, frame-wise: one that sees, or, with branches, any.
    branches
        Of a mixture of encoders; they take the place of the prior's own Gaussian.
    start
        (T, L) latents to begin with: of the visual encoder; None: of the encoder.

    Returns
    -------
    Moments
        Gains of speech, and which branch chose.
    """
    config = config or MomentsConfig()
    random = np.random.default_rng(config.seed)
    power, guess = safe_powers(power, guess)
    heard = heard_power(power)
    if start is None:
        start = prior.encode(heard)[0]
    step = step_from(config.method, np.asarray(start, np.float32), config.latents, random)
    fit = _Fit(power, prior, start_noise(guess, config.rank, random), branches, heard)
    energies = np.zeros(config.iterations)
    for index in range(config.iterations):
        energies[index] = fit.advance(step, config.evidence_weight)
        progress((index + 1) / config.iterations)
    return Moments(fit.speech.gain, fit.hearing, fit.weight, energies)


class _Fit:
    """All that a round changes."""

    def __init__(self, power, prior: SpeechPrior, noise: NoiseModel, branches, heard):
        self._power = power
        self._prior = prior
        self._noise = noise
        self._branches = branches
        self._heard: np.ndarray | None = heard  # stands for speech in the first round
        self._loudness = np.ones(len(power), power.dtype)
        self.hearing = np.full(len(power), 1.0 if branches is None else 0.5)
        self.weight = 1.0 if branches is None else branches.weight
        self.speech = _Speech(np.ones_like(power), np.zeros_like(power))

    def advance(self, step: LatentStep, evidence_weight: float) -> float:
        """Take all steps once; gives the free energy."""
        power = self.speech.power(self._power) if self._heard is None else self._heard
        self._heard = None
        prior = self._merged()
        # q(z): speech of this power, and no noise
        quiet = start_noise(np.full_like(power, _LEAST_NOISE), 0, np.random.default_rng(0))
        alone = replace(quiet, speech_gain=self._loudness)
        latents = step(Posterior(prior, power, alone, evidence_weight))
        variance = np.stack([prior.decode(z) for z in latents])
        # the gain of each frame, which has a closed form
        inverse = (1 / variance).mean(axis=0)
        self._loudness = np.maximum((power * inverse).mean(axis=1), 1e-9)
        # q(s)
        spread = self._loudness[:, None] / inverse
        noise = self._noise.noise
        share = spread / (spread + noise)
        self.speech = _Speech(share, share * noise)
        # noise, and q(alpha)
        rest = self.speech.rest(self._power)
        self._noise = update_noise(rest, self._noise, np.zeros((1, *power.shape), power.dtype))
        self._choose(latents)
        return self._free_energy(latents, variance, evidence_weight)

    def _merged(self) -> SpeechPrior:
        """Latents under both branches, as far as each is believed."""
        if self._branches is None:
            return self._prior
        shares = np.stack([self.hearing, 1 - self.hearing]) / self._branches.variances[:, None]
        precision = shares.sum(axis=0)[:, None]
        mean = (shares.T @ self._branches.means) / precision
        return SeenPrior(self._prior, mean, np.broadcast_to(1 / precision, mean.shape))

    def _choose(self, latents: np.ndarray) -> None:
        if self._branches is None:
            return
        ears, eyes = self._densities(latents)
        self.hearing = hearing_posterior(eyes - ears, self.weight)
        if self._branches.is_learnt:
            mean = float(self.hearing.mean())
            self.weight = float(np.clip(mean, _WEIGHT_LIMIT, 1 - _WEIGHT_LIMIT))

    def _densities(self, latents: np.ndarray) -> list[np.ndarray]:
        """(T,) expected log densities under both branches."""
        pairs = zip(self._branches.means, self._branches.variances)
        return [log_density(m, np.full_like(m, v), latents).mean(axis=0) for m, v in pairs]

    def _free_energy(
        self, latents: np.ndarray, variance: np.ndarray, evidence_weight: float
    ) -> float:
        noise = self._noise.noise
        spread = self._loudness[:, None] * variance
        fit = self.speech.rest(self._power) / noise + np.log(noise)
        fit = fit - np.log(self.speech.variance)
        own = self.speech.power(self._power) / spread + np.log(spread)
        energy = evidence_weight * (fit + own.mean(axis=0)).sum(dtype=float)
        if self._branches is None:
            mean, spread = self._prior.prior(latents[0])
            return energy - log_density(mean, spread, latents).mean(axis=0).sum()
        ears, eyes = self._densities(latents)
        densities = self.hearing * ears + (1 - self.hearing) * eyes
        return energy + (choice_divergence(self.hearing, self.weight) - densities).sum()
