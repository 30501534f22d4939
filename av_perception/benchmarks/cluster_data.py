# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Data sets with known clusters for comparing clustering methods: overlapping groups, outliers, audio-visual points with a missing modality."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

OUTLIER = -1


@dataclass(frozen=True)
class ClusterData:
    """points: (n, 2); labels: (n,) true cluster, OUTLIER for none; clusters: how many there are."""

    points: np.ndarray
    labels: np.ndarray
    clusters: int


@dataclass(frozen=True)
class Groups:
    """Normal clusters. means: (K, 2); scales: (K, 2) standard deviations; counts: (K,) points. Angles are drawn anew each time."""

    means: tuple
    scales: tuple
    counts: tuple


# After the simulated sets of Gebru et al. 2016: apart, of unequal size, overlapping, and of mixed shapes.
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


def gaussian_clusters(
    groups: Groups, outlier_share: float, random: np.random.Generator
) -> ClusterData:
    """The clusters, and uniform outliers over a box of three times their extent; outlier_share of all points."""
    parts = []
    for mean, scale, count in zip(groups.means, groups.scales, groups.counts):
        angle = random.uniform(0, np.pi)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        parts.append(np.array(mean) + (random.normal(size=(count, 2)) * scale) @ turn.T)
    inliers = np.concatenate(parts)
    count = round(len(inliers) * outlier_share / (1 - outlier_share))
    middle, extent = (inliers.max(0) + inliers.min(0)) / 2, np.ptp(inliers, axis=0)
    outliers = middle + extent * random.uniform(-1.5, 1.5, (count, 2))
    labels = np.concatenate(
        [np.repeat(np.arange(len(parts)), groups.counts), np.full(count, OUTLIER)]
    )
    return ClusterData(np.concatenate([inliers, outliers]), labels, len(parts))


def audio_visual_clusters(
    random: np.random.Generator, size: tuple[int, int] = (640, 480)
) -> ClusterData:
    """A second of faces and sound directions in the image plane [px]: one person is seen and silent, one heard and not seen, two are both; a
    quarter of the sound is reverberation from anywhere.
    """
    people = np.array(
        [[110.0, 160.0], [290.0, 220.0], [430.0, 150.0], [570.0, 240.0]]
    ) + random.normal(0, 15, (4, 2))
    faces, sounds = (60, 60, 60, 0), (0, 40, 40, 40)
    seen = np.repeat(np.arange(4), faces)
    heard = np.repeat(np.arange(4), sounds)
    reverberation = random.uniform((0, 0), size, (40, 2))
    points = np.concatenate(
        [
            people[seen] + random.normal(0, 6, (len(seen), 2)),
            people[heard] + random.normal(0, 1, (len(heard), 2)) * [28, 40],
            reverberation,
        ]
    )
    return ClusterData(points, np.concatenate([seen, heard, np.full(40, OUTLIER)]), 4)
