# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Training of VAEs that see: the conditional VAE, and the mixture of two encoders.

Both begin as a trained VAE of speech (`wide_vae`, say), so that minutes of somebody's talking are
enough to begin with. Frames are on their own. What is kept is the epoch with the least loss on
talkers of the check.

An encoder that is to tell voices apart hears mixtures: the talker and another one, at a random
ratio, while what it has to explain is the talker alone. One of a mixture of encoders hears noise
in half of the frames, or the ears would always be chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from av_perception.audio_visual.features import VisualFeatures
from av_perception.audio_visual.seeing_objective import (
    branch_losses,
    choice_divergence,
    conditional_losses,
    hearing_posterior,
)
from av_perception.audio_visual.seeing_vae import (
    CONSTANTS,
    ConditionalVae,
    MinVae,
    SeeingConfig,
    SeeingVae,
    parameters_from,
)
from av_perception.dvae.backend import NUMPY
from av_perception.dvae.model import DynamicalVae
from av_perception.dvae.spectra import FLOOR, log_powers
from av_perception.training.torch_backend import TORCH
from av_perception.training.visual_prior import fixed_gaussian

_LOUDEST_NOISE = 50.0  # power that is added to the bins of what the ears of MIN-VAE hear


@dataclass(frozen=True)
class SeenTalker:
    """Somebody who talks alone, of a waveform whose largest sample is 1.

    power: (T, F) of `PRIOR_TRANSFORM`; features: of the same frames.
    """

    power: np.ndarray
    features: VisualFeatures


@dataclass(frozen=True)
class SeeingTrainingConfig:
    """What is trained, and how long."""

    #: Passes through the frames.
    epochs: int = 8
    #: Frames per step of the optimizer.
    batch: int = 256
    #: Of Adam.
    learning_rate: float = 1e-3
    #: Weight a of the bound, beside decoding what the visual prior says (conditional VAE), 0..1.
    bound_share: float = 0.9
    #: Weight of the latents' divergence.
    beta: float = 0.3
    #: Units of the visual layers.
    visual_hidden: int = 128
    #: Whether the encoder hears the talker in a mixture with another.
    hears_mixtures: bool = False
    #: Ratios of talker to other [dB], drawn between these.
    ratios_db: tuple[float, float] = (-5.0, 5.0)
    #: Power that was added to every bin for the VAE to begin as.
    floor: float = FLOOR
    #: Of everything that is drawn.
    seed: int = 1

    def __post_init__(self):
        for name in ('epochs', 'batch', 'visual_hidden'):
            if getattr(self, name) < 1:
                raise ValueError(f'{name} must be positive, not {getattr(self, name)}')
        for name in ('learning_rate', 'floor'):
            if not getattr(self, name) > 0:
                raise ValueError(f'{name} must be positive, not {getattr(self, name)}')
        if not 0 <= self.bound_share <= 1:
            raise ValueError(f'bound_share must lie in 0..1, not {self.bound_share}')
        if not self.beta >= 0:
            raise ValueError(f'beta must not be negative, not {self.beta}')


@dataclass(frozen=True)
class TrainedSeeing:
    """model: of NumPy arrays, the best of all epochs; losses: (epochs + 1,) of the check."""

    model: SeeingVae
    losses: np.ndarray


Progress = Callable[[float, str], None]


def train_conditional(
    vae: DynamicalVae,
    talkers: Sequence[SeenTalker],
    check: Sequence[SeenTalker],
    config: SeeingTrainingConfig | None = None,
    progress: Progress = lambda fraction, text: None,
) -> TrainedSeeing:
    """Train a conditional VAE.

    Parameters
    ----------
    vae
        Of speech, frame by frame: what it begins as.
    talkers, check
        Who are learnt from, and others who decide which epoch is kept.
    config
        What is trained, and how long.
    progress
        Called with the part that is done and a line of text.

    Returns
    -------
    TrainedSeeing
        A `ConditionalVae`; before any epoch it is the VAE, which may be the best.
    """
    return _Training(ConditionalVae, vae, talkers, config).run(check, progress)


def train_min_vae(
    vae: DynamicalVae,
    talkers: Sequence[SeenTalker],
    check: Sequence[SeenTalker],
    config: SeeingTrainingConfig | None = None,
    progress: Progress = lambda fraction, text: None,
) -> TrainedSeeing:
    """Train a mixture of two encoders; see `train_conditional`."""
    return _Training(MinVae, vae, talkers, config).run(check, progress)


class _Frames:
    """Frames of talkers one after the other: power (N, F), features (N, V), belief (N, 1)."""

    def __init__(self, talkers: Sequence[SeenTalker]):
        self.power = np.concatenate([one.power for one in talkers]).astype(np.float32)
        self.values = np.concatenate([one.features.values for one in talkers])
        self.belief = np.concatenate([one.features.reliability for one in talkers])[:, None]


class _Training:
    """One model, its optimizer and its draws."""

    def __init__(self, kind, vae: DynamicalVae, talkers: Sequence[SeenTalker], config):
        self.config = config or SeeingTrainingConfig()
        self.frames = _Frames(talkers)
        own = {name: getattr(vae.config, name) for name in vars(vae.config)}
        sizes = SeeingConfig(
            **own,
            visual_dim=self.frames.values.shape[1],
            visual_hidden=self.config.visual_hidden,
        )
        seen = self.frames.values[self.frames.belief[:, 0] > 0]
        start = parameters_from(kind, sizes, vae.parameters, seen, self.config.seed)
        latents = [vae.encode(log_powers(one.power, self.config.floor)).sample for one in talkers]
        start['blind.mean'], start['blind.variance'] = fixed_gaussian(latents)
        self.arrays = {name: torch.from_numpy(np.array(one)) for name, one in start.items()}
        self.trained = [name for name in start if name not in CONSTANTS]
        for name in self.trained:
            self.arrays[name].requires_grad_()
        self.model = kind(sizes, self.arrays, TORCH)
        self.optimizer = torch.optim.Adam(
            [self.arrays[name] for name in self.trained], self.config.learning_rate
        )
        self.weight = 0.5  # pi of a mixture of encoders

    def run(self, check: Sequence[SeenTalker], progress: Progress) -> TrainedSeeing:
        """Train to the end."""
        held_out = _Frames(check)
        best = self.snapshot()
        losses = [self.checked(held_out)]
        for epoch in range(self.config.epochs):
            self.epoch(epoch)
            losses.append(self.checked(held_out))
            if losses[-1] == min(losses):
                best = self.snapshot()
            text = f'epoch {epoch + 1}: loss {losses[-1]:.1f}'
            progress((epoch + 1) / self.config.epochs, text)
        return TrainedSeeing(best, np.array(losses))

    def snapshot(self) -> SeeingVae:
        """Give the model as it is, of NumPy arrays."""
        arrays = {name: one.detach().numpy().copy() for name, one in self.arrays.items()}
        return type(self.model)(self.model.config, arrays, NUMPY)

    def epoch(self, number: int) -> None:
        """One pass."""
        random = np.random.default_rng([self.config.seed, number])
        order = random.permutation(len(self.frames.power))
        chosen = []
        for first in range(0, len(order), self.config.batch):
            rows = order[first : first + self.config.batch]
            loss, hearing = self.loss(self.frames, rows, random)
            if not torch.isfinite(loss):
                continue
            self.optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_([self.arrays[name] for name in self.trained], 100.0)
            self.optimizer.step()
            chosen.append(hearing)
        if isinstance(self.model, MinVae):
            self.weight = float(np.clip(np.concatenate(chosen).mean(), 0.01, 0.99))
            self.arrays['branch.weight'].fill_(self.weight)

    def checked(self, frames: _Frames) -> float:
        """Loss of the check, with the same draws every time."""
        with torch.no_grad():
            rows = np.arange(len(frames.power))
            return float(self.loss(frames, rows, np.random.default_rng(0))[0])

    def loss(self, frames: _Frames, rows: np.ndarray, random: np.random.Generator):
        """Mean over frames, and (B,) how far the ears chose, where there is a choice."""
        shape = (2, len(rows), self.model.num_latents)
        noises = torch.from_numpy(random.standard_normal(shape).astype(np.float32))
        x = torch.from_numpy(log_powers(frames.power[rows], self.config.floor))
        heard = torch.from_numpy(log_powers(self.heard(frames, rows, random), self.config.floor))
        values = torch.from_numpy(frames.values[rows])
        model = self.model.seeing(values, torch.from_numpy(frames.belief[rows]))
        if isinstance(model, ConditionalVae):
            fit, divergence, shown = conditional_losses(model, x, *noises, heard)
            share = self.config.bound_share
            total = share * (fit + self.config.beta * divergence) + (1 - share) * shown
            return total.mean(), np.ones(len(rows))
        ears, eyes = branch_losses(model, x, *noises, heard)
        hearing = hearing_posterior((ears - eyes).detach().numpy(), self.weight)
        apart = choice_divergence(hearing, self.weight).mean()
        mixed = torch.from_numpy(hearing) * ears + torch.from_numpy(1 - hearing) * eyes
        return mixed.mean() + apart, hearing

    def heard(self, frames: _Frames, rows: np.ndarray, random) -> np.ndarray:
        """(B, F) power that the encoder hears."""
        power = frames.power[rows]
        if isinstance(self.model, MinVae):
            is_noisy = random.permutation(len(rows)) < len(rows) // 2
            noise = _LOUDEST_NOISE * random.random(power.shape, np.float32)
            return power + is_noisy[:, None] * noise
        if not self.config.hears_mixtures:
            return power
        others = frames.power[random.integers(len(frames.power), size=len(rows))]
        ratios = 10 ** (-0.1 * random.uniform(*self.config.ratios_db, (len(rows), 1)))
        # (powers of voices that know nothing of each other add up in the mean)
        return power + ratios.astype(np.float32) * others
