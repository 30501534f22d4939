# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Faces whose depth is that of something else, as of the head that half hides them.

A face has its own depth, or, with a probability, any: then only its ray tells. That is an outlier
state inside
the E-Z step (T17 of docs/tracker_equations.md). Which of the two it is for a track is decided
once per frame, by the exact marginals under the prediction. Left open over the rounds, the sharper
of the two would pull the state to itself and always win. Sizes: M faces, N tracks, O visual
observation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from av_perception.numerics.gaussian import LOG_2PI, inverse_and_log_det, log_normal, quadratic

_OWN_MASS = 0.5  # a track with more of it has a face at its own depth
_NONE = np.zeros(0, int)  # indices of no pairs
_FLOOR = 5.0  # [nat] what is so far below clutter is nobody's in either state


@dataclass(frozen=True)
class OtherDepthConfig:
    """How often the depth of a face is that of something else."""

    #: in (0, 1), of a face that is free
    free_probability: float = 0.03
    #: in (0, 1), of a face that is said to be where somebody else is
    beside_probability: float = 0.98
    #: so many images in a row with a free face at another depth prove the track wrong
    believe_images: int = 5
    #: [m] standard deviation of the place of a track that was proven wrong
    lost_place_sd: float = 1.0

    def __post_init__(self):
        for probability in (self.free_probability, self.beside_probability):
            if not 0 < probability < 1:
                raise ValueError('free_probability and beside_probability must lie in (0, 1)')
        if self.believe_images < 1 or self.lost_place_sd <= 0:
            raise ValueError('believe_images must be at least 1 and lost_place_sd positive')


class OtherDepth:
    """The outlier state of the faces of one image.

    Parameters
    ----------
    config
        See `OtherDepthConfig`.
    ray_noise
        (M, R, R) of the first components, which tell the rays.
    log_density
        Of the other components, whatever the state.
    beside
        (M, N) bool: the face is where somebody other than the track is.

    Attributes
    ----------
    face, track
        (P,) indices of the pairs whose face, were it the track's, has another depth.
    """

    def __init__(
        self,
        config: OtherDepthConfig,
        ray_noise: np.ndarray,
        log_density: float,
        beside: np.ndarray,
    ):
        self._noise = ray_noise
        self._log_density = log_density
        self._beside = beside
        self._size = ray_noise.shape[-1]
        here = config.beside_probability
        free = config.free_probability
        self._log_other = np.where(beside, math.log(here), math.log(free))
        # (M, N), of the states that are chosen
        self.log_weight = np.where(beside, math.log1p(-here), math.log1p(-free))
        self.face = self.track = _NONE

    def decide(
        self, own: np.ndarray, residual: np.ndarray, spread: np.ndarray, log_clutter: float
    ) -> np.ndarray:
        """Choose the likelier state of every pair.

        Parameters
        ----------
        own
            (M, N) log likelihood of faces at their own depth, under the prediction [nat].
        residual
            (M, N, O) `v - h(m)`.
        spread
            (N, O, O) `H S H'`.
        log_clutter
            Log density of clutter.

        Returns
        -------
        np.ndarray
            (M, N) log likelihood of the states that were chosen, with their probabilities.
        """
        own = own + self.log_weight
        ray = slice(self._size)
        innovation = self._noise[:, None] + spread[:, ray, ray]
        other = log_normal(residual[..., ray], innovation) + self._log_density + self._log_other
        chosen = (other > own) & (other > log_clutter - _FLOOR)
        self.face, self.track = chosen.nonzero()
        if not len(self.face):
            return own
        # (P, R, R) and (P,) of the chosen pairs
        self._precision, log_det = inverse_and_log_det(self._noise[self.face])
        self._log_peak = self._log_density - 0.5 * (self._size * LOG_2PI + log_det)
        self.log_weight = np.where(chosen, self._log_other, self.log_weight)
        return np.where(chosen, other, own)

    def expected(self, residual: np.ndarray, spread: np.ndarray) -> np.ndarray:
        """Score the chosen pairs under q(s) (T5), without their probabilities.

        Parameters
        ----------
        residual
            (M, N, O) `v - h(mu)`.
        spread
            (N, O, O) `H Gam H'`.

        Returns
        -------
        np.ndarray
            (P,) [nat].
        """
        ray = slice(self._size)
        exponent = quadratic(residual[self.face, self.track, ray], self._precision)
        exponent = exponent + (self._precision * spread[self.track, ray, ray]).sum((1, 2))
        return self._log_peak - 0.5 * exponent

    def add_information(
        self,
        precision: np.ndarray,
        vector: np.ndarray,
        alpha: np.ndarray,
        residual: np.ndarray,
        matrix: np.ndarray,
    ) -> None:
        """Add what the chosen pairs say of the states to that of the others (T8), in place.

        Parameters
        ----------
        precision, vector
            (N, D, D) and (N, D).
        alpha
            (M, N) responsibilities.
        residual, matrix
            (M, N, O) `v - h(m)` and (N, O, D) `H`.
        """
        weighted = alpha[self.face, self.track, None, None] * self._precision
        ray = slice(self._size)
        of_rays = matrix[self.track, ray]
        projected = of_rays.swapaxes(1, 2) @ weighted
        np.add.at(precision, self.track, projected @ of_rays)
        surprise = residual[self.face, self.track, ray][..., None]
        np.add.at(vector, self.track, (projected @ surprise)[..., 0])

    def free_mass(self, alpha: np.ndarray) -> np.ndarray:
        """(N,) responsibility for free faces at another depth, of tracks without a face at theirs.

        alpha: (M, N) responsibilities.
        """
        elsewhere = np.zeros(alpha.shape[1])
        if not len(self.face):
            return elsewhere
        masses = alpha[self.face, self.track]
        own = alpha.sum(0)
        np.subtract.at(own, self.track, masses)
        free = ~self._beside[self.face, self.track] & (own[self.track] < _OWN_MASS)
        np.add.at(elsewhere, self.track[free], masses[free])
        return elsewhere
