# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Forecasts of skeletons, compared: standing still, lines, and the HiT-DVAE, action by action."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from av_perception.evaluation.forecasts import (
    average_displacement,
    average_pairwise_distance,
    final_displacement,
    joint_error,
)
from av_perception.motion_forecast.hit_dvae import HitDvae, divergence
from av_perception.motion_forecast.skeleton_forecaster import SkeletonForecaster
from av_perception.motion_forecast.skeletons import RATE, Clip, windows

OBSERVED = 12  # frames seen
AHEAD = 48
SAMPLES = 10
STRIDE = 12
HORIZONS_S = (0.2, 0.4, 1.0, 2.0)
ALL = 'all'
_DAMPING = 2.0  # [1/s]


@dataclass(frozen=True)
class SkeletonRow:
    """One method on the windows of one action."""

    #: of the clips, or ALL
    action: str
    #: what forecast
    method: str
    #: how many forecasts
    windows: int
    #: [m] of the whole pose, best of all draws; APD of all draws
    ade_m: float
    fde_m: float
    apd_m: float
    #: [mm] mean error of a joint at HORIZONS_S, of the draw with the best ADE
    mpjpe_mm: tuple[float, ...]
    #: how many windows fell back
    fallbacks: int
    #: [s] of processor time of one request
    cpu_s: float


@dataclass(frozen=True)
class Forecast:
    """Of one window: what was seen, what came, and what was forecast."""

    action: str
    seen: np.ndarray
    truth: np.ndarray
    made: np.ndarray
    fell_back: bool
    cpu_s: float


def still(seen: np.ndarray, ahead: int) -> np.ndarray:
    """(1, ahead, X) the last pose."""
    return np.repeat(seen[None, -1:], ahead, 1)


def last_step(seen: np.ndarray, ahead: int) -> np.ndarray:
    """(1, ahead, X) on as between the last two poses."""
    steps = np.arange(1, ahead + 1)[:, None]
    return (seen[-1] + steps * (seen[-1] - seen[-2]))[None]


def line(seen: np.ndarray, ahead: int, damping: float = 0.0) -> np.ndarray:
    """(1, ahead, X) on along the lines fitted to all poses seen."""
    times = np.arange(len(seen)) - (len(seen) - 1.0)
    centered = times - times.mean()
    slope = centered @ seen / (centered**2).sum()
    steps = np.arange(1, ahead + 1) / RATE
    reach = -np.expm1(-damping * steps) / damping if damping else steps
    return (seen[-1] + RATE * reach[:, None] * slope)[None]


BASELINES = {
    'zero velocity': still,
    'last step': last_step,
    'least squares': line,
    'damped least squares': lambda seen, ahead: line(seen, ahead, _DAMPING),
}
HIT_DVAE = 'HiT-DVAE'


def forecasts_of(
    method: str, clips: Sequence[Clip], forecaster: SkeletonForecaster | None
) -> Iterator[Forecast]:
    """Run one method on all windows of clips; clips that are too short give none."""
    for clip in clips:
        for poses in windows(clip, OBSERVED, AHEAD, STRIDE):
            seen = poses[:OBSERVED]
            start = time.process_time()
            fell_back = False
            if method in BASELINES:
                made = BASELINES[method](seen, AHEAD)
            else:
                assert forecaster is not None
                forecast = forecaster.forecast(seen, AHEAD, SAMPLES)
                made = forecast.poses
                fell_back = bool(forecast.fallback_reason)
            cpu_s = time.process_time() - start
            yield Forecast(clip.action, seen, poses[OBSERVED:], made, fell_back, cpu_s)


def rows_of(method: str, forecasts: Sequence[Forecast]) -> list[SkeletonRow]:
    """Score forecasts, action by action and all together."""
    actions = sorted({forecast.action for forecast in forecasts})
    rows = [_row(name, method, [f for f in forecasts if f.action == name]) for name in actions]
    return [*rows, _row(ALL, method, list(forecasts))]


def _row(action: str, method: str, forecasts: list[Forecast]) -> SkeletonRow:
    made = np.stack([forecast.made for forecast in forecasts])
    truth = np.stack([forecast.truth for forecast in forecasts])
    frames = [round(horizon * RATE) - 1 for horizon in HORIZONS_S]
    return SkeletonRow(
        action,
        method,
        len(forecasts),
        float(average_displacement(made, truth).mean()),
        float(final_displacement(made, truth).mean()),
        float(average_pairwise_distance(made).mean()),
        tuple((1e3 * joint_error(made, truth).mean(0)[frames]).tolist()),
        sum(forecast.fell_back for forecast in forecasts),
        float(np.mean([forecast.cpu_s for forecast in forecasts])),
    )


def latent_nats(net: HitDvae, clips: Sequence[Clip], seed: int = 0) -> float:
    """Nats a frame that the posterior of z says beyond its prior, on whole windows."""
    random = np.random.default_rng(seed)
    nats = []
    for clip in clips:
        poses = windows(clip, OBSERVED, AHEAD, STRIDE).astype(np.float32)
        if len(poses):
            mean, spread = net.infer_w(poses[:, :OBSERVED])
            w = mean + np.exp(0.5 * spread) * random.standard_normal(mean.shape)
            q = net.infer_z(poses, w.astype(np.float32))
            z = q[0] + np.exp(0.5 * q[1]) * random.standard_normal(q[0].shape)
            p = net.prior_moments(poses, z.astype(np.float32), w.astype(np.float32))
            nats.append(divergence(q, p).sum(-1).ravel())
    return float(np.concatenate(nats).mean())
