# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Where faces are looked for in a stream of images: everywhere now and then, else around them.

A network's time is proportional to the area that it looks at. So it sees the whole image every few
images only, and coarsely; in those between, one small crop around each face that was known, all in
one batch. A crop shows a far face in all its pixels. So what the whole image shows weakly is a
face or none as a crop of the next image has it, and a far face that is known and that the whole
image does not show is looked for in a crop at once: far faces are found like near ones, a few
images later.

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
WEAK_SCORE = 0.08  # what scores less is not looked at again
MOST_WEAK = 3  # weak faces that are looked at again, the best of an image
SMALL_PX = 18.0  # pixels of the network's input: narrower faces are easily missed
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
    score_threshold
        Score below which there is no face.
    crop_size
        Side of the square that a crop is scaled to [px].
    input_size
        Width and height of the network's input for the whole image [px].
    overlap_threshold
        Intersection over union above which the weaker of two faces goes.
    """

    score_threshold: float
    crop_size: int
    input_size: tuple[int, int]
    overlap_threshold: float

    def detect(self, image_bgr: np.ndarray, least_score: float | None = None) -> FaceDetections:
        """Find the faces of an image; least_score: None for the threshold."""

    def detect_in(
        self, image_bgr: np.ndarray, windows: np.ndarray, least_score: float | None = None
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
        self._known = np.zeros((0, 4))  # boxes of the image before, those of weak faces last
        self._is_face = np.zeros(0, bool)  # those of them that are no weak ones
        self._is_sure = np.zeros(0, bool)  # those that may not vanish unnoticed
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
        if self._crops is None:
            self.whole_images += 1
            return self._detector.detect(image_bgr)
        if self._is_whole_due(image_bgr, PUT_OFF if hurry else 1) or not self._pays(self._crops):
            found = self._look_everywhere(self._crops, image_bgr)
        else:
            found = self._look_again(self._crops, image_bgr)
        return self._remembered(self._crops, found)

    def _is_whole_due(self, image: np.ndarray, put_off: int) -> bool:
        """Tell whether the whole image has to be looked at, whatever the crops show."""
        self._since_whole += 1
        if self._sparse is None or self._since_whole >= put_off * self._every:
            return True
        sparse = _sparse_pixels(image)
        if sparse.shape != self._sparse.shape:
            return True
        return bool(np.abs(sparse - self._sparse).mean() > CHANGED)

    def _pays(self, detector: CropDetector) -> bool:
        """Tell whether the known faces should be looked for in crops, or rather in the image."""
        faces = self._known[self._is_face]
        return len(faces) <= _most_crops(detector) and not are_near(faces)

    def _look_everywhere(self, detector: CropDetector, image: np.ndarray) -> FaceDetections:
        """Find faces and weak ones in the whole image, and known small ones in crops."""
        whole = self._look_at_whole(detector, image)
        faces = self._known[self._is_face]
        seen = whole.boxes[whole.scores >= detector.score_threshold]
        missed = box_overlap(faces, seen).max(axis=1, initial=0.0) < SAME_FACE
        missed &= _are_small(faces, detector, image)
        if not missed.any():
            return whole
        crops = _look_around(detector, image, faces[missed][: _most_crops(detector)])
        return merged(joined(whole, crops), detector.overlap_threshold)

    def _look_again(self, detector: CropDetector, image: np.ndarray) -> FaceDetections:
        """Find the known faces in crops; where one is missing, in the whole image as well."""
        if not len(self._known):
            return nothing_found()
        crops = _look_around(detector, image, self._known[: _most_crops(detector)])
        faces = crops.boxes[crops.scores >= detector.score_threshold]
        if _all_continue(self._known[self._is_sure], faces):
            return crops
        whole = self._look_at_whole(detector, image)
        small = chosen(crops, _are_small(crops.boxes, detector, image))
        return merged(joined(whole, small), detector.overlap_threshold)

    def _look_at_whole(self, detector: CropDetector, image: np.ndarray) -> FaceDetections:
        self._since_whole = 0
        self.whole_images += 1
        self._sparse = _sparse_pixels(image)
        return detector.detect(image, min(WEAK_SCORE, detector.score_threshold))

    def _remembered(self, detector: CropDetector, found: FaceDetections) -> FaceDetections:
        """Keep what the next image is searched for; returned are the faces, without weak ones."""
        is_face = found.scores >= detector.score_threshold
        usable = np.isfinite(found.boxes).all(axis=1)  # a damaged network says anything
        usable &= is_face | (np.cumsum(~is_face) <= MOST_WEAK)
        self._known = found.boxes[usable]
        self._is_face = is_face[usable]
        self._is_sure = self._is_face & (found.scores[usable] >= SURE_SCORE)
        return chosen(found, is_face)


def nothing_found() -> FaceDetections:
    """Make the faces of an image without any."""
    return FaceDetections(np.zeros((0, 4)), np.zeros(0), np.zeros((0, 5, 2)), np.zeros(0))


def joined(first: FaceDetections, second: FaceDetections) -> FaceDetections:
    """Put the faces of two looks together, one that both show is there twice."""
    return FaceDetections(
        np.concatenate([first.boxes, second.boxes]),
        np.concatenate([first.scores, second.scores]),
        np.concatenate([first.landmarks, second.landmarks]),
        np.concatenate([first.input_scales, second.input_scales]),
    )


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


def _look_around(detector: CropDetector, image: np.ndarray, known: np.ndarray) -> FaceDetections:
    """Find faces in crops around known boxes (N, 4), N at least 1; weak ones in these places."""
    size = np.array(image.shape[1::-1])
    windows = crop_windows(known, size, detector.crop_size)
    least_score = min(WEAK_SCORE, detector.score_threshold)
    faces, index = detector.detect_in(image, windows, least_score)
    keep = _lie_inside(faces.boxes, windows[index], size)
    goes_on = box_overlap(faces.boxes, known).max(axis=1) >= SAME_FACE
    keep &= goes_on | (faces.scores >= detector.score_threshold)
    found = merged(chosen(faces, keep), detector.overlap_threshold)
    # Boxes of small faces are no finer in a crop, though it shows the image finer.
    coarseness = np.maximum(found.input_scales, _input_scale(detector, image))
    return replace(found, input_scale=coarseness)


def _most_crops(detector: CropDetector) -> int:
    """How many crops take no longer than the whole image."""
    return int(np.prod(detector.input_size) / (CROP_COST * detector.crop_size**2))


def _are_small(boxes: np.ndarray, detector: CropDetector, image: np.ndarray) -> np.ndarray:
    """(N,) whether faces (N, 4) are so narrow that the whole image may not show them."""
    return boxes[:, 2] < SMALL_PX * _input_scale(detector, image)


def _input_scale(detector: CropDetector, image: np.ndarray) -> float:
    """Pixels of the image per pixel of the network's input for the whole image."""
    return float((np.array(image.shape[1::-1]) / detector.input_size).max())


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
