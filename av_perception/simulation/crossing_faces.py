# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What a stereo face detector says of people who hide each other, without any pixels.

A detector misses faces, now and then several in a row; sees little of a face that is half hidden,
and puts its box off the occluder; takes the occluder's depth for that of the half-hidden face, as
sharp as any other; and finds faces where there are none. Everything but the last was measured on
rendered scenes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from av_perception.geometry.boxes import areas, far_corners
from av_perception.geometry.time import nanoseconds
from av_perception.interfaces import Face, VisualFeatures
from av_perception.recording.tables import TruthTable
from av_perception.robot_head.profile import CameraGeometry
from av_perception.simulation.box_scenes import HEAD_SIZE_M, head_boxes
from av_perception.simulation.crossings import Crossing, walked
from av_perception.simulation.planted_looks import LooksSpread, PlantedLooks

VISIBLE_SHARE = 0.5  # of a face that makes a person visible, as in rendered scenes
FREE_SHARE = 0.9  # of a face from which it counts as free
FALSE_DEPTH_M = (1.0, 4.0)
# The trunk below a head hides as well: half width, and top and bottom below the head center [m].
_TRUNK_M = (0.22, 0.16, 1.0)
_LEAST_GAP_M = 0.1  # in depth, between who hides and who is hidden
_UNUSED_DRAWS = 32  # per person
_NO_LANDMARKS = np.zeros((5, 2))


@dataclass(frozen=True)
class FaceSensorConfig:
    """How well faces are found. Raises ValueError."""

    #: 0..1, of a face that is free
    detection_probability: float = 0.95
    #: the same of a face in the dark
    dark_probability: float = 0.8
    #: at least 1, mean number of images in a row in which a face is missed
    miss_length: float = 2.0
    #: 0..1, visible share of a face below which it is never found
    hidden_below: float = 0.35
    #: 0..1, of a half-hidden face that is given its occluder's depth
    wrong_depth_probability: float = 0.6
    #: mean number of false faces in an image
    clutter: float = 0.05
    #: [px] standard deviation of a face's center
    pixel_sd: float = 1.0
    #: [px] standard deviation of a disparity: 9 mm at 1.6 m with the simulated head
    disparity_sd: float = 0.15

    def __post_init__(self):
        shares = (
            self.detection_probability,
            self.dark_probability,
            self.hidden_below,
            self.wrong_depth_probability,
        )
        if not all(0 <= share <= 1 for share in shares):
            raise ValueError('probabilities and hidden_below must lie in 0..1')
        if self.miss_length < 1 or self.clutter < 0:
            raise ValueError('miss_length must be at least 1 and clutter must not be negative')
        if min(self.pixel_sd, self.disparity_sd) <= 0:
            raise ValueError('pixel_sd and disparity_sd must be positive')


@dataclass(frozen=True)
class FaceScene:
    """Detections of one crossing. images: one per frame; truth: of all people and frames."""

    images: tuple[VisualFeatures, ...]
    truth: TruthTable


def face_scene(
    crossing: Crossing,
    camera: CameraGeometry,
    seed: int,
    config: FaceSensorConfig | None = None,
    start_ns: int = 0,
    looks: LooksSpread | None = None,
) -> FaceScene:
    """Detect the faces of a crossing.

    Parameters
    ----------
    crossing
        Who walks where.
    camera
        Stereo pair, whose left camera sees them.
    seed
        Of the sensor's errors, not negative.
    config
        See `FaceSensorConfig`.
    start_ns
        Stamp of the first image.
    looks
        Of people whose faces are free; None: nobody is described.
    """
    sensor = _Sensor(config or FaceSensorConfig(), camera, crossing, seed)
    if looks is not None:
        random = np.random.default_rng([seed, 2])
        sensor.looks = PlantedLooks(looks, len(crossing.paths), random)
    images = []
    for frame, time_s in enumerate(sensor.time_s):
        faces = sensor.faces(frame)
        images.append(VisualFeatures(start_ns + nanoseconds(time_s), tuple(faces)))
    return FaceScene(tuple(images), sensor.truth())


def face_covariance(
    optical: np.ndarray, camera: CameraGeometry, pixel_sd: float, disparity_sd: float
) -> np.ndarray:
    """(3, 3) [m^2] covariance of a triangulated point (3,) [m] in the left optical frame."""
    x, y, z = optical
    focal = camera.focal[0]
    slope = -z / (focal * camera.baseline)
    jacobian = np.array([[z / focal, 0, x * slope], [0, z / focal, y * slope], [0, 0, z * slope]])
    return jacobian @ np.diag([pixel_sd**2, pixel_sd**2, disparity_sd**2]) @ jacobian.T


class _Sensor:
    """Everything that does not depend on the single image, for T frames and P people."""

    def __init__(
        self, config: FaceSensorConfig, camera: CameraGeometry, crossing: Crossing, seed: int
    ):
        self._config = config
        self._camera = camera
        self._random = np.random.default_rng([seed, 1])
        count = round(crossing.duration_s * camera.frame_rate)
        self.time_s = np.arange(count) / camera.frame_rate
        paths = [walked(path, self.time_s) for path in crossing.paths]
        self._base = np.stack(paths, axis=1)
        self._optical = camera.base_from_optical.inverse().apply(self._base)
        boxes = head_boxes(self._optical, camera)
        self._share, self._occluder = _visible_shares(self._optical, boxes, camera)
        center = boxes[..., :2] + boxes[..., 2:] / 2
        self._inside = np.all((center >= 0) & (center < [camera.width, camera.height]), axis=-1)
        found = config.dark_probability if crossing.dark else config.detection_probability
        self._found = self._detected(found)
        self._disparity_sd = config.disparity_sd * (2.0 if crossing.dark else 1.0)
        # Without this the scenes of a seed would be others than those of earlier figures.
        self._random.normal(size=(len(paths), _UNUSED_DRAWS))
        self.looks: PlantedLooks | None = None

    def _detected(self, probability: float) -> np.ndarray:
        """(T, P) bool: misses come in runs, and more often the less of a face shows."""
        ends = 1 / self._config.miss_length
        begins = min(ends * (1 - probability) / max(probability, 1e-9), 1.0)
        draws = self._random.random(self._share.shape)
        missed = np.zeros(self._share.shape, bool)
        missed[0] = draws[0] >= probability
        for frame in range(1, len(missed)):
            missed[frame] = draws[frame] < np.where(missed[frame - 1], 1 - ends, begins)
        lowest = self._config.hidden_below
        showing = np.clip((self._share - lowest) / (FREE_SHARE - lowest), 0, 1)
        seen = self._random.random(self._share.shape) < np.sqrt(showing)
        return self._inside & ~missed & seen & (showing > 0)

    def truth(self) -> TruthTable:
        """Everybody in every frame, wherever they are; visible: half a face, in the image."""
        frames, people = np.nonzero(np.ones(self._share.shape, bool))
        return TruthTable(
            time_s=self.time_s[frames],
            id=people + 1,
            position=self._base[frames, people],
            speaking=np.zeros(len(frames), bool),
            visible=(self._inside & (self._share >= VISIBLE_SHARE))[frames, people],
        )

    def faces(self, frame: int) -> list[Face]:
        """Detect the faces of one image, in random order."""
        faces = [
            self._face(frame, person) for person in np.flatnonzero(self._found[frame]).tolist()
        ]
        for _ in range(self._random.poisson(self._config.clutter)):
            faces.append(self._false_face(frame))
        return [faces[i] for i in self._random.permutation(len(faces))]

    def _face(self, frame: int, person: int) -> Face:
        """Detect one face, with the errors that the occluder causes."""
        random = self._random
        optical = self._optical[frame, person]
        hidden = 1 - self._share[frame, person]
        pixel = self._camera.project(optical) + self._config.pixel_sd * random.normal(size=2)
        depth = optical[2]
        is_free = bool(self._share[frame, person] >= FREE_SHARE)
        if not is_free:
            occluder = self._optical[frame, self._occluder[frame, person]]
            width = HEAD_SIZE_M[0] * self._camera.focal[0] / depth
            pixel[0] += (
                0.25 * hidden * width * np.sign(optical[0] / depth - occluder[0] / occluder[2])
            )
            if random.random() < self._config.wrong_depth_probability:
                depth = occluder[2]
        appearance = np.zeros(0)
        if self.looks is not None and is_free:
            appearance = self.looks.of_person(frame, person)
        return self._triangulated(pixel, depth, optical[2], appearance)

    def _false_face(self, frame: int) -> Face:
        random = self._random
        pixel = random.random(2) * [self._camera.width, self._camera.height]
        depth = random.uniform(*FALSE_DEPTH_M)
        appearance = np.zeros(0) if self.looks is None else self.looks.of_nobody(frame)
        return self._triangulated(pixel, depth, depth, appearance)

    def _triangulated(
        self, pixel: np.ndarray, depth: float, true_depth: float, appearance: np.ndarray
    ) -> Face:
        """Make a face of what was matched at `depth`; its box is as large as at true_depth."""
        camera = self._camera
        disparity = camera.disparity(depth) + self._disparity_sd * self._random.normal()
        matched = camera.focal[0] * camera.baseline / max(disparity, 1.0)
        ray = np.append((pixel - camera.center) / camera.focal, 1.0)
        optical = ray * matched
        size = np.array(HEAD_SIZE_M) * camera.focal / true_depth
        size = size * np.exp(0.05 * self._random.normal(size=2))
        return Face(
            np.concatenate([pixel - size / 2, size]),
            0.9,
            _NO_LANDMARKS,
            optical,
            face_covariance(optical, camera, self._config.pixel_sd, self._disparity_sd),
            appearance=appearance,
        )


def _visible_shares(
    optical: np.ndarray, boxes: np.ndarray, camera: CameraGeometry
) -> tuple[np.ndarray, np.ndarray]:
    """(T, P) share of each head that no single nearer person covers; and (T, P) who covers most.

    A person covers with head and trunk.
    """
    depth = optical[..., 2]
    half, top, bottom = _TRUNK_M
    scale = np.array(camera.focal) / optical[..., 2:]
    center = boxes[..., :2] + boxes[..., 2:] / 2
    corner = center + np.array([-half, top]) * scale
    trunks = np.concatenate([corner, np.array([2 * half, bottom - top]) * scale], axis=-1)
    covered = _covered(boxes, boxes) + _covered(boxes, trunks)
    covered[depth[:, :, None] < depth[:, None, :] + _LEAST_GAP_M] = 0.0
    return np.clip(1 - covered.max(-1), 0.0, 1.0), covered.argmax(-1)


def _covered(boxes: np.ndarray, covers: np.ndarray) -> np.ndarray:
    """(T, P, P) share of each of the boxes (T, P, 4) that each of the covers overlaps."""
    low = np.maximum(boxes[:, :, None, :2], covers[:, None, :, :2])
    high = np.minimum(far_corners(boxes)[:, :, None], far_corners(covers)[:, None])
    return np.maximum(high - low, 0).prod(-1) / areas(boxes)[:, :, None]
