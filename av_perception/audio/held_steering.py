# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Steering vectors of people, computed anew only for who has moved.

Around a sphere, or between measured responses, a steering vector costs far more than what is done
with it, and most people stand or sit.
"""

from __future__ import annotations

import numpy as np

from av_perception.audio.direction_bins import DirectionLikelihood, log_of_length

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


class JoinedSteering:
    """Steering of directions that stay and of people, side by side, for one product of both."""

    def __init__(self, likelihood: DirectionLikelihood, directions: np.ndarray):
        """Steer at the directions (D, 3) that stay."""
        self._likelihood = likelihood
        self._count = len(directions)
        self._held = HeldSteering()
        self._people = np.zeros((0, 0, 0), np.complex64)  # what is joined to the others now
        self._scaled = likelihood.whitened_steering(directions)
        self._of_length = log_of_length(self._scaled)

    def with_people(self, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Steer at people as well.

        Parameters
        ----------
        directions
            (N, 3) unit vectors in the array frame, as of `HeldSteering.towards`.

        Returns
        -------
        scaled, of_length
            (F, M, D + N) complex64 and (F, D + N), as `DirectionLikelihood.ratios` wants them; the
            people come last. They hold until the next call.
        """
        people = self._held.towards(self._likelihood, directions)
        if people is self._people:
            return self._scaled, self._of_length
        if people.shape[2] != self._people.shape[2]:
            own = slice(self._count)
            self._scaled = np.concatenate([self._scaled[..., own], people], axis=2)
            self._of_length = np.concatenate(
                [self._of_length[:, own], log_of_length(people)], axis=1
            )
        else:
            self._scaled[..., self._count :] = people
            self._of_length[:, self._count :] = log_of_length(people)
        self._people = people
        return self._scaled, self._of_length
