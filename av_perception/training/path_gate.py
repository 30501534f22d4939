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
_SPEED = 1  # features by which people are grouped
_NOISE = 6
# Shares of the truth that regions of LEVELS should hold, on every set and at every horizon.
_BANDS = ((0.66, 0.70), (0.915, 0.95))
_BAND_WEIGHT = 100.0
_SOFTNESS = 0.08  # of the border of a region, in logarithms of its radius


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
    sets: list[GateExamples], horizons_s: np.ndarray, steps: int = 700, width: int = 24
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


def calibrated(gate: Gate, held_out: list[GateExamples], horizons_s: np.ndarray) -> Gate:
    """Widen or narrow each region of the gate as walks held out of training ask for.

    Parameters
    ----------
    gate
        As it was trained.
    held_out
        Of every kind of walks: the kind that is farthest off decides.
    horizons_s
        (H,) [s]
    """
    reached = []
    for one in held_out:
        outputs = gate(one.features)
        means = np.einsum('ne,nehi->nhi', expert_weights(outputs), one.experts)
        squared = squared_deviations(means, one.spreads, one.truth)
        radii = region_radii(outputs, horizons_s) * gaussian_radii()
        reached.append(np.log(np.sqrt(squared)[..., None] / radii))
    bias = gate.bias_out.copy()
    for k, band in enumerate(_BANDS):
        shifts = np.linspace(-0.3, 0.3, 61)
        held = np.array([[(one[..., k] <= s).mean(0) for one in reached] for s in shifts])
        worst = np.abs(held - np.mean(band)).max((1, 2))
        bias[NUM_EXPERTS + 3 * k] += shifts[worst.argmin()]
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
    groups = _groups(inputs)
    curves = outputs[:, NUM_EXPERTS:].reshape(-1, len(LEVELS), 3, 1)
    for k, level in enumerate(LEVELS):
        constant, slope, bend = curves[:, k].unbind(1)
        radius = torch.clip(constant + slope * logs + bend * logs**2, -MAX_LOG, MAX_LOG)
        excess = 0.5 * torch.log(squared + 1e-6) - radius - math.log(gaussian_radius(level))
        worse = worse + _pinball(excess, level) / (1 - level) ** 0.5
        weight = _BAND_WEIGHT * 0.32 / (1 - level)
        worse = worse + sum(_outside(excess[one], _BANDS[k]) for one in groups) * (
            weight / len(groups)
        )
    return worse


def _groups(inputs: torch.Tensor) -> list[torch.Tensor]:
    """List indices of all, of who is slow and fast, of who is seen well and badly: halves."""
    rows = [torch.arange(len(inputs))]
    for feature in (_SPEED, _NOISE):
        order = inputs[:, feature].argsort()
        rows += [order[: len(order) // 2], order[len(order) // 2 :]]
    return rows


def _outside(excess: torch.Tensor, band: tuple[float, float]) -> torch.Tensor:
    """How far the share of negative excesses (N, H) lies outside of a band, squared."""
    held = torch.sigmoid(-excess / _SOFTNESS).mean(0)
    return (torch.relu(band[0] - held) ** 2 + torch.relu(held - band[1]) ** 2).mean()


def _pinball(excess: torch.Tensor, level: float) -> torch.Tensor:
    """Loss that is least where a share `level` of the excesses is negative."""
    return torch.maximum(level * excess, (level - 1) * excess).mean()
