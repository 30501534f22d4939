# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Expectation and maximization for a voice in noise, whatever the prior and the E-step.

Noise needs no training: it starts as what `noise_tracking` follows, the lower of forwards and
backwards, and the M-step fits it to the recording together with the loudness of speech. The
encoder hears what the classic gain of `lsa` leaves of the recording.
What comes out is the posterior mean of speech, a Wiener gain averaged over the samples; speech and
noise add up to the recording. Leglaive et al. (ICASSP 2020); Bie et al. (IEEE/ACM TASLP 30, 2022).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from av_perception.enhancement.alternation import PossibleSpeech, alternate
from av_perception.enhancement.chains import LDEM, MALA, MCEM
from av_perception.enhancement.latent_steps import (
    ADAM,
    AMORTIZED,
    METHODS,
    PEEM,
    VEM,
    LatentStep,
    LatentStepConfig,
    make_step,
)
from av_perception.enhancement.lsa import LsaConfig, LsaGain
from av_perception.enhancement.noise_model import NoiseModel, cost_of, start_noise
from av_perception.enhancement.noise_tracking import track_noise
from av_perception.enhancement.posterior import Posterior
from av_perception.enhancement.prior import PRIOR_TRANSFORM, RATE, SpeechPrior

HOP_S = PRIOR_TRANSFORM.hop / RATE
HEARD = LsaConfig(transform=PRIOR_TRANSFORM, least_gain_db=-20.0)
_LEAST_POWER = 1e-9  # of the loudest bin
_QUIETEST = 1e-24  # power: single precision still divides by it
_ITERATIONS = {AMORTIZED: 1, PEEM: 3, ADAM: 8, LDEM: 10, MALA: 10, MCEM: 10, VEM: 20}
EVIDENCE_WEIGHT = 0.125


def check_fit(iterations: int, rank: int, evidence_weight: float) -> None:
    """Raise ValueError for a number of rounds, a rank of noise or a weight without sense."""
    if iterations < 1:
        raise ValueError(f'iterations must be at least 1, not {iterations}')
    if rank < 0:
        raise ValueError(f'rank must not be negative, but is {rank}')
    if not evidence_weight > 0:
        raise ValueError(f'evidence_weight must be positive, not {evidence_weight}')


@dataclass(frozen=True)
class EngineConfig:
    """Which E-step, how often, and how rich noise is."""

    #: E-step: amortized, peem, adam, ldem, mala, mcem or vem.
    method: str = PEEM
    #: Rounds of E-step and M-step, at least 1; 0: as the method needs.
    iterations: int = 0
    #: Spectra that noise is made of beside its first guess.
    rank: int = 4
    #: How much a bin counts against the prior: windows of 64 ms every 16 ms count a sample four
    #: times, and in more than one bin; 0: one for vem, which is bound to the encoder, else 1/8.
    evidence_weight: float = 0.0
    #: Work of the E-step.
    latents: LatentStepConfig = field(default_factory=LatentStepConfig)
    #: Of all draws.
    seed: int = 0

    def __post_init__(self):
        if self.method not in METHODS:
            raise ValueError(f"method must be one of {', '.join(METHODS)}, not '{self.method}'")
        if self.iterations < 0:
            raise ValueError(f'iterations must not be negative, but is {self.iterations}')
        if self.rank < 0:
            raise ValueError(f'rank must not be negative, but is {self.rank}')
        if not self.evidence_weight >= 0:
            raise ValueError(
                f'evidence_weight must not be negative, but is {self.evidence_weight}'
            )

    @property
    def rounds(self) -> int:
        """How often both steps are taken."""
        return self.iterations or _ITERATIONS[self.method]

    @property
    def weight(self) -> float:
        """How much a bin counts."""
        return self.evidence_weight or (1.0 if self.method == VEM else EVIDENCE_WEIGHT)


@dataclass(frozen=True)
class Enhanced:
    """What is known of speech and noise.

    Attributes
    ----------
    gain
        (T, F) in 0..1: speech is `gain * x`, noise the rest.
    model
        Noise and gains.
    latents
        (R, T, L) last samples.
    costs
        (rounds, 2) cost before and after each M-step, with the samples of its E-step.
    """

    gain: np.ndarray
    model: NoiseModel
    latents: np.ndarray
    costs: np.ndarray


def enhance_power(
    power: np.ndarray,
    prior: SpeechPrior,
    config: EngineConfig | None = None,
    guess: np.ndarray | None = None,
    progress: Callable[[float], None] = lambda fraction: None,
) -> Enhanced:
    """Fit noise and latents to the power of a recording.

    Parameters
    ----------
    power
        (T, F) of `PRIOR_TRANSFORM`, finite, of a waveform with a maximum of about one.
    prior
        Of speech.
    config
        See `EngineConfig`.
    guess
        (T, F) of the noise; None: it is tracked here.
    progress
        Called with the fraction that is done.

    Returns
    -------
    Enhanced
        Gains of speech, and all that was found.
    """
    config = config or EngineConfig()
    random = np.random.default_rng(config.seed)
    power, guess = safe_powers(power, guess)
    heard = heard_power(power)
    model = start_noise(guess, config.rank, random)
    step = make_step(config.method, prior, heard, config.latents, random)
    start = Posterior(prior, power, model, config.weight)
    return _fit(start, _Samples(prior, step), config.rounds, progress)


class _Samples:
    """Samples of the latents as an E-step of `alternate`."""

    def __init__(self, prior: SpeechPrior, step: LatentStep):
        self._prior = prior
        self._step = step
        self.latents = np.zeros((0, 0, 0))

    def __call__(self, posterior: Posterior) -> PossibleSpeech:
        """Improve the samples, and decode them."""
        self.latents = self._step(posterior)
        return PossibleSpeech(np.stack([self._prior.decode(z) for z in self.latents]))


def _fit(
    start: Posterior, samples: _Samples, rounds: int, progress: Callable[[float], None]
) -> Enhanced:
    """Take both steps so often, and remember what each M-step did to the cost."""
    costs: list[list[float]] = []

    def watch(speech: PossibleSpeech, before: NoiseModel, after: NoiseModel) -> None:
        costs.append([cost_of(start.power, model, speech.variance) for model in (before, after)])
        progress(len(costs) / rounds)

    found = alternate(start, samples, rounds, watch=watch)
    return Enhanced(found.gain, found.model, samples.latents, np.array(costs))


def heard_power(power: np.ndarray) -> np.ndarray:
    """(T, F) float32 that the encoder is fed with: what the classic gain leaves of (T, F)."""
    gain = LsaGain(HEARD).update(power.astype(float))
    return (gain**2 * power).astype(np.float32)


def guess_noise(power: np.ndarray) -> np.ndarray:
    """(T, F) noise under the power (T, F) of a recording: the lower of forwards and backwards."""
    backward = track_noise(power[::-1], HOP_S)[::-1]
    return np.minimum(track_noise(power, HOP_S), backward)


def safe_powers(power: np.ndarray, guess: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Float32 power and guess (T, F), both above what silence would give; None: tracked here."""
    least = float(_LEAST_POWER * np.max(power, initial=0.0)) + _QUIETEST
    power = np.maximum(power, least).astype(np.float32)
    if guess is None:
        guess = guess_noise(power)
    return power, np.maximum(guess, least).astype(np.float32)
