"""From an image pair to faces in space: check, detect, match, triangulate, describe."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

from av_perception.data import Face, VisualFeatures
from av_perception.heads.profile import CameraGeometry
from av_perception.vision.face_detector import FaceDetections, FaceDetector, FaceDetectorConfig, make_face_detector
from av_perception.vision.face_embedding import FaceEmbedder, FaceEmbedderConfig, make_face_embedder
from av_perception.vision.stereo_matching import StereoMatchConfig, StereoMatcher
from av_perception.vision.triangulation import TriangulationConfig, locate_head

MIN_FACE_PX = 8.0  # a smaller box has neither a range nor a texture


class BadImage(ValueError):
    """An image that holds nothing to see: the message says which and why. The next image may be good."""


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

    counters: 'images', 'faces', and 'without_disparity', the faces of pairs whose range had to come from their size.
    Raises UserError when a model file is missing. detector, embedder: given by tests, else made from the configuration.
    """

    def __init__(self, config: VisualFrontEndConfig, camera: CameraGeometry, detector: FaceDetector | None = None,
                 embedder: FaceEmbedder | None = None):
        self._config = config
        self._camera = camera
        self._detector = detector or make_face_detector(config.detector)
        self._embedder = embedder or make_face_embedder(config.embedder)
        stereo = camera.baseline > 0
        self._matcher = StereoMatcher(config.matching, camera, config.triangulation.face_width_m) if stereo else None
        self.counters = {'images': 0, 'faces': 0, 'without_disparity': 0}

    def warm_up(self) -> None:
        """Look at an empty pattern: the first image through a network takes ten times as long as the others."""
        pattern = np.zeros((self._camera.height, self._camera.width, 3), np.uint8)
        pattern[::2] = 128
        self._detector.detect(pattern)

    def process(self, stamp_ns: int, left_bgr: np.ndarray, right_bgr: np.ndarray | None) -> VisualFeatures:
        """Faces of a (height, width, 3) uint8 BGR pair; grey images are accepted; right_bgr: None with one camera.

        Raises BadImage for images that are empty, of another size than the camera's, not 8-bit, constant or not finite.
        """
        left = checked_image(left_bgr, self._camera, 'left')
        right = None if right_bgr is None or self._matcher is None else checked_image(right_bgr, self._camera, 'right')
        found = self._usable(self._detector.detect(left))
        matches = self._match(left, right, found.boxes)
        embeddings = self._embedder.embed(left, found.landmarks)
        faces = tuple(self._face(found, index, matches[index], embeddings[index]) for index in range(len(found)))
        self.counters['images'] += 1
        self.counters['faces'] += len(faces)
        self.counters['without_disparity'] += 0 if right is None else sum(match is None for match in matches)
        return VisualFeatures(stamp_ns, faces)

    def _usable(self, found: FaceDetections) -> FaceDetections:
        """The best detections that are finite, large enough and centred in the image."""
        center = found.boxes[:, :2] + found.boxes[:, 2:] / 2
        size = np.array([self._camera.width, self._camera.height])
        inside = np.all((center >= 0) & (center < size), axis=1)
        large = np.all((found.boxes[:, 2:] >= MIN_FACE_PX) & (found.boxes[:, 2:] <= 2 * size), axis=1)
        keep = np.nonzero(inside & large & np.isfinite(found.landmarks).all(axis=(1, 2)))[0][:self._config.max_faces]
        return FaceDetections(found.boxes[keep], found.scores[keep], found.landmarks[keep])

    def _match(self, left: np.ndarray, right: np.ndarray | None, boxes: np.ndarray) -> list:
        if right is None or len(boxes) == 0:
            return [None] * len(boxes)
        left_gray, right_gray = (cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) for image in (left, right))
        return [self._matcher.match(left_gray, right_gray, box) for box in boxes]

    def _face(self, found: FaceDetections, index: int, match, embedding: np.ndarray) -> Face:
        box = found.boxes[index]
        position, covariance = locate_head(box, match, self._camera, self._config.triangulation)
        return Face(box, float(found.scores[index]), found.landmarks[index], position, covariance, embedding)


def checked_image(image: np.ndarray, camera: CameraGeometry, side: str) -> np.ndarray:
    """The image as (height, width, 3) uint8 BGR; grey ones, (height, width) or (height, width, 1), are converted. Raises BadImage."""
    if not isinstance(image, np.ndarray) or image.size == 0:
        raise BadImage(f'the {side} image is empty')
    if image.dtype != np.uint8:
        finite = not np.issubdtype(image.dtype, np.inexact) or np.isfinite(image).all()
        raise BadImage(f'the {side} image ' + (f'is of type {image.dtype}, not uint8' if finite else 'is not finite'))
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 3)):
        raise BadImage(f'the {side} image has the shape {image.shape}, not (height, width, 3)')
    if image.shape[:2] != (camera.height, camera.width):
        size = f'{image.shape[1]}x{image.shape[0]}'
        raise BadImage(f"the {side} image has {size} pixels, the head profile's camera {camera.width}x{camera.height}")
    if image.min() == image.max():
        raise BadImage(f'the {side} image is constant: is the lens covered?')
    return image if image.ndim == 3 and image.shape[2] == 3 else cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
