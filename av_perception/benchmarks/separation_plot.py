# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The picture of the comparison of separation methods."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from av_perception.benchmarks.separation_scores import SeparationRow


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
    figure = Figure(figsize=(9, 0.75 * len(scenes) + 1.4), layout='constrained')
    axes = figure.add_subplot()
    height = 0.8 / max(len(methods), 1)
    for index, method in enumerate(methods):
        gains = [_mean(rows, scene, method) for scene in scenes]
        places = np.arange(len(scenes)) + height * (index - 0.5 * (len(methods) - 1))
        axes.barh(places, gains, height=0.9 * height, label=method, color=f'C{index}')
    axes.set_yticks(range(len(scenes)), scenes)
    axes.invert_yaxis()
    axes.axvline(0, color='black', linewidth=0.8)
    axes.set_xlabel('SI-SDR above the best microphone [dB]')
    if methods:
        figure.legend(loc='outside upper center', ncols=5, frameon=False)
    figure.savefig(path, dpi=110)


def _mean(rows: list[SeparationRow], scene: str, method: str) -> float:
    gains = [row.gain_db for row in rows if (row.scene, row.method) == (scene, method)]
    return float(np.mean(gains)) if gains else float('nan')
