# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Clustering of weighted data against scikit-learn's methods and a Student-t mixture.

The data are overlapping clusters, clusters with outliers, and audio-visual points. Every method
gets the same points in the same run. Adjusted Rand index (1: the true clusters) and Davies-Bouldin
index (small: compact and apart) are over the points that are no outliers, means over the seeds;
the time is that of one fit. The first methods are told the number of clusters, the others find it.

For example:
  OMP_NUM_THREADS=1 av-perception benchmark clustering --json c.json --plot c.png
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import asdict

import numpy as np
from rich.progress import track
from rich.table import Table

from av_perception.benchmarks import cluster_data
from av_perception.benchmarks.cluster_methods import (
    OURS,
    ClusterScore,
    all_methods,
    average,
    measure,
)
from av_perception.cli.output import check_picture, check_writable, wide_console, write_json

_COLUMNS = 210
# Figure, title, decimals, the better of several values (None: neither).
_TABLES: tuple[tuple[str, str, int, Callable | None], ...] = (
    ('adjusted_rand', 'adjusted Rand index, inliers', 2, max),
    ('davies_bouldin', 'Davies-Bouldin index, inliers', 2, min),
    ('clusters', 'clusters found (true: 4)', 1, None),
    ('milliseconds', 'time of a fit [ms]', 1, min),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the benchmark."""
    parser.add_argument(
        '--seeds', type=int, default=10, help='data sets of each kind (default: %(default)s)'
    )
    parser.add_argument('--json', metavar='FILE', help='write the figures to FILE')
    parser.add_argument(
        '--plot', metavar='FILE', help='draw the comparison to FILE (png, svg, pdf)'
    )


def run(args: argparse.Namespace) -> int:
    """Measure, print the tables, write the files."""
    check_writable(args.json)
    check_picture(args.plot)
    methods = all_methods()
    data = cluster_data.data_sets()
    seeds = range(max(args.seeds, 1))
    console = wide_console(_COLUMNS)
    work = [(name, make, seed) for name, make in data.items() for seed in seeds]
    scores = []
    for name, make, seed in track(work, description='clustering', console=console, transient=True):
        scores += measure(name, make, methods, seed)
    means = average(scores)
    for figure, title, decimals, best in _TABLES:
        console.print(_table(means, figure, title, decimals, best))
    if args.json:
        write_json(args.json, {'seeds': args.seeds, 'scores': [asdict(mean) for mean in means]})
    if args.plot:
        _plot(means, args.plot)
    return 0


def _table(
    scores: list[ClusterScore], figure: str, title: str, decimals: int, best: Callable | None
) -> Table:
    data = list(dict.fromkeys(score.data for score in scores))
    methods = list(dict.fromkeys(score.method for score in scores))
    values = {(score.data, score.method): getattr(score, figure) for score in scores}
    best_of = {}
    if best is not None:
        for name in data:
            rated = [values[name, method] for method in methods]
            best_of[name] = best((v for v in rated if np.isfinite(v)), default=None)
    table = Table(title=title)
    table.add_column('method')
    for name in data:
        table.add_column(name, justify='right')
    for method in methods:
        cells = []
        for name in data:
            value = values[name, method]
            text = f'{value:.{decimals}f}'
            cells.append(f'[green]{text}' if value == best_of.get(name) else text)
        table.add_row(f'[bold]{method}' if method in OURS else method, *cells)
    return table


def _plot(scores: list[ClusterScore], path: str) -> None:
    from av_perception.benchmarks.cluster_picture import plot_comparison

    random = np.random.default_rng(1)
    example = cluster_data.gaussian_clusters(cluster_data.GROUPS['mixed'], 0.4, random)
    plot_comparison([asdict(score) for score in scores], example, path)
