# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The picture of the comparison of localization methods."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from av_perception.benchmarks.hearing_scores import METHODS, TOLERANCE_DEG, HearingRow

_COLORS = ('#d55e00', '#56b4e9', '#0072b2', '#999999')


def plot_hearing(rows: list[HearingRow], path: Path) -> None:
    """Draw the share of sounds with every source found and no ghost, by condition and method.

    Parameters
    ----------
    rows
        From `hearing_scores.summarize`.
    path
        File to write (png, svg, pdf).
    """
    from matplotlib.figure import Figure

    conditions = list(dict.fromkeys(row.condition for row in rows))
    all_right = {(row.condition, row.method): row.all_right for row in rows}
    figure = Figure(figsize=(9, 0.55 * len(conditions) + 1.2), layout='constrained')
    axes = figure.add_subplot()
    for index, method in enumerate(METHODS):
        percents = np.array([100 * all_right[condition, method] for condition in conditions])
        places = np.arange(len(conditions)) + 0.2 * (index - 1.5)
        axes.barh(places, percents, height=0.19, label=method, color=_COLORS[index])
        # A bar of no length would not be seen: it gets its number instead.
        for place in places[percents == 0]:
            axes.text(0.4, place, '0', color=_COLORS[index], fontsize=6, va='center')
    axes.set_yticks(range(len(conditions)), conditions)
    axes.invert_yaxis()
    axes.set_xlabel(f'sounds with every source within {TOLERANCE_DEG:.0f}° and no ghost [%]')
    axes.set_xlim(0, 102)
    figure.legend(loc='outside upper right', ncols=4, frameon=False)
    figure.savefig(path, dpi=110)
