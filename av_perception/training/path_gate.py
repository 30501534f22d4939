# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Training of the gate between lines and modes (`motion_forecast.path_gate`)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch

from av_perception.evaluation.forecasts import squared_deviations
from av_perception.motion_forecast.history import Histories
from av_perception.motion_forecast.imm import ImmConfig, ImmForecast
from av_perception.motion_forecast.path_gate import (
    LEVELS,
    MAX_LOG,
    NUM_EXPERTS,
    NUM_FEATURES,
    NUM_OUTPUTS,
    Gate,
    expert_weights,
    features,
    gaussian_radii,
    gaussian_radius,
    line_experts,
    region_radii,
)

_LINE = 1  # the expert to be better than: the line over a second


@dataclass(frozen=True)
class GateExamples:
    """Windows of one set of walks."""

    #: (N, E, H, 2) [m] means of the experts, from the newest place
    experts: np.ndarray
    #: (N, NUM_FEATURES)
    features: np.ndarray
    #: (N, H, 2) [m] where people were, from the newest place
    truth: np.ndarray
    #: (N, H, 2, 2) [m^2] of the modes
    spreads: np.ndarray
    #: how much the set counts
    weight: float = 1.0


def gate_examples(
    histories: Histories, truth: np.ndarray, horizons_s: np.ndarray, weight: float = 1.0
) -> GateExamples:
    """Make examples of people and of where they were at horizons, (N, H, 3) [m]."""
    forecast = ImmForecast(histories, horizons_s, ImmConfig())
    newest = histories.positions[:, -1, :2]
    chain = forecast.chain
    experts = np.concatenate([line_experts(histories, horizons_s), chain.means[:, None, :, :2]], 1)
    return GateExamples(
        experts - newest[:, None, None],
        features(histories, forecast.now),
        truth[..., :2] - newest[:, None],
        chain.covariances[..., :2, :2],
        weight,
    )


def train_gate(
    sets: list[GateExamples], horizons_s: np.ndarray, steps: int = 1000, width: int = 32
) -> Gate:
    """Train on sets of walks.

    The mean must be near, in each set nearer than the line; the covariance must make the truth
    likely.

    Parameters
    ----------
    sets
        The walks.
    horizons_s
        (H,) [s]
    steps, width
        Of Adam; of the hidden layer.
    """
    torch.manual_seed(0)
    everything = np.concatenate([one.features for one in sets])
    center = torch.tensor(everything.mean(0)).float()
    scale = torch.tensor(everything.std(0) + 1e-3).float()
    net = _new_network(width)
    data = [_tensors(one) for one in sets]
    logs = torch.log(torch.tensor(horizons_s).float())
    optimizer = torch.optim.AdamW(net.parameters(), 0.01, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        loss = sum(
            one.weight * _loss(net, _some(tensors, 600), center, scale, logs)
            for one, tensors in zip(sets, data)
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    first, last = net[0], net[2]
    arrays = (center, scale, first.weight.T, first.bias, last.weight.T, last.bias)
    return Gate(*(array.detach().numpy() for array in arrays))


def calibrated(gate: Gate, held_out: GateExamples, horizons_s: np.ndarray) -> Gate:
    """Widen or narrow both regions so that they hold their share of walks held out of training.

    Parameters
    ----------
    gate
        As it was trained.
    held_out
        Of all kinds together.
    horizons_s
        (H,) [s]
    """
    outputs = gate(held_out.features)
    means = np.einsum('ne,nehi->nhi', expert_weights(outputs), held_out.experts)
    squared = squared_deviations(means, held_out.spreads, held_out.truth)
    reached = np.sqrt(squared)[..., None] / (region_radii(outputs, horizons_s) * gaussian_radii())
    bias = gate.bias_out.copy()
    for k, level in enumerate(LEVELS):
        bias[NUM_EXPERTS + 3 * k] += np.log(np.quantile(reached[..., k], level))
    return replace(gate, bias_out=bias)


def _new_network(width: int) -> torch.nn.Sequential:
    """Two layers, of which the last begins with zeros: all experts alike, a Gaussian's radii."""
    last = torch.nn.Linear(width, NUM_OUTPUTS)
    for parameter in last.parameters():
        torch.nn.init.zeros_(parameter)
    return torch.nn.Sequential(torch.nn.Linear(NUM_FEATURES, width), torch.nn.Tanh(), last)


def _tensors(one: GateExamples):
    arrays = (one.experts, one.features, one.truth, one.spreads)
    return tuple(torch.tensor(array).float() for array in arrays)


def _some(one, count: int):
    chosen = torch.randint(len(one[0]), (count,))
    return tuple(array[chosen] for array in one)


def _loss(net, one, center, scale, logs) -> torch.Tensor:
    experts, inputs, truth, spreads = one
    outputs = net(torch.clip((inputs - center) / scale, -5, 5))
    weights = torch.softmax(outputs[:, :NUM_EXPERTS], 1)
    means = (weights[..., None, None] * experts).sum(1)
    distances = (means - truth).norm(dim=-1)
    line = (experts[:, _LINE] - truth).norm(dim=-1)
    worse = distances.mean() / line.mean() + distances[:, -1].mean() / line[:, -1].mean()
    worse = worse + 5 * torch.relu(worse - 1.9)
    error = (truth - means.detach())[..., None]
    squared = (error * torch.linalg.solve(spreads, error)).sum((-1, -2))
    # Radii are right when these shares of the truth lie within them.
    curves = outputs[:, NUM_EXPERTS:].reshape(-1, len(LEVELS), 3, 1)
    for k, level in enumerate(LEVELS):
        constant, slope, bend = curves[:, k].unbind(1)
        radius = torch.clip(constant + slope * logs + bend * logs**2, -MAX_LOG, MAX_LOG)
        excess = 0.5 * torch.log(squared + 1e-6) - radius - math.log(gaussian_radius(level))
        worse = worse + _pinball(excess, level) / (1 - level) ** 0.5
    return worse


def _pinball(excess: torch.Tensor, level: float) -> torch.Tensor:
    """Loss that is least where a share `level` of the excesses is negative."""
    return torch.maximum(level * excess, (level - 1) * excess).mean()
