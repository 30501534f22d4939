# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Where faces are looked for in a stream of images: everywhere now and then, else around them.

A network's time is proportional to the area that it looks at. So it sees the whole image every few
images only; in those between, one small crop around each face that was known, all in one batch.
The whole image is looked at at once

- where a crop shows the face that it was cut for no more: the person turned, hid or walked on;
- where the image changed as a whole: a head that turned, a light, another scene;
- where one face is about to cover another: what remains of it is judged in the whole image;
- where there are so many faces that the crops would take longer.

A crop gives every face that lies well inside it, so who comes out from behind somebody is found
there; of faces that two crops share, one stays.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol, cast

import numpy as np

from av_perception.geometry.boxes import (
    box_overlap,
    centers,
    far_corners,
    intersections,
    suppress_overlaps,
)
from av_perception.vision.face_decoding import FaceDetections

CROP_WIDTH = 2.2  # of a crop, in lengths of the longer side of its face
LEAST_CROP_SCALE = 1.0  # pixels of the image per pixel of a crop: enlarging shows nothing new
CROP_BORDER = 0.02  # of a crop's width: what reaches into it is cut off
CROP_COST = 2.0  # time of a pixel of a crop over that of a pixel of the whole image
NEAR = 0.5  # widths of a face around it: another one that reaches there may be covered
SAME_FACE = 0.3  # intersection over union of a face with itself in the next image
SURE_SCORE = 0.5  # a face that scored less may vanish without being looked for
CHANGED = 12.0  # [gray levels] mean change of the image since it was looked at as a whole
PUT_OFF = 3  # times as many images between two whole ones, for a computer that is behind
WARMED_UP = (1, 2, 3, 4)  # crops at a time that the network knows from the start
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
    input_size
        Width and height of the network's input for the whole image [px].
    overlap_threshold
        Intersection over union above which the weaker of two faces goes.
    """

    crop_size: int
    input_size: tuple[int, int]
    overlap_threshold: float

    def detect_in(
        self, image_bgr: np.ndarray, windows: np.ndarray
    ) -> tuple[FaceDetections, np.ndarray]:
        """Find the faces (M) in square windows (N, 4) of an image, and the window (M,) of each."""


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
        self._crops: CropDetector | None = None
        if config.every > 1 and hasattr(detector, 'detect_in'):
            self._crops = cast(CropDetector, detector)
        self._every = config.every
        self._known = np.zeros((0, 4))  # boxes of the image before
        self._sure = np.zeros(0, bool)  # those of them that may not vanish unnoticed
        self._since_whole = 0  # images since the whole one was looked at
        self._sparse: np.ndarray | None = None  # pixels of that image
        self.whole_images = 0

    def warm_up(self, image_bgr: np.ndarray) -> None:
        """Run the networks on an image of no interest: the first time takes ten times as long."""
        self._detector.detect(image_bgr)
        if self._crops is not None:
            size = np.array(image_bgr.shape[1::-1])
            for count in WARMED_UP:
                boxes = np.tile([0.0, 0.0, 1.0, 1.0], (count, 1))
                windows = crop_windows(boxes, size, self._crops.crop_size)
                self._crops.detect_in(image_bgr, windows)

    def detect(self, image_bgr: np.ndarray, hurry: bool = False) -> FaceDetections:
        """Find the faces of the next image.

        Parameters
        ----------
        image_bgr
            (height, width, 3) uint8.
        hurry
            Others wait: a look at the whole image that is due only by count is put off.

        Returns
        -------
        FaceDetections
            Best score first.
        """
        found = None
        if self._crops and not self._is_whole_due(image_bgr, PUT_OFF if hurry else 1):
            found = self._look_again(self._crops, image_bgr)
        if found is None:
            found = self._look_everywhere(image_bgr)
        usable = np.isfinite(found.boxes).all(axis=1)  # a damaged network says anything
        self._known = found.boxes[usable]
        self._sure = found.scores[usable] >= SURE_SCORE
        return found

    def _is_whole_due(self, image: np.ndarray, put_off: int) -> bool:
        """Tell whether the whole image has to be looked at, whatever the crops show."""
        self._since_whole += 1
        if self._sparse is None or self._since_whole >= put_off * self._every:
            return True
        sparse = _sparse_pixels(image)
        if sparse.shape != self._sparse.shape:
            return True
        return bool(np.abs(sparse - self._sparse).mean() > CHANGED)

    def _look_everywhere(self, image: np.ndarray) -> FaceDetections:
        self._since_whole = 0
        self.whole_images += 1
        if self._crops:
            self._sparse = _sparse_pixels(image)
        return self._detector.detect(image)

    def _look_again(self, detector: CropDetector, image: np.ndarray) -> FaceDetections | None:
        """Find the known faces in crops; None where one is missing, or crops would not pay."""
        known = self._known
        if not len(known):
            return nothing_found()
        crop_area = CROP_COST * len(known) * detector.crop_size**2
        if crop_area > np.prod(detector.input_size) or are_near(known):
            return None
        size = np.array(image.shape[1::-1])
        windows = crop_windows(known, size, detector.crop_size)
        faces, index = detector.detect_in(image, windows)
        found = chosen(faces, _lie_inside(faces.boxes, windows[index], size))
        found = merged(found, detector.overlap_threshold)
        if not _all_continue(known[self._sure], found.boxes):
            return None
        # Boxes of small faces are no finer in a crop, though it shows the image finer.
        coarseness = np.maximum(found.input_scales, (size / detector.input_size).max())
        return replace(found, input_scale=coarseness)


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


def are_near(boxes: np.ndarray) -> bool:
    """Whether one of the faces (N, 4) [px] covers another, or soon may."""
    grown = boxes.copy()
    margin = NEAR * boxes[:, 2:3]
    grown[:, :2] -= margin
    grown[:, 2:] += 2 * margin
    return bool((intersections(boxes, grown) > 0).sum() > len(boxes))  # each is near itself


def chosen(faces: FaceDetections, keep: np.ndarray) -> FaceDetections:
    """Take some of the faces; keep: a mask or indices."""
    return FaceDetections(
        faces.boxes[keep], faces.scores[keep], faces.landmarks[keep], faces.input_scales[keep]
    )


def merged(faces: FaceDetections, most_overlap: float) -> FaceDetections:
    """Make one face of one that several crops show.

    Parameters
    ----------
    faces
        Of all crops, in pixels of the image.
    most_overlap
        Intersection over union above which the weaker of two goes.
    """
    return chosen(faces, suppress_overlaps(faces.boxes, faces.scores, 0.0, most_overlap))


def _lie_inside(boxes: np.ndarray, windows: np.ndarray, image_size: np.ndarray) -> np.ndarray:
    """(M,) whether boxes (M, 4) are not cut off by their windows (M, 4).

    Those that the image cuts off are whole enough.
    """
    border = CROP_BORDER * windows[:, 2:3]
    low = np.where(windows[:, :2] <= 0, -np.inf, windows[:, :2] + border)
    ends = far_corners(windows)
    high = np.where(ends >= image_size, np.inf, ends - border)
    whole = (boxes[:, :2] >= low) & (far_corners(boxes) <= high)
    return np.all(whole, axis=1)


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
