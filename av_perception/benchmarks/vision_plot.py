# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Pictures of the figures of the visual front end."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from av_perception.benchmarks.embedding_accuracy import Separation
from av_perception.benchmarks.vision_accuracy import Measurement

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BLUE = '#2a6fbb'
_ORANGE = '#d9822b'
_GRAY = '0.6'
_CAMERAS = (('stereo', _BLUE, 'two cameras'), ('mono', _ORANGE, 'one camera'))


def draw_vision(
    measurements: list[Measurement], embeddings: dict[str, list[Separation]], path: Path
) -> None:
    """Draw the time by stage, depth error, NEES with its band, and cosines by size of the face.

    Parameters
    ----------
    measurements
        One per distance.
    embeddings
        By network, one per size of the face; may be empty.
    path
        PNG file to write.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 3.6 if not embeddings else 7.2), layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.subplots(2 if embeddings else 1, 3, squeeze=False)
    cosine_axes = axes[1] if embeddings else []
    distance = np.array([m.distance_m for m in measurements])
    _draw_stages(axes[0, 0], measurements)
    _draw_depth(axes[0, 1], distance, measurements)
    _draw_nees(axes[0, 2], distance, measurements)
    for place, (name, separations) in zip(cosine_axes, embeddings.items()):
        _draw_cosines(place, name, separations)
    for place in axes.ravel():
        place.spines[['top', 'right']].set_visible(False)
        place.set_visible(place.has_data())
    figure.savefig(path, dpi=110)


def _draw_stages(axes: Axes, measurements: list[Measurement]) -> None:
    base = np.zeros(len(measurements))
    labels = [f'{m.distance_m:.1f} m' for m in measurements]
    for stage in measurements[0].stages_ms:
        heights = np.array([m.stages_ms[stage] for m in measurements])
        axes.bar(labels, heights, bottom=base, label=stage, width=0.6)
        base += heights
    axes.axhline(30, color=_GRAY, ls='--', lw=1)
    axes.set(title='time of a pair with four faces', ylabel='mean [ms]')
    axes.legend(fontsize=8, loc='upper center', ncols=3, bbox_to_anchor=(0.5, -0.1), frameon=False)


def _draw_depth(axes: Axes, distance: np.ndarray, measurements: list[Measurement]) -> None:
    for name, color, label in _CAMERAS:
        percents = [100 * getattr(m, name).depth_error for m in measurements]
        axes.semilogy(distance, percents, 'o-', color=color, label=label)
    axes.axhline(5, color=_GRAY, ls='--', lw=1)
    axes.set_yticks([0.2, 0.5, 1, 2, 5, 10, 20])
    axes.yaxis.set_major_formatter('{x:g}')
    axes.minorticks_off()
    axes.set_xticks(distance)
    axes.set(title='error of the depth (RMS)', xlabel='distance [m]', ylabel='% of the distance')
    axes.legend(frameon=False)


def _draw_nees(axes: Axes, distance: np.ndarray, measurements: list[Measurement]) -> None:
    band = np.array([m.stereo.nees_band for m in measurements])
    axes.fill_between(distance, *band.T, color=_GRAY, alpha=0.4, lw=0, label='95 % of right ones')
    for name, color, label in _CAMERAS:
        nees = [getattr(m, name).nees for m in measurements]
        axes.plot(distance, nees, 'o-', color=color, label=label)
    axes.set(title='normalized error squared (NEES)', xlabel='distance [m]', ylim=(0, None))
    axes.set_xticks(distance)
    axes.legend(frameon=False)


def _draw_cosines(axes: Axes, name: str, separations: list[Separation]) -> None:
    size = [s.face_px for s in separations]
    for low, high, color, label in (
        ('same_lowest', 'same_mean', _BLUE, 'one person'),
        ('other_mean', 'other_highest', _ORANGE, 'two people'),
    ):
        lower = [getattr(s, low) for s in separations]
        upper = [getattr(s, high) for s in separations]
        axes.fill_between(size, lower, upper, color=color, alpha=0.4, lw=0, label=label)
    axes.set(
        title=f'embeddings by {name}: cosine',
        xlabel='width of the face [pixels]',
        ylim=(-0.1, 1.02),
    )
    axes.legend(frameon=False, loc='center right', bbox_to_anchor=(1.0, 0.63))
