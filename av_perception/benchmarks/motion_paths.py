# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Forecasts of paths, compared: standing still, last step, lines, and ours."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from av_perception.benchmarks.motion_walks import HORIZONS_S, Windows
from av_perception.evaluation.forecasts import (
    average_displacement,
    average_pairwise_distance,
    coverage,
    final_displacement,
    squared_deviations,
)
from av_perception.motion_forecast.constant_velocity import ConstantVelocityConfig
from av_perception.motion_forecast.forecaster import (
    CONSTANT_VELOCITY,
    DVAE,
    IMM,
    ForecastConfig,
    PeopleForecast,
    forecast_people,
)
from av_perception.motion_forecast.history import Histories

SAMPLES = 10
_DAMPING = 0.3  # [1/s] of the damped line, the best on the walks that others were tuned on
_CONFIG = ForecastConfig(samples=SAMPLES)
LINE = 'least squares'
OURS = 'ours (imm)'


@dataclass(frozen=True)
class PathRow:
    """One method on one set of walks, on the ground."""

    #: of the walks
    walks: str
    #: of METHODS
    method: str
    #: how many forecasts
    windows: int
    #: [m] mean and last distance of the mean
    ade_m: float
    fde_m: float
    #: [m] the same of the best of SAMPLES walks, and how far these differ; NaN without draws
    best_ade_m: float
    best_fde_m: float
    apd_m: float
    #: how often the 68 and 95 % regions hold the truth, at every horizon; () without a covariance
    held_68: tuple[float, ...]
    held_95: tuple[float, ...]
    #: [ms] of processor time for each person
    cpu_ms: float


def _still(histories: Histories) -> PeopleForecast:
    return _plain(np.repeat(histories.positions[:, -1:], len(HORIZONS_S), 1))


def _last_step(histories: Histories) -> PeopleForecast:
    """Go on as between the last two places."""
    rows = np.arange(len(histories))
    known = np.isfinite(histories.ages)
    known[:, -1] = False
    second = known.shape[1] - 1 - known[:, ::-1].argmax(1)
    span = histories.ages[rows, second] - histories.ages[:, -1]
    newest = histories.positions[:, -1]
    velocity = (newest - histories.positions[rows, second]) / span[:, None]
    return _plain(newest[:, None] + HORIZONS_S[:, None] * velocity[:, None])


def _plain(means: np.ndarray) -> PeopleForecast:
    count, horizons = means.shape[:2]
    none = np.full((count, horizons, 3, 3), np.nan)
    return PeopleForecast(means, none, np.zeros((count, 0, horizons, 3)), none[..., :2, 0])


def _line(**changes) -> Callable[[Histories], PeopleForecast]:
    config = ForecastConfig(samples=SAMPLES, straight=ConstantVelocityConfig(**changes))
    return lambda histories: forecast_people(histories, config, CONSTANT_VELOCITY)


METHODS: dict[str, Callable[[Histories], PeopleForecast]] = {
    'zero velocity': _still,
    'last step': _last_step,
    'least squares, on the line': _line(from_newest=False),
    LINE: _line(),
    'damped least squares': _line(damping=_DAMPING),
    'SRNN (dvae)': lambda histories: forecast_people(histories, _CONFIG, DVAE),
    OURS: lambda histories: forecast_people(histories, _CONFIG, IMM),
}


def measure_paths(name: str, windows: Windows) -> list[PathRow]:
    """Run every method on the same windows."""
    return [_measure(name, windows, method) for method in METHODS]


def _measure(name: str, windows: Windows, method: str) -> PathRow:
    start = time.process_time()
    made = METHODS[method](windows.histories)
    cpu_s = time.process_time() - start
    truth = windows.truth[..., :2]
    means = made.means[..., :2]
    distances = np.linalg.norm(means - truth, axis=-1)
    best = (np.nan, np.nan, np.nan)
    held: list[tuple[float, ...]] = [(), ()]
    if made.samples.shape[1]:
        walks = made.samples[..., :2]
        best = (
            float(average_displacement(walks, truth).mean()),
            float(final_displacement(walks, truth).mean()),
            float(average_pairwise_distance(walks).mean()),
        )
        squared = squared_deviations(means, made.covariances[..., :2, :2], truth)
        held = [tuple(coverage(squared, made.radii[..., k]).tolist()) for k in (0, 1)]
    return PathRow(
        name,
        method,
        len(windows),
        float(distances.mean()),
        float(distances[:, -1].mean()),
        *best,
        held[0],
        held[1],
        1e3 * cpu_s / max(len(windows), 1),
    )


def live_cpu_s(num_people: int = 3, calls: int = 20) -> float:
    """[s] of processor time of a forecast of so many people, as the node asks for it."""
    times = np.linspace(WINDOW_LENGTH_S, 0.0, 17)
    ages = np.tile(times, (num_people, 1))
    positions = -ages[..., None] * np.array([0.8, 0.3, 0.0]) + np.arange(num_people)[:, None, None]
    covariances = np.tile(0.03**2 * np.eye(3), (num_people, 17, 1, 1))
    histories = Histories(ages, positions, covariances)
    forecast_people(histories, _CONFIG, IMM)  # loads the gate
    start = time.process_time()
    for _ in range(calls):
        forecast_people(histories, _CONFIG, IMM)
    return (time.process_time() - start) / calls


WINDOW_LENGTH_S = _CONFIG.window_s
