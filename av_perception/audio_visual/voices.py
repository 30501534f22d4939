# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Voices of several people out of one channel, told apart by their faces.

    x_tf ~ N_c(0, V),   V = sum_j g_jt v_tf(z_jt) + c_t N_tf + (W H)_ft,   z_jt ~ N(m_jt, p_jt)

with the mean and variance that each person's face gives (Nguyen, Sadeghi, Ricci and
Alameda-Pineda, "Deep variational generative models for audio-visual speech separation", MLSP
2021). In the E-step of one person all others are noise, with the variance that they had before:
one after the other, as it is published, makes the first ones better and the last ones worse.
Whose voice is whose is decided by the faces.

Where it is known how likely somebody speaks, their gain is at most so many times that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from av_perception.enhancement.engine import (
    EVIDENCE_WEIGHT,
    check_fit,
    heard_power,
    safe_powers,
)
from av_perception.enhancement.latent_steps import (
    METHODS,
    PEEM,
    VEM,
    LatentStep,
    LatentStepConfig,
    step_from,
)
from av_perception.enhancement.noise_model import (
    LEAST_GAIN,
    NoiseModel,
    gain_change,
    start_noise,
    update_noise,
)
from av_perception.enhancement.posterior import Posterior
from av_perception.enhancement.prior import SpeechPrior

VISION = 'vision'
ENCODER = 'encoder'
STARTS = (VISION, ENCODER)
Progress = Callable[[float], None]
_LOUDEST = 4.0  # gain of somebody who is known to speak


@dataclass(frozen=True)
class VoicesConfig:
    """How voices are told apart."""

    #: E-step of each person: those of enhancement but vem.
    method: str = PEEM
    #: Rounds of all E-steps and the M-step, at least 1.
    iterations: int = 4
    #: Where latents begin: what is seen, then the encoder on what that leaves of the mixture
    #: (vision), or an encoder that was trained on mixtures (encoder).
    start: str = VISION
    #: Spectra that noise is made of beside its first guess.
    rank: int = 4
    #: How much a bin counts against the priors.
    evidence_weight: float = EVIDENCE_WEIGHT
    #: Work of an E-step of one person: little, for all wait for each other.
    latents: LatentStepConfig = field(default_factory=lambda: LatentStepConfig(steps=1, samples=2))
    #: Of all draws.
    seed: int = 0

    def __post_init__(self):
        if self.method not in METHODS or self.method == VEM:
            known = ', '.join(name for name in METHODS if name != VEM)
            raise ValueError(f"method must be one of {known}, not '{self.method}'")
        if self.start not in STARTS:
            raise ValueError(f"start must be one of {', '.join(STARTS)}, not '{self.start}'")
        check_fit(self.iterations, self.rank, self.evidence_weight)


@dataclass(frozen=True)
class Voices:
    """What is known of J voices.

    Attributes
    ----------
    gains
        (J, T, F) in 0..1: voice j is `gains[j] * x`; the rest is noise.
    loudness
        (J, T) g.
    noise
        Of the noise; its gain of speech is one.
    costs
        (rounds, 2) sum of |x|^2 / V + log V before and after each M-step.
    """

    gains: np.ndarray
    loudness: np.ndarray
    noise: NoiseModel
    costs: np.ndarray


def separate_power(
    power: np.ndarray,
    priors: Sequence[SpeechPrior],
    config: VoicesConfig | None = None,
    guess: np.ndarray | None = None,
    speaking: np.ndarray | None = None,
    progress: Progress = lambda fraction: None,
) -> Voices:
    """Tell the voices in the power of one channel apart.

    Parameters
    ----------
    power, guess, config, progress
        As for `enhancement.engine.enhance_power`, with a `VoicesConfig`.
    priors
        One per person, which sees the face (`seen_prior`).
    speaking
        (J, T) probability that each person speaks; NaN, None: it is not known.

    Returns
    -------
    Voices
        Gains of each, in the order of the priors.
    """
    config = config or VoicesConfig()
    random = np.random.default_rng(config.seed)
    power, guess = safe_powers(power, guess)
    noise = start_noise(guess, config.rank, random)
    most = _largest_gains(len(priors), len(power), speaking)
    starts = _starts(heard_power(power), priors, config.start)
    mixture = Mixture(power, priors, starts, most, config, random)
    costs = np.zeros((config.iterations, 2))
    for index in range(config.iterations):
        mixture.improve_latents(noise)
        costs[index, 0] = mixture.cost(noise)
        noise = update_noise(power, noise, mixture.speech())
        mixture.improve_loudness(noise)
        costs[index, 1] = mixture.cost(noise)
        progress((index + 1) / config.iterations)
    return Voices(mixture.gains(noise), mixture.loudness, noise, costs)


def _largest_gains(people: int, frames: int, speaking: np.ndarray | None) -> np.ndarray:
    """(J, T) float32."""
    if speaking is None:
        return np.full((people, frames), np.inf, np.float32)
    most = _LOUDEST * np.clip(np.nan_to_num(speaking, nan=1.0), 0.0, 1.0)
    return np.maximum(most, LEAST_GAIN).astype(np.float32)


def _starts(heard: np.ndarray, priors: Sequence[SpeechPrior], start: str) -> list[np.ndarray]:
    """Latents (T, L) of each person to begin with, of what is heard (T, F)."""
    if start == ENCODER:
        return [prior.encode(heard)[0] for prior in priors]
    unknown = [np.zeros((len(heard), prior.num_latents), np.float32) for prior in priors]
    shown = [prior.decode(prior.prior(z)[0]) for prior, z in zip(priors, unknown)]
    total = np.sum(shown, axis=0)
    return [prior.encode((own / total) ** 2 * heard)[0] for prior, own in zip(priors, shown)]


class Mixture:
    """R samples of the voices of J people.

    Parameters
    ----------
    power
        (T, F) of the mixture.
    priors, starts
        Of each person, and their latents (T, L) to begin with.
    most
        (J, T) largest gains.
    config, random
        Of the E-steps.
    """

    def __init__(
        self,
        power: np.ndarray,
        priors: Sequence[SpeechPrior],
        starts: Sequence[np.ndarray],
        most: np.ndarray,
        config: VoicesConfig,
        random: np.random.Generator,
    ):
        self._power = power
        self._priors = priors
        self._weight = config.evidence_weight
        self._most = most
        self.loudness = np.minimum(np.ones_like(most), most)
        one = replace(config.latents, samples=1)
        count = config.latents.samples if config.method in ('ldem', 'mala', 'mcem') else 1
        # (each sample has steps of its own: they see different voices of the others)
        self._steps: list[list[LatentStep]] = [
            [step_from(config.method, z, one, random) for z in starts] for _ in range(count)
        ]
        decoded = np.stack([prior.decode(z) for prior, z in zip(priors, starts)])
        #: (R, J, T, F) variances of the voices at a gain of one
        self.variance = np.repeat(decoded[None], count, axis=0)

    def speech(self) -> np.ndarray:
        """(R, T, F) variance of all voices together."""
        return np.einsum('jt,rjtf->rtf', self.loudness, self.variance)

    def rest(
        self, sample: int, person: int, noise: NoiseModel, variance: np.ndarray
    ) -> np.ndarray:
        """(T, F) variance of all but a person's voice, of those (R, J, T, F) of the voices."""
        loudness = self.loudness.copy()
        loudness[person] = 0.0
        return np.einsum('jt,jtf->tf', loudness, variance[sample]) + noise.noise

    def improve_latents(self, noise: NoiseModel) -> None:
        """E-step of everybody, who all hear the others as they were."""
        before = self.variance.copy()
        for sample, steps in enumerate(self._steps):
            for person, step in enumerate(steps):
                rest = self.rest(sample, person, noise, before)
                others = start_noise(rest, 0, np.random.default_rng(0))
                others = replace(others, speech_gain=self.loudness[person])
                prior = self._priors[person]
                latents = step(Posterior(prior, self._power, others, self._weight))[0]
                self.variance[sample, person] = prior.decode(latents)

    def improve_loudness(self, noise: NoiseModel) -> None:
        """M-step of the gains."""
        total = self.speech() + noise.noise
        # (the majorizing function of the rules is a sum over the people: all move at once)
        for person, loudness in enumerate(self.loudness.copy()):
            change = gain_change(self._power, total, self.variance[:, person])
            gain = np.clip(loudness * change, LEAST_GAIN, self._most[person])
            self.loudness[person] = gain

    def cost(self, noise: NoiseModel) -> float:
        """Sum of |x|^2 / V + log V, mean over the samples."""
        total = self.speech() + noise.noise
        return float((self._power / total + np.log(total)).sum(dtype=float) / len(total))

    def gains(self, noise: NoiseModel) -> np.ndarray:
        """(J, T, F) mean over the samples of each voice's part of V."""
        total = self.speech() + noise.noise
        return np.einsum('jt,rjtf,rtf->jtf', self.loudness, self.variance, 1 / total) / len(total)
