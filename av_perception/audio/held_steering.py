# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Steering vectors of people, computed anew only for who has moved.

Around a sphere, or between measured responses, a steering vector costs far more than what is done
with it, and most people stand or sit.
"""

from __future__ import annotations

import numpy as np

from av_perception.audio.direction_bins import DirectionLikelihood

# [rad] a third of a degree, far below the errors of tracks: so far people stand still.
TOLERANCE_RAD = 0.006


class HeldSteering:
    """Remembers the last people."""

    def __init__(self):
        self._likelihood: DirectionLikelihood | None = None
        self._directions = np.zeros((0, 3))
        self._scaled = np.zeros((0, 0, 0), np.complex64)

    def towards(self, likelihood: DirectionLikelihood, directions: np.ndarray) -> np.ndarray:
        """Give the steering of `DirectionLikelihood.whitened_steering`.

        Parameters
        ----------
        likelihood
            For F frequencies and M microphones.
        directions
            (N, 3) unit vectors in the array frame; where people come or go, or change their
            order, those are taken to have moved whose place in it is another's.

        Returns
        -------
        np.ndarray
            (F, M, N) complex64, of directions at most `TOLERANCE_RAD` away; not to be changed.
        """
        if likelihood is not self._likelihood or len(directions) != len(self._directions):
            self._likelihood = likelihood
            self._directions = np.array(directions, float)
            self._scaled = likelihood.whitened_steering(self._directions)
            return self._scaled
        step = np.linalg.norm(directions - self._directions, axis=1)
        moved = np.flatnonzero(step > TOLERANCE_RAD)
        if len(moved):
            self._directions[moved] = directions[moved]
            self._scaled = self._scaled.copy()
            self._scaled[:, :, moved] = likelihood.whitened_steering(directions[moved])
        return self._scaled
