# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The comparison of separation methods by class of scene: means, spread, and who fares worst."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from av_perception.benchmarks.separation_scores import SeparationRow

HEADINGS = (
    'class',
    'method',
    'scenes',
    'gain [dB]',
    'spread [dB]',
    'least scene [dB]',
    'least voice [dB]',
    'STOI gain',
    'least STOI gain',
    'silent [dB]',
)


def class_cells(
    rows: Sequence[SeparationRow], classes: Mapping[str, str], reference: str
) -> list[list[str]]:
    """Sum up the rows of each class and method.

    Parameters
    ----------
    rows
        Of all scenes and methods.
    classes
        Name of the class of every scene.
    reference
        The method that the others are compared with; it gets no row of its own.

    Returns
    -------
    list of list of str
        Cells below `HEADINGS`. The spread is the standard deviation of the scenes' mean gains;
        a least voice is that of the one person who gains least in any scene; silent is the
        loudest stream of anybody who is silent.
    """
    methods = [name for name in dict.fromkeys(row.method for row in rows) if name != reference]
    lines = []
    for name in dict.fromkeys(classes[row.scene] for row in rows):
        for method in methods:
            own = [r for r in rows if classes[r.scene] == name and r.method == method]
            own = [row for row in own if np.isfinite(row.gain_db)]
            if own:
                lines.append([name, method, *_cells(own)])
    return lines


def class_table(rows: Sequence[SeparationRow], classes: Mapping[str, str], reference: str) -> str:
    """Write `class_cells` as Markdown."""
    lines = [list(HEADINGS), ['---'] * len(HEADINGS), *class_cells(rows, classes, reference)]
    return ''.join(f'| {" | ".join(cells)} |\n' for cells in lines)


def _cells(own: list[SeparationRow]) -> list[str]:
    gains = np.array([row.gain_db for row in own])
    silent = [row.silent_db for row in own if not np.isnan(row.silent_db)]
    return [
        f'{len(own)}',
        f'{gains.mean():.1f}',
        f'{gains.std():.1f}',
        f'{gains.min():.1f}',
        f'{min(row.least_gain_db for row in own):.1f}',
        f'{np.mean([row.stoi_gain for row in own]):+.2f}',
        f'{min(row.least_stoi_gain for row in own):+.2f}',
        f'{max(silent):.0f}' if silent else '',
    ]
