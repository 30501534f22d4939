# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Training of a prior of speech.

An epoch depends on the seed, its number and the state after the one before, which is written to a
file: training that was stopped goes on bit for bit as if it had not been. What is kept in the end
is what resynthesizes the talkers of the check best, not what has the least loss.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from av_perception.dvae.config import DvaeConfig
from av_perception.dvae.families import model_named
from av_perception.dvae.model import DynamicalVae
from av_perception.dvae.objective import bound
from av_perception.dvae.spectra import FLOOR
from av_perception.dvae.start import fit_data, parameters_from_vae, random_parameters
from av_perception.training.resynthesis import measure
from av_perception.training.speech_data import Frames, sequence_starts
from av_perception.training.torch_backend import TORCH

FROZEN = ('data.mean', 'data.scale')


@dataclass(frozen=True)
class TrainingConfig:
    """What is trained, and how long."""

    #: Name of the model.
    model: str = 'vae'
    #: Sizes.
    sizes: DvaeConfig = field(default_factory=DvaeConfig)
    #: Passes through the speech.
    epochs: int = 12
    #: Frames of a sequence; 1 where frames are independent.
    steps: int = 1
    #: Sequences per step of the optimizer.
    batch: int = 512
    #: Of Adam, at the start.
    learning_rate: float = 2e-3
    #: Of Adam, at the end, as part of that at the start; between them half a cosine.
    final_rate: float = 0.05
    #: Weight of the latents' divergence.
    beta: float = 1.0
    #: Part of training in which this weight grows from zero.
    warm_up: float = 0.15
    #: Part of training in which the rate of Adam grows from zero.
    rate_warm_up: float = 0.0
    #: Whether an epoch is of one speed, in turn, rather than of a part of each.
    speeds_in_turn: bool = False
    #: Part of training in which a model's own output begins, and ends, to replace the past data.
    own_past: tuple[float, float] = (0.1, 0.5)
    #: Largest norm of a gradient.
    max_gradient: float = 100.0
    #: Power that is added to every bin.
    floor: float = FLOOR
    #: Epochs without better resynthesis after which training ends.
    patience: int = 6
    #: Of everything that is drawn.
    seed: int = 1

    def __post_init__(self):
        for name in ('epochs', 'steps', 'batch', 'patience'):
            if getattr(self, name) < 1:
                raise ValueError(f'{name} must be positive, not {getattr(self, name)}')
        for name in ('learning_rate', 'max_gradient', 'floor'):
            if not getattr(self, name) > 0:
                raise ValueError(f'{name} must be positive, not {getattr(self, name)}')
        if not self.beta >= 0:
            raise ValueError(f'beta must not be negative, not {self.beta}')


@dataclass
class TrainingState:
    """All that the next epoch needs. Arrays by name; history: a row per epoch."""

    epoch: int
    parameters: dict[str, np.ndarray]
    first_moment: dict[str, np.ndarray]
    second_moment: dict[str, np.ndarray]
    best: dict[str, np.ndarray]
    history: list[dict[str, float]]


def first_state(config: TrainingConfig, frames: Frames, vae: DynamicalVae | None) -> TrainingState:
    """Begin: from a VAE where one is given, else at random."""
    kind = model_named(config.model)
    if vae is not None:
        parameters = parameters_from_vae(kind, config.sizes, vae.parameters, config.seed)
    else:
        parameters = random_parameters(kind, config.sizes, config.seed)
        x = frames.log_power[::10].astype(np.float32)
        fit_data(parameters, x, np.log(np.exp(x).mean(axis=0)))
    zeros = {name: np.zeros_like(values) for name, values in parameters.items()}
    return TrainingState(0, parameters, zeros, dict(zeros), parameters, [])


def train(
    config: TrainingConfig,
    versions: Sequence[Frames],
    check: Sequence[np.ndarray],
    state: TrainingState,
    done: Callable[[TrainingState], None] = lambda state: None,
    progress: Callable[[float, str], None] = lambda fraction, text: None,
) -> TrainingState:
    """Train to the end.

    Parameters
    ----------
    config
        What and how long.
    versions
        The speech, perhaps at several speeds; an epoch takes a part of each, one pass in all.
    check
        Sounds (N,) of the talkers who decide what is kept.
    state
        Where training stands.
    done
        Called after every epoch with the state.
    progress
        Called with the part that is done and a line of text.

    Returns
    -------
    TrainingState
        After the last epoch; `best` holds the parameters to keep.
    """
    while state.epoch < config.epochs and not _is_exhausted(config, state):
        started = time.process_time()
        parts = _epoch(config, versions, state, progress)
        state.epoch += 1
        row = {'epoch': state.epoch, **parts, **_check(config, state, check)}
        row['cpu_s'] = round(time.process_time() - started, 1)
        _note(state, row)
        done(state)
    return state


def _note(state: TrainingState, row: dict[str, float]) -> None:
    """Write an epoch down, and keep its parameters if they are the best so far."""
    if row['si_sdr_db'] > max((r['si_sdr_db'] for r in state.history), default=-np.inf):
        state.best = {name: values.copy() for name, values in state.parameters.items()}
    state.history.append(row)


def _is_exhausted(config: TrainingConfig, state: TrainingState) -> bool:
    ratios = [row['si_sdr_db'] for row in state.history]
    return len(ratios) - 1 - int(np.argmax(ratios)) >= config.patience if ratios else False


def _check(
    config: TrainingConfig, state: TrainingState, check: Sequence[np.ndarray]
) -> dict[str, float]:
    model = model_named(config.model)(config.sizes, state.parameters)
    found = measure(model, check, config.floor, with_estoi=False)
    return {'si_sdr_db': round(float(found.si_sdr_db.mean()), 3)}


def _epoch(
    config: TrainingConfig, versions: Sequence[Frames], state: TrainingState, progress
) -> dict:
    """One pass, in place; misfit and divergence per frame."""
    rng = np.random.default_rng([config.seed, state.epoch])
    noise = torch.Generator().manual_seed(int(rng.integers(2**62)))
    if config.speeds_in_turn:
        versions = [versions[state.epoch % len(versions)]]
    order = _order(versions, config.steps, rng)
    batches = max(len(order) // config.batch, 1)
    tensors = _tensors(state)
    model = model_named(config.model)(config.sizes, tensors[0], TORCH)
    total = batches * config.epochs
    sums = np.zeros(2)
    for number in range(batches):
        chosen = order[number * config.batch : (number + 1) * config.batch]
        x = torch.from_numpy(_sequences(versions, chosen, config.steps))
        step = state.epoch * batches + number
        parts = _losses(config, model, x, noise, step / total)
        loss = parts[0] + min(1.0, step / max(config.warm_up * total, 1)) * config.beta * parts[1]
        _descend(config, tensors, loss, step, total)
        sums += [float(part.detach()) for part in parts]
        text = f'epoch {state.epoch + 1}: misfit {sums[0] / (number + 1):.1f}'
        progress((step + 1) / total, text)
    for names, kept in zip(tensors, (state.parameters, state.first_moment, state.second_moment)):
        kept.update({name: one.detach().numpy().copy() for name, one in names.items()})
    return dict(zip(('misfit', 'divergence'), np.round(sums / batches, 3).tolist()))


def _order(versions: Sequence[Frames], steps: int, rng: np.random.Generator) -> np.ndarray:
    """(N, 2) version and first frame of the sequences of one pass, in random order."""
    starts = [sequence_starts(frames.lengths, steps, rng) for frames in versions]
    pairs = [np.stack([np.full(len(one), i), one], axis=1) for i, one in enumerate(starts)]
    if len(pairs) == 1:
        return pairs[0]
    both = rng.permutation(np.concatenate(pairs))
    return both[: -(-len(both) // len(versions))]


def _sequences(versions: Sequence[Frames], chosen: np.ndarray, steps: int) -> np.ndarray:
    """(T, B, F) of chosen versions and first frames (B, 2)."""
    parts = []
    for number, frames in enumerate(versions):
        starts = np.sort(chosen[chosen[:, 0] == number, 1])
        rows = starts[None] + np.arange(steps)[:, None]
        parts.append(frames.log_power[rows].astype(np.float32))
    return np.concatenate(parts, axis=1)


def _tensors(state: TrainingState) -> tuple[dict[str, torch.Tensor], ...]:
    """Parameters, first and second moments; all but the frozen parameters get gradients."""
    every = (state.parameters, state.first_moment, state.second_moment)
    copies = tuple(
        {name: torch.from_numpy(np.array(values)) for name, values in one.items()} for one in every
    )
    for name, one in copies[0].items():
        one.requires_grad_(name not in FROZEN)
    return copies


def _losses(config, model, x: torch.Tensor, noise: torch.Generator, fraction: float):
    """Misfit and divergence per frame of a batch (T, B, F)."""
    latents = model.num_latents
    drawn = torch.randn(*x.shape[:-1], latents, generator=noise)
    own = None
    if model.is_autoregressive:
        begin, end = config.own_past
        chance = float(np.clip((fraction - begin) / max(end - begin, 1e-9), 0, 1))
        if chance > 0:
            own = (torch.rand(*x.shape[:-1], 1, generator=noise) < chance).float()
    found = bound(model, x, drawn, own)
    return found.misfit.mean(), found.divergence.mean()


def _descend(config: TrainingConfig, tensors, loss: torch.Tensor, step: int, total: int) -> None:
    """One step of Adam (Kingma and Ba 2015), whose state is plain arrays."""
    parameters, first, second = tensors
    names = [name for name, one in parameters.items() if one.requires_grad]
    # sequences of one step use no transition: those gradients are zero
    found = torch.autograd.grad(
        loss, [parameters[name] for name in names], allow_unused=True, materialize_grads=True
    )
    norm = torch.sqrt(sum((one * one).sum() for one in found))
    if not torch.isfinite(norm):
        return
    scale = min(1.0, config.max_gradient / (float(norm) + 1e-9))
    fall = 0.5 * (1 + np.cos(np.pi * step / total))
    rate = config.learning_rate * (config.final_rate + (1 - config.final_rate) * fall)
    rate *= min(1.0, (step + 1) / max(config.rate_warm_up * total, 1))
    rate *= np.sqrt(1 - 0.999 ** (step + 1)) / (1 - 0.9 ** (step + 1))
    with torch.no_grad():
        for name, gradient in zip(names, found):
            first[name].mul_(0.9).add_(gradient, alpha=0.1 * scale)
            second[name].mul_(0.999).addcmul_(gradient, gradient, value=0.001 * scale**2)
            parameters[name].addcdiv_(first[name], second[name].sqrt().add_(1e-8), value=-rate)
