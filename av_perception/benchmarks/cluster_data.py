# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Data sets with known clusters: overlapping groups, outliers, points with a missing modality."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

OUTLIER = -1
_SHARES = (0.1, 0.2, 0.3, 0.4, 0.5)  # of outliers
# Faces and sounds of four people: one is seen and silent, one heard and not seen, two are both.
_PEOPLE_PX = ((110.0, 160.0), (290.0, 220.0), (430.0, 150.0), (570.0, 240.0))
_FACES = (60, 60, 60, 0)
_SOUNDS = (0, 40, 40, 40)
_REVERBERATION = 40


@dataclass(frozen=True)
class ClusterData:
    """Points whose clusters are known."""

    #: (n, 2)
    points: np.ndarray
    #: (n,) true cluster, OUTLIER for none
    labels: np.ndarray
    #: how many clusters there are
    clusters: int


@dataclass(frozen=True)
class Groups:
    """Normal clusters; the angles of their axes are drawn anew each time."""

    #: (K, 2)
    means: tuple
    #: (K, 2) standard deviations along the axes
    scales: tuple
    #: (K,) points of each
    counts: tuple


# After the simulated sets of Gebru et al. 2016: apart, of unequal size, overlapping, and of mixed
# shapes.
GROUPS = {
    'easy': Groups(((0, 0), (6, 1), (1, 6), (7, 7)), ((0.8, 0.8),) * 4, (100,) * 4),
    'unbalanced': Groups(((0, 0), (6, 1), (1, 6), (7, 7)), ((0.8, 0.8),) * 4, (250, 70, 50, 30)),
    'overlapped': Groups(
        ((0, 0), (3.2, 0.5), (0.8, 3.2), (4.0, 4.0)), ((1.1, 0.8),) * 4, (100,) * 4
    ),
    'mixed': Groups(
        ((0, 0), (5, 0.5), (1, 5), (6, 6)),
        ((1.5, 0.4), (0.5, 0.5), (1.0, 0.7), (1.8, 0.4)),
        (120, 80, 100, 100),
    ),
}

MakeData = Callable[[np.random.Generator], ClusterData]


def data_sets() -> dict[str, MakeData]:
    """Name the kinds of data.

    Returns
    -------
    dict
        By name, how to draw one set.
    """
    clean: dict[str, MakeData] = {
        name: partial(gaussian_clusters, groups, 0.0) for name, groups in GROUPS.items()
    }
    spoiled: dict[str, MakeData] = {
        f'{name} {100 * share:.0f} %': partial(gaussian_clusters, GROUPS[name], share)
        for name in ('easy', 'unbalanced', 'mixed')
        for share in (_SHARES if name != 'unbalanced' else (0.3,))
    }
    return {**clean, **spoiled, 'audio-visual': audio_visual_clusters}


def gaussian_clusters(
    groups: Groups, outlier_share: float, random: np.random.Generator
) -> ClusterData:
    """Draw clusters, and outliers uniformly over a box of three times their extent.

    Parameters
    ----------
    groups
        The clusters.
    outlier_share
        Share in [0, 1) of outliers in all points.
    random
        Draws angles and points.

    Returns
    -------
    ClusterData
        Points of the clusters, one after the other, then the outliers.
    """
    parts = []
    for mean, scale, count in zip(groups.means, groups.scales, groups.counts):
        angle = random.uniform(0, np.pi)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        parts.append(np.array(mean) + (random.normal(size=(count, 2)) * scale) @ turn.T)
    inliers = np.concatenate(parts)
    count = round(len(inliers) * outlier_share / (1 - outlier_share))
    middle = (inliers.max(0) + inliers.min(0)) / 2
    extent = np.ptp(inliers, axis=0)
    outliers = middle + extent * random.uniform(-1.5, 1.5, (count, 2))
    of_clusters = np.repeat(np.arange(len(parts)), groups.counts)
    labels = np.concatenate([of_clusters, np.full(count, OUTLIER)])
    return ClusterData(np.concatenate([inliers, outliers]), labels, len(parts))


def audio_visual_clusters(
    random: np.random.Generator, size: tuple[int, int] = (640, 480)
) -> ClusterData:
    """Draw a second of faces and sound directions in the image plane.

    One person is seen and silent, one heard and not seen, two are both; a quarter of the sound is
    reverberation from anywhere.

    Parameters
    ----------
    random
        Draws the points.
    size
        Width and height of the image [px].

    Returns
    -------
    ClusterData
        Points [px] of faces, of sounds, of reverberation.
    """
    people = np.array(_PEOPLE_PX) + random.normal(0, 15, (4, 2))
    seen = np.repeat(np.arange(4), _FACES)
    heard = np.repeat(np.arange(4), _SOUNDS)
    reverberation = random.uniform((0, 0), size, (_REVERBERATION, 2))
    faces = people[seen] + random.normal(0, 6, (len(seen), 2))
    sounds = people[heard] + random.normal(0, 1, (len(heard), 2)) * [28, 40]
    labels = np.concatenate([seen, heard, np.full(_REVERBERATION, OUTLIER)])
    return ClusterData(np.concatenate([faces, sounds, reverberation]), labels, 4)
