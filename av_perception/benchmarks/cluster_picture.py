# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The picture of the clustering comparison: agreement against the share of outliers, and what the weights do."""

from __future__ import annotations

import numpy as np

from av_perception.benchmarks.cluster_data import OUTLIER, ClusterData
from av_perception.clustering.estimator import WeightedDataGaussianMixture

_SHOWN = (
    'WD-EM',
    'WD-EM + uniform',
    'WD-EM + uniform, number found',
    'GaussianMixture',
    'Gaussian + uniform',
    'Student-t mixture',
    'KMeans',
    'BayesianGaussianMixture',
    'HDBSCAN',
)


def plot_comparison(scores: list[dict], example: ClusterData, path: str) -> None:
    """scores: rows with data, method and adjusted_rand, of the data sets `easy N %` and `mixed N %`; example: points for the right panel."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 4.2), layout='constrained')
    left, middle, right = figure.subplots(1, 3)
    for axes, kind in ((left, 'easy'), (middle, 'mixed')):
        _draw_lines(axes, scores, kind)
    left.set_ylabel('adjusted Rand index of the inliers')
    left.legend(fontsize=7, loc='lower left')
    _draw_weights(right, example)
    figure.savefig(path, dpi=110)


def _draw_lines(axes, scores: list[dict], kind: str) -> None:
    for number, method in enumerate(_SHOWN):
        rows = [(s['data'], s['adjusted_rand']) for s in scores if s['method'] == method]
        points = [
            (float(name.split()[1]) if ' ' in name else 0.0, value)
            for name, value in rows
            if name.split()[0] == kind
        ]
        ours = method.startswith('WD-EM')
        axes.plot(
            *zip(*sorted(points)),
            '-' if ours else '--',
            marker='o' if ours else '.',
            color=f'C{number}',
            linewidth=2.2 if ours else 1.2,
            label=method,
        )
    axes.set(title=f'{kind} clusters', xlabel='outliers [% of all points]', ylim=(-0.03, 1.03))
    axes.grid(alpha=0.3)


def _draw_weights(axes, data: ClusterData) -> None:
    """The expected weights as sizes, and the two-sigma ellipses of WD-EM and of an ordinary mixture."""
    robust = WeightedDataGaussianMixture(data.clusters, random_state=0).fit(data.points)
    plain = WeightedDataGaussianMixture(data.clusters, weighting='fixed', random_state=0).fit(
        data.points, sample_weight=np.ones(len(data.points))
    )
    outlier = data.labels == OUTLIER
    for chosen, color, label in (
        (outlier, '0.6', 'outliers'),
        (~outlier, 'C0', 'points of clusters'),
    ):
        axes.scatter(
            *data.points[chosen].T,
            s=14 * robust.sample_weight_[chosen],
            color=color,
            label=label,
            linewidths=0,
        )
    for model, style, label in (
        (robust, 'k-', 'WD-EM, two sigma'),
        (plain, 'C3--', 'ordinary mixture'),
    ):
        for k in range(model.n_components_):
            values, vectors = np.linalg.eigh(model.covariances_[k])
            angle = np.linspace(0, 2 * np.pi, 80)
            ring = model.means_[k][:, None] + 2 * (vectors * np.sqrt(values)) @ np.stack(
                [np.cos(angle), np.sin(angle)]
            )
            axes.plot(*ring, style, linewidth=1.3, label=label if k == 0 else None)
    low, high = data.points[~outlier].min(0), data.points[~outlier].max(0)
    margin = 0.35 * (high - low)
    axes.set(
        title='area of a point: its expected weight',
        xlim=(low[0] - margin[0], high[0] + margin[0]),
        ylim=(low[1] - margin[1], high[1] + margin[1]),
    )
    axes.legend(fontsize=7, loc='lower right')
