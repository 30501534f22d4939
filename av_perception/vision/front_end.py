# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""From an image pair to faces in space: check, rectify, detect, match, triangulate, describe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from av_perception.geometry.boxes import centers, far_corners
from av_perception.interfaces import Face, VisualFeatures
from av_perception.robot_head.camera_calibration import CameraCalibration
from av_perception.robot_head.profile import CameraGeometry
from av_perception.vision.appearance import DescriptionConfig, describe_people
from av_perception.vision.covering import covered_shares
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
from av_perception.vision.face_scale import FaceScale
from av_perception.vision.face_search import FaceSearch, FaceSearchConfig, chosen
from av_perception.vision.image_check import checked_image, is_noise, is_over_exposed
from av_perception.vision.rectification import rectifiers_of
from av_perception.vision.stage_clock import StageClock
from av_perception.vision.stereo_matching import (
    FaceMatch,
    StereoMatchConfig,
    StereoMatcher,
)
from av_perception.vision.triangulation import TriangulationConfig, is_cut_off, locate_head

MIN_FACE_PX = 8.0  # a smaller box has neither a range nor a texture
FEW_FACES = 3  # may all be mistakes
LEAST_DISPARITIES = 0.1  # share of the faces: with a wrong pair hardly one matches by chance
ROW_MARGIN = 12  # [px] beside a face's rows: those of the other image may be others by 10
TURNED_EVERY = 50  # images without a face between two looks at an image turned by 180 degrees
TURNED_SCORE = 0.6  # that a face in it needs: it is no proof of anything else
COUNTED = 'images faces without_disparity over_exposed noise upside_down too_many'.split()


@dataclass(frozen=True)
class VisualFrontEndConfig:
    """The configurations of the stages."""

    #: how faces are found
    detector: FaceDetectorConfig = field(default_factory=FaceDetectorConfig)
    #: where they are looked for
    search: FaceSearchConfig = field(default_factory=FaceSearchConfig)
    #: how they are found again in the right image
    matching: StereoMatchConfig = field(default_factory=StereoMatchConfig)
    #: how heads are located
    triangulation: TriangulationConfig = field(default_factory=TriangulationConfig)
    #: how faces are described
    embedder: FaceEmbedderConfig = field(default_factory=FaceEmbedderConfig)
    #: how people are described apart from their faces
    appearance: DescriptionConfig = field(default_factory=DescriptionConfig)
    #: only so many of the best are kept, at least 1, to bound the time; the others are counted
    max_faces: int = 20

    def __post_init__(self):
        if self.max_faces < 1:
            raise ValueError(f'max_faces must be at least 1, not {self.max_faces}')


class VisualFrontEnd:
    """Finds the faces of image pairs, or of single images.

    Parameters
    ----------
    config
        Of the stages.
    camera
        Geometry of the rectified camera or pair.
    detector, embedder
        Given by tests, else made from the configuration.
    calibrations
        Of the left or of both cameras, for raw images; else by the files of the head profile, and
        without those the images are taken as rectified.

    Attributes
    ----------
    counters
        'images'; 'faces'; 'without_disparity': faces of pairs whose range had to come from their
        size; 'over_exposed': images that were looked at although most of them is white; 'noise':
        images in which no pixel has to do with the next; 'upside_down': faces and images that
        stand on their heads, which are left out; 'too_many': faces beyond the best `max_faces`.
    calibration_problems
        Sentences about calibrations that leave little of the images.
    embedding_size
        E, 0 when faces are not described.
    scale
        Whether faces are of people's size, a `FaceScale`.
    times_ms
        How long each stage of the last image took.
    left_image
        (height, width, 3) the last left image, rectified: faces lie in it. None before the first.

    Raises
    ------
    UserError
        When a file is missing or unfit.
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
        self._search = FaceSearch(self._detector, config.search)
        self._embedder = embedder or make_face_embedder(config.embedder)
        self.embedding_size = self._embedder.size
        self._rectifiers = rectifiers_of(camera, calibrations)
        self.calibration_problems = tuple(
            f'{side} camera: {rectifier.problem}'
            for side, rectifier in zip(('left', 'right'), self._rectifiers)
            if rectifier.problem
        )
        self._matcher: StereoMatcher | None = None
        if camera.baseline > 0:
            face_width_m = config.triangulation.face_width_m
            self._matcher = StereoMatcher(config.matching, camera, face_width_m)
        self.scale = FaceScale(camera, config.triangulation.face_width_m)
        self._turn = 0  # of the face that is described next
        self._without_faces = 0  # images in a row
        self._pairs = 0  # left images that came with a right one
        self._disparities = 0  # faces that were matched in the right image
        self.left_image: np.ndarray | None = None
        self.times_ms: dict[str, float] = {}
        self.counters = dict.fromkeys(COUNTED, 0)

    @property
    def whole_images(self) -> int:
        """How many images were looked at as a whole."""
        return self._search.whole_images

    @property
    def disparity_problem(self) -> str:
        """A sentence when two cameras have given (next to) no face a disparity, else ''."""
        faces = self.counters['faces']
        wanted = LEAST_DISPARITIES * faces
        if self._matcher is None or faces < FEW_FACES or self._disparities >= wanted:
            return ''
        cause = 'left and right swapped? baseline? right images of another head, or not rectified?'
        if not self._pairs:
            cause = 'the head has two cameras, the right video is missing'
        return (
            f'{self._disparities} of {faces} faces had a disparity, the others are as far '
            f'away as their size says: {cause}'
        )

    def warm_up(self) -> None:
        """Look at an empty pattern: a network's first image takes ten times as long as others."""
        pattern = np.zeros((self._camera.height, self._camera.width, 3), np.uint8)
        pattern[::2] = 128
        self._search.warm_up(pattern)
        self._embedder.embed(pattern, ALIGNED_LANDMARKS[None])

    def process(
        self,
        stamp_ns: int,
        left_bgr: np.ndarray,
        right_bgr: np.ndarray | None,
        hurry: bool = False,
    ) -> VisualFeatures:
        """Find, locate and describe the faces of an image pair.

        Parameters
        ----------
        stamp_ns
            [ns] of the left image, and of what is returned.
        left_bgr, right_bgr
            (height, width, 3) uint8 BGR, or gray; right_bgr: None with one camera.
        hurry
            Others wait: what can be left to a later image is.

        Raises
        ------
        BadImage
            For images that are empty, of another size than the camera's, not 8-bit, not finite,
            constant or white all over.
        """
        clock = StageClock()
        self.left_image = left = self._prepare(left_bgr, 'left')
        right = self._prepare_right(right_bgr)
        clock.lap('preparation')
        detections = self._usable(self._search.detect(left, hurry))
        self._watch_orientation(left, len(detections))
        clock.lap('detection')
        matches = self._match(left, right, detections.boxes)
        clock.lap('matching')
        embeddings, appearances = self._descriptions(left, detections, matches, hurry)
        clock.lap('description')
        features = self._features(stamp_ns, detections, matches, embeddings, appearances)
        self._count(left, right, detections.boxes, matches)
        clock.lap('positions')
        self.times_ms = clock.times_ms
        return features

    def _prepare(self, image: np.ndarray, side: str) -> np.ndarray:
        """Check and rectify an image."""
        return self._rectifiers[side == 'right'].rectify(checked_image(image, self._camera, side))

    def _prepare_right(self, image: np.ndarray | None) -> np.ndarray | None:
        """Check and rectify the right image; None where there is none or one camera is used."""
        if image is None or self._matcher is None:
            return None
        return self._prepare(image, 'right')

    def _usable(self, detections: FaceDetections) -> FaceDetections:
        """Keep the best that are finite, large enough, centered in the image and upright."""
        boxes = detections.boxes
        landmarks = detections.landmarks
        center = centers(boxes)
        image_size = np.array([self._camera.width, self._camera.height])
        inside = np.all((center >= 0) & (center < image_size), axis=1)
        sizes = boxes[:, 2:]
        large = np.all((sizes >= MIN_FACE_PX) & (sizes <= 2 * image_size), axis=1)
        good = inside & large & np.isfinite(landmarks).all(axis=(1, 2))
        mouth_row = landmarks[:, 3:, 1].mean(axis=1)
        eyes_row = landmarks[:, :2, 1].mean(axis=1)
        upright = mouth_row > eyes_row
        self.counters['upside_down'] += int((good & ~upright).sum())
        usable = np.nonzero(good & upright)[0]
        self.counters['too_many'] += max(0, len(usable) - self._config.max_faces)
        return chosen(detections, usable[: self._config.max_faces])

    def _watch_orientation(self, image: np.ndarray, num_faces: int) -> None:
        """While there are no faces, look now and then whether a turned image would show some."""
        self._without_faces = 0 if num_faces else self._without_faces + 1
        if self._without_faces % TURNED_EVERY == 1:
            turned = self._detector.detect(cv2.rotate(image, cv2.ROTATE_180))
            if len(turned) and turned.scores.max() >= TURNED_SCORE:
                self.counters['upside_down'] += 1

    def _descriptions(
        self, left: np.ndarray, detections: FaceDetections, matches: list[FaceMatch], hurry: bool
    ) -> tuple[list[np.ndarray], np.ndarray]:
        """Describe faces and people; in a hurry nobody is described."""
        if hurry:
            return [np.zeros(0)] * len(detections), np.zeros((len(detections), 0))
        return self._describe(left, detections), self._appearances(left, detections, matches)

    def _describe(self, image: np.ndarray, detections: FaceDetections) -> list[np.ndarray]:
        """Give each face an embedding or (0,).

        The faces that are large and whole enough take turns, from left to right.
        """
        config = self._config.embedder
        embeddings = [np.zeros(0)] * len(detections)
        if not self.embedding_size or self.counters['images'] % config.every:
            return embeddings
        boxes = detections.boxes
        fit = [
            k
            for k in np.argsort(boxes[:, 0], kind='stable')
            if boxes[k, 2] >= config.min_face_px and not is_cut_off(boxes[k], self._camera)
        ]
        if fit:
            chosen = fit[self._turn % len(fit)]
            landmarks = detections.landmarks[chosen : chosen + 1]
            embeddings[chosen] = self._embedder.embed(image, landmarks)[0]
            self._turn += 1
        return embeddings

    def _appearances(
        self, image: np.ndarray, detections: FaceDetections, matches: list[FaceMatch]
    ) -> np.ndarray:
        """Describe clothes and hair: (N, A), or (N, 0) for images in which nobody is described."""
        config = self._config.appearance
        if not config.enabled or not len(detections) or self.counters['images'] % config.every:
            return np.zeros((len(detections), 0))
        camera = self._camera
        # Only a face of its own depth tells how large the head is.
        disparities = [
            np.nan if match.disparity is None or match.covered else match.disparity.disparity
            for match in matches
        ]
        depths = camera.focal[0] * camera.baseline / np.array(disparities)
        return describe_people(image, detections.boxes, depths, camera.focal[0])

    def _match(
        self, left: np.ndarray, right: np.ndarray | None, boxes: np.ndarray
    ) -> list[FaceMatch]:
        """Measure the disparity of each box, and how much of the face is covered."""
        if len(boxes) == 0:
            return []
        if self._matcher is None or right is None:
            return [FaceMatch(None, covered) for covered in covered_shares(boxes)]
        left_gray, right_gray = gray_rows((left, right), boxes)
        return self._matcher.match_all(left_gray, right_gray, boxes)

    def _features(
        self,
        stamp_ns: int,
        detections: FaceDetections,
        matches: list[FaceMatch],
        embeddings: list[np.ndarray],
        appearances: np.ndarray,
    ) -> VisualFeatures:
        noise = self._detector.box_noise
        covered = np.array([match.covered for match in matches])
        center_stds = noise.center_stds(detections.boxes, detections.input_scales, covered)
        faces = tuple(
            self._face(
                detections,
                index,
                center_stds[index],
                matches[index],
                embeddings[index],
                appearances[index],
            )
            for index in range(len(detections))
        )
        return VisualFeatures(stamp_ns, faces)

    def _face(
        self,
        detections: FaceDetections,
        index: int,
        center_std_px: np.ndarray,
        match: FaceMatch,
        embedding: np.ndarray,
        appearance: np.ndarray,
    ) -> Face:
        box = detections.boxes[index]
        landmarks = detections.landmarks[index]
        position, covariance = locate_head(
            box,
            landmarks,
            match.disparity,
            self._camera,
            self._config.triangulation,
            center_std_px,
            self._detector.box_noise.size_factor,
            match.covered,
        )
        score = float(detections.scores[index])
        return Face(box, score, landmarks, position, covariance, embedding, appearance)

    def _count(
        self,
        left: np.ndarray,
        right: np.ndarray | None,
        boxes: np.ndarray,
        matches: list[FaceMatch],
    ) -> None:
        """Count an image and its faces, each of which has a match."""
        self.scale.note(boxes, matches)
        self.counters['images'] += 1
        self.counters['over_exposed'] += is_over_exposed(left)
        self.counters['noise'] += is_noise(left)
        self.counters['faces'] += len(matches)
        without = sum(match.disparity is None for match in matches)
        self._disparities += len(matches) - without
        if right is not None:
            self._pairs += 1
            self.counters['without_disparity'] += without


def gray_rows(images: Sequence[np.ndarray], boxes: np.ndarray) -> list[np.ndarray]:
    """Make images gray in the rows of some boxes.

    Parameters
    ----------
    images
        (height, width, 3) uint8 BGR.
    boxes
        (N, 4) left, top, width and height [px], N at least 1.

    Returns
    -------
    list of np.ndarray
        (height, width) uint8 each, 0 in rows that are ROW_MARGIN or more away from all boxes.
    """
    height = images[0].shape[0]
    first = int(np.clip(boxes[:, 1].min() - ROW_MARGIN, 0, height - 1))
    last = int(np.clip(far_corners(boxes)[:, 1].max() + ROW_MARGIN, first + 1, height))
    grays = []
    for image in images:
        gray = np.zeros(image.shape[:2], np.uint8)
        gray[first:last] = cv2.cvtColor(image[first:last], cv2.COLOR_BGR2GRAY)
        grays.append(gray)
    return grays
