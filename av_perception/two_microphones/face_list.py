# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Who is in view, without a filter: faces keep their id while one is found near the last place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from av_perception.geometry.time import seconds
from av_perception.interfaces import LifeState, TrackEstimate

_VELOCITY = np.arange(3, 6)  # of a track's state
_EYE = np.eye(3)


@dataclass(frozen=True)
class FaceListConfig:
    """How faces are followed."""

    #: Farthest a face moves between two images, in meters.
    gate_m: float = 0.3
    #: How long a face that is not found stays, in seconds.
    keep_s: float = 1.0
    #: Sightings that make a person.
    confirm_hits: int = 3
    #: Standard deviation of the velocity, which is not estimated [m/s].
    speed_sd: float = 0.5

    def __post_init__(self):
        if min(self.gate_m, self.keep_s, self.speed_sd) <= 0 or self.confirm_hits < 1:
            raise ValueError(
                'gate_m, keep_s and speed_sd must be positive, confirm_hits at least 1'
            )


@dataclass
class _KnownFace:
    """A face as last seen; position and covariance [m, m^2] in the base frame, box in pixels."""

    id: int
    position: np.ndarray
    covariance: np.ndarray
    box: np.ndarray
    last_seen_ns: int
    hits: int = 1
    last_heard_ns: int = 0


class FaceList:
    """Nearest-neighbor association in space; positions are the last ones seen.

    For tracking proper there is `tracking.tracker.Tracker`.
    """

    def __init__(self, config: FaceListConfig | None = None):
        self._config = config or FaceListConfig()
        self._faces: list[_KnownFace] = []
        self._next_id = 1

    def forget(self) -> None:
        """Drop all faces; their ids are not used again."""
        self._faces = []

    @property
    def positions(self) -> np.ndarray:
        """(K, 3) [m] of all faces, in the order of `report`."""
        return np.array([face.position for face in self._faces]).reshape(-1, 3)

    @property
    def covariances(self) -> np.ndarray:
        """(K, 3, 3) [m^2] of the positions."""
        return np.array([face.covariance for face in self._faces]).reshape(-1, 3, 3)

    def see(
        self, stamp_ns: int, positions: np.ndarray, covariances: np.ndarray, boxes: np.ndarray
    ) -> None:
        """Take the faces of one image.

        Parameters
        ----------
        stamp_ns
            Of the image [ns].
        positions
            (M, 3) [m] in the base frame.
        covariances
            (M, 3, 3) [m^2].
        boxes
            (M, 4) pixels.
        """
        known, seen = self._associate(positions)
        for k, m in zip(known, seen):
            face = self._faces[k]
            face.position = positions[m]
            face.covariance = covariances[m]
            face.box = boxes[m]
            face.last_seen_ns = stamp_ns
            face.hits += 1
        for m in sorted(set(range(len(positions))) - set(seen)):
            self._faces.append(
                _KnownFace(self._next_id, positions[m], covariances[m], boxes[m], stamp_ns)
            )
            self._next_id += 1

    def advance(self, stamp_ns: int) -> None:
        """Drop faces not seen for too long, those not confirmed at the first miss."""
        self._faces = [face for face in self._faces if self._stays(face, stamp_ns)]

    def _stays(self, face: _KnownFace, stamp_ns: int) -> bool:
        keep_s = self._config.keep_s if face.hits >= self._config.confirm_hits else 0.0
        return seconds(stamp_ns - face.last_seen_ns) <= keep_s

    def report(
        self, stamp_ns: int, shares: np.ndarray, heard: np.ndarray
    ) -> tuple[TrackEstimate, ...]:
        """Describe all faces as tracks.

        Parameters
        ----------
        stamp_ns
            [ns].
        shares
            (K,) of the sound.
        heard
            (K,) bool.

        Returns
        -------
        tuple
            K tracks, in the order of `positions`.
        """
        hearing = zip(self._faces, shares.tolist(), heard.tolist())
        return tuple(
            self._track(face, stamp_ns, share, is_heard) for face, share, is_heard in hearing
        )

    def _track(
        self, face: _KnownFace, stamp_ns: int, share: float, is_heard: bool
    ) -> TrackEstimate:
        config = self._config
        if is_heard:
            face.last_heard_ns = stamp_ns
        is_seen = face.last_seen_ns == stamp_ns
        is_confirmed = face.hits >= config.confirm_hits
        mean = np.zeros(6)
        mean[:3] = face.position
        # A face that is not found may have moved since.
        drift = config.speed_sd * seconds(stamp_ns - face.last_seen_ns)
        covariance = np.zeros((6, 6))
        covariance[:3, :3] = face.covariance + drift**2 * _EYE
        covariance[_VELOCITY, _VELOCITY] = config.speed_sd**2
        return TrackEstimate(
            id=face.id,
            state=LifeState.ACTIVE if is_confirmed else LifeState.TENTATIVE,
            mean=mean,
            covariance=covariance,
            seen=is_seen,
            heard=is_heard,
            predicted=not (is_seen or is_heard),
            last_seen_ns=face.last_seen_ns,
            last_heard_ns=face.last_heard_ns,
            audio_responsibility=share,
            box=face.box if is_seen else None,
            visibility=float(is_seen),
        )

    def _associate(self, positions: np.ndarray) -> tuple[list[int], list[int]]:
        """Pair indices of known faces and of those seen: the nearest first, within the gate."""
        distance = np.linalg.norm(self.positions[:, None] - positions, axis=2)
        known: list[int] = []
        seen: list[int] = []
        for flat in np.argsort(distance, axis=None).tolist():
            k, m = divmod(flat, len(positions))
            if distance[k, m] >= self._config.gate_m:
                break
            if k not in known and m not in seen:
                known.append(k)
                seen.append(m)
        return known, seen
