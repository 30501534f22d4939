# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""E-steps by name: what is known of the latents, as samples that the M-step averages over.

amortized  the encoder's mean, of the recording less the noise
peem       the most probable latents (a point), by Fisher scoring
adam       the same by Adam on the gradient, as the publications do it
ldem       chains by unadjusted Langevin steps
mala       chains by Langevin steps with Metropolis' decision
mcem       chains that walk at random
vem        a Gaussian: the encoder's, tuned to the recording, where the prior has an encoder that
           can be tuned, else one of each frame

Sadeghi and Serizel (ICASSP 2023); Bie, Leglaive, Alameda-Pineda and Girin (IEEE/ACM TASLP 30,
2022).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from av_perception.enhancement.adam import Adam
from av_perception.enhancement.chains import LDEM, MALA, MCEM, ChainStep
from av_perception.enhancement.posterior import Posterior, fisher_step
from av_perception.enhancement.prior import SpeechPrior, TunablePrior
from av_perception.enhancement.variational import EncoderStep, GaussianStep

AMORTIZED = 'amortized'
PEEM = 'peem'
ADAM = 'adam'
VEM = 'vem'
METHODS = (AMORTIZED, PEEM, ADAM, LDEM, MALA, MCEM, VEM)


@dataclass(frozen=True)
class LatentStepConfig:
    """How much work an E-step is."""

    #: Gradient, Fisher or chain steps in each iteration, at least 1; 0: as the method needs.
    steps: int = 0
    #: Samples or chains, at least 1; amortized and point estimates have one.
    samples: int = 4
    #: Rate of Adam on latents (adam), positive.
    rate: float = 0.01
    #: Rate of Adam on the parameters of the encoder (vem), positive.
    encoder_rate: float = 0.001

    def __post_init__(self):
        if self.steps < 0:
            raise ValueError(f'steps must not be negative, but is {self.steps}')
        if self.samples < 1:
            raise ValueError(f'samples must be at least 1, not {self.samples}')
        for name in ('rate', 'encoder_rate'):
            if not getattr(self, name) > 0:
                raise ValueError(f'{name} must be positive, not {getattr(self, name)}')


_STEPS = {AMORTIZED: 0, PEEM: 2, ADAM: 10, LDEM: 5, MALA: 5, MCEM: 20, VEM: 1}


class LatentStep(Protocol):
    """Samples (R, T, L) of the latents, better with every call."""

    def __call__(self, posterior: Posterior) -> np.ndarray:
        """Improve what is known, with noise and gains as they are now."""


class AmortizedStep:
    """The encoder's mean, which stays. mean: (T, L)."""

    def __init__(self, mean: np.ndarray):
        self._samples = mean[None]

    def __call__(self, posterior: Posterior) -> np.ndarray:
        """Give the mean."""
        return self._samples


class PointStep:
    """The most probable latents, by so many steps of Fisher scoring in a call."""

    def __init__(self, mean: np.ndarray, steps: int):
        self._latents = mean
        self._steps = steps

    def __call__(self, posterior: Posterior) -> np.ndarray:
        """Take the steps."""
        for _ in range(self._steps):
            self._latents = fisher_step(posterior, self._latents)
        return self._latents[None]


class AdamPointStep:
    """The most probable latents, by so many steps of Adam in a call."""

    def __init__(self, mean: np.ndarray, steps: int, rate: float):
        self._latents = {'z': mean}
        self._adam = Adam(rate)
        self._steps = steps

    def __call__(self, posterior: Posterior) -> np.ndarray:
        """Take the steps."""
        for _ in range(self._steps):
            slope = {'z': posterior.gradient(self._latents['z'])}
            self._latents = self._adam.moved(self._latents, slope)
        return self._latents['z'][None]


def make_step(
    method: str,
    prior: SpeechPrior,
    heard: np.ndarray,
    config: LatentStepConfig,
    random: np.random.Generator,
) -> LatentStep:
    """Make the E-step of a method.

    Parameters
    ----------
    method
        One of METHODS.
    prior
        Of speech.
    heard
        (T, F) power of the recording less the noise: what the encoder is fed with.
    config, random
        How much work it is, and the source of its draws.

    Raises
    ------
    ValueError
        When there is no such method.
    """
    if method == VEM and isinstance(prior, TunablePrior):
        steps = config.steps or _STEPS[method]
        return EncoderStep(prior, heard, config.samples, steps, config.encoder_rate, random)
    return step_from(method, prior.encode(heard)[0], config, random)


def step_from(
    method: str, mean: np.ndarray, config: LatentStepConfig, random: np.random.Generator
) -> LatentStep:
    """Make an E-step that begins at latents (T, L), whatever encoder they are of; see `make_step`.

    Raises ValueError when there is no such method.
    """
    if method not in METHODS:
        raise ValueError(f"the method must be one of {', '.join(METHODS)}, not '{method}'")
    steps = config.steps or _STEPS[method]
    if method == AMORTIZED:
        return AmortizedStep(mean)
    if method == PEEM:
        return PointStep(mean, steps)
    if method == ADAM:
        return AdamPointStep(mean, steps, config.rate)
    if method == VEM:
        return GaussianStep(mean, config.samples, steps, random)
    return ChainStep(mean, method, config.samples, steps, random)
