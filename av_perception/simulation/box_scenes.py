# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Heads walking before a camera, and what a detector would say of them: truth and detections as MOT-challenge text, without any pixels.

People walk to and fro at depths of their own, so they cross and hide each other, stand still, and walk out of the image and back. A detector
misses heads, sees nothing of a head that is mostly hidden, finds heads where there are none, and finds some heads twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from av_perception.recording.mot_text import MotTable, SequenceInfo
from av_perception.robot_head.profile import CameraGeometry

HEAD_SIZE_M = (0.18, 0.23)  # width, height
PIXEL_SD, DISPARITY_SD_PX = 1.0, 0.5
_VELOCITY_LAG_S, _WARM_UP_S = 0.4, 20.0
CLUTTER_DEPTH_M = (1.0, 4.0)


@dataclass(frozen=True)
class BoxSceneConfig:
    """people, duration_s; depth [m]: of the nearest and farthest person; speed [m/s]: slowest and fastest walk; pause_s: longest stand;
    reach: how far people walk to the sides, in half widths of the field of view: beyond 1 they leave the image;
    detection_probability: of a head that is not hidden; hidden_below: visible share of a head below which it is never detected;
    clutter: mean number of false detections in an image; duplicate_probability: of a second box on a detected head;
    center_error, size_error: standard deviations of a box, as fractions of its width and height.
    """

    people: int = 5
    duration_s: float = 30.0
    depth: tuple[float, float] = (1.3, 3.3)
    speed: tuple[float, float] = (0.3, 1.0)
    pause_s: float = 1.5
    reach: float = 1.25
    detection_probability: float = 0.9
    hidden_below: float = 0.5
    clutter: float = 1.0
    duplicate_probability: float = 0.02
    center_error: float = 0.05
    size_error: float = 0.1

    def __post_init__(self):
        if self.people < 0 or not 0 < self.duration_s <= 3600:
            raise ValueError('people must not be negative and duration_s must lie in (0, 3600]')
        if not (
            0 < self.depth[0] <= self.depth[1]
            and 0 < self.speed[0] <= self.speed[1]
            and self.pause_s >= 0
            and self.reach > 0
        ):
            raise ValueError(
                'depth, speed and reach must be positive and in order, pause_s must not be negative'
            )
        if not all(
            0 <= p <= 1
            for p in (self.detection_probability, self.hidden_below, self.duplicate_probability)
        ):
            raise ValueError(
                'detection_probability, hidden_below and duplicate_probability must lie in 0..1'
            )
        if self.clutter < 0 or not (0 <= self.center_error < 0.5 and 0 <= self.size_error < 0.3):
            raise ValueError(
                'clutter must not be negative, center_error must lie below 0.5 and size_error below 0.3'
            )


@dataclass(frozen=True)
class BoxScene:
    """Truth and detections of one scene, positions in the head's base frame."""

    truth: MotTable
    detections: MotTable
    info: SequenceInfo

    def write(self, folder) -> None:
        """gt.txt, det.txt and seqinfo.ini in a folder, which is made."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.truth.write(folder / 'gt.txt')
        self.detections.write(folder / 'det.txt')
        self.info.write(folder / 'seqinfo.ini', folder.name)


def box_scene(config: BoxSceneConfig, camera: CameraGeometry, seed: int) -> BoxScene:
    """The scene of a seed, seen by the left camera of a stereo pair."""
    random = np.random.default_rng(seed)
    count = max(round(config.duration_s * camera.frame_rate), 1)
    optical = _paths(config, camera, count, random)
    boxes = head_boxes(optical, camera)
    inside = _inside(boxes, camera)
    visible = _visible_share(boxes, optical[..., 2])
    frame, person = np.nonzero(inside)
    truth = MotTable.of(
        frame + 1,
        person + 1,
        boxes[inside],
        position=camera.base_from_optical.apply(optical[inside]),
    )
    found = (
        inside
        & (visible >= config.hidden_below)
        & (random.random(inside.shape) < config.detection_probability)
    )
    twice = found & (random.random(inside.shape) < config.duplicate_probability)
    clutter = _clutter(config, camera, count, random)
    frames = np.concatenate([np.nonzero(found)[0], np.nonzero(twice)[0], clutter[0]])
    places = np.concatenate([optical[found], optical[twice], clutter[1]])
    detections = _detect(config, camera, frames, places, random)
    return BoxScene(
        truth, detections, SequenceInfo(camera.frame_rate, camera.width, camera.height, count)
    )


def head_boxes(optical: np.ndarray, camera: CameraGeometry) -> np.ndarray:
    """(..., 4) left, top, width, height [px] of heads at (..., 3) points [m] in the left optical frame."""
    size = np.array(HEAD_SIZE_M) * camera.focal / optical[..., 2:]
    return np.concatenate([camera.project(optical) - size / 2, size], axis=-1)


def position_covariance(optical: np.ndarray, camera: CameraGeometry) -> np.ndarray:
    """(M, 3, 3) covariance [m^2] of (M, 3) points triangulated with PIXEL_SD in the left image and DISPARITY_SD_PX between both."""
    depth = optical[:, 2]
    jacobian = np.zeros((len(optical), 3, 3))
    jacobian[:, 0, 0], jacobian[:, 1, 1] = depth / camera.focal[0], depth / camera.focal[1]
    jacobian[:, :, 2] = -optical * (depth / (camera.focal[0] * camera.baseline))[:, None]
    return (jacobian * np.square([PIXEL_SD, PIXEL_SD, DISPARITY_SD_PX])) @ jacobian.swapaxes(1, 2)


def _paths(config: BoxSceneConfig, camera: CameraGeometry, count: int, random) -> np.ndarray:
    """(count, people, 3) head centres [m] in the left optical frame. Everybody has a band of depth for themselves."""
    time_s = np.arange(count) / camera.frame_rate
    bands = np.linspace(*config.depth, max(config.people, 2))[: config.people]
    drift, phase = (
        random.uniform(0.1, 0.3, config.people),
        random.uniform(0, 2 * np.pi, config.people),
    )
    depth = bands + 0.3 * (bands[1] - bands[0] if config.people > 1 else 0.3) * np.sin(
        drift * time_s[:, None] * 2 * np.pi / 3 + phase
    )
    edge = config.reach * camera.width / 2 / camera.focal[0]
    lateral = (
        np.stack(
            [_walk(config, edge * band, count, camera.frame_rate, random) for band in bands],
            axis=1,
        )
        if config.people
        else depth
    )
    height = np.broadcast_to(random.uniform(-0.12, 0.12, config.people), depth.shape)
    return np.stack([lateral, height, depth], axis=-1)


def _walk(config: BoxSceneConfig, edge_m: float, count: int, rate: float, random) -> np.ndarray:
    """(count,) positions [m] of one walk between random places within +-edge_m, with stands; started long before the first frame."""
    position, velocity, path = random.uniform(-edge_m, edge_m), 0.0, []
    goal, speed, stand = position, 0.0, 0
    for _ in range(count + round(_WARM_UP_S * rate)):
        if abs(goal - position) <= speed / rate:
            goal, speed = random.uniform(-edge_m, edge_m), random.uniform(*config.speed)
            stand = round(random.uniform(0, config.pause_s) * rate)
        wanted = 0.0 if stand > 0 else speed * np.sign(goal - position)
        stand -= 1
        velocity += (wanted - velocity) / (_VELOCITY_LAG_S * rate)
        position += velocity / rate
        path.append(position)
    return np.array(path[-count:])


def _inside(boxes: np.ndarray, camera: CameraGeometry) -> np.ndarray:
    """(...) bool: whether the centre of a box lies in the image."""
    center = boxes[..., :2] + boxes[..., 2:] / 2
    return ((center >= 0) & (center < [camera.width, camera.height])).all(-1)


def _visible_share(boxes: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """(frames, people) share of each box that no single nearer box covers."""
    low = np.maximum(boxes[:, :, None, :2], boxes[:, None, :, :2])
    high = np.minimum(
        (boxes[..., :2] + boxes[..., 2:])[:, :, None], (boxes[..., :2] + boxes[..., 2:])[:, None]
    )
    covered = np.maximum(high - low, 0).prod(-1) / boxes[..., 2:].prod(-1)[:, :, None]
    covered[depth[:, :, None] <= depth[:, None, :]] = 0.0
    return 1 - covered.max(-1, initial=0.0)


def _clutter(
    config: BoxSceneConfig, camera: CameraGeometry, count: int, random
) -> tuple[np.ndarray, np.ndarray]:
    """Frames (C,) and places (C, 3) of heads where there are none: anywhere in the image, at any depth."""
    frames = np.repeat(np.arange(count), random.poisson(config.clutter, count))
    depth = random.uniform(*CLUTTER_DEPTH_M, len(frames))
    ray = (
        random.uniform(0, 1, (len(frames), 2)) * [camera.width, camera.height] - camera.center
    ) / camera.focal
    return frames, np.concatenate([ray, np.ones((len(frames), 1))], axis=1) * depth[:, None]


def _detect(
    config: BoxSceneConfig, camera: CameraGeometry, frames: np.ndarray, optical: np.ndarray, random
) -> MotTable:
    """Noisy boxes and noisy triangulated positions of (M, 3) points; in random order within a frame."""
    boxes = head_boxes(optical, camera)
    center = boxes[:, :2] + boxes[:, 2:] * (
        0.5 + config.center_error * random.normal(size=(len(frames), 2))
    )
    size = boxes[:, 2:] * np.exp(config.size_error * random.normal(size=(len(frames), 2)))
    position = optical + _noise(position_covariance(optical, camera), random)
    order = np.lexsort((random.random(len(frames)), frames))
    confidence = np.round(random.uniform(0.5, 1.0, len(frames)), 3)
    boxes = np.concatenate([center - size / 2, size], axis=1)
    return MotTable.of(
        frames[order] + 1,
        np.full(len(frames), -1),
        boxes[order],
        confidence[order],
        camera.base_from_optical.apply(position)[order],
    )


def _noise(covariances: np.ndarray, random) -> np.ndarray:
    """(M, 3) Gaussian noise with (M, 3, 3) covariances."""
    return (np.linalg.cholesky(covariances) @ random.normal(size=(*covariances.shape[:2], 1)))[
        ..., 0
    ]
