# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""How people look in numbers, as `vision.appearance` describes them, without any pixels.

A person's descriptor is y ~ N(0, B). While somebody is seen, it is y + w, w ~ N(0, W), and from
image to image it hardly changes; who comes back is in another light and at another place, with
another w. That is the model by which the tracker compares views, with spreads that were learned
from rendered people in clothes of drawn colors and in light that is drawn anew.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_VISIT_ENDS = 12  # images without the person, after which light and place are others


@dataclass(frozen=True)
class LooksSpread:
    """Spreads of descriptors, and how often people are described. Raises ValueError.

    Attributes
    ----------
    within, between
        (A, A) W and B of the module's text.
    every
        The faces of one of so many images are described, at least 1.
    image_sd
        Standard deviation of every component from image to image.
    """

    within: np.ndarray
    between: np.ndarray
    every: int = 2
    image_sd: float = 0.02

    def __post_init__(self):
        size = len(self.within)
        if self.within.shape != (size, size) or self.between.shape != (size, size):
            raise ValueError('within and between must be square matrices of one size')
        if self.every < 1 or self.image_sd < 0:
            raise ValueError('every must be at least 1 and image_sd must not be negative')


class PlantedLooks:
    """Describes the people of one scene, image after image.

    Parameters
    ----------
    spread
        See `LooksSpread`.
    people
        How many there are.
    random
        Of all that is drawn.
    """

    def __init__(self, spread: LooksSpread, people: int, random: np.random.Generator):
        self._spread = spread
        self._random = random
        self._within = np.linalg.cholesky(spread.within)
        self._between = np.linalg.cholesky(spread.between)
        self._people = [self._draw(self._between) for _ in range(people)]
        self._views = [self._draw(self._within) for _ in range(people)]
        self._last = [0] * people

    def _draw(self, factor: np.ndarray) -> np.ndarray:
        """Draw (A,) of the covariance with this Cholesky factor."""
        return factor @ self._random.normal(size=len(factor))

    def of_person(self, frame: int, person: int) -> np.ndarray:
        """Describe by (A,) somebody who is seen, (0,) where the image is not described."""
        if frame - self._last[person] > _VISIT_ENDS:
            self._views[person] = self._draw(self._within)
        self._last[person] = frame
        if frame % self._spread.every:
            return np.zeros(0)
        noise = self._random.normal(0.0, self._spread.image_sd, len(self._within))
        return self._people[person] + self._views[person] + noise

    def of_nobody(self, frame: int) -> np.ndarray:
        """Describe by (A,) a false face, (0,) where the image is not described."""
        if frame % self._spread.every:
            return np.zeros(0)
        return self._draw(self._between) + self._draw(self._within)
