# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""From which microphone a person's stream is taken: the nearer ear of a head that casts a shadow.

An ear in the shadow of the head hears everybody else better. Small arrays cast no shadow: there
the first live microphone serves everybody. Two ears hear a person at the same time when the person
passes from the side of one to that of the other, so that a stream can change ears.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from av_perception.audio.steering import Steering, sphere_grid

_FREQUENCIES_HZ = np.array([1000.0, 2000.0, 4000.0])
_CHANGE_DB = 2.0  # a microphone must be so much louder, or the one there is stays
_NUM_PROBED = 60  # directions in which a head is asked for its shadow


class ReferenceMicrophones:
    """Follows people.

    Parameters
    ----------
    steering
        How sound arrives at the microphones.
    """

    def __init__(self, steering: Steering):
        self._steering = steering
        levels = self._levels_db(sphere_grid(_NUM_PROBED))
        self.casts_shadow = bool(np.ptp(levels, axis=1).max() > _CHANGE_DB)
        self.reset()

    def reset(self) -> None:
        """Forget everybody."""
        self._microphones: dict[int, int] = {}
        self._heard: tuple[Mapping[int, np.ndarray], tuple[bool, ...]] | None = None

    def update(self, directions: Mapping[int, np.ndarray], live: tuple[bool, ...]) -> np.ndarray:
        """Choose for everybody.

        Parameters
        ----------
        directions
            Unit vector (3,) in the array frame, by id; not to be changed.
        live
            (M,) which microphones are not dead, at least one.

        Returns
        -------
        np.ndarray
            (J,) index of a live microphone, in the order of `directions`.
        """
        first = live.index(True)
        if not self.casts_shadow or not directions:
            return np.full(len(directions), first)
        if self._heard is not None and self._heard[0] is directions and self._heard[1] == live:
            return np.array(list(self._microphones.values()))
        self._heard = (directions, live)
        levels = self._levels_db(np.array(list(directions.values())))
        levels = np.where(live, levels, -np.inf)
        before = self._microphones
        self._microphones = {}
        for key, level in zip(directions, levels, strict=True):
            own = before.get(key, first)
            best = int(np.argmax(level))
            self._microphones[key] = best if level[best] > level[own] + _CHANGE_DB else own
        return np.array(list(self._microphones.values()))

    def _levels_db(self, directions: np.ndarray) -> np.ndarray:
        """(J, M) mean level of sound from directions (J, 3)."""
        vectors = self._steering.vectors(directions, _FREQUENCIES_HZ)
        return 20 * np.log10(np.maximum(np.abs(vectors), 1e-6)).mean(axis=1)
