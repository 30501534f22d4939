# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Training of the dynamical VAE that forecasts paths (`motion_forecast.path_dvae`).

Two losses take turns: the evidence bound with scheduled sampling, and what generation is for: of
several futures drawn, the best must be near, and so must be their mean.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from av_perception.dvae.config import DvaeConfig
from av_perception.dvae.families import model_named
from av_perception.dvae.model import DynamicalVae
from av_perception.dvae.objective import bound
from av_perception.dvae.start import random_parameters
from av_perception.evaluation.forecasts import squared_deviations
from av_perception.motion_forecast.history import Histories
from av_perception.motion_forecast.path_dvae import (
    NUM_PAST,
    STEP_S,
    PathDvae,
    generated,
    path_steps,
)
from av_perception.motion_forecast.path_gate import LEVELS, gaussian_radii
from av_perception.training.torch_backend import TORCH

_FROZEN = ('data.mean', 'data.scale')


@dataclass(frozen=True)
class PathTrainingConfig:
    """What is trained how long. Raises ValueError."""

    #: steps of Adam
    steps: int = 900
    #: people of a step
    batch: int = 128
    #: futures of which the best counts
    futures: int = 6
    #: of Adam, at the start
    rate: float = 4e-3
    #: weight of the latents' divergence
    beta: float = 0.3
    #: weights of the best future and of the mean of all, per meter
    best_weight: float = 4.0
    mean_weight: float = 2.0
    #: sizes of the model, and variance of a velocity [m^2/s^2] given the latents
    sizes: DvaeConfig = DvaeConfig(
        data_dim=2,
        latent_dim=4,
        hidden_dim=32,
        memory_dim=40,
        output='mean',
        noise_variance=0.03,
    )
    seed: int = 0

    def __post_init__(self):
        if self.steps < 1 or self.batch < 1 or self.futures < 1:
            raise ValueError('steps, batch and futures must be at least 1')


def train_path_dvae(
    histories: Histories,
    truth: np.ndarray,
    config: PathTrainingConfig | None = None,
    note: Callable[[float, str], None] = lambda gone, text: None,
) -> DynamicalVae:
    """Train an SRNN, which is given back in NumPy.

    Parameters
    ----------
    histories
        Of N people.
    truth
        (N, H, 3) [m] where they were after 1, 2, ... H times STEP_S.
    config
        How.
    note
        Called at every step with the part that is done and a line of text.
    """
    config = config or PathTrainingConfig()
    data = torch.from_numpy(_sequences(histories, truth))
    model, tensors = _new_model(config)
    trained = [one for one in tensors.values() if one.requires_grad]
    optimizer = torch.optim.Adam(trained, config.rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.steps)
    for step in range(config.steps):
        x = _drawn(data, config.batch)
        gone = step / config.steps
        loss = _bound_loss(model, x, config, gone) if step % 2 else _drawn_loss(model, x, config)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 5.0)
        optimizer.step()
        schedule.step()
        note(gone, f'loss {float(loss.detach()):.2f}')
    return _in_numpy(model, tensors)


def _in_numpy(model: DynamicalVae, tensors: dict[str, torch.Tensor]) -> DynamicalVae:
    arrays = {name: one.detach().numpy() for name, one in tensors.items()}
    return type(model)(model.config, arrays)


def _new_model(config: PathTrainingConfig) -> tuple[DynamicalVae, dict[str, torch.Tensor]]:
    """Make an SRNN of random parameters, and give these, by name; all that is drawn begins."""
    torch.manual_seed(config.seed)
    kind = model_named('srnn')
    start = random_parameters(kind, config.sizes, config.seed)
    tensors = {
        name: torch.from_numpy(values).requires_grad_(name not in _FROZEN)
        for name, values in start.items()
    }
    return kind(config.sizes, tensors, TORCH), tensors


def region_radii_of(model: DynamicalVae, histories: Histories, truth: np.ndarray) -> np.ndarray:
    """(H, 2) standard deviations within which people held out were in 68 and 95 % of cases."""
    horizons_s = STEP_S * np.arange(1, truth.shape[1] + 1)
    plain = np.full((truth.shape[1], 2), gaussian_radii()[1])
    neutral = PathDvae(model, {'radii': plain})
    paths = neutral.forecast(histories, horizons_s).paths
    squared = squared_deviations(
        paths.means[..., :2], paths.covariances[..., :2, :2], truth[..., :2]
    )
    return np.quantile(np.sqrt(squared), LEVELS, axis=0).T


def _sequences(histories: Histories, truth: np.ndarray) -> np.ndarray:
    """(NUM_PAST + H, N, 2) [m/s] velocities, seen and true; the first true one mends the place."""
    steps = path_steps(histories)
    places = np.concatenate([steps.newest[:, None], truth[..., :2]], 1)
    ahead = np.diff(places, axis=1) / STEP_S
    ahead = np.einsum('nti,nij->tnj', ahead, steps.rotations)
    return np.concatenate([steps.velocities, ahead]).astype(np.float32)


def _drawn(data: torch.Tensor, count: int) -> torch.Tensor:
    """(T, count, 2) of some people, half of them mirrored."""
    chosen = torch.randint(data.shape[1], (count,))
    sides = torch.where(torch.rand(count, 1) < 0.5, 1.0, -1.0)
    return data[:, chosen] * torch.cat([torch.ones(count, 1), sides], 1)


def _bound_loss(model: DynamicalVae, x: torch.Tensor, config: PathTrainingConfig, gone: float):
    noise = torch.randn(*x.shape[:-1], model.num_latents)
    own = (torch.rand(*x.shape[:-1], 1) < min(2 * gone, 1.0)).float()
    own[:NUM_PAST] = 0.0
    found = bound(model, x, noise, own)
    return found.misfit.mean() + config.beta * min(5 * gone, 1.0) * found.divergence.mean()


def _drawn_loss(model: DynamicalVae, x: torch.Tensor, config: PathTrainingConfig):
    """Distances [m] of the best of several futures and of their mean, weighted."""
    past = x[:NUM_PAST].repeat_interleave(config.futures, 1)
    noise = torch.randn(len(x), past.shape[1], model.num_latents)
    made = STEP_S * generated(model, past, noise, len(x) - NUM_PAST).cumsum(0)
    made = made.reshape(len(made), x.shape[1], config.futures, 2)
    truth = STEP_S * x[NUM_PAST:].cumsum(0)
    distances = (made - truth[:, :, None]).square().sum(-1).add(1e-6).sqrt().mean(0)
    middle = (made.mean(2) - truth).square().sum(-1).add(1e-6).sqrt()
    return config.best_weight * distances.min(1).values.mean() + config.mean_weight * middle.mean()
