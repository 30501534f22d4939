# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The tracker and its peers on the same detections, all with one model of motion and noise."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np

from av_perception.benchmarks.peers import (
    Detections,
    Located,
    Peer,
    PeerConfig,
    PeerModel,
    Sort,
    run_peer,
)
from av_perception.benchmarks.sensors import camera_of
from av_perception.errors import UserError
from av_perception.evaluation.mot import MotScores, score_boxes, score_positions
from av_perception.geometry.boxes import box_overlap
from av_perception.pipelines.mot_tracking import (
    MotTrackingConfig,
    Tracked,
    box_of,
    track_boxes,
    track_positions,
    within_image,
)
from av_perception.pipelines.mot_tracking import (
    located as positions_in_image,
)
from av_perception.recording.mot_text import MotTable
from av_perception.robot_head.profile import CameraGeometry, HeadProfile
from av_perception.simulation.box_scenes import (
    CLUTTER_DEPTH_M,
    BoxScene,
    BoxSceneConfig,
    position_covariance,
)
from av_perception.synchronization.detected_faces import DetectedFaces
from av_perception.tracking.state_space.cartesian_head import CartesianHeadConfig
from av_perception.tracking.state_space.image_plane import ImagePlane

OURS = 'av_perception'
GNN = 'Stone Soup GNN'
JPDA = 'Stone Soup JPDA'
SORT = 'SORT-style'
TRACKERS = (OURS, GNN, JPDA, SORT)
# Chosen for the peers by a sweep over seeds that the benchmark does not use (100 to 103): the
# best OSPA.
PEER_CONFIG = PeerConfig(confirm_hits=3, forget_steps=12)
SORT_BOX_GATE = 0.7  # 1 - overlap
SORT_POSITION_GATE_M = 0.5
_LEAST_CLUTTER = 0.01  # false detections a frame; the peers divide by it


class Space(ABC):
    """What is tracked and scored: boxes in the image, or positions in space."""

    #: as it is called in tables and files
    name: str
    #: what the peers assume
    model: PeerModel
    #: gate of SORT's assignment, in the unit of `sort_cost`
    sort_gate: float

    @abstractmethod
    def track(self, scene: BoxScene) -> Tracked:
        """Run this project's tracker on a scene."""

    @abstractmethod
    def frames(self, scene: BoxScene) -> list[Detections]:
        """List the scene's detections per frame, for the peers."""

    @abstractmethod
    def sort_cost(self, predicted: np.ndarray, values: np.ndarray) -> np.ndarray:
        """(N, M) costs of SORT's assignment, for (N, O) predictions and (M, O) detections."""

    @abstractmethod
    def table(self, located: list[Located]) -> MotTable:
        """Make a table of what a peer said per frame."""

    @abstractmethod
    def score(self, tracks: MotTable, scene: BoxScene) -> MotScores:
        """Score a table against the scene's truth."""

    def peer(self, name: str) -> Peer:
        """Make a fresh peer.

        Parameters
        ----------
        name
            One of TRACKERS other than OURS.

        Returns
        -------
        Peer
            With the model of this space and PEER_CONFIG.

        Raises
        ------
        UserError
            Stone Soup is wanted and not installed.
        """
        if name == SORT:
            return Sort(self.model, PEER_CONFIG, self.sort_cost, self.sort_gate)
        try:
            from av_perception.benchmarks.stone_soup import StoneSoup
        except ImportError as error:
            raise UserError(
                'the comparison needs the package stonesoup: '
                "pip install 'av_perception[comparison]'"
            ) from error
        return StoneSoup(self.model, PEER_CONFIG, joint=name == JPDA)

    def run(self, name: str, scene: BoxScene) -> tuple[MotTable, np.ndarray]:
        """Run a tracker on a scene.

        Parameters
        ----------
        name
            One of TRACKERS.
        scene
            Its detections are the tracker's input.

        Returns
        -------
        tracks
            What the tracker says.
        step_s
            (frames,) seconds of its steps.
        """
        if name == OURS:
            tracked = self.track(scene)
            return tracked.tracks, tracked.step_s
        rows, step_s = run_peer(self.peer(name), self.frames(scene))
        return self.table(rows), step_s


class BoxSpace(Space):
    """Boxes through ImagePlane.

    The peers' constant process noise is that of ImagePlane at the mean depth of the scenes.
    """

    name = 'boxes'
    sort_gate = SORT_BOX_GATE

    def __init__(self, scenes: BoxSceneConfig, head: HeadProfile):
        self._config = MotTrackingConfig()
        self._camera = camera_of(head)
        self._plane = ImagePlane(self._config.plane, head)
        scale = float(self._camera.focal[0] / np.mean(scenes.depth))
        clutter = max(scenes.clutter, _LEAST_CLUTTER)
        self.model = self._model(scale, scenes.detection_probability, clutter)

    def _model(self, scale: float, found: float, clutter: float) -> PeerModel:
        """Tell the peers what ImagePlane assumes.

        scale: [px/m] of the people; found: probability of a detection; clutter: false ones of a
        frame.
        """
        config = self._config.plane
        size = config.object_size * scale
        return PeerModel(
            size=4,
            moving=2,
            acceleration_density=config.acceleration_density * scale**2,
            walk_density=config.depth_density * (scale / self._camera.focal[0] * size) ** 2,
            speed_sd=config.birth_speed_sd * scale,
            clutter_density=clutter * float(np.exp(-self._plane.log_visual_volume)),
            detection_probability=found,
            period_s=1 / self._camera.frame_rate,
        )

    def track(self, scene: BoxScene) -> Tracked:
        """See `Space.track`."""
        return track_boxes(scene.detections, self._camera, scene_length(scene), self._config)

    def frames(self, scene: BoxScene) -> list[Detections]:
        """See `Space.frames`: centers and sizes of boxes [px]."""
        detections = scene.detections
        unknown = np.zeros((len(detections), 3, 3))
        no_embedding = np.zeros((len(detections), 0))
        faces = DetectedFaces(detections.box, detections.position, unknown, no_embedding)
        observed = self._plane.measure(faces)
        return [
            (observed.value[rows], observed.noise[rows])
            for rows in detections.frames(scene_length(scene))
        ]

    def sort_cost(self, predicted: np.ndarray, values: np.ndarray) -> np.ndarray:
        """See `Space.sort_cost`: 1 - overlap."""
        return 1 - box_overlap(_boxes(predicted), _boxes(values))

    def table(self, located: list[Located]) -> MotTable:
        """See `Space.table`."""
        return within_image(MotTable.of(*_columns(located, box_of)), self._camera)

    def score(self, tracks: MotTable, scene: BoxScene) -> MotScores:
        """See `Space.score`."""
        return score_boxes(tracks, scene.truth, scene_length(scene))


class PositionSpace(Space):
    """Positions of a stereo pair through CartesianHead.

    The peers track in the base frame, where the model is exactly linear.
    """

    name = 'positions'
    sort_gate = SORT_POSITION_GATE_M

    def __init__(self, scenes: BoxSceneConfig, head: HeadProfile):
        self._head = head
        self._camera = camera_of(head)
        config = CartesianHeadConfig()
        clutter = max(scenes.clutter, _LEAST_CLUTTER)
        self.model = PeerModel(
            size=3,
            moving=3,
            acceleration_density=config.acceleration_density,
            walk_density=0.0,
            speed_sd=config.birth_speed_sd,
            clutter_density=clutter / _clutter_volume(self._camera),
            detection_probability=scenes.detection_probability,
            period_s=1 / self._camera.frame_rate,
        )

    def track(self, scene: BoxScene) -> Tracked:
        """See `Space.track`."""
        covariances = self._covariances(scene.detections)
        return track_positions(scene.detections, covariances, self._head, scene_length(scene))

    def frames(self, scene: BoxScene) -> list[Detections]:
        """See `Space.frames`: positions [m] in the base frame."""
        rotation = self._camera.base_from_optical.rotation
        noise = rotation @ self._covariances(scene.detections) @ rotation.T
        return [
            (scene.detections.position[rows], noise[rows])
            for rows in scene.detections.frames(scene_length(scene))
        ]

    def sort_cost(self, predicted: np.ndarray, values: np.ndarray) -> np.ndarray:
        """See `Space.sort_cost`: distances [m]."""
        return np.linalg.norm(predicted[:, None] - values, axis=-1)

    def table(self, located: list[Located]) -> MotTable:
        """See `Space.table`."""
        return positions_in_image(*_columns(located, np.array), self._camera)

    def score(self, tracks: MotTable, scene: BoxScene) -> MotScores:
        """See `Space.score`."""
        return score_positions(tracks, scene.truth, scene_length(scene))

    def _covariances(self, detections: MotTable) -> np.ndarray:
        """(B, 3, 3) [m^2] of the detections, in the optical frame."""
        optical = self._camera.base_from_optical.inverse().apply(detections.position)
        return position_covariance(optical, self._camera)


SPACES: dict[str, Callable[[BoxSceneConfig, HeadProfile], Space]] = {
    'boxes': BoxSpace,
    'positions': PositionSpace,
}


def _clutter_volume(camera: CameraGeometry) -> float:
    """Volume [m^3] of the part of the field of view that has false detections."""
    near, far = CLUTTER_DEPTH_M
    solid_angle = camera.width / camera.focal[0] * camera.height / camera.focal[1]
    return solid_angle * (far**3 - near**3) / 3


def _boxes(centered: np.ndarray) -> np.ndarray:
    """(N, 4) left, top, width, height of (N, 4) centers and sizes."""
    return np.array([box_of(row) for row in centered]).reshape(-1, 4)


def _columns(located: list[Located], convert: Callable) -> tuple[list, list, list]:
    """Frames, ids and converted places of what a peer said."""
    frames = []
    ids = []
    places = []
    for frame, tracks in enumerate(located, start=1):
        for track_id, place in tracks:
            frames.append(frame)
            ids.append(track_id)
            places.append(convert(place))
    return frames, ids, places


def scene_length(scene: BoxScene) -> int:
    """Count the frames of a scene; a generated one always knows."""
    assert scene.info.length is not None
    return scene.info.length
