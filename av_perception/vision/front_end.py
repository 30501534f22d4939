# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""From an image pair to faces in space: check, rectify, detect, match, triangulate, describe."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import cv2
import numpy as np

from av_perception.interfaces import Face, VisualFeatures
from av_perception.robot_head.camera_calibration import CameraCalibration
from av_perception.robot_head.profile import CameraGeometry
from av_perception.vision.face_detector import (
    FaceDetections,
    FaceDetector,
    FaceDetectorConfig,
    make_face_detector,
)
from av_perception.vision.face_embedding import (
    ALIGNED_LANDMARKS,
    FaceEmbedder,
    FaceEmbedderConfig,
    make_face_embedder,
)
from av_perception.vision.image_check import checked_image, is_over_exposed
from av_perception.vision.rectification import rectifiers_of
from av_perception.vision.stereo_matching import StereoMatchConfig, StereoMatcher
from av_perception.vision.triangulation import TriangulationConfig, is_cut_off, locate_head

MIN_FACE_PX = 8.0  # a smaller box has neither a range nor a texture
LEAST_DISPARITIES = 0.1  # share of the faces: with a wrong pair hardly one matches by chance
TURNED_EVERY = 50  # images without a face between two looks at an image turned by 180 degrees
TURNED_SCORE = 0.6  # that a face in it needs: it is no proof of anything else


@dataclass(frozen=True)
class VisualFrontEndConfig:
    """The configurations of the stages; max_faces: only the best are kept, which bounds the time per image."""

    detector: FaceDetectorConfig = field(default_factory=FaceDetectorConfig)
    matching: StereoMatchConfig = field(default_factory=StereoMatchConfig)
    triangulation: TriangulationConfig = field(default_factory=TriangulationConfig)
    embedder: FaceEmbedderConfig = field(default_factory=FaceEmbedderConfig)
    max_faces: int = 20

    def __post_init__(self):
        if self.max_faces < 1:
            raise ValueError(f'max_faces must be at least 1, not {self.max_faces}')


class VisualFrontEnd:
    """Finds the faces of rectified image pairs, or of single images.

    counters: 'images'; 'faces'; 'without_disparity', faces of pairs whose range had to come from their size; 'over_exposed', images that
    were looked at although most of them is white; 'upside_down', faces and images that stand on their heads: they are left out.
    calibration_problems: sentences about calibrations that leave little of the images.
    embedding_size: 0 when faces are not described. times_ms: how long each stage of the last image took.
    calibrations: of the left or of both cameras, for raw images; else by the files of the head profile, and without those the images are
    taken as rectified. Raises UserError when a file is missing. detector, embedder: given by tests, else made from the configuration.
    """

    def __init__(
        self,
        config: VisualFrontEndConfig,
        camera: CameraGeometry,
        detector: FaceDetector | None = None,
        embedder: FaceEmbedder | None = None,
        calibrations: tuple[CameraCalibration, ...] = (),
    ):
        self._config = config
        self._camera = camera
        self._detector = detector or make_face_detector(config.detector)
        self._embedder = embedder or make_face_embedder(config.embedder)
        self._rectifiers = rectifiers_of(camera, calibrations)
        self.calibration_problems = tuple(
            f'{side} camera: {rectifier.problem}'
            for side, rectifier in zip(('left', 'right'), self._rectifiers)
            if rectifier.problem
        )
        self.embedding_size = self._embedder.size
        self._turn, self._without_faces = 0, 0
        self._pairs = 0  # left images that came with a right one
        self._disparities = 0  # faces that were matched in the right image
        self.times_ms: dict[str, float] = {}
        stereo = camera.baseline > 0
        self._matcher = (
            StereoMatcher(config.matching, camera, config.triangulation.face_width_m)
            if stereo
            else None
        )
        self.counters = {
            'images': 0,
            'faces': 0,
            'without_disparity': 0,
            'over_exposed': 0,
            'upside_down': 0,
        }

    @property
    def disparity_problem(self) -> str:
        """A sentence when two cameras have given (next to) no face a disparity, else ''."""
        faces = self.counters['faces']
        if self._matcher is None or not faces or self._disparities >= LEAST_DISPARITIES * faces:
            return ''
        cause = 'left and right swapped? baseline? right images of another head, or not rectified?'
        if not self._pairs:
            cause = 'the head has two cameras, the right video is missing'
        return (
            f'{self._disparities} of {faces} faces had a disparity, the others are as far '
            f'away as their size says: {cause}'
        )

    def warm_up(self) -> None:
        """Look at an empty pattern: the first image through a network takes ten times as long as the others."""
        pattern = np.zeros((self._camera.height, self._camera.width, 3), np.uint8)
        pattern[::2] = 128
        self._detector.detect(pattern)
        self._embedder.embed(pattern, ALIGNED_LANDMARKS[None])

    def process(
        self, stamp_ns: int, left_bgr: np.ndarray, right_bgr: np.ndarray | None
    ) -> VisualFeatures:
        """Faces of a (height, width, 3) uint8 BGR pair; grey images are accepted; right_bgr: None with one camera.

        Raises BadImage for images that are empty, of another size than the camera's, not 8-bit, not finite, constant or white all over.
        """
        clock = _StageClock()
        left = self._prepared(left_bgr, 'left')
        right = (
            None
            if right_bgr is None or self._matcher is None
            else self._prepared(right_bgr, 'right')
        )
        clock.lap('preparation')
        found = self._usable(self._detector.detect(left))
        self._watch_orientation(left, len(found))
        clock.lap('detection')
        matches = self._match(left, right, found.boxes)
        clock.lap('matching')
        embeddings = self._describe(left, found)
        clock.lap('description')
        faces = tuple(
            self._face(found, index, matches[index], embeddings[index])
            for index in range(len(found))
        )
        self.counters['images'] += 1
        self.counters['over_exposed'] += is_over_exposed(left)
        self.counters['faces'] += len(faces)
        without = sum(match is None for match in matches)
        self._disparities += len(matches) - without
        if right is not None:
            self._pairs += 1
            self.counters['without_disparity'] += without
        clock.lap('positions')
        self.times_ms = clock.times_ms
        return VisualFeatures(stamp_ns, faces)

    def _prepared(self, image: np.ndarray, side: str) -> np.ndarray:
        """The image checked and rectified."""
        return self._rectifiers[side == 'right'].rectify(checked_image(image, self._camera, side))

    def _usable(self, found: FaceDetections) -> FaceDetections:
        """The best detections that are finite, large enough, centred in the image and not upside down."""
        center = found.boxes[:, :2] + found.boxes[:, 2:] / 2
        size = np.array([self._camera.width, self._camera.height])
        inside = np.all((center >= 0) & (center < size), axis=1)
        large = np.all(
            (found.boxes[:, 2:] >= MIN_FACE_PX) & (found.boxes[:, 2:] <= 2 * size), axis=1
        )
        upright = found.landmarks[:, 3:, 1].mean(axis=1) > found.landmarks[:, :2, 1].mean(
            axis=1
        )  # mouth below eyes
        good = inside & large & np.isfinite(found.landmarks).all(axis=(1, 2))
        self.counters['upside_down'] += int((good & ~upright).sum())
        keep = np.nonzero(good & upright)[0][: self._config.max_faces]
        return FaceDetections(
            found.boxes[keep], found.scores[keep], found.landmarks[keep], found.input_scale
        )

    def _watch_orientation(self, image: np.ndarray, num_faces: int) -> None:
        """Now and then, while there are no faces, look whether there would be some if the image were turned by 180 degrees."""
        self._without_faces = 0 if num_faces else self._without_faces + 1
        if self._without_faces % TURNED_EVERY == 1:
            turned = self._detector.detect(cv2.rotate(image, cv2.ROTATE_180))
            self.counters['upside_down'] += bool(
                len(turned) and turned.scores.max() >= TURNED_SCORE
            )

    def _describe(self, image: np.ndarray, found: FaceDetections) -> list[np.ndarray]:
        """An embedding or (0,) for each face: those that are large and whole enough take turns, from left to right."""
        config, embeddings = self._config.embedder, [np.zeros(0)] * len(found)
        fit = [
            k
            for k in np.argsort(found.boxes[:, 0], kind='stable')
            if found.boxes[k, 2] >= config.min_face_px
            and not is_cut_off(found.boxes[k], self._camera)
        ]
        if fit and self.embedding_size and self.counters['images'] % config.every == 0:
            chosen = fit[self._turn % len(fit)]
            embeddings[chosen] = self._embedder.embed(image, found.landmarks[chosen : chosen + 1])[
                0
            ]
            self._turn += 1
        return embeddings

    def _match(self, left: np.ndarray, right: np.ndarray | None, boxes: np.ndarray) -> list:
        if right is None or len(boxes) == 0:
            return [None] * len(boxes)
        left_gray, right_gray = (
            cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) for image in (left, right)
        )
        return [self._matcher.match(left_gray, right_gray, box) for box in boxes]

    def _face(self, found: FaceDetections, index: int, match, embedding: np.ndarray) -> Face:
        box = found.boxes[index]
        position, covariance = locate_head(
            box,
            found.landmarks[index],
            match,
            self._camera,
            self._config.triangulation,
            found.input_scale,
            self._detector.noise_factor,
        )
        return Face(
            box,
            float(found.scores[index]),
            found.landmarks[index],
            position,
            covariance,
            embedding,
        )


class _StageClock:
    """Times between laps, in milliseconds by stage."""

    def __init__(self):
        self.times_ms: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        """The stage ends now."""
        now = time.perf_counter()
        self.times_ms[stage] = 1e3 * (now - self._last)
        self._last = now
