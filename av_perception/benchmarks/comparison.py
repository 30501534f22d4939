# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""This tracker and its peers on one and the same set of detections, each with the same motion, noise and output rules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from av_perception.benchmarks.peers import Peer, PeerConfig, PeerModel, Sort, run_peer
from av_perception.errors import UserError
from av_perception.evaluation.mot import MotScores, score_boxes, score_positions
from av_perception.geometry.boxes import box_overlap
from av_perception.pipelines.mot_tracking import (
    MotTrackingConfig,
    Tracked,
    box_of,
    located,
    track_boxes,
    track_positions,
    within_image,
)
from av_perception.recording.mot_text import MotTable
from av_perception.robot_head.profile import HeadProfile
from av_perception.simulation.box_scenes import (
    CLUTTER_DEPTH_M,
    BoxScene,
    BoxSceneConfig,
    position_covariance,
)
from av_perception.synchronization.detected_faces import DetectedFaces
from av_perception.tracking.state_space.cartesian_head import CartesianHeadConfig
from av_perception.tracking.state_space.image_plane import ImagePlane

OURS, GNN, JPDA, SORT = TRACKERS = (
    'av_perception',
    'Stone Soup GNN',
    'Stone Soup JPDA',
    'SORT-style',
)
# Chosen for the peers by a sweep over seeds that the benchmark does not use (100 to 103): the best OSPA.
PEER_CONFIG = PeerConfig(confirm_hits=3, forget_steps=12)
_LEAST_CLUTTER = 0.01  # the peers divide by it
SORT_BOX_GATE, SORT_POSITION_GATE_M = 0.7, 0.5


@dataclass(frozen=True)
class Space:
    """What is tracked and scored: boxes in the image, or positions in space.

    ours: the tracker on a scene; frames: the scene's detections as (values, noises) per frame for the peers; model: what the peers assume;
    sort_cost, sort_gate: SORT's assignment; table: what a peer found, as a table; score: of a table against the scene's truth.
    """

    name: str
    ours: Callable[[BoxScene], Tracked]
    frames: Callable[[BoxScene], list]
    model: PeerModel
    sort_cost: Callable[[np.ndarray, np.ndarray], np.ndarray]
    sort_gate: float
    table: Callable[[list], MotTable]
    score: Callable[[MotTable, BoxScene], MotScores]

    def peer(self, name: str) -> Peer:
        """A fresh peer. Raises UserError where Stone Soup is wanted and not installed."""
        if name == SORT:
            return Sort(self.model, PEER_CONFIG, self.sort_cost, self.sort_gate)
        try:
            from av_perception.benchmarks.stone_soup import StoneSoup
        except ImportError as error:
            raise UserError(
                "the comparison needs the package stonesoup: pip install 'av_perception[comparison]'"
            ) from error
        return StoneSoup(self.model, PEER_CONFIG, joint=name == JPDA)

    def run(self, name: str, scene: BoxScene) -> tuple[MotTable, np.ndarray]:
        """What a tracker says of a scene, and the (frames,) seconds of its steps."""
        if name == OURS:
            tracked = self.ours(scene)
            return tracked.tracks, tracked.step_s
        found, step_s = run_peer(self.peer(name), self.frames(scene))
        return self.table(found), step_s


def box_space(scenes: BoxSceneConfig, head: HeadProfile) -> Space:
    """Boxes through ImagePlane; the peers' constant process noise is that of ImagePlane at the mean depth of the scenes."""
    config, camera = MotTrackingConfig(), head.camera
    plane = ImagePlane(config.plane, head)
    scale = camera.focal[0] / np.mean(scenes.depth)
    size = config.plane.object_size * scale
    model = PeerModel(
        size=4,
        moving=2,
        acceleration_density=config.plane.acceleration_density * scale**2,
        walk_density=config.plane.depth_density * (scale / camera.focal[0] * size) ** 2,
        speed_sd=config.plane.birth_speed_sd * scale,
        clutter_density=max(scenes.clutter, _LEAST_CLUTTER)
        * float(np.exp(-plane.log_visual_volume)),
        detection_probability=scenes.detection_probability,
        period_s=1 / camera.frame_rate,
    )

    def frames(scene: BoxScene) -> list:
        observed = plane.measure(
            _as_faces(scene.detections, np.zeros((len(scene.detections), 3, 3)))
        )
        return [
            (observed.value[rows], observed.noise[rows])
            for rows in scene.detections.frames(scene.info.length)
        ]

    def cost(predicted: np.ndarray, values: np.ndarray) -> np.ndarray:
        return 1 - box_overlap(
            *(
                np.array([box_of(row) for row in rows]).reshape(-1, 4)
                for rows in (predicted, values)
            )
        )

    return Space(
        'boxes',
        lambda scene: track_boxes(scene.detections, camera, scene.info.length, config),
        frames,
        model,
        cost,
        SORT_BOX_GATE,
        lambda found: within_image(MotTable.of(*_columns(found, box_of)), camera),
        lambda tracks, scene: score_boxes(tracks, scene.truth, scene.info.length),
    )


def position_space(scenes: BoxSceneConfig, head: HeadProfile) -> Space:
    """Positions of a stereo pair through CartesianHead; the peers track in the base frame, where the model is exactly linear."""
    config, camera = CartesianHeadConfig(), head.camera
    to_base = camera.base_from_optical
    model = PeerModel(
        size=3,
        moving=3,
        acceleration_density=config.acceleration_density,
        walk_density=0.0,
        speed_sd=config.birth_speed_sd,
        clutter_density=max(scenes.clutter, _LEAST_CLUTTER) / _clutter_volume(head),
        detection_probability=scenes.detection_probability,
        period_s=1 / camera.frame_rate,
    )

    def covariances(detections: MotTable) -> np.ndarray:
        return position_covariance(to_base.inverse().apply(detections.position), camera)

    def frames(scene: BoxScene) -> list:
        noise = to_base.rotation @ covariances(scene.detections) @ to_base.rotation.T
        return [
            (scene.detections.position[rows], noise[rows])
            for rows in scene.detections.frames(scene.info.length)
        ]

    def cost(predicted: np.ndarray, values: np.ndarray) -> np.ndarray:
        return np.linalg.norm(predicted[:, None] - values, axis=-1)

    return Space(
        'positions',
        lambda scene: track_positions(
            scene.detections, covariances(scene.detections), head, scene.info.length
        ),
        frames,
        model,
        cost,
        SORT_POSITION_GATE_M,
        lambda found: located(*_columns(found, np.array), camera),
        lambda tracks, scene: score_positions(tracks, scene.truth, scene.info.length),
    )


def _clutter_volume(head: HeadProfile) -> float:
    """Of the part of the field of view [m^3] in which the scenes have false detections."""
    camera, (near, far) = head.camera, CLUTTER_DEPTH_M
    return (
        camera.width / camera.focal[0] * camera.height / camera.focal[1] * (far**3 - near**3) / 3
    )


def _as_faces(detections: MotTable, covariances: np.ndarray) -> DetectedFaces:
    return DetectedFaces(
        detections.box, detections.position, covariances, np.zeros((len(detections), 0))
    )


def _columns(found: list, convert: Callable) -> tuple[list, list, list]:
    """Frames, ids and converted places of what a peer found."""
    rows = [
        (index + 1, track_id, convert(place))
        for index, people in enumerate(found)
        for track_id, place in people
    ]
    return tuple(list(column) for column in zip(*rows)) if rows else ([], [], [])


SPACES: dict[str, Callable[[BoxSceneConfig, HeadProfile], Space]] = {
    'boxes': box_space,
    'positions': position_space,
}
