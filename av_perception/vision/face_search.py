# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Where faces are looked for in a stream of images: everywhere now and then, else around them.

A network's time is proportional to the area that it looks at. So it sees the whole image every few
images only, and coarsely; in those between, one small crop around each face that was known, all in
one batch. A crop shows a far face in all its pixels. So what the whole image shows weakly is a
face or none as a crop of the next image has it, and a far face that is known and that the whole
image does not show is looked for in a crop at once: far faces are found like near ones, a few
images later.

It is looked at later, but not for ever, while it changes where the known people are alone, for
then nobody has come, and while other images wait. The whole image is looked at at once

- where a crop shows the face that it was cut for no more: the person turned, hid or walked on;
- where the image changed as a whole: a head that turned, a light, another scene;
- where there are so many faces that the crops would take longer.

Where one face is about to cover another, both are looked for in one larger part of the image: what
remains of the farther one is judged with all that is around it.

A crop gives every face that lies well inside it, so who comes out from behind somebody is found
there; of faces that two crops share, one stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, cast

import numpy as np

from av_perception.geometry.boxes import box_overlap, suppress_overlaps
from av_perception.vision.box_noise import BoxNoise
from av_perception.vision.face_decoding import FaceDetections
from av_perception.vision.face_windows import (
    Part,
    crop_windows,
    lie_inside,
    near_groups,
    part_around,
    people_windows,
)
from av_perception.vision.image_change import ImageChange

CROP_COST = 2.0  # time of a pixel of a crop over that of a pixel of the whole image
PART_COST = 1.3  # the same of a part
SAME_FACE = 0.3  # intersection over union of a face with itself in the next image
SURE_SCORE = 0.5  # a face that scored less may vanish without being looked for
DOUBTFUL = 0.9  # times the threshold: score of what is a face only once it is a sure one
PROPOSED_SCORE = 0.05  # what scores less in the whole image is not looked at again
WEAK_SCORE = 0.2  # the same in a crop, which shows every face better than that
MOST_WEAK = 3  # weak faces that are looked at again, the best of an image
SMALL_PX = 18.0  # pixels of the network's input: narrower faces are easily missed
LONGEST = 3  # times `every` images between two whole ones, where nothing is new or others wait
WARMED_UP = (1, 2, 3, 4)  # crops at a time that the network knows from the start


@dataclass(frozen=True)
class FaceSearchConfig:
    """How often the whole image is looked at."""

    #: Images from one look for faces at the whole image to the next, at least 1 (each image);
    #: three times as many while it changes where the known people are alone. In those between only
    #: crops around the known faces are looked at, which takes a quarter of the time; a newcomer is
    #: found so many images later at most. CenterFace alone looks at crops.
    every: int = 5

    def __post_init__(self):
        if self.every < 1:
            raise ValueError(f'every must be at least 1, not {self.every}')


class Detector(Protocol):
    """What finds faces in an image; see `face_detector.FaceDetector`."""

    box_noise: BoxNoise

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

    def detect_part(
        self, image_bgr: np.ndarray, part: Part, least_score: float | None = None
    ) -> FaceDetections:
        """Find the faces in a part of an image."""


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
        self._change = ImageChange()  # since then
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
            self._crops.detect_part(
                image_bgr, part_around(boxes, size, self._crops.crop_size, 1.0)
            )

    def detect(self, image_bgr: np.ndarray, hurry: bool = False) -> FaceDetections:
        """Find the faces of the next image.

        Parameters
        ----------
        image_bgr
            (height, width, 3) uint8.
        hurry
            Others wait: a look at the whole image for newcomers is put off.

        Returns
        -------
        FaceDetections
            Best score first.
        """
        if self._crops is None:
            self.whole_images += 1
            return self._detector.detect(image_bgr)
        size = np.array(image_bgr.shape[1::-1])
        plan = _Plan.of(self._known, self._is_face, self._crops, size)
        due = self._is_whole_due(image_bgr, hurry)
        if due or plan.cost > np.prod(self._crops.input_size):
            found = self._look_everywhere(self._crops, image_bgr)
        else:
            found = self._look_again(self._crops, image_bgr, plan)
        return self._remembered(self._crops, found)

    def _is_whole_due(self, image: np.ndarray, hurry: bool) -> bool:
        """Tell whether the whole image has to be looked at, whatever the crops show."""
        self._since_whole += 1
        if self._since_whole >= LONGEST * self._every or self._change.is_other(image):
            return True
        if hurry or self._since_whole < self._every:
            return False
        size = np.array(image.shape[1::-1])
        people = people_windows(self._known[self._is_face], size)
        return self._change.is_new_beside(image, people)

    def _look_everywhere(self, detector: CropDetector, image: np.ndarray) -> FaceDetections:
        """Find faces and weak ones in the whole image, and in crops the known that it misses."""
        weak_are_new = self._since_whole == 1  # those of the image before were not judged yet
        whole = self._look_at_whole(detector, image)
        seen = whole.boxes[whole.scores >= detector.score_threshold]
        again = box_overlap(self._known, seen).max(axis=1, initial=0.0) < SAME_FACE
        small = _are_small(self._known, detector, np.array(image.shape[1::-1]))
        again &= np.where(self._is_face, small, weak_are_new)
        if not again.any():
            return whole
        crops = self._look_around(detector, image, self._known[again][: _most_crops(detector)])
        return merged([whole, crops], detector.overlap_threshold)

    def _look_again(
        self, detector: CropDetector, image: np.ndarray, plan: _Plan
    ) -> FaceDetections:
        """Find the known faces around them; where one is missing, in the whole image as well."""
        looks = [self._look_at_part(detector, image, part) for part in plan.parts]
        if len(plan.alone):
            looks.append(self._look_around(detector, image, plan.alone))
        if not looks:
            return nothing_found()
        around = merged(looks, detector.overlap_threshold)
        faces = around.boxes[around.scores >= detector.score_threshold]
        if _all_continue(self._known[self._is_sure], faces):
            return around
        whole = self._look_at_whole(detector, image)
        size = np.array(image.shape[1::-1])
        small = chosen(around, _are_small(around.boxes, detector, size))
        return merged([whole, small], detector.overlap_threshold)

    def _look_around(
        self, detector: CropDetector, image: np.ndarray, boxes: np.ndarray
    ) -> FaceDetections:
        """Find faces in crops around boxes (N, 4), N at least 1, and weak ones in their places."""
        size = np.array(image.shape[1::-1])
        windows = crop_windows(boxes, size, detector.crop_size)
        least_score = min(WEAK_SCORE, detector.score_threshold)
        faces, index = detector.detect_in(image, windows, least_score)
        clear = self._clear_ones(detector, faces, windows[index], size)
        return merged([clear], detector.overlap_threshold)

    def _look_at_part(
        self, detector: CropDetector, image: np.ndarray, part: Part
    ) -> FaceDetections:
        """Find faces in a part of the image, and weak ones where a known box is."""
        least_score = min(WEAK_SCORE, detector.score_threshold)
        faces = detector.detect_part(image, part, least_score)
        windows = np.broadcast_to(part.window, (len(faces), 4))
        return self._clear_ones(detector, faces, windows, np.array(image.shape[1::-1]))

    def _clear_ones(
        self,
        detector: CropDetector,
        faces: FaceDetections,
        windows: np.ndarray,
        size: np.ndarray,
    ) -> FaceDetections:
        """Leave out what is cut off by its window (M, 4), and weak ones where no known box is.

        A small face that is new has to be a sure one, otherwise it is a weak one: with few pixels
        many things look like faces. size: (2,) width and height of the image [px].
        """
        threshold = detector.score_threshold
        boxes = faces.boxes
        is_known = box_overlap(boxes, self._known).max(axis=1, initial=0.0) >= SAME_FACE
        known_faces = self._known[self._is_face]
        is_new = box_overlap(boxes, known_faces).max(axis=1, initial=0.0) < SAME_FACE
        doubtful = is_new & _are_small(boxes, detector, size)
        doubtful &= faces.scores < max(SURE_SCORE, threshold)
        scores = np.where(doubtful, np.minimum(faces.scores, DOUBTFUL * threshold), faces.scores)
        clear = is_known | (scores >= threshold)
        weighed = replace(faces, scores=scores)
        return chosen(weighed, clear & lie_inside(boxes, windows, size))

    def _look_at_whole(self, detector: CropDetector, image: np.ndarray) -> FaceDetections:
        self._since_whole = 0
        self.whole_images += 1
        self._change.keep(image)
        return detector.detect(image, min(PROPOSED_SCORE, detector.score_threshold))

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


def chosen(faces: FaceDetections, keep: np.ndarray) -> FaceDetections:
    """Take some of the faces; keep: a mask or indices."""
    return FaceDetections(
        faces.boxes[keep], faces.scores[keep], faces.landmarks[keep], faces.input_scales[keep]
    )


def merged(looks: Sequence[FaceDetections], most_overlap: float) -> FaceDetections:
    """Make one face of one that several looks show.

    Parameters
    ----------
    looks
        At least one, in pixels of the image; each may show a face several times.
    most_overlap
        Intersection over union above which the weaker of two goes.
    """
    faces = FaceDetections(
        np.concatenate([look.boxes for look in looks]),
        np.concatenate([look.scores for look in looks]),
        np.concatenate([look.landmarks for look in looks]),
        np.concatenate([look.input_scales for look in looks]),
    )
    return chosen(faces, suppress_overlaps(faces.boxes, faces.scores, 0.0, most_overlap))


@dataclass(frozen=True)
class _Plan:
    """Where known faces are looked for in the next image.

    alone: (N, 4) boxes that get a crop each; parts: those around faces near each other; cost: time
    of both, in pixels of the network's input for the whole image.
    """

    alone: np.ndarray
    parts: list[Part]
    cost: float

    @classmethod
    def of(
        cls, known: np.ndarray, is_face: np.ndarray, detector: CropDetector, size: np.ndarray
    ) -> _Plan:
        """Plan for boxes (N, 4) of which some (N,) are faces, others weak, in images of a size."""
        faces = known[is_face]
        group = near_groups(faces)
        firsts, counts = np.unique(group, return_counts=True)
        parts = []
        for first in firsts[counts > 1]:
            together = faces[group == first]
            coarse = _input_scale(detector, size)
            # Small ones in all their pixels, others as in the whole image.
            scale = 1.0 if together[:, 2].min() < SMALL_PX * coarse else coarse
            parts.append(part_around(together, size, detector.crop_size, scale))
        is_alone = np.isin(group, firsts[counts == 1])
        crop_cost = CROP_COST * detector.crop_size**2
        cost = PART_COST * sum(part.input_area for part in parts) + crop_cost * is_alone.sum()
        # Weak faces take what is left.
        room = max(int((np.prod(detector.input_size) - cost) / crop_cost), 0)
        alone = np.concatenate([faces[is_alone], known[~is_face][:room]])
        return cls(alone, parts, float(cost))


def _most_crops(detector: CropDetector) -> int:
    """How many crops take no longer than the whole image."""
    return int(np.prod(detector.input_size) / (CROP_COST * detector.crop_size**2))


def _are_small(boxes: np.ndarray, detector: CropDetector, size: np.ndarray) -> np.ndarray:
    """(N,) whether faces (N, 4) are so narrow that the whole image may not show them.

    size: (2,) width and height of the image [px].
    """
    return boxes[:, 2] < SMALL_PX * _input_scale(detector, size)


def _input_scale(detector: CropDetector, size: np.ndarray) -> float:
    """Pixels of an image of a size (2,) per pixel of the network's input for all of it."""
    return float((size / detector.input_size).max())


def _all_continue(known: np.ndarray, found: np.ndarray) -> bool:
    """Tell whether every known box (K, 4) goes on in a found one (N, 4) of its own."""
    if not len(known):
        return True
    if len(found) < len(known):
        return False
    overlap = box_overlap(known, found)
    best = overlap.argmax(axis=1)
    return bool((overlap.max(axis=1) >= SAME_FACE).all()) and len(set(best)) == len(known)
