# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Who is who: births that are absent people, and tracks that follow one person twice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from av_perception.geometry.boxes import box_overlap
from av_perception.geometry.rigid_transform import angles_from_direction, wrap_angle
from av_perception.geometry.time import seconds
from av_perception.numerics.gaussian import inverse_and_log_det, propagate_covariance, quadratic
from av_perception.robot_head.sensor_poses import SensorPoses
from av_perception.tracking.association.visual_association import has_embedding
from av_perception.tracking.state_space.interface import StateSpace
from av_perception.tracking.track_management.gallery import Galleries
from av_perception.tracking.track_management.track_set import TrackSet
from av_perception.tracking.track_management.visual_birth import Birth

_FAR = 1e9  # instead of infinity, which the assignment problem does not take
_FAMILIAR = 10.0  # samples of a person that are enough for the first
_SURE = 0.9  # responsibility from which a face is a person's for sure
_ONE_FACE_OVERLAP = 0.5  # boxes that overlap by less are two faces


@dataclass(frozen=True)
class ReIdentificationConfig:
    """When a newly found face is an absent person, and when two tracks follow one person."""

    #: in (0, 1), a face is an absent person closer than the chi-square quantile of this
    wake_probability: float = 0.999
    #: [m/s] standard deviation of an absent person's unpredicted movement per second of absence
    #: (people turn and stop at once); twice that where the faces are alike
    wake_speed: float = 0.7
    #: [s] that movement lasts so long at most; for as long as the absence where faces are alike
    wake_memory_s: float = 1.0
    #: -1..1, cosine from which two embeddings are alike
    wake_similarity: float = 0.4
    #: Whether absent people are told apart by the colors of their clothes and hair, where the
    #: faces come with them.
    use_appearance: bool = True
    #: [nat] log likelihood ratio of one person to two from which two appearances are alike; below
    #: its negative they are two people's
    appearance_evidence: float = 1.0
    #: [deg] standard deviation of a heard azimuth's constant error against the face
    bearing_error_deg: float = 4.0
    #: [deg] the same of the elevation (a flat array cannot tell above from below)
    elevation_error_deg: float = 25.0
    #: [m] tracks that are closer follow one person (heads do not share a place)
    same_place_m: float = 0.15
    #: [deg] the same in azimuth where one of the two was never seen
    same_bearing_deg: float = 8.0
    #: so many frames in a row must they be that close
    duplicate_frames: int = 20

    def __post_init__(self):
        if not (0 < self.wake_probability < 1 and -1 <= self.wake_similarity <= 1):
            raise ValueError('wake_probability must lie in 0..1 and wake_similarity in -1..1')
        not_negative = (
            self.wake_speed,
            self.wake_memory_s,
            self.bearing_error_deg,
            self.elevation_error_deg,
            self.same_bearing_deg,
        )
        if min(not_negative) < 0:
            raise ValueError('speeds, times and angles must not be negative')
        if self.appearance_evidence < 0:
            raise ValueError('appearance_evidence must not be negative')
        if self.same_place_m <= 0 or self.duplicate_frames < 1:
            raise ValueError('same_place_m must be positive and duplicate_frames at least 1')


class ReIdentification:
    """Applies the rules of `ReIdentificationConfig` to a set of tracks."""

    def __init__(self, config: ReIdentificationConfig, model: StateSpace):
        # Imported here, before the first image: it takes as long as all else that a node imports,
        # and nodes without a tracker know its parameters too.
        from scipy.optimize import linear_sum_assignment
        from scipy.special import chdtri

        self._assign = linear_sum_assignment
        self._chi_square_quantile = chdtri  # that of scipy.stats is slow to import
        self._config, self._model = config, model
        self.reset()

    def reset(self) -> None:
        """Forget how everybody looks."""
        self._turn = 0  # of the familiar person who is looked at next
        self._galleries = Galleries() if self._config.use_appearance else None

    def note_appearances(
        self, ids: np.ndarray, alpha: np.ndarray, appearances: np.ndarray, seen: np.ndarray
    ) -> None:
        """Remember how those look who are seen, where it is sure which face is whose.

        Who is familiar takes turns with the others who are, which bounds the time per image.

        Parameters
        ----------
        ids, seen
            (N,) of the tracks; bool, in this image.
        alpha
            (M, N) responsibilities.
        appearances
            (M, A) of the faces, or (0, A).
        """
        if self._galleries is None or not len(appearances):
            return
        best = alpha.argmax(0)
        sure = np.flatnonzero(seen & (alpha.max(0) > _SURE)).tolist()
        chosen = [n for n in sure if self._galleries.samples(ids[n]) < _FAMILIAR]
        familiar = [n for n in sure if n not in chosen]
        if familiar:
            chosen.append(familiar[self._turn % len(familiar)])
            self._turn += 1
        for n in chosen:
            self._galleries.add(ids[n], appearances[best[n]][None])

    def note_birth(self, track_id: int, birth: Birth) -> None:
        """Remember how somebody looks who was just found."""
        if self._galleries is not None:
            self._galleries.add(track_id, birth.appearances)

    def forget_others(self, ids: np.ndarray) -> None:
        """Forget how everybody looks but the people of these tracks (N,)."""
        if self._galleries is not None:
            self._galleries.keep(ids)

    def match(
        self,
        tracks: TrackSet,
        births: list[Birth],
        candidates: np.ndarray,
        poses: SensorPoses,
        stamp_ns: int,
    ) -> np.ndarray:
        """Find the absent person that each birth is: the cheapest one-to-one assignment.

        The cost is the squared Mahalanobis distance with both covariances, of positions for people
        who were seen before and of directions for those who were only heard. Embeddings, where
        both have one, must be alike; clothes and hair, where both are known, must not differ.

        Parameters
        ----------
        tracks
            Everybody.
        births
            B faces that belong to no track.
        candidates
            (N,) bool, who is absent.
        poses, stamp_ns
            Of the sensors; of the image.

        Returns
        -------
        np.ndarray
            (B,) indices of tracks, -1 for a stranger.
        """
        matches = np.full(len(births), -1)
        index = np.flatnonzero(candidates)
        if not len(index) or not births:
            return matches
        costs = [self._distances(tracks, index, birth, poses, stamp_ns) for birth in births]
        cost = self._gated(np.stack(costs), tracks)
        for row, column in zip(*self._assign(cost)):
            if cost[row, column] < _FAR:
                matches[row] = index[column]
        return matches

    def _gated(self, cost: np.ndarray, tracks: TrackSet) -> np.ndarray:
        """Squared distances, those that are too improbable for one person far away."""
        size = tracks.mean[:, self._model.location].shape[1]
        limit = self._chi_square_quantile(size, 1.0 - self._config.wake_probability)
        return np.where(cost <= limit, cost, _FAR)

    def _distances(
        self, tracks: TrackSet, index: np.ndarray, birth: Birth, poses: SensorPoses, stamp_ns: int
    ) -> np.ndarray:
        """Squared distances of the tracks `index` to a birth, infinite for other faces."""
        alike, different = self._compare_appearance(tracks, index, birth)
        absent_s = seconds(stamp_ns - tracks.last_seen[index])
        walked_s = np.minimum(absent_s, self._config.wake_memory_s)
        walked_s = np.where(alike, 2 * absent_s, walked_s)
        where = self._model.location
        covariance = tracks.covariance[index, where, where] + birth.covariance[where, where]
        covariance = covariance + self._model.random_walk_covariance(
            tracks.mean[index], self._config.wake_speed * walked_s
        )
        difference = tracks.mean[index, where] - birth.mean[where]
        distance = quadratic(difference, inverse_and_log_det(covariance)[0])
        only_heard = tracks.never_seen[index]
        if only_heard.any():
            distance[only_heard] = self._bearing_distances(tracks, index[only_heard], birth, poses)
        return np.where(different, np.inf, distance)

    def _compare_appearance(
        self, tracks: TrackSet, index: np.ndarray, birth: Birth
    ) -> tuple[np.ndarray, np.ndarray]:
        """(N,) bool each: face or clothes are alike and neither speaks against it; or one does."""
        alike, different = self._compare_embeddings(tracks.embedding[index], birth.embedding)
        if self._galleries is not None and len(birth.appearances):
            ratio = self._galleries.log_ratios(tracks.id[index], birth.appearances)
            different |= ratio < -self._config.appearance_evidence
            alike |= ratio > self._config.appearance_evidence
        return alike & ~different, different

    def _compare_embeddings(
        self, embeddings: np.ndarray, embedding: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """(N,) bool each: both embeddings are known, and they are alike, or they are not."""
        if not embedding.any() or embeddings.shape[1] != len(embedding):
            unknown = np.zeros(len(embeddings), bool)
            return unknown, unknown.copy()
        known = has_embedding(embeddings)
        alike = embeddings @ embedding >= self._config.wake_similarity
        return known & alike, known & ~alike

    def _bearing_distances(
        self, tracks: TrackSet, index: np.ndarray, birth: Birth, poses: SensorPoses
    ) -> np.ndarray:
        """Squared distances of heard directions to that of a face."""
        heard = self._model.direction_map(tracks.mean[index], poses)
        face = self._model.direction_map(birth.mean[None], poses)
        errors_deg = [self._config.bearing_error_deg, self._config.elevation_error_deg]
        flat, upright = np.radians(errors_deg) ** 2
        covariance = (
            propagate_covariance(heard.matrix, tracks.covariance[index])
            + propagate_covariance(face.matrix, birth.covariance)
            + np.diag([flat, flat, upright])
        )
        return quadratic(heard.value - face.value, inverse_and_log_det(covariance)[0])

    def duplicates(self, tracks: TrackSet, seen: np.ndarray, poses: SensorPoses) -> np.ndarray:
        """Find tracks whose person another track follows better.

        Of two, the one lives that is seen, else that was ever seen, else the older.

        Parameters
        ----------
        tracks
            Everybody; the count of frames alike is changed in place.
        seen
            (N,) bool, in this frame.
        poses
            Of the sensors.

        Returns
        -------
        np.ndarray
            (N,) bool.
        """
        close = self._is_close(tracks, poses) if len(tracks) > 1 else np.zeros(0, bool)
        if not close.any():
            tracks.doubled[:] = 0
            return np.zeros(len(tracks), bool)
        overlap = box_overlap(tracks.box, tracks.box)
        two_faces = seen[:, None] & seen & (overlap < _ONE_FACE_OVERLAP)
        alike = tracks.embedding @ tracks.embedding.T >= self._config.wake_similarity
        known = has_embedding(tracks.embedding)
        close &= ~two_faces & (alike | ~(known[:, None] & known))
        rank = np.lexsort((tracks.id, tracks.never_seen, ~seen)).argsort()
        doubled = (close & (rank[None] < rank[:, None])).any(1)
        tracks.doubled = np.where(doubled, tracks.doubled + 1, 0)
        return tracks.doubled >= self._config.duplicate_frames

    def _is_close(self, tracks: TrackSet, poses: SensorPoses) -> np.ndarray:
        """(N, N) bool: at the same place, or in the same direction where one was never seen.

        False on the diagonal.
        """
        where = tracks.mean[:, self._model.location]
        distance_m = np.full(len(tracks), self._config.same_place_m)
        reach = self._model.random_walk_covariance(tracks.mean, distance_m)
        variance = reach.diagonal(axis1=1, axis2=2)
        close = ((where[:, None] - where) ** 2 / variance).sum(-1) < 1.0
        bearing_only = tracks.never_seen
        if bearing_only.any():
            direction = self._model.direction_map(tracks.mean, poses).value
            azimuth = angles_from_direction(direction)[0]
            difference = np.abs(wrap_angle(azimuth[:, None] - azimuth))
            aligned = difference < np.radians(self._config.same_bearing_deg)
            close = np.where(bearing_only[:, None] | bearing_only, aligned, close)
        np.fill_diagonal(close, False)
        return close
