# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Clustering of weighted data against scikit-learn's methods and a Student-t mixture, on overlapping clusters, outliers and audio-visual points.

Every method gets the same points in the same run. Adjusted Rand index (1: the true clusters) and Davies-Bouldin index (small: compact and apart)
are over the points that are no outliers, means over the seeds; the time is that of one fit. The first methods are told the number of clusters,
the others find it.

For example:
  OMP_NUM_THREADS=1 av-perception benchmark clustering --json clustering.json --plot clustering.png
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
from rich.progress import track
from rich.table import Table

from av_perception.benchmarks.cluster_data import (
    GROUPS,
    OUTLIER,
    ClusterData,
    audio_visual_clusters,
    gaussian_clusters,
)
from av_perception.cli.output import check_writable, wide_console, write_json
from av_perception.clustering.estimator import WeightedDataGaussianMixture
from av_perception.errors import UserError

_SHARES = (0.1, 0.2, 0.3, 0.4, 0.5)
_MOST = 10  # clusters, for the methods that find the number
_OURS = (
    'WD-EM',
    'WD-EM + uniform',
    'FWD-EM',
    'WD-EM, number found',
    'WD-EM + uniform, number found',
)


@dataclass(frozen=True)
class Score:
    """Means over the seeds: adjusted_rand, davies_bouldin (NaN when all points fell into one cluster), clusters found, ms per fit."""

    data: str
    method: str
    adjusted_rand: float
    davies_bouldin: float
    clusters: float
    milliseconds: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Command line of the benchmark."""
    parser.add_argument(
        '--seeds', type=int, default=10, help='data sets of each kind (default: %(default)s)'
    )
    parser.add_argument('--json', metavar='FILE', help='write the figures to FILE')
    parser.add_argument(
        '--plot', metavar='FILE', help='draw the comparison to FILE (png, svg, pdf)'
    )


def run(args: argparse.Namespace) -> int:
    """Measures, prints the tables, writes the files."""
    for path in (args.json, args.plot):
        check_writable(path)
    methods, console = _methods(), wide_console(210)
    data = data_sets()
    work = [
        (name, make, seed) for name, make in data.items() for seed in range(max(args.seeds, 1))
    ]
    results = [
        (name, _measure(make(np.random.default_rng(seed)), methods, seed))
        for name, make, seed in track(
            work, description='clustering', console=console, transient=True
        )
    ]
    scores = [
        _mean(name, method, [r[method] for n, r in results if n == name])
        for name in data
        for method in methods
    ]
    console.print(
        _table(
            scores, list(data), list(methods), 'adjusted_rand', 'adjusted Rand index, inliers', max
        )
    )
    console.print(
        _table(
            scores,
            list(data),
            list(methods),
            'davies_bouldin',
            'Davies-Bouldin index, inliers',
            min,
        )
    )
    console.print(
        _table(scores, list(data), list(methods), 'clusters', 'clusters found (true: 4)', None)
    )
    console.print(
        _table(scores, list(data), list(methods), 'milliseconds', 'time of a fit [ms]', min)
    )
    if args.json:
        write_json(args.json, {'seeds': args.seeds, 'scores': [asdict(score) for score in scores]})
    if args.plot:
        from av_perception.benchmarks.cluster_picture import plot_comparison

        example = gaussian_clusters(GROUPS['mixed'], 0.4, np.random.default_rng(1))
        plot_comparison([asdict(score) for score in scores], example, args.plot)
    return 0


def data_sets() -> dict[str, Callable[[np.random.Generator], ClusterData]]:
    """Name of a kind of data -> how to draw one set."""
    clean = {
        name: (lambda random, g=groups: gaussian_clusters(g, 0.0, random))
        for name, groups in GROUPS.items()
    }
    spoilt = {
        f'{name} {100 * share:.0f} %': (
            lambda random, g=GROUPS[name], s=share: gaussian_clusters(g, s, random)
        )
        for name in ('easy', 'unbalanced', 'mixed')
        for share in (_SHARES if name != 'unbalanced' else (0.3,))
    }
    return {**clean, **spoilt, 'audio-visual': audio_visual_clusters}


def _methods() -> dict[str, Callable[[np.ndarray, int, int], np.ndarray]]:
    """Name -> function of (points, clusters, seed) that gives labels. Raises UserError when a compared package is absent."""
    try:
        from sklearn.cluster import HDBSCAN, KMeans
        from sklearn.mixture import BayesianGaussianMixture, GaussianMixture
        from studenttmixture import EMStudentMixture
    except ImportError as error:
        raise UserError(
            f"the comparison needs the package {error.name}: pip install 'av_perception[evaluation]'"
        ) from error

    def ours(**options):
        return lambda points, count, seed: WeightedDataGaussianMixture(
            count, random_state=seed, **options
        ).fit_predict(points)

    def found(**options):
        return lambda points, count, seed: WeightedDataGaussianMixture(
            max_components=_MOST, random_state=seed, **options
        ).fit_predict(points)

    def unweighted_with_uniform(points, count, seed):
        model = WeightedDataGaussianMixture(
            count, weighting='fixed', outliers=True, random_state=seed
        )
        return model.fit_predict(points, sample_weight=np.ones(len(points)))

    def student(points, count, seed):
        model = EMStudentMixture(n_components=count, n_init=2, fixed_df=False, random_state=seed)
        model.fit(points)
        return model.predict(points)

    return {
        'WD-EM': ours(),
        'WD-EM + uniform': ours(outliers=True),
        'FWD-EM': ours(weighting='fixed'),
        'GaussianMixture': lambda points, count, seed: GaussianMixture(
            count, n_init=4, random_state=seed
        ).fit_predict(points),
        'Gaussian + uniform': unweighted_with_uniform,
        'Student-t mixture': student,
        'KMeans': lambda points, count, seed: KMeans(
            count, n_init=4, random_state=seed
        ).fit_predict(points),
        'WD-EM, number found': found(),
        'WD-EM + uniform, number found': found(outliers=True),
        'BayesianGaussianMixture': lambda points, count, seed: BayesianGaussianMixture(
            n_components=_MOST,
            weight_concentration_prior=1e-2,
            n_init=2,
            max_iter=500,
            random_state=seed,
        ).fit_predict(points),
        'HDBSCAN': lambda points, count, seed: HDBSCAN(min_cluster_size=15, copy=True).fit_predict(
            points
        ),
    }


def _measure(
    data: ClusterData, methods: dict, seed: int
) -> dict[str, tuple[float, float, float, float]]:
    """Rand index, Davies-Bouldin index, number of clusters, milliseconds of every method."""
    from sklearn.metrics import adjusted_rand_score, davies_bouldin_score

    inlier, results = data.labels != OUTLIER, {}
    for name, method in methods.items():
        with warnings.catch_warnings():
            warnings.simplefilter(
                'ignore'
            )  # some do not converge on outliers, which the score shows
            started = time.perf_counter()
            labels = method(data.points, data.clusters, seed)
            elapsed = 1e3 * (time.perf_counter() - started)
        rated = inlier & (labels >= 0)
        several = 2 <= len(np.unique(labels[rated])) < rated.sum()
        davies_bouldin = (
            davies_bouldin_score(data.points[rated], labels[rated]) if several else np.nan
        )
        results[name] = (
            adjusted_rand_score(data.labels[inlier], labels[inlier]),
            davies_bouldin,
            len(np.unique(labels[labels >= 0])),
            elapsed,
        )
    return results


def _mean(data: str, method: str, rows: list) -> Score:
    columns = np.array(rows, float).T
    return Score(
        data,
        method,
        *(float(np.nanmean(c)) if np.isfinite(c).any() else float('nan') for c in columns),
    )


def _table(
    scores: list[Score], data: list[str], methods: list[str], figure: str, title: str, best
) -> Table:
    table = Table(title=title)
    table.add_column('method')
    for name in data:
        table.add_column(name, justify='right')
    values = {(s.data, s.method): getattr(s, figure) for s in scores}
    for method in methods:
        cells = []
        for name in data:
            text = (
                f'{values[name, method]:.1f}'
                if figure in ('milliseconds', 'clusters')
                else f'{values[name, method]:.2f}'
            )
            wins = best is not None and values[name, method] == best(
                v for (d, _), v in values.items() if d == name and np.isfinite(v)
            )
            cells.append(f'[green]{text}' if wins else text)
        table.add_row(('[bold]' if method in _OURS else '') + method, *cells)
    return table
