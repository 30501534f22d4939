# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A prior of speech on a live stream, a few frames at a time, from the past alone.

The classic gain follows the noise and prepares what the encoder hears; in each block the latents
start at the encoder's mean and move by a step of Fisher scoring, and speech and noise share the
recording by gains of each frame: the loop of `alternation`, on a few frames. A prior with a memory
stays at the encoder's mean (`prior_memory`).
Loudness is that of the loudest moment lately: priors know waveforms with a maximum of about one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from av_perception.enhancement.alternation import (
    EStep,
    KnownSpeech,
    PossibleSpeech,
    alternate,
)
from av_perception.enhancement.engine import EVIDENCE_WEIGHT, HEARD
from av_perception.enhancement.heard_voice import HeardFrames, HeardVoice
from av_perception.enhancement.noise_model import start_noise
from av_perception.enhancement.posterior import Posterior, fisher_move
from av_perception.enhancement.prior import PRIOR_TRANSFORM, RATE, SpeechPrior
from av_perception.enhancement.prior_memory import PriorMemory
from av_perception.spectral.transform import StreamingSynthesis

_LEAST_LEVEL = 1e-3  # a stream that is quieter is silence
_LEVEL_MEMORY_S = 5.0
_LEAST_POWER = 1e-8  # of what priors know
STEP_LENGTHS = (1.0, 0.5)  # of a step of latents, tried in turn


@dataclass(frozen=True)
class PriorStreamConfig:
    """Work and delay of a live stream."""

    #: Frames of 16 ms that are enhanced together, at least 1: fewer cost more, more come later.
    block: int = 4
    #: Frames after a block that a prior with a memory may look at, not negative.
    look_ahead: int = 0
    #: Rounds of E-step and M-step for a block, at least 0: with 0 the encoder decides.
    rounds: int = 1
    #: How much a bin counts against the prior, as in `EngineConfig`.
    evidence_weight: float = EVIDENCE_WEIGHT
    #: Least gain, 0..1: what is left of noise sounds natural.
    least_gain: float = 0.1

    def __post_init__(self):
        if self.block < 1:
            raise ValueError(f'block must be at least 1, not {self.block}')
        for name in ('look_ahead', 'rounds'):
            if getattr(self, name) < 0:
                raise ValueError(f'{name} must not be negative, but is {getattr(self, name)}')
        if not 0 <= self.least_gain <= 1:
            raise ValueError(f'least_gain must lie in 0..1, not {self.least_gain}')

    @property
    def delay(self) -> int:
        """Samples by which a stream is late at most: a window, and a block and what follows."""
        frames = self.block - 1 + self.look_ahead
        return PRIOR_TRANSFORM.size + frames * PRIOR_TRANSFORM.hop


#: For priors with a memory.
WITH_MEMORY = PriorStreamConfig(block=2, look_ahead=3)


class BlockStep(EStep, Protocol):
    """An E-step of a few frames, which begins with a guess: `speech`."""

    @property
    def speech(self) -> PossibleSpeech:
        """What speech may be, as far as is known now."""


class BlockLatents:
    """The most probable latents of a few frames, from the encoder's mean on.

    Parameters
    ----------
    prior
        Of speech, frame-wise.
    heard
        (T, F) what the encoder hears.
    """

    def __init__(self, prior: SpeechPrior, heard: np.ndarray):
        self._prior = prior
        self._latents = prior.encode(heard)[0]
        self._decoded = prior.decode(self._latents)

    @property
    def speech(self) -> PossibleSpeech:
        """What the latents decode to."""
        return PossibleSpeech(self._decoded[None])

    def __call__(self, posterior: Posterior) -> PossibleSpeech:
        """Take one step of Fisher scoring, where it helps."""
        posterior = replace(posterior, prior=self._prior)
        found = fisher_move(posterior, self._latents, self._decoded, STEP_LENGTHS)
        self._latents = found.latents
        self._decoded = found.decoded
        return self.speech


class PriorStream:
    """Samples in, samples out, cut anyhow: sample n comes out as sample n.

    Parameters
    ----------
    prior
        Of speech. One with a memory has to be a dynamical model with a causal decoder.
    config
        See `PriorStreamConfig`; None takes what suits the prior.
    """

    def __init__(self, prior: SpeechPrior, config: PriorStreamConfig | None = None):
        self._prior = prior
        self._memory: PriorMemory | None = None
        if not prior.is_frame_wise:
            self._memory = PriorMemory(prior)  # type: ignore[arg-type]
        suitable = PriorStreamConfig() if prior.is_frame_wise else WITH_MEMORY
        self._config = config or suitable
        transform = PRIOR_TRANSFORM
        self._voice = HeardVoice(HEARD, np.float32)
        self._synthesis = StreamingSynthesis(transform, 1)
        # Frames that wait, (T, F) each: spectra, what the encoder hears, noise.
        self._pending = np.zeros((0, transform.num_bins), np.complex64)
        self._heard = np.zeros((0, transform.num_bins), np.float32)
        self._noise = self._heard
        self._level = _LEAST_LEVEL
        self._done = 0  # frames
        self._random = np.random.default_rng(0)

    def push(self, samples: np.ndarray) -> np.ndarray:
        """Take the next samples, as `HeardVoice`; gives those (N,) that became complete."""
        self._take(self._voice.push(samples))
        done = [np.zeros(0)]
        while len(self._pending) >= self._config.block + self._config.look_ahead:
            done.append(self._next_block(self._config.block))
        return np.concatenate(done)

    def finish(self) -> np.ndarray:
        """End the stream: gives the last samples, and some silence after them."""
        self._take(self._voice.finish())
        done = [np.zeros(0)]
        while len(self._pending):
            done.append(self._next_block(min(len(self._pending), self._config.block)))
        return np.concatenate(done)

    def _take(self, frames: HeardFrames) -> None:
        self._pending = np.concatenate([self._pending, frames.spectra])
        self._heard = np.concatenate([self._heard, frames.gain**2 * frames.power])
        self._noise = np.concatenate([self._noise, frames.noise])

    def _next_block(self, count: int) -> np.ndarray:
        """Give the samples that the next so many frames complete."""
        spectra = self._pending[:count]
        gain = self._gain(np.abs(spectra) ** 2)
        self._done += count
        self._pending = self._pending[count:]
        self._heard = self._heard[count:]
        self._noise = self._noise[count:]
        return self._synthesis.push((gain * spectra)[..., None])[:, 0]

    def _gain(self, power: np.ndarray) -> np.ndarray:
        """(T, F) gains of the next T frames."""
        count = len(power)
        scale = 1 / self._follow_level(power) ** 2
        heard = (scale * self._heard[: count + self._config.look_ahead]).astype(np.float32)
        power = np.maximum(scale * power, _LEAST_POWER).astype(np.float32)
        noise = np.maximum(scale * self._noise[:count], _LEAST_POWER).astype(np.float32)
        model = start_noise(noise, 0, self._random)
        posterior = Posterior(self._prior, power, model, self._config.evidence_weight)
        step = self._step(heard, count)
        gain = alternate(posterior, step, self._config.rounds, step.speech).gain
        return np.maximum(gain, self._config.least_gain)

    def _step(self, heard: np.ndarray, count: int) -> BlockStep:
        """Give the E-step of the next frames, of what is heard (T, F) in them and after them."""
        if self._memory is not None:
            return KnownSpeech(PossibleSpeech(self._memory.variance(heard, count)[None]))
        return BlockLatents(self._prior, heard[:count])

    def _follow_level(self, power: np.ndarray) -> float:
        """Largest sample lately, as the power of frames tells it."""
        # A sine of amplitude A fills a frame with the energy A^2 / 2 * size / 2, a voice whose
        # largest sample is A with about a quarter of that.
        energy = (2 * power.sum(axis=1) / PRIOR_TRANSFORM.size**2).max()
        loudest = np.sqrt(energy) * 4.0
        seconds = len(power) * PRIOR_TRANSFORM.hop / RATE
        kept = self._level * np.exp(-seconds / _LEVEL_MEMORY_S)
        self._level = float(max(loudest, kept, _LEAST_LEVEL))
        return self._level
