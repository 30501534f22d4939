# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Who is who: newly found faces that are absent people come back, and tracks that follow one person twice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.special import chdtri  # the chi-square quantile; scipy.stats is slow to import

from av_perception.geometry.boxes import box_overlap
from av_perception.geometry.rigid_transform import angles_from_direction, wrap_angle
from av_perception.numerics.gaussian import inverse_and_log_det, propagate_covariance, quadratic
from av_perception.robot_head.sensor_poses import SensorPoses
from av_perception.tracking.state_space.interface import StateSpace
from av_perception.tracking.track_management.track_set import TrackSet
from av_perception.tracking.track_management.visual_birth import Birth

_NANO = 1e-9
_FAR = 1e9  # instead of infinity, which the assignment problem does not take


@dataclass(frozen=True)
class ReIdentificationConfig:
    """A newly found face is an absent person when they are closer than the chi-square quantile of wake_probability. wake_speed [m/s]:
    standard deviation of an absent person's unpredicted movement per second of absence (people turn and stop at once), for wake_memory_s
    at most; where the faces are alike twice that, for as long as the absence lasts; wake_similarity: cosine of two embeddings that are alike.
    bearing_error_deg, elevation_error_deg: standard deviations of a heard direction's constant error against the face (a flat array cannot
    tell above from below).

    Two tracks follow one person when they are closer than same_place_m (heads do not share a place), or in azimuth closer than
    same_bearing_deg where one of them was never seen, for duplicate_frames in a row.
    """

    wake_probability: float = 0.999
    wake_speed: float = 0.7
    wake_memory_s: float = 1.0
    wake_similarity: float = 0.4
    bearing_error_deg: float = 4.0
    elevation_error_deg: float = 25.0
    same_place_m: float = 0.15
    same_bearing_deg: float = 8.0
    duplicate_frames: int = 20

    def __post_init__(self):
        if not (0 < self.wake_probability < 1 and -1 <= self.wake_similarity <= 1):
            raise ValueError('wake_probability must lie in 0..1 and wake_similarity in -1..1')
        if (
            min(
                self.wake_speed,
                self.wake_memory_s,
                self.bearing_error_deg,
                self.elevation_error_deg,
                self.same_bearing_deg,
            )
            < 0
        ):
            raise ValueError('speeds, times and angles must not be negative')
        if self.same_place_m <= 0 or self.duplicate_frames < 1:
            raise ValueError('same_place_m must be positive and duplicate_frames at least 1')


class ReIdentification:
    """Applies the rules of `IdentityConfig` to a population."""

    def __init__(self, config: ReIdentificationConfig, model: StateSpace):
        self._config, self._model = config, model

    def recognize(
        self,
        people: TrackSet,
        births: list[Birth],
        candidates: np.ndarray,
        poses: SensorPoses,
        stamp_ns: int,
    ) -> np.ndarray:
        """(B,) index of the absent person each birth is, -1 for a stranger: the cheapest one-to-one assignment. candidates: (N,) bool.

        The cost is the squared Mahalanobis distance with both covariances, of positions for people who were seen before and of directions
        for those who were only heard. Embeddings, where both have one, must be alike.
        """
        owner = np.full(len(births), -1)
        index = np.flatnonzero(candidates)
        if not len(index) or not births:
            return owner
        cost = np.stack(
            [self._distances(people, index, birth, poses, stamp_ns) for birth in births]
        )
        size = people.mean[:, self._model.location].shape[1]
        cost = np.where(cost <= chdtri(size, 1.0 - self._config.wake_probability), cost, _FAR)
        for birth, person in zip(*linear_sum_assignment(cost)):
            if cost[birth, person] < _FAR:
                owner[birth] = index[person]
        return owner

    def _distances(
        self, people: TrackSet, index: np.ndarray, birth: Birth, poses: SensorPoses, stamp_ns: int
    ) -> np.ndarray:
        known, alike = self._compare_looks(people.embedding[index], birth.embedding)
        absent_s = (stamp_ns - people.last_seen[index]) * _NANO
        absent_s = np.where(
            known & alike, 2 * absent_s, np.minimum(absent_s, self._config.wake_memory_s)
        )
        where = self._model.location
        covariance = people.covariance[index, where, where] + birth.covariance[where, where]
        covariance = covariance + self._model.wander(
            people.mean[index], self._config.wake_speed * absent_s
        )
        distance = quadratic(
            people.mean[index, where] - birth.mean[where], inverse_and_log_det(covariance)[0]
        )
        only_heard = people.never_seen[index]
        if only_heard.any():
            distance[only_heard] = self._bearing_distances(people, index[only_heard], birth, poses)
        return np.where(known & ~alike, np.inf, distance)

    def _compare_looks(
        self, embeddings: np.ndarray, embedding: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """(N,) bool: both looks are known; they are alike."""
        if not embedding.any() or embeddings.shape[1] != len(embedding):
            return np.zeros(len(embeddings), bool), np.zeros(len(embeddings), bool)
        return embeddings.any(1), embeddings @ embedding >= self._config.wake_similarity

    def _bearing_distances(
        self, people: TrackSet, index: np.ndarray, birth: Birth, poses: SensorPoses
    ) -> np.ndarray:
        heard = self._model.direction_map(people.mean[index], poses)
        face = self._model.direction_map(birth.mean[None], poses)
        flat, upright = (
            np.radians([self._config.bearing_error_deg, self._config.elevation_error_deg]) ** 2
        )
        error = np.diag([flat, flat, upright])
        covariance = (
            propagate_covariance(heard.matrix, people.covariance[index])
            + propagate_covariance(face.matrix, birth.covariance)
            + error
        )
        return quadratic(heard.value - face.value, inverse_and_log_det(covariance)[0])

    def duplicates(self, people: TrackSet, seen: np.ndarray, poses: SensorPoses) -> np.ndarray:
        """(N,) bool: whose person another track follows better. Of two, the one lives that is seen, else that was seen, else the older."""
        close = self._close(people, poses)
        if not close.any():
            people.doubled[:] = 0
            return np.zeros(len(people), bool)
        two_faces = seen[:, None] & seen & (box_overlap(people.box, people.box) < 0.5)
        alike = people.embedding @ people.embedding.T >= self._config.wake_similarity
        looks = people.embedding.any(1)
        close &= ~two_faces & (alike | ~(looks[:, None] & looks))
        rank = np.lexsort((people.id, people.never_seen, ~seen)).argsort()
        doubled = (close & (rank[None] < rank[:, None])).any(1)
        people.doubled = np.where(doubled, people.doubled + 1, 0)
        return people.doubled >= self._config.duplicate_frames

    def _close(self, people: TrackSet, poses: SensorPoses) -> np.ndarray:
        """(N, N) bool: at the same place, or in the same direction where one of the two was never seen; False on the diagonal."""
        where = people.mean[:, self._model.location]
        reach = np.linalg.inv(
            self._model.wander(people.mean, np.full(len(people), self._config.same_place_m))
        )
        close = quadratic(where[:, None] - where, reach) < 1.0
        ray = people.never_seen
        if ray.any():
            azimuth = angles_from_direction(self._model.direction_map(people.mean, poses).value)[0]
            aligned = np.abs(wrap_angle(azimuth[:, None] - azimuth)) < np.radians(
                self._config.same_bearing_deg
            )
            close = np.where(ray[:, None] | ray, aligned, close)
        np.fill_diagonal(close, False)
        return close
