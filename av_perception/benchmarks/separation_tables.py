# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The comparison of separation methods as Markdown: scene by scene, means, the live streams."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from av_perception.benchmarks.separation_methods import BEST_MICROPHONE, STREAMS
from av_perception.benchmarks.separation_scores import SeparationRow

Cell = Callable[[list[SeparationRow]], str]


def separation_tables(rows: Sequence[SeparationRow]) -> str:
    """Write the tables.

    Parameters
    ----------
    rows
        Of all scenes and methods; those of one scene and method (several draws) are averaged, and
        of what is a least the least counts.

    Returns
    -------
    str
        SI-SDR of every scene and method with the least gain in brackets, the methods' means, and
        the live streams by themselves where they are among the methods.
    """
    scenes = list(dict.fromkeys(row.scene for row in rows))
    methods = list(dict.fromkeys(row.method for row in rows))
    tables = [_by_scene(rows, scenes, methods), _means(rows, methods)]
    if STREAMS in methods:
        tables.append(_streams(rows, scenes))
    return '\n'.join(tables)


def _by_scene(rows: Sequence[SeparationRow], scenes: list[str], methods: list[str]) -> str:
    lines = [['scene', *methods]]
    for scene in scenes:
        cells = [_si_sdr(_of(rows, scene, method), method) for method in methods]
        lines.append([scene, *cells])
    return _table(lines)


def _si_sdr(rows: list[SeparationRow], method: str) -> str:
    level = _mean(rows, 'si_sdr_db')
    if np.isnan(level):
        return ''
    if method == BEST_MICROPHONE:
        return f'{level:.1f}'
    return f'{level:.1f} ({min(row.least_gain_db for row in rows):+.1f})'


def _means(rows: Sequence[SeparationRow], methods: list[str]) -> str:
    figures: tuple[tuple[str, str, str], ...] = (
        ('gain [dB]', 'gain_db', '.1f'),
        ('SDR [dB]', 'sdr_db', '.1f'),
        ('PESQ', 'pesq', '.2f'),
        ('STOI', 'stoi', '.2f'),
        ('CPU s per s', 'cpu', '.2f'),
    )
    lines = [['mean', *methods]]
    for name, field, form in figures:
        of = [_mean([row for row in rows if row.method == method], field) for method in methods]
        lines.append([name, *(format(value, form) for value in of)])
    words = [[r.word_errors for r in rows if r.method == method] for method in methods]
    heard = [[value for value in values if not np.isnan(value)] for values in words]
    if any(heard):
        medians = [f'{np.median(values):.0%}' if values else '' for values in heard]
        lines.append(['words wrong, median', *medians])
    return _table(lines)


def _streams(rows: Sequence[SeparationRow], scenes: list[str]) -> str:
    heading = ['scene', 'gain [dB]', 'least gain [dB]', 'STOI', 'least STOI gain', 'silent [dB]']
    lines = [heading]
    for scene in scenes:
        own = _of(rows, scene, STREAMS)
        silent = [row.silent_db for row in own if not np.isnan(row.silent_db)]
        lines.append(
            [
                scene,
                f'{_mean(own, "gain_db"):.1f}',
                f'{min(row.least_gain_db for row in own):.1f}',
                f'{_mean(own, "stoi"):.2f}',
                f'{min(row.least_stoi_gain for row in own):+.2f}',
                f'{max(silent):.0f}' if silent else '',
            ]
        )
    return _table(lines)


def _of(rows: Sequence[SeparationRow], scene: str, method: str) -> list[SeparationRow]:
    return [row for row in rows if (row.scene, row.method) == (scene, method)]


def _mean(rows: list[SeparationRow], field: str) -> float:
    values = np.array([getattr(row, field) for row in rows], float)
    return float('nan') if np.isnan(values).all() else float(np.nanmean(values))


def _table(lines: list[list[str]]) -> str:
    rule = ['---'] * len(lines[0])
    return ''.join(f'| {" | ".join(cells)} |\n' for cells in [lines[0], rule, *lines[1:]])
