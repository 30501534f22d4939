# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The picture of the clustering comparison: agreement by share of outliers, and the weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from av_perception.benchmarks.cluster_data import OUTLIER, ClusterData
from av_perception.clustering.estimator import WeightedDataGaussianMixture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

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
    """Draw the agreement of the methods, and the weights of an example.

    Parameters
    ----------
    scores
        Rows with data, method and adjusted_rand, of the data sets `easy N %` and `mixed N %`.
    example
        Points for the right panel.
    path
        File to write (png, svg, pdf).
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 4.2), layout='constrained')
    left, middle, right = figure.subplots(1, 3)
    for axes, kind in ((left, 'easy'), (middle, 'mixed')):
        _draw_lines(axes, scores, kind)
    left.set_ylabel('adjusted Rand index of the inliers')
    left.legend(fontsize=7, loc='lower left')
    _draw_weights(right, example)
    figure.savefig(path, dpi=110)


def _draw_lines(axes: Axes, scores: list[dict], kind: str) -> None:
    """Draw a line per method over the data sets of one kind."""
    for number, method in enumerate(_SHOWN):
        points = []
        for score in scores:
            name, _, share = score['data'].partition(' ')
            if score['method'] == method and name == kind:
                points.append((float(share.rstrip(' %') or 0), score['adjusted_rand']))
        ours = method.startswith('WD-EM')
        axes.plot(
            *zip(*sorted(points)),
            '-' if ours else '--',
            marker='o' if ours else '.',
            # Ours lie on each other: the later is the thinner.
            markersize=9 - 2.5 * number if ours else 6,
            color=f'C{number}',
            linewidth=6 - 2 * number if ours else 1.2,
            label=method,
        )
    axes.set(title=f'{kind} clusters', xlabel='outliers [% of all points]', ylim=(-0.03, 1.03))
    axes.grid(alpha=0.3)


def _draw_weights(axes: Axes, data: ClusterData) -> None:
    """Draw the expected weights as sizes, and ellipses of WD-EM and of an ordinary mixture."""
    robust = WeightedDataGaussianMixture(data.clusters, random_state=0).fit(data.points)
    plain = WeightedDataGaussianMixture(data.clusters, weighting='fixed', random_state=0)
    plain.fit(data.points, sample_weight=np.ones(len(data.points)))
    outlier = data.labels == OUTLIER
    for chosen, color, label in (
        (outlier, '0.6', 'outliers'),
        (~outlier, 'C0', 'points of clusters'),
    ):
        x, y = data.points[chosen].T
        axes.scatter(
            x,
            y,
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
            ring = _two_sigma(model.means_[k], model.covariances_[k])
            axes.plot(*ring, style, linewidth=1.3, label=label if k == 0 else None)
    low = data.points[~outlier].min(0)
    high = data.points[~outlier].max(0)
    margin = 0.35 * (high - low)
    axes.set(
        title='area of a point: its expected weight',
        xlim=(low[0] - margin[0], high[0] + margin[0]),
        ylim=(low[1] - margin[1], high[1] + margin[1]),
    )
    # Below the axes: ellipses of the ordinary mixture may lie anywhere.
    axes.legend(fontsize=7, loc='upper center', bbox_to_anchor=(0.5, -0.08), ncols=2)


def _two_sigma(mean: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """(2, 80) points of the ellipse at two standard deviations."""
    angle = np.linspace(0, 2 * np.pi, 80)
    circle = np.stack([np.cos(angle), np.sin(angle)])
    values, vectors = np.linalg.eigh(covariance)
    return mean[:, None] + 2 * (vectors * np.sqrt(values)) @ circle
