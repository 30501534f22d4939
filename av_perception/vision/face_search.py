# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Where faces are looked for in a stream of images: everywhere now and then, else around them.

A network's time is proportional to the area that it looks at. So it sees the whole image every few
images only; in those between, one small crop around each face that was known, all in one batch.
The whole image is looked at at once

- where a crop shows the face that it was cut for no more: the person turned, hid or walked on;
- where the image changed as a whole: a head that turned, a light, another scene;
- where there are so many faces that the crops would take longer.

A crop gives every face that lies well inside it, so who comes out from behind somebody is found
there; of faces that two crops share, one stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from av_perception.geometry.boxes import box_overlap, centers, far_corners, suppress_overlaps
from av_perception.vision.face_decoding import FaceDetections

CROP_WIDTH = 2.2  # of a crop, in lengths of the longer side of its face
LEAST_CROP_SCALE = 1.0  # pixels of the image per pixel of a crop: enlarging shows nothing new
CROP_BORDER = 0.02  # of a crop's width: what reaches into it is cut off
CROP_COST = 2.0  # time of a pixel of a crop over that of a pixel of the whole image
SAME_FACE = 0.3  # intersection over union of a face with itself in the next image
SURE_SCORE = 0.5  # a face that scored less may vanish without being looked for
CHANGED = 12.0  # [gray levels] mean change of the image since it was looked at as a whole
SPARSE = 20  # [px] between those pixels that tell it


@dataclass(frozen=True)
class FaceSearchConfig:
    """How often the whole image is looked at."""

    #: Images from one look for faces at the whole image to the next, at least 1 (each image). In
    #: those between only crops around the known faces are looked at, which takes a quarter of the
    #: time; a newcomer is found so many images later at most. CenterFace alone looks at crops.
    every: int = 5

    def __post_init__(self):
        if self.every < 1:
            raise ValueError(f'every must be at least 1, not {self.every}')


class Detector(Protocol):
    """What finds faces in an image; see `face_detector.FaceDetector`."""

    noise_factor: float

    def detect(self, image_bgr: np.ndarray) -> FaceDetections:
        """Find the faces of a (height, width, 3) uint8 BGR image, best score first."""


class CropDetector(Detector, Protocol):
    """A detector that looks at crops as well.

    Attributes
    ----------
    crop_size
        Side of the square that a crop is scaled to [px].
    input_area
        That of the network for the whole image [px^2].
    overlap_threshold
        Intersection over union above which the weaker of two faces goes.
    """

    crop_size: int
    input_area: int
    overlap_threshold: float

    def detect_in(self, image_bgr: np.ndarray, windows: np.ndarray) -> list[FaceDetections]:
        """Find the faces in square windows (N, 4) of an image, in pixels of the image."""


class FaceSearch:
    """Finds the faces of one image after the other.

    Parameters
    ----------
    detector
        Finds them; crops are looked at where it can (`CropDetector`).
    config
        How often the whole image is looked at.

    Attributes
    ----------
    whole_images
        How many images were looked at as a whole.
    """

    def __init__(self, detector: Detector, config: FaceSearchConfig):
        self._detector = detector
        self._every = config.every if hasattr(detector, 'detect_in') else 1
        self._known = np.zeros((0, 4))  # boxes of the image before
        self._sure = np.zeros(0, bool)  # those of them that may not vanish unnoticed
        self._since_whole = 0  # images since the whole one was looked at
        self._sparse: np.ndarray | None = None  # pixels of that image
        self.whole_images = 0

    def detect(self, image_bgr: np.ndarray) -> FaceDetections:
        """Find the faces of the next (height, width, 3) uint8 BGR image, best score first."""
        found = None
        if not self._is_whole_due(image_bgr):
            found = self._look_again(self._detector, image_bgr)
        if found is None:
            found = self._look_everywhere(image_bgr)
        usable = np.isfinite(found.boxes).all(axis=1)  # a damaged network says anything
        self._known = found.boxes[usable]
        self._sure = found.scores[usable] >= SURE_SCORE
        return found

    def _is_whole_due(self, image: np.ndarray) -> bool:
        """Tell whether the whole image has to be looked at, whatever the crops show."""
        self._since_whole += 1
        if self._every == 1 or self._sparse is None or self._since_whole >= self._every:
            return True
        sparse = _sparse_pixels(image)
        if sparse.shape != self._sparse.shape:
            return True
        return bool(np.abs(sparse - self._sparse).mean() > CHANGED)

    def _look_everywhere(self, image: np.ndarray) -> FaceDetections:
        self._since_whole = 0
        self.whole_images += 1
        if self._every > 1:
            self._sparse = _sparse_pixels(image)
        return self._detector.detect(image)

    def _look_again(self, detector: CropDetector, image: np.ndarray) -> FaceDetections | None:
        """Find the known faces in crops; None where one is missing, or crops would not pay."""
        num_crops = len(self._known)
        if CROP_COST * num_crops * detector.crop_size**2 > detector.input_area:
            return None
        if not num_crops:
            return nothing_found()
        size = np.array(image.shape[1::-1])
        windows = crop_windows(self._known, size, detector.crop_size)
        in_crops = [
            _inside(faces, window, size)
            for faces, window in zip(detector.detect_in(image, windows), windows)
        ]
        found = merged(in_crops, detector.overlap_threshold)
        return found if _all_continue(self._known[self._sure], found.boxes) else None


def nothing_found() -> FaceDetections:
    """Make the faces of an image without any."""
    return FaceDetections(np.zeros((0, 4)), np.zeros(0), np.zeros((0, 5, 2)), np.zeros(0))


def crop_windows(boxes: np.ndarray, image_size: np.ndarray, crop_size: int) -> np.ndarray:
    """Lay a square window around each face, inside the image.

    Parameters
    ----------
    boxes
        (N, 4) of the faces [px].
    image_size
        (2,) width and height [px].
    crop_size
        [px] of the network's input: windows are no smaller.

    Returns
    -------
    np.ndarray
        (N, 4) int left, top, width and height [px].
    """
    sides = CROP_WIDTH * boxes[:, 2:].max(axis=1)
    sides = np.clip(sides, LEAST_CROP_SCALE * crop_size, image_size.min())
    corners = centers(boxes) - sides[:, None] / 2
    corners = np.clip(corners, 0, image_size - sides[:, None])
    windows = np.concatenate([corners, sides[:, None], sides[:, None]], axis=1)
    return np.floor(windows).astype(int)


def merged(in_crops: list[FaceDetections], most_overlap: float) -> FaceDetections:
    """Put the faces of several crops together; one that two of them show is one face.

    Parameters
    ----------
    in_crops
        Faces of each crop, in pixels of the image.
    most_overlap
        Intersection over union above which the weaker of two goes.
    """
    boxes = np.concatenate([faces.boxes for faces in in_crops])
    scores = np.concatenate([faces.scores for faces in in_crops])
    landmarks = np.concatenate([faces.landmarks for faces in in_crops])
    scales = np.concatenate([faces.input_scales for faces in in_crops])
    keep = suppress_overlaps(boxes, scores, 0.0, most_overlap)
    return FaceDetections(boxes[keep], scores[keep], landmarks[keep], scales[keep])


def _inside(faces: FaceDetections, window: np.ndarray, image_size: np.ndarray) -> FaceDetections:
    """Leave out the faces that the window (4,) cuts off; those that the image cuts off stay."""
    border = CROP_BORDER * window[2]
    low = np.where(window[:2] <= 0, -np.inf, window[:2] + border)
    ends = window[:2] + window[2:]
    high = np.where(ends >= image_size, np.inf, ends - border)
    whole = (faces.boxes[:, :2] >= low) & (far_corners(faces.boxes) <= high)
    keep = whole.all(axis=1)
    return FaceDetections(
        faces.boxes[keep], faces.scores[keep], faces.landmarks[keep], faces.input_scales[keep]
    )


def _all_continue(known: np.ndarray, found: np.ndarray) -> bool:
    """Tell whether every known box (K, 4) goes on in a found one (N, 4) of its own."""
    if not len(known):
        return True
    if len(found) < len(known):
        return False
    overlap = box_overlap(known, found)
    best = overlap.argmax(axis=1)
    return bool((overlap.max(axis=1) >= SAME_FACE).all()) and len(set(best)) == len(known)


def _sparse_pixels(image: np.ndarray) -> np.ndarray:
    """Few pixels of an image, as numbers that can be subtracted."""
    return image[SPARSE // 2 :: SPARSE, SPARSE // 2 :: SPARSE].astype(np.int16)
