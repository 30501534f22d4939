# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A picture of an acoustic map: what it learned, and how well it points home."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from av_perception.audio.acoustic_map import AcousticMap
from av_perception.errors import UserError
from av_perception.geometry.rigid_transform import direction_from_angles
from av_perception.robot_head import MicrophoneArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_STEP_DEG = 2.0


def draw_map(
    acoustic_map: AcousticMap,
    array: MicrophoneArray,
    frequencies: np.ndarray,
    check: tuple[np.ndarray, np.ndarray],
    path: Path,
) -> None:
    """Draw phase and level of the second microphone on the horizon, and a self-check.

    Parameters
    ----------
    acoustic_map, array
        What was learned, and the microphones it was learned for.
    frequencies
        (bins,) of the analysis [Hz].
    check
        True and estimated azimuths, (N,) each [deg].
    path
        File to write (png, svg, pdf).

    Raises
    ------
    UserError
        The file cannot be written.
    """
    from matplotlib.figure import Figure

    azimuth_deg, transfer = _learned_transfer(acoustic_map, array)
    grid = (azimuth_deg, 1e-3 * frequencies[: transfer.shape[1]])
    phase_deg = np.degrees(np.angle(transfer))
    figure = Figure(figsize=(13, 4), layout='constrained')
    figure.suptitle(f'{acoustic_map.kind}: {acoustic_map.source}')
    left, middle, right = figure.subplots(1, 3)
    _draw_channel(left, grid, phase_deg, 'phase [deg]', 'twilight', (-180, 180))
    _draw_channel(middle, grid, np.abs(transfer), 'level', 'viridis', (0, 1))
    _draw_check(right, check)
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    try:
        figure.savefig(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, 'strerror', None) or error
        raise UserError(f'cannot write {path}: {reason}') from error


def _learned_transfer(
    acoustic_map: AcousticMap, array: MicrophoneArray
) -> tuple[np.ndarray, np.ndarray]:
    """Compute (A,) azimuths [deg] that the map covers, and (A, bins) transfer of channel 1."""
    azimuth_deg = np.arange(-180.0, 181.0, _STEP_DEG)
    on_horizon = direction_from_angles(np.radians(azimuth_deg), 0.0)
    directions = array.base_from_array.inverse().rotate(on_horizon)
    covered = acoustic_map.covers(directions)
    features = acoustic_map.expected_features(directions[covered])
    real, imaginary = np.split(features, 2, axis=-1)
    transfer = real + 1j * imaginary
    by_channel = transfer.reshape(len(features), -1, len(array.coordinates) - 1)
    return azimuth_deg[covered], by_channel[..., 0]


def _draw_channel(
    axes: Axes,
    grid: tuple[np.ndarray, np.ndarray],
    values: np.ndarray,
    title: str,
    colors: str,
    limits: tuple[float, float],
) -> None:
    """Draw (A, bins) values over the grid of azimuths [deg] and frequencies [kHz]."""
    low, high = limits
    mesh = axes.pcolormesh(*grid, values.T, cmap=colors, vmin=low, vmax=high, shading='nearest')
    axes.figure.colorbar(mesh, ax=axes)
    axes.set_title(f'channel 1 against 0, {title}')
    axes.set(xlabel='azimuth [deg], left is left', ylabel='frequency [kHz]')
    axes.invert_xaxis()


def _draw_check(axes: Axes, check: tuple[np.ndarray, np.ndarray]) -> None:
    ends = [min(check[0]), max(check[0])]
    axes.plot(ends, ends, color='0.8')
    axes.plot(*check, '.', markersize=4)
    axes.set(title='self-check', xlabel='true azimuth [deg]', ylabel='found [deg]')
