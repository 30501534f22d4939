# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Clustering methods alike in use, and how well they find known clusters."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from av_perception.benchmarks.cluster_data import OUTLIER, ClusterData, MakeData
from av_perception.clustering.estimator import WeightedDataGaussianMixture
from av_perception.errors import UserError

MOST_CLUSTERS = 10  # for the methods that find the number
OURS = (
    'WD-EM',
    'WD-EM + uniform',
    'FWD-EM',
    'WD-EM, number found',
    'WD-EM + uniform, number found',
)
Method = Callable[[np.ndarray, int, int], np.ndarray]  # (points, clusters, seed) -> labels


@dataclass(frozen=True)
class ClusterScore:
    """Figures of one method on one data set, or their means over the seeds."""

    #: kind of data
    data: str
    #: name of the method
    method: str
    #: adjusted Rand index of the inliers, 1 for the true clusters
    adjusted_rand: float
    #: Davies-Bouldin index of the inliers; NaN when all points fell into one cluster
    davies_bouldin: float
    #: clusters found
    clusters: float
    #: time of a fit [ms]
    milliseconds: float


def all_methods() -> dict[str, Method]:
    """Name the methods; the first ones are told the number of clusters, the others find it.

    Returns
    -------
    dict
        By name, a function of (points, clusters, seed) that gives labels.

    Raises
    ------
    UserError
        A compared package is absent.
    """
    try:
        return {**_told_methods(), **_finding_methods()}
    except ImportError as error:
        raise UserError(
            f'the comparison needs the package {error.name}: '
            "pip install 'av_perception[evaluation]'"
        ) from error


def _told_methods() -> dict[str, Method]:
    """Methods that are told the number of clusters."""
    from sklearn.cluster import KMeans
    from sklearn.mixture import GaussianMixture
    from studenttmixture import EMStudentMixture

    def ours(**options) -> Method:
        return lambda points, count, seed: WeightedDataGaussianMixture(
            count, random_state=seed, **options
        ).fit_predict(points)

    def unweighted_with_uniform(points, count, seed):
        model = WeightedDataGaussianMixture(
            count, weighting='fixed', outliers=True, random_state=seed
        )
        return model.fit_predict(points, sample_weight=np.ones(len(points)))

    def gaussian(points, count, seed):
        return GaussianMixture(count, n_init=4, random_state=seed).fit_predict(points)

    def student(points, count, seed):
        model = EMStudentMixture(n_components=count, n_init=2, fixed_df=False, random_state=seed)
        model.fit(points)
        return model.predict(points)

    def k_means(points, count, seed):
        return KMeans(count, n_init=4, random_state=seed).fit_predict(points)

    return {
        'WD-EM': ours(),
        'WD-EM + uniform': ours(outliers=True),
        'FWD-EM': ours(weighting='fixed'),
        'GaussianMixture': gaussian,
        'Gaussian + uniform': unweighted_with_uniform,
        'Student-t mixture': student,
        'KMeans': k_means,
    }


def _finding_methods() -> dict[str, Method]:
    """Methods that find the number of clusters."""
    from sklearn.cluster import HDBSCAN
    from sklearn.mixture import BayesianGaussianMixture

    def ours(**options) -> Method:
        return lambda points, count, seed: WeightedDataGaussianMixture(
            max_components=MOST_CLUSTERS, random_state=seed, **options
        ).fit_predict(points)

    def bayesian(points, count, seed):
        model = BayesianGaussianMixture(
            n_components=MOST_CLUSTERS,
            weight_concentration_prior=1e-2,
            n_init=2,
            max_iter=500,
            random_state=seed,
        )
        return model.fit_predict(points)

    def hdbscan(points, count, seed):
        return HDBSCAN(min_cluster_size=15, copy=True).fit_predict(points)

    return {
        'WD-EM, number found': ours(),
        'WD-EM + uniform, number found': ours(outliers=True),
        'BayesianGaussianMixture': bayesian,
        'HDBSCAN': hdbscan,
    }


def measure(
    name: str, make: MakeData, methods: dict[str, Method], seed: int
) -> list[ClusterScore]:
    """Rate every method on one data set.

    Parameters
    ----------
    name
        Of the kind of data.
    make
        Draws the set.
    methods
        By name.
    seed
        Of the set and of the methods.

    Returns
    -------
    list of ClusterScore
        One per method.
    """
    data = make(np.random.default_rng(seed))
    scores = []
    for method, cluster in methods.items():
        with warnings.catch_warnings():
            # Some do not converge on outliers, which the score shows.
            warnings.simplefilter('ignore')
            started = time.perf_counter()
            labels = cluster(data.points, data.clusters, seed)
            elapsed = 1e3 * (time.perf_counter() - started)
        scores.append(_rate(data, name, method, labels, elapsed))
    return scores


def _rate(
    data: ClusterData, name: str, method: str, labels: np.ndarray, milliseconds: float
) -> ClusterScore:
    from sklearn.metrics import adjusted_rand_score, davies_bouldin_score

    inlier = data.labels != OUTLIER
    rated = inlier & (labels >= 0)
    davies_bouldin = float('nan')
    if 2 <= len(np.unique(labels[rated])) < rated.sum():
        davies_bouldin = davies_bouldin_score(data.points[rated], labels[rated])
    return ClusterScore(
        data=name,
        method=method,
        adjusted_rand=adjusted_rand_score(data.labels[inlier], labels[inlier]),
        davies_bouldin=davies_bouldin,
        clusters=len(np.unique(labels[labels >= 0])),
        milliseconds=milliseconds,
    )


def average(scores: Iterable[ClusterScore]) -> list[ClusterScore]:
    """Average over the seeds.

    Parameters
    ----------
    scores
        Of all kinds of data, methods and seeds.

    Returns
    -------
    list of ClusterScore
        One per kind of data and method; NaN counts for nothing.
    """
    groups: dict[tuple[str, str], list[ClusterScore]] = {}
    for score in scores:
        groups.setdefault((score.data, score.method), []).append(score)
    means = []
    for (data, method), group in groups.items():
        columns = np.array(
            [(s.adjusted_rand, s.davies_bouldin, s.clusters, s.milliseconds) for s in group]
        ).T
        means.append(ClusterScore(data, method, *map(_mean, columns)))
    return means


def _mean(values: np.ndarray) -> float:
    return float(np.nanmean(values)) if np.isfinite(values).any() else float('nan')
