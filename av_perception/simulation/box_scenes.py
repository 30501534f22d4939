# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Heads walking before a camera, and what a detector would say of them, without any pixels.

Truth and detections are MOT-challenge text. People walk to and fro at depths of their own, so
they cross and hide each other, stand still, and walk out of the image and back. A detector misses
heads, sees nothing of a head that is mostly hidden, finds heads where there are none, and finds
some heads twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from av_perception.geometry.boxes import areas, centers, far_corners
from av_perception.recording.mot_text import MotTable, SequenceInfo
from av_perception.robot_head.profile import CameraGeometry

HEAD_SIZE_M = (0.18, 0.23)  # width, height
PIXEL_SD = 1.0  # of a triangulated point in the left image [px]
DISPARITY_SD_PX = 0.5
_VELOCITY_LAG_S = 0.4
_WARM_UP_S = 20.0  # walked before the first frame
CLUTTER_DEPTH_M = (1.0, 4.0)


@dataclass(frozen=True)
class BoxSceneConfig:
    """How people walk, and how well a detector sees them. Raises ValueError."""

    #: number of people
    people: int = 5
    #: [s] length of the scene, at most an hour
    duration_s: float = 30.0
    #: [m] depth of the nearest and of the farthest person
    depth: tuple[float, float] = (1.3, 3.3)
    #: [m/s] slowest and fastest walk
    speed: tuple[float, float] = (0.3, 1.0)
    #: [s] longest stand
    pause_s: float = 1.5
    #: how far people walk to the sides, in half widths of the view: beyond 1 they leave the image
    reach: float = 1.25
    #: 0..1, of a head that is not hidden
    detection_probability: float = 0.9
    #: 0..1, visible share of a head below which it is never detected
    hidden_below: float = 0.5
    #: mean number of false detections in an image
    clutter: float = 1.0
    #: 0..1, of a second box on a detected head
    duplicate_probability: float = 0.02
    #: standard deviation of a box's center, below 0.5, as a fraction of its width and height
    center_error: float = 0.05
    #: standard deviation of a box's width and height, below 0.3, as a fraction of them
    size_error: float = 0.1

    def __post_init__(self):
        if self.people < 0 or not 0 < self.duration_s <= 3600:
            raise ValueError('people must not be negative and duration_s must lie in (0, 3600]')
        in_order = 0 < self.depth[0] <= self.depth[1] and 0 < self.speed[0] <= self.speed[1]
        if not (in_order and self.pause_s >= 0 and self.reach > 0):
            raise ValueError(
                'depth, speed and reach must be positive and in order, '
                'pause_s must not be negative'
            )
        shares = (self.detection_probability, self.hidden_below, self.duplicate_probability)
        if not all(0 <= share <= 1 for share in shares):
            raise ValueError(
                'detection_probability, hidden_below and duplicate_probability must lie in 0..1'
            )
        if self.clutter < 0 or not (0 <= self.center_error < 0.5 and 0 <= self.size_error < 0.3):
            raise ValueError(
                'clutter must not be negative, center_error must lie below 0.5 '
                'and size_error below 0.3'
            )


@dataclass(frozen=True)
class BoxScene:
    """Truth and detections of one scene, positions in the head's base frame."""

    truth: MotTable
    detections: MotTable
    info: SequenceInfo

    def write(self, folder) -> None:
        """Write gt.txt, det.txt and seqinfo.ini into a folder, which is made."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.truth.write(folder / 'gt.txt')
        self.detections.write(folder / 'det.txt')
        self.info.write(folder / 'seqinfo.ini', folder.name)


def box_scene(config: BoxSceneConfig, camera: CameraGeometry, seed: int) -> BoxScene:
    """Make the scene of a seed.

    Parameters
    ----------
    config
        How people walk and are detected.
    camera
        Stereo pair, whose left camera sees them.
    seed
        Of all that is drawn at random.
    """
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
    detectable = inside & (visible >= config.hidden_below)
    detected = detectable & (random.random(inside.shape) < config.detection_probability)
    twice = detected & (random.random(inside.shape) < config.duplicate_probability)
    clutter_frames, clutter_places = _clutter(config, camera, count, random)
    frames = np.concatenate([np.nonzero(detected)[0], np.nonzero(twice)[0], clutter_frames])
    places = np.concatenate([optical[detected], optical[twice], clutter_places])
    detections = _detect(config, camera, frames, places, random)
    info = SequenceInfo(camera.frame_rate, camera.width, camera.height, count)
    return BoxScene(truth, detections, info)


def head_boxes(optical: np.ndarray, camera: CameraGeometry) -> np.ndarray:
    """Project heads to boxes.

    Parameters
    ----------
    optical
        (..., 3) their centers [m] in the left optical frame.
    camera
        Which sees them.

    Returns
    -------
    np.ndarray
        (..., 4) left, top, width, height [px].
    """
    size = np.array(HEAD_SIZE_M) * camera.focal / optical[..., 2:]
    return np.concatenate([camera.project(optical) - size / 2, size], axis=-1)


def position_covariance(optical: np.ndarray, camera: CameraGeometry) -> np.ndarray:
    """Propagate PIXEL_SD in the left image and DISPARITY_SD_PX to triangulated points.

    Parameters
    ----------
    optical
        (M, 3) points [m] in the left optical frame.
    camera
        Stereo pair.

    Returns
    -------
    np.ndarray
        (M, 3, 3) covariances [m^2].
    """
    depth = optical[:, 2]
    jacobian = np.zeros((len(optical), 3, 3))
    jacobian[:, 0, 0] = depth / camera.focal[0]
    jacobian[:, 1, 1] = depth / camera.focal[1]
    jacobian[:, :, 2] = -optical * (depth / (camera.focal[0] * camera.baseline))[:, None]
    return (jacobian * np.square([PIXEL_SD, PIXEL_SD, DISPARITY_SD_PX])) @ jacobian.swapaxes(1, 2)


def _paths(
    config: BoxSceneConfig, camera: CameraGeometry, count: int, random: np.random.Generator
) -> np.ndarray:
    """(count, people, 3) head centers [m] in the left optical frame.

    Everybody has a band of depth for themselves.
    """
    time_s = np.arange(count) / camera.frame_rate
    bands = np.linspace(*config.depth, max(config.people, 2))[: config.people]
    spacing = bands[1] - bands[0] if config.people > 1 else 0.3
    drift = random.uniform(0.1, 0.3, config.people)
    phase = random.uniform(0, 2 * np.pi, config.people)
    depth = bands + 0.3 * spacing * np.sin(drift * time_s[:, None] * 2 * np.pi / 3 + phase)
    lateral = np.zeros_like(depth)
    edge = config.reach * camera.width / 2 / camera.focal[0]
    for person, band in enumerate(bands):
        lateral[:, person] = _walk(config, edge * band, count, camera.frame_rate, random)
    height = np.broadcast_to(random.uniform(-0.12, 0.12, config.people), depth.shape)
    return np.stack([lateral, height, depth], axis=-1)


def _walk(
    config: BoxSceneConfig, edge_m: float, count: int, rate: float, random: np.random.Generator
) -> np.ndarray:
    """(count,) positions [m] of one walk between random places within +-edge_m, with stands.

    It has begun long before the first frame.
    """
    position = random.uniform(-edge_m, edge_m)
    velocity = 0.0
    path = []
    goal = position
    speed = 0.0
    stand = 0
    for _ in range(count + round(_WARM_UP_S * rate)):
        if abs(goal - position) <= speed / rate:
            goal = random.uniform(-edge_m, edge_m)
            speed = random.uniform(*config.speed)
            stand = round(random.uniform(0, config.pause_s) * rate)
        wanted = 0.0 if stand > 0 else speed * np.sign(goal - position)
        stand -= 1
        velocity += (wanted - velocity) / (_VELOCITY_LAG_S * rate)
        position += velocity / rate
        path.append(position)
    return np.array(path[-count:])


def _inside(boxes: np.ndarray, camera: CameraGeometry) -> np.ndarray:
    """(...) bool: whether the center of a box lies in the image."""
    center = centers(boxes)
    return np.all((center >= 0) & (center < [camera.width, camera.height]), axis=-1)


def _visible_share(boxes: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """(frames, people) share of each box that no single nearer box covers."""
    far = far_corners(boxes)
    low = np.maximum(boxes[:, :, None, :2], boxes[:, None, :, :2])
    high = np.minimum(far[:, :, None], far[:, None])
    covered = np.maximum(high - low, 0).prod(-1) / areas(boxes)[:, :, None]
    covered[depth[:, :, None] <= depth[:, None, :]] = 0.0
    return 1 - covered.max(-1, initial=0.0)


def _clutter(
    config: BoxSceneConfig, camera: CameraGeometry, count: int, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Frames (C,) and places (C, 3) of heads where there are none.

    They are anywhere in the image, at any depth.
    """
    frames = np.repeat(np.arange(count), random.poisson(config.clutter, count))
    depth = random.uniform(*CLUTTER_DEPTH_M, len(frames))
    pixel = random.uniform(0, 1, (len(frames), 2)) * [camera.width, camera.height]
    ray = (pixel - camera.center) / camera.focal
    return frames, np.concatenate([ray, np.ones((len(frames), 1))], axis=1) * depth[:, None]


def _detect(
    config: BoxSceneConfig,
    camera: CameraGeometry,
    frames: np.ndarray,
    optical: np.ndarray,
    random: np.random.Generator,
) -> MotTable:
    """Noisy boxes and noisy triangulated positions of heads.

    frames: (M,); optical: (M, 3) [m] in the left optical frame. Their order within a frame is
    random.
    """
    boxes = head_boxes(optical, camera)
    shift = 0.5 + config.center_error * random.normal(size=(len(frames), 2))
    center = boxes[:, :2] + boxes[:, 2:] * shift
    size = boxes[:, 2:] * np.exp(config.size_error * random.normal(size=(len(frames), 2)))
    position = optical + _gaussian_noise(position_covariance(optical, camera), random)
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


def _gaussian_noise(covariances: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """(M, 3) noise with (M, 3, 3) covariances."""
    white = random.normal(size=(*covariances.shape[:2], 1))
    return (np.linalg.cholesky(covariances) @ white)[..., 0]
