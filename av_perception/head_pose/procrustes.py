# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The similarity that takes one cloud of points best onto another.

Source: Umeyama, "Least-squares estimation of transformation parameters between two point
patterns", IEEE Trans. Pattern Analysis and Machine Intelligence 13(4), 1991.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Similarity:
    """`target = scale * rotation @ source + translation`.

    residual: weighted RMS distance that remains, in units of the weighted RMS radius of the
    target.
    """

    rotation: np.ndarray
    scale: float
    translation: np.ndarray
    residual: float

    def apply(self, points: np.ndarray) -> np.ndarray:
        """Map points (N, 3)."""
        return self.scale * points @ self.rotation.T + self.translation


def fit_similarity(source: np.ndarray, target: np.ndarray, weights: np.ndarray) -> Similarity:
    """Find the similarity with the least weighted squares; it never mirrors.

    Parameters
    ----------
    source, target
        (N, 3) points that belong together.
    weights
        (N,) not negative.
    """
    weights = weights / weights.sum()
    source_mean = weights @ source
    target_mean = weights @ target
    centered = source - source_mean
    aim = target - target_mean
    left, singular, right = np.linalg.svd((aim * weights[:, None]).T @ centered)
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    rotation = (left * sign) @ right
    spread = max(float(weights @ (centered**2).sum(axis=1)), 1e-300)
    radius = max(float(weights @ (aim**2).sum(axis=1)), 1e-300)
    covered = float(singular @ sign)
    scale = covered / spread
    rest = max(radius - covered * scale, 0.0)
    translation = target_mean - scale * rotation @ source_mean
    return Similarity(rotation, scale, translation, float(np.sqrt(rest / radius)))
