# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What the tracker does with faces: who they are, how people look, and who is new."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from av_perception.interfaces import VisualFeatures
from av_perception.numerics.gaussian import matvec
from av_perception.robot_head.sensor_poses import SensorPoses
from av_perception.synchronization.detected_faces import DetectedFaces, usable_faces
from av_perception.tracking.association.other_depth import OtherDepth, OtherDepthConfig
from av_perception.tracking.association.visual_association import (
    AppearanceConfig,
    VisualAssociation,
    appearance_log_ratio,
    updated_appearance,
)
from av_perception.tracking.state_space.interface import LinearMap, Measurements, StateSpace
from av_perception.tracking.track_management.life_cycle import IN_VIEW
from av_perception.tracking.track_management.track_set import TrackSet
from av_perception.tracking.track_management.visual_birth import Birth, BirthConfig, VisualBirth


@dataclass(frozen=True)
class VisualObservation:
    """The usable faces of one image, M of them. measurements: in the observation space."""

    faces: DetectedFaces
    measurements: Measurements

    def __len__(self) -> int:
        return len(self.faces)


class VisualBranch:
    """One per tracker of a head that sees.

    Parameters
    ----------
    model
        The state space.
    appearance, other_depth, birth
        See the configurations.
    """

    def __init__(
        self,
        model: StateSpace,
        appearance: AppearanceConfig,
        other_depth: OtherDepthConfig,
        birth: BirthConfig,
    ):
        self._model, self._appearance = model, appearance
        self._other_depth = other_depth
        self._birth = VisualBirth(birth, model)
        self.reset()

    def reset(self) -> None:
        """Forget faces that are no person yet, and the size of embeddings."""
        self._birth.reset()
        self._embedding_size = 0

    def observe(self, visual: VisualFeatures, counters: Counter) -> VisualObservation:
        """Check the faces of one image; what is dropped is counted."""
        size = self._embedding_size
        faces = usable_faces(visual, size, counters, self._model.needs_positions)
        self._embedding_size = size or faces.embeddings.shape[1]
        return VisualObservation(faces, self._model.measure(faces))

    def associate(
        self,
        observation: VisualObservation,
        tracks: TrackSet,
        predicted_mean: np.ndarray,
        point: np.ndarray,
        poses: SensorPoses,
    ) -> VisualAssociation:
        """Set up the E-Z step of vision (T2, T5, T11).

        Who sleeps, is away or was never seen is no candidate: they come back by birth and looks.

        Parameters
        ----------
        observation, tracks
            Of this image; everybody.
        predicted_mean
            (N, D) `m`.
        point, poses
            (N, D) about which the camera model is linearized; of the sensors.

        Returns
        -------
        VisualAssociation
            About the predicted mean, wherever it is linearized.
        """
        camera = self._model.visual_map(point, poses)
        value = camera.value + matvec(camera.matrix, predicted_mean - point)
        faces = observation.faces
        known = _embeddings(tracks, faces.embeddings.shape[1])
        return VisualAssociation(
            observation.measurements,
            LinearMap(value, camera.matrix, camera.usable),
            appearance_log_ratio(self._appearance, faces.embeddings, known),
            self._model.log_visual_volume,
            ~(tracks.asleep | tracks.away | tracks.never_seen),
            tracks.visibility,
            self._outliers(observation, tracks, predicted_mean, poses),
        )

    def _outliers(
        self,
        observation: VisualObservation,
        tracks: TrackSet,
        predicted_mean: np.ndarray,
        poses: SensorPoses,
    ) -> OtherDepth | None:
        """Set up the outlier state of the faces: likely where somebody else is already."""
        rays = self._model.ray_noise(observation.measurements)
        if rays is None:
            return None
        at = self._taken(observation, tracks, predicted_mean, poses)
        beside = at.sum(1, keepdims=True) > at
        return OtherDepth(self._other_depth, *rays, beside)

    def _taken(
        self,
        observation: VisualObservation,
        tracks: TrackSet,
        mean: np.ndarray,
        poses: SensorPoses,
    ) -> np.ndarray:
        """(M, N) bool: the face is where the track is, which is in view or was a moment ago."""
        if poses.reference_from_optical is None:
            raise ValueError('the poses of a head that sees must hold that of its camera')
        positions = poses.reference_from_optical.apply(observation.faces.positions)
        in_view = (tracks.visibility > IN_VIEW) | tracks.seen_lately
        return self._model.same_place(positions, mean) & in_view

    def update_appearance(
        self, tracks: TrackSet, observation: VisualObservation, alpha: np.ndarray, seen: np.ndarray
    ) -> None:
        """Take over boxes and embeddings of assigned faces (T11).

        Parameters
        ----------
        tracks
            Changed in place.
        observation
            Of this image.
        alpha
            (M, N + 1) responsibilities.
        seen
            (N,) bool.
        """
        if not seen.any():
            return
        faces, of_tracks = observation.faces, alpha[:, 1:]
        tracks.box[seen] = faces.boxes[of_tracks.argmax(0)[seen]]
        tracks.embedding = updated_appearance(self._appearance, tracks.embedding, of_tracks, faces)

    def find_births(
        self,
        stamp_ns: int,
        observation: VisualObservation,
        alpha: np.ndarray,
        tracks: TrackSet,
        seen: np.ndarray,
        poses: SensorPoses,
    ) -> list[Birth]:
        """Test sequences of faces that belong to no track (T14).

        Births of faces that are where somebody else is seen are vague, and doubtful for a while.

        Parameters
        ----------
        stamp_ns, observation
            Of the image.
        alpha
            (M, N + 1) responsibilities.
        tracks, seen
            Everybody; (N,) bool, who is seen in this image.
        poses
            Of the sensors.

        Returns
        -------
        list of Birth
            Who was found; it may be somebody known who comes back.
        """
        unassigned = alpha.argmax(1) == 0
        faces, measurements = observation.faces, observation.measurements
        vague = np.zeros(len(faces), bool)
        if unassigned.any():
            vague = np.any(self._taken(observation, tracks, tracks.mean, poses), axis=1)
            measurements = self._model.vague(measurements, vague)
        # Who comes back is told apart from who else does: that takes all faces there are.
        early = bool(seen.all())
        return self._birth.step(
            stamp_ns, faces, measurements, unassigned, tracks.box[seen], poses, vague, early
        )


def _embeddings(tracks: TrackSet, size: int) -> np.ndarray:
    """(N, size), zeros while the tracks have none."""
    if tracks.embedding.shape[1]:
        return tracks.embedding
    return np.zeros((len(tracks), size))
