# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The loop of all enhancement: what speech may be, and what noise then is, in turn.

An E-step gives variances of speech with the weight of each, and nothing else of it matters here:
samples of latents, one prior or several modes with a switch, of a recording or of the next frames
of a stream. The M-step is that of `noise_model`; what comes out is the posterior mean of speech.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from av_perception.enhancement.noise_model import NoiseModel, maximize
from av_perception.enhancement.posterior import Posterior


@dataclass(frozen=True)
class PossibleSpeech:
    """What speech may be, by an E-step.

    Attributes
    ----------
    variance
        (R, T, F) of speech at a gain of one, of each of R possibilities.
    weights
        (R, T) float32 probability of each in each frame, with a sum of one; None: all alike.
    """

    variance: np.ndarray
    weights: np.ndarray | None = None

    def gain(self, model: NoiseModel) -> np.ndarray:
        """(T, F) in 0..1: Wiener gain averaged over the possibilities."""
        share = model.speech(self.variance) / model.total(self.variance)
        if self.weights is None:
            return share.mean(axis=0)
        return np.einsum('rt,rtf->tf', self.weights, share)


class EStep(Protocol):
    """What speech may be, better with every call."""

    def __call__(self, posterior: Posterior) -> PossibleSpeech:
        """Improve what is known, with noise and gains as they are now."""


@dataclass(frozen=True)
class KnownSpeech:
    """An E-step that has nothing to improve."""

    speech: PossibleSpeech

    def __call__(self, posterior: Posterior) -> PossibleSpeech:
        """Give what is known."""
        return self.speech


@dataclass(frozen=True)
class Alternated:
    """What is known after all rounds: speech, and noise and gains."""

    speech: PossibleSpeech
    model: NoiseModel

    @property
    def gain(self) -> np.ndarray:
        """(T, F) in 0..1: speech is `gain * x`, noise the rest."""
        return self.speech.gain(self.model)


#: Told after each M-step: what speech may be, and noise and gains before and after.
Watch = Callable[[PossibleSpeech, NoiseModel, NoiseModel], None]


def alternate(
    posterior: Posterior,
    step: EStep,
    rounds: int,
    start: PossibleSpeech | None = None,
    watch: Watch | None = None,
) -> Alternated:
    """Take both steps so often.

    Parameters
    ----------
    posterior
        Power, and noise and gains to begin with; the prior is the E-step's own affair.
    step
        The E-step.
    rounds
        How often, at least 0.
    start
        What speech may be before the first E-step: then the M-step comes first in each round.
        A stream begins so: a wrong first guess of the noise, which nothing corrects afterwards,
        would lead the latents of its few frames astray.
    watch
        See `Watch`.

    Returns
    -------
    Alternated
        Speech by the last E-step, noise and gains by the last M-step.
    """
    speech = step(posterior) if start is None else start
    for index in range(rounds):
        before = posterior.model
        model = maximize(posterior.power, before, speech.variance, speech.weights)
        posterior = replace(posterior, model=model)
        if watch is not None:
            watch(speech, before, model)
        # With a start the rounds end with speech, else with noise.
        if start is not None or index < rounds - 1:
            speech = step(posterior)
    return Alternated(speech, posterior.model)
