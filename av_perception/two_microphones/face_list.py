# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Who is in view, without a filter: faces keep their id while one is found near where the last one was."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from av_perception.interfaces import LifeState, TrackEstimate

_NANO = 1e-9
_AXES, _EYE = np.arange(3, 6), np.eye(3)


@dataclass(frozen=True)
class FaceListConfig:
    """gate_m: farthest a face moves between two sightings; keep_s: how long a face that is not found stays; confirm_hits: sightings that make
    a person; speed_sd [m/s]: standard deviation of the velocity, which is not estimated.
    """

    #: Farthest a face moves between two images, in meters.
    gate_m: float = 0.3
    #: How long a face that is not found stays, in seconds.
    keep_s: float = 1.0
    confirm_hits: int = 3
    speed_sd: float = 0.5

    def __post_init__(self):
        if min(self.gate_m, self.keep_s, self.speed_sd) <= 0 or self.confirm_hits < 1:
            raise ValueError(
                'gate_m, keep_s and speed_sd must be positive, confirm_hits at least 1'
            )


@dataclass
class _Person:
    id: int
    position: np.ndarray
    covariance: np.ndarray
    box: np.ndarray
    last_seen_ns: int
    hits: int = 1
    last_heard_ns: int = 0


class FaceList:
    """Nearest-neighbour association in space; positions are the last ones seen. For tracking proper there is `tracking.Tracker`."""

    def __init__(self, config: FaceListConfig = FaceListConfig()):
        self._config = config
        self._people: list[_Person] = []
        self._next_id = 1

    def forget(self) -> None:
        """Everybody leaves; ids are not used again."""
        self._people = []

    @property
    def positions(self) -> np.ndarray:
        """(K, 3) of everybody, in the order of `report`."""
        return np.array([p.position for p in self._people]).reshape(-1, 3)

    @property
    def covariances(self) -> np.ndarray:
        """(K, 3, 3) of the positions."""
        return np.array([p.covariance for p in self._people]).reshape(-1, 3, 3)

    def see(
        self, stamp_ns: int, positions: np.ndarray, covariances: np.ndarray, boxes: np.ndarray
    ) -> None:
        """The faces of one image: (M, 3) [m], (M, 3, 3) [m^2], (M, 4) pixels."""
        known, found = self._associate(positions)
        for k, m in zip(known, found):
            person = self._people[k]
            person.position, person.covariance, person.box = positions[m], covariances[m], boxes[m]
            person.last_seen_ns, person.hits = stamp_ns, person.hits + 1
        for m in sorted(set(range(len(positions))) - set(found)):
            self._people.append(
                _Person(self._next_id, positions[m], covariances[m], boxes[m], stamp_ns)
            )
            self._next_id += 1

    def advance(self, stamp_ns: int) -> None:
        """Whoever has not been seen for too long is gone; who is not confirmed, at the first miss."""
        config = self._config
        self._people = [
            p
            for p in self._people
            if (stamp_ns - p.last_seen_ns) * _NANO
            <= (config.keep_s if p.hits >= config.confirm_hits else 0.0)
        ]

    def report(
        self, stamp_ns: int, shares: np.ndarray, heard: np.ndarray
    ) -> tuple[TrackEstimate, ...]:
        """Everybody as tracks, with (K,) shares of the sound and (K,) bool of who is heard."""
        people, config = self._people, self._config
        means, covariances = np.zeros((len(people), 6)), np.zeros((len(people), 6, 6))
        covariances[:, _AXES, _AXES] = config.speed_sd**2
        tracks = []
        for k, (person, share, hears) in enumerate(zip(people, shares.tolist(), heard.tolist())):
            drift = config.speed_sd * (stamp_ns - person.last_seen_ns) * _NANO
            means[k, :3], covariances[k, :3, :3] = (
                person.position,
                person.covariance + drift**2 * _EYE,
            )
            seen = person.last_seen_ns == stamp_ns
            person.last_heard_ns = stamp_ns if hears else person.last_heard_ns
            state = LifeState.ACTIVE if person.hits >= config.confirm_hits else LifeState.TENTATIVE
            tracks.append(
                TrackEstimate(
                    person.id,
                    state,
                    means[k],
                    covariances[k],
                    seen,
                    hears,
                    not (seen or hears),
                    person.last_seen_ns,
                    person.last_heard_ns,
                    share,
                    person.box if seen else None,
                    visibility=float(seen),
                )
            )
        return tuple(tracks)

    def _associate(self, positions: np.ndarray) -> tuple[list[int], list[int]]:
        """Indices of people and of their faces: the nearest pairs first, none beyond the gate."""
        distance = np.linalg.norm(self.positions[:, None] - positions, axis=2)
        known, found = [], []
        for flat in np.argsort(distance, axis=None).tolist():
            k, m = divmod(flat, len(positions))
            if distance[k, m] >= self._config.gate_m:
                break
            if k not in known and m not in found:
                known.append(k)
                found.append(m)
        return known, found
