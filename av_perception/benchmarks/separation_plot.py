# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The picture of the comparison of separation methods."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from av_perception.benchmarks.separation_scores import SeparationRow
from av_perception.visualization.colors import PALETTE, lighten

_HATCHES = ('', '////', 'xxxx')  # of the first methods of the palette's colors, the next, the last
_LIGHTER = (0.0, 0.55, 0.3)
_BAR_IN = 0.085  # least height of a bar [inch]


def plot_separation(rows: list[SeparationRow], path: Path) -> None:
    """Draw the gain of each method over the best microphone, scene by scene.

    Parameters
    ----------
    rows
        Of all scenes and methods; those of one scene and method are averaged.
    path
        File to write (png, svg, pdf).
    """
    from matplotlib.figure import Figure

    scenes = list(dict.fromkeys(row.scene for row in rows))
    methods = list(dict.fromkeys(row.method for row in rows))[1:]
    scene_in = max(0.75, _BAR_IN * len(methods) / 0.8)
    figure = Figure(figsize=(9, scene_in * len(scenes) + 1.4), layout='constrained')
    axes = figure.add_subplot()
    height = 0.8 / max(len(methods), 1)
    for index, method in enumerate(methods):
        gains = [_mean(rows, scene, method) for scene in scenes]
        places = np.arange(len(scenes)) + height * (index - 0.5 * (len(methods) - 1))
        axes.barh(places, gains, height=0.9 * height, label=method, **look_of(index))
    axes.set_yticks(range(len(scenes)), scenes)
    axes.set_ylim(max(len(scenes), 1) - 0.5, -0.5)  # from the top
    axes.axvline(0, color='black', linewidth=0.8)
    axes.set_xlabel('SI-SDR above the best microphone [dB]')
    if methods:
        figure.legend(loc='outside upper center', ncols=5, frameon=False)
    figure.savefig(path, dpi=110)


def look_of(index: int) -> dict[str, Any]:
    """Tell how the bars of a method look: no two of the first 24 look the same."""
    turn = index // len(PALETTE) % len(_HATCHES)
    color = lighten(PALETTE[index % len(PALETTE)], _LIGHTER[turn])
    return {
        'facecolor': tuple(part / 255 for part in color),
        'hatch': _HATCHES[turn],
        'edgecolor': 'white' if turn == 0 else 'black',
        'linewidth': 0.0,
    }


def _mean(rows: list[SeparationRow], scene: str, method: str) -> float:
    gains = [row.gain_db for row in rows if (row.scene, row.method) == (scene, method)]
    return float(np.mean(gains)) if gains else float('nan')
