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
        SI-SDR of every scene and method with the least gain in brackets, the methods' means,
        the live streams by themselves where they are among the methods; wrong words where they
        were counted.
    """
    scenes = list(dict.fromkeys(row.scene for row in rows))
    methods = list(dict.fromkeys(row.method for row in rows))
    tables = [_by_scene(rows, scenes, methods), _means(rows, methods)]
    if STREAMS in methods:
        tables.append(_streams(rows, scenes))
    if any(row.num_words > 0 for row in rows):
        tables.append(_words(rows, scenes, methods))
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
    return _table(lines)


def _words(rows: Sequence[SeparationRow], scenes: list[str], methods: list[str]) -> str:
    """Share of the words that are wrong; of all scenes together, each word counts alike."""
    lines = [['words wrong', 'words', *methods]]
    for name, of in [*((scene, [scene]) for scene in scenes), ('all', scenes)]:
        own = [row for row in rows if row.scene in of and not np.isnan(row.word_errors)]
        by_method = [[row for row in own if row.method == method] for method in methods]
        spoken = [sum(row.num_words for row in rows) for rows in by_method]
        wrong = [sum(row.num_words * row.word_errors for row in rows) for rows in by_method]
        shares = [f'{w / n:.0%}' if n else '' for w, n in zip(wrong, spoken, strict=True)]
        lines.append([name, f'{max(spoken):.0f}', *shares])
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
