# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The picture of forecasts: fans of walks over where people went, and how errors grow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from av_perception.benchmarks.motion_paths import OURS, PathRow
from av_perception.benchmarks.motion_walks import HORIZONS_S, Windows
from av_perception.motion_forecast.forecaster import IMM, ForecastConfig, forecast_people
from av_perception.visualization.colors import PALETTE, unit

_FANS = ('walks on', 'stops', 'turns', 'starts')
_NUM_WALKS = 30


def plot_motion(windows: Windows, rows: Sequence[PathRow], path: Path) -> None:
    """Draw fans of the people who moved most differently, and how often regions hold.

    Parameters
    ----------
    windows
        Of which fans are drawn.
    rows
        Of all walks and methods.
    path
        File to write (png, svg, pdf).
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 6.5), layout='constrained')
    grid = figure.subplots(2, 3)
    chosen = _different(windows)
    for axes, index, title in zip(grid[:, :2].ravel(), chosen, _FANS):
        _fan(axes, windows, index)
        axes.set_title(title, fontsize=8)
    _coverage(grid[0, 2], [row for row in rows if row.method == OURS])
    _errors(grid[1, 2], rows)
    grid[0, 0].legend(loc='best', fontsize=7, frameon=False)
    # Equal axes change their labels after the layout.
    figure.savefig(path, dpi=110, bbox_inches='tight')


def _different(windows: Windows) -> list[int]:
    """Find indices of people as in `_FANS`, as far as there are such."""
    histories = windows.histories
    before = histories.positions[:, -1, :2] - histories.positions[:, -8, :2]
    after = windows.truth[:, -1, :2] - windows.truth[:, 5, :2]
    early = np.linalg.norm(np.nan_to_num(before), axis=1)
    late = np.linalg.norm(after, axis=1)
    cross = before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]
    turn = np.nan_to_num(np.abs(np.arctan2(cross, (before * after).sum(1))))
    walks = np.minimum(early, late)
    scores = (walks - turn, early - 2 * late, walks + turn, late - 2 * early)
    return [int(np.nanargmax(score)) for score in scores]


def _fan(axes, windows: Windows, index: int) -> None:
    histories = windows.histories
    row = histories.rows(slice(index, index + 1))
    made = forecast_people(row, ForecastConfig(samples=_NUM_WALKS), IMM)
    past = row.positions[0]
    now = past[-1:]
    for k, walk in enumerate(made.samples[0]):
        whole = np.concatenate([now, walk])
        label = 'possible walks' if k == 0 else None
        axes.plot(whole[:, 0], whole[:, 1], color='C0', alpha=0.25, linewidth=0.8, label=label)
    axes.plot(past[:, 0], past[:, 1], color='black', marker='.', markersize=3, label='seen')
    mean = np.concatenate([now, made.means[0]])
    axes.plot(mean[:, 0], mean[:, 1], color='C0', linewidth=2, label='mean')
    truth = np.concatenate([now, windows.truth[index]])
    axes.plot(truth[:, 0], truth[:, 1], color='C3', linewidth=2, label='truth')
    axes.set_aspect('equal', adjustable='datalim')
    axes.set_xlabel('x [m]')
    axes.set_ylabel('y [m]')


def _coverage(axes, rows: Sequence[PathRow]) -> None:
    for k, row in enumerate(rows):
        color = unit(PALETTE[k % len(PALETTE)])
        axes.plot(HORIZONS_S, row.held_68, color=color, label=row.walks)
        axes.plot(HORIZONS_S, row.held_95, color=color, linestyle='--')
    for level in (0.68, 0.95):
        axes.axhline(level, color='black', linewidth=0.6)
    axes.set_ylim(0.4, 1.0)
    axes.set_xlabel('horizon [s]')
    axes.set_ylabel('truth within the region')
    axes.set_title('solid: 68 %, dashed: 95 %', fontsize=8)
    axes.legend(fontsize=7, frameon=False, ncols=2, loc='lower left')


def _errors(axes, rows: Sequence[PathRow]) -> None:
    walks = list(dict.fromkeys(row.walks for row in rows))
    methods = list(dict.fromkeys(row.method for row in rows))
    width = 0.8 / max(len(methods), 1)
    for k, method in enumerate(methods):
        errors = [row.fde_m for row in rows if row.method == method]
        color = unit(PALETTE[k % len(PALETTE)])
        axes.bar(np.arange(len(errors)) + k * width, errors, width, color=color, label=method)
    middle = np.arange(len(walks)) + 0.4 - width / 2
    axes.set_xticks(middle, walks, fontsize=7, rotation=30, ha='right', rotation_mode='anchor')
    axes.set_ylabel('FDE after 2 s [m]')
    # Above all bars, so that no name lies on one.
    axes.set_ylim(0, 1.45 * axes.get_ylim()[1])
    axes.legend(fontsize=6, frameon=False, ncols=2, loc='upper left')
