# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A prior of speech on a live stream, a few frames at a time, from the past alone.

The classic gain follows the noise and prepares what the encoder hears; in each block the latents
start at the encoder's mean and move by a step of Fisher scoring, and speech and noise share the
recording by gains of each frame (`engine` on a few frames).
Loudness is that of the loudest moment lately: priors know waveforms with a maximum of about one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from av_perception.enhancement.engine import EVIDENCE_WEIGHT, HEARD
from av_perception.enhancement.lsa import LsaGain
from av_perception.enhancement.noise_model import maximize, start_noise
from av_perception.enhancement.posterior import Posterior, fisher_step
from av_perception.enhancement.prior import PRIOR_TRANSFORM, RATE, SpeechPrior
from av_perception.spectral.transform import StreamingAnalysis, StreamingSynthesis

_LEAST_LEVEL = 1e-3  # a stream that is quieter is silence
_LEVEL_MEMORY_S = 5.0
_LEAST_POWER = 1e-8  # of what priors know


@dataclass(frozen=True)
class PriorStreamConfig:
    """Work and delay of a live stream."""

    #: Frames of 16 ms that are enhanced together, at least 1: fewer cost more, more come later.
    block: int = 4
    #: Rounds of E-step and M-step for a block, at least 0: with 0 the encoder decides.
    rounds: int = 1
    #: How much a bin counts against the prior, as in `EngineConfig`.
    evidence_weight: float = EVIDENCE_WEIGHT
    #: Least gain, 0..1: what is left of noise sounds natural.
    least_gain: float = 0.1

    def __post_init__(self):
        if self.block < 1:
            raise ValueError(f'block must be at least 1, not {self.block}')
        if self.rounds < 0:
            raise ValueError(f'rounds must not be negative, but is {self.rounds}')
        if not 0 <= self.least_gain <= 1:
            raise ValueError(f'least_gain must lie in 0..1, not {self.least_gain}')

    @property
    def delay(self) -> int:
        """Samples by which a stream is late at most: a window, and a block that fills."""
        return PRIOR_TRANSFORM.size + (self.block - 1) * PRIOR_TRANSFORM.hop


class PriorStream:
    """Samples in, samples out, cut anyhow: sample n comes out as sample n.

    Parameters
    ----------
    prior
        Of speech, one whose frames are on their own.
    config
        See `PriorStreamConfig`.
    """

    def __init__(self, prior: SpeechPrior, config: PriorStreamConfig | None = None):
        self._prior = prior
        self._config = config or PriorStreamConfig()
        transform = PRIOR_TRANSFORM
        self._analysis = StreamingAnalysis(
            transform.analysis_window, transform.hop, 1, transform.lead, np.float32
        )
        self._synthesis = StreamingSynthesis(transform, 1)
        self._classic = LsaGain(HEARD)
        self._pending = np.zeros((0, transform.num_bins), np.complex64)
        self._level = _LEAST_LEVEL
        self._random = np.random.default_rng(0)

    def push(self, samples: np.ndarray) -> np.ndarray:
        """Take the next samples (N,), finite; gives those that became complete."""
        self._take(self._analysis.push(samples[:, None].astype(np.float32)))
        done = [np.zeros(0)]
        while len(self._pending) >= self._config.block:
            done.append(self._next_block(self._config.block))
        return np.concatenate(done)

    def finish(self) -> np.ndarray:
        """End the stream: gives the last samples, and some silence after them."""
        self._take(self._analysis.finish())
        done = [np.zeros(0)]
        while len(self._pending):
            done.append(self._next_block(min(len(self._pending), self._config.block)))
        return np.concatenate(done)

    def _take(self, spectra: np.ndarray) -> None:
        frames = spectra[..., 0].astype(np.complex64)
        self._pending = np.concatenate([self._pending, frames])

    def _next_block(self, count: int) -> np.ndarray:
        """Give the samples that the next so many frames complete."""
        spectra = self._pending[:count]
        self._pending = self._pending[count:]
        gain = self._gain(np.abs(spectra) ** 2)
        return self._synthesis.push((gain * spectra)[..., None])[:, 0]

    def _gain(self, power: np.ndarray) -> np.ndarray:
        """(T, F) gains of a block."""
        classic, noise = self._classic.update_with_noise(power)
        scale = 1 / self._follow_level(power) ** 2
        heard = (scale * classic**2 * power).astype(np.float32)
        power = np.maximum(scale * power, _LEAST_POWER).astype(np.float32)
        noise = np.maximum(scale * noise, _LEAST_POWER).astype(np.float32)
        latents = self._prior.encode(heard)[0]
        model = start_noise(noise, 0, self._random)
        variance = self._prior.decode(latents)[None]
        for _ in range(self._config.rounds):
            model = maximize(power, model, variance)
            posterior = Posterior(self._prior, power, model, self._config.evidence_weight)
            latents = fisher_step(posterior, latents, tries=2)
            variance = self._prior.decode(latents)[None]
        speech = model.speech(variance[0])
        gain = speech / (speech + model.noise)
        return np.maximum(gain, self._config.least_gain)

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
