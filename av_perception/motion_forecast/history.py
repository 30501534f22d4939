# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What is remembered of tracks: where each person was within the last seconds."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass

import numpy as np

from av_perception.geometry.time import seconds
from av_perception.interfaces import TrackEstimate, TrackFrame

_SLACK = 0.7  # of the grid's period: who comes sooner than that after the last is left out
_MAX_STD_M = 5.0  # a direction without range has no place
STAY_M = 0.5  # who has been nearer than this to here has stayed
_SHORTEST_S = 0.1
STAY_MEMORY_S = 10.0  # for which that is remembered
STAY_PERIOD_S = 0.4  # about which the remembered places lie apart


@dataclass(frozen=True)
class Histories:
    """Where N people were at up to T moments, the oldest first."""

    #: (N, T) [s] before now, falling along T; NaN where nothing is known
    ages: np.ndarray
    #: (N, T, 3) [m]; NaN where nothing is known
    positions: np.ndarray
    #: (N, T, 3, 3) [m^2] of the positions
    covariances: np.ndarray
    #: (N,) [s] for how long they have stayed within STAY_M of where they are, at most
    #: STAY_MEMORY_S; None: as far as these moments tell
    stays_s: np.ndarray = None  # type: ignore[assignment]
    #: (N,) [s] the mean of that, in logarithms, over all who are there: how calm a place is; None:
    #: everybody is alone
    calm_s: np.ndarray = None  # type: ignore[assignment]

    def __post_init__(self):
        if self.stays_s is None:
            object.__setattr__(self, 'stays_s', stays(self.ages, self.positions))
        if self.calm_s is None:
            object.__setattr__(self, 'calm_s', self.stays_s)

    def __len__(self) -> int:
        """How many people."""
        return len(self.ages)

    def rows(self, chosen: np.ndarray | slice) -> Histories:
        """Give those of some people."""
        names = ('ages', 'positions', 'covariances', 'stays_s', 'calm_s')
        return Histories(*(getattr(self, name)[chosen] for name in names))


def stays(ages: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """For how long people have stayed within STAY_M of their newest place, on the ground.

    Parameters
    ----------
    ages, positions
        (N, T) [s] and (N, T, 3) [m], the oldest first; NaN where nothing is known.

    Returns
    -------
    np.ndarray
        (N,) [s], at most STAY_MEMORY_S.
    """
    if not ages.size:
        return np.zeros(len(ages))
    known = np.isfinite(ages)
    last = ages.shape[1] - 1 - known[:, ::-1].argmax(1)
    newest = positions[np.arange(len(ages)), last]
    distances = np.linalg.norm((positions - newest[:, None])[..., :2], axis=2)
    is_far = known & (np.nan_to_num(distances) > STAY_M)
    oldest = np.where(known, ages, 0.0).max(1)
    left = np.where(is_far, ages, np.inf).min(1)
    return np.minimum(np.minimum(left, oldest), STAY_MEMORY_S)


@dataclass(frozen=True)
class _Place:
    """One person at one moment."""

    stamp_ns: int
    position: np.ndarray
    covariance: np.ndarray


def calm(stays_s: np.ndarray) -> float:
    """[s] how calm a place is in which people have stayed for (N,) [s]."""
    return float(np.exp(np.log(stays_s + _SHORTEST_S).mean()) - _SHORTEST_S)


class TrackMemory:
    """Keeps the last seconds of every track, thinned to a period, and answers faults.

    counters: what was left out, and why.
    """

    def __init__(self, window_s: float, period_s: float, max_gap_s: float, max_speed: float):
        """Remember nobody.

        Parameters
        ----------
        window_s, period_s
            [s] how far back, and about how far apart.
        max_gap_s
            [s] a person who was away for longer begins anew.
        max_speed
            [m/s] a person who jumped faster than this begins anew.
        """
        self._window_s = window_s
        self._period_s = period_s
        self._max_gap_s = max_gap_s
        self._max_speed = max_speed
        self._places: dict[int, deque[_Place]] = {}
        # Where people were before that: sparse, for how long they have stayed.
        self._long_ago: dict[int, deque[_Place]] = {}
        self._size = int(window_s / (period_s * _SLACK)) + 2
        self.stamp_ns = 0
        self.counters: Counter[str] = Counter()

    def clear(self) -> None:
        """Forget everybody."""
        self._places.clear()
        self._long_ago.clear()
        self.stamp_ns = 0

    def observe(self, frame: TrackFrame) -> bool:
        """Take the tracks of one moment; False where they are not newer than those before.

        After a jump back of more than the window (a recording that starts again) all is forgotten.
        """
        late_s = seconds(self.stamp_ns - frame.stamp_ns)
        if late_s > self._window_s:
            self.counters['clock set back: begun anew'] += 1
            self.clear()
        elif self.stamp_ns and late_s >= 0:
            self.counters['tracks left out: not newer than those before'] += 1
            return False
        self.stamp_ns = frame.stamp_ns
        present = {track.id for track in frame.tracks}
        for gone in self._places.keys() - present:
            if self._is_old(gone):
                del self._places[gone]
                del self._long_ago[gone]
        for track in frame.tracks:
            self._add(track, frame.stamp_ns)
        return True

    def known(self, ids: list[int]) -> list[int]:
        """Those of the ids of whom there is a place that is not older than the longest gap."""
        return [key for key in ids if key in self._places and not self._is_old(key)]

    def histories(self, ids: list[int]) -> Histories:
        """Lay the places of people side by side, as seen from the newest tracks."""
        shape = (len(ids), self._size)
        ages = np.full(shape, np.nan)
        positions = np.full((*shape, 3), np.nan)
        covariances = np.full((*shape, 3, 3), np.nan)
        for row, key in enumerate(ids):
            places = self._places[key]
            first = self._size - len(places)
            ages[row, first:] = [seconds(self.stamp_ns - place.stamp_ns) for place in places]
            positions[row, first:] = [place.position for place in places]
            covariances[row, first:] = [place.covariance for place in places]
        everybody = [key for key in self._places if not self._is_old(key)]
        stays_of = {key: self._stay_s(key) for key in {*everybody, *ids}}
        stays_s = np.array([stays_of[key] for key in ids])
        calm_s = np.full(len(ids), calm(np.array(list(stays_of.values()))))
        return Histories(ages, positions, covariances, stays_s, calm_s)

    def _stay_s(self, key: int) -> float:
        places = [*self._long_ago[key], self._places[key][-1]]
        ages = np.array([[seconds(self.stamp_ns - place.stamp_ns) for place in places]])
        return float(stays(ages, np.stack([place.position for place in places])[None])[0])

    def _is_old(self, key: int) -> bool:
        return seconds(self.stamp_ns - self._places[key][-1].stamp_ns) > self._max_gap_s

    def _add(self, track: TrackEstimate, stamp_ns: int) -> None:
        place = self._place(track, stamp_ns)
        if place is None:
            return
        places = self._places.setdefault(track.id, deque(maxlen=self._size))
        if places:
            self._begin_anew_after_a_jump(places, place)
        self._remember_long(track.id, place, is_new=not places)
        # The newest place always stays; the one before it goes when it is too near to the third.
        if len(places) > 1:
            gap_s = seconds(places[-1].stamp_ns - places[-2].stamp_ns)
            if gap_s < _SLACK * self._period_s:
                places.pop()
        places.append(place)
        while seconds(stamp_ns - places[0].stamp_ns) > self._window_s:
            places.popleft()

    def _remember_long(self, key: int, place: _Place, is_new: bool) -> None:
        """Keep a place now and then, to tell for how long somebody has stayed."""
        size = int(STAY_MEMORY_S / STAY_PERIOD_S) + 1
        sparse = self._long_ago.setdefault(key, deque(maxlen=size))
        if is_new:
            sparse.clear()
        if not sparse or seconds(place.stamp_ns - sparse[-1].stamp_ns) >= STAY_PERIOD_S:
            sparse.append(place)

    def _place(self, track: TrackEstimate, stamp_ns: int) -> _Place | None:
        position = np.asarray(track.mean, float)[:3]
        covariance = np.asarray(track.covariance, float)[:3, :3]
        if not (np.isfinite(position).all() and np.isfinite(covariance).all()):
            self.counters['tracks left out: not finite'] += 1
            return None
        smallest, largest = np.linalg.eigvalsh(covariance)[[0, -1]]
        if smallest < -1e-9 * max(largest, 1.0):
            self.counters['tracks left out: covariance not positive'] += 1
            return None
        if largest > _MAX_STD_M**2:
            self.counters['tracks left out: range unknown'] += 1
            return None
        return _Place(stamp_ns, position, covariance)

    def _begin_anew_after_a_jump(self, places: deque[_Place], place: _Place) -> None:
        last = places[-1]
        gap_s = seconds(place.stamp_ns - last.stamp_ns)
        moved = place.position - last.position
        # What both places' errors explain is no jump.
        noise = np.sqrt(np.trace(place.covariance + last.covariance))
        if gap_s > self._max_gap_s:
            self.counters['tracks begun anew: a gap'] += 1
            places.clear()
        elif np.linalg.norm(moved) > self._max_speed * gap_s + 3 * noise + 0.2:
            self.counters['tracks begun anew: a jump'] += 1
            places.clear()
