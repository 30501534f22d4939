# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What JPEG costs: faces that are found, their depth, and looks, by the quality of the images.

Photographs of people stand before the head's cameras, as in the benchmark of vision; the same
pairs go through the front end raw and compressed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from av_perception.benchmarks.vision_accuracy import Errors, PeopleBeforeCamera
from av_perception.interfaces import Face
from av_perception.simulation.rendering import StereoPair
from av_perception.vision.front_end import VisualFrontEnd

FRAME_RATE = 25.0  # [Hz] at which bits a second are reckoned
RAW = 0  # as a quality: not compressed
SAME_FACE_PX = 12.0  # centers of one face in two versions of an image


@dataclass(frozen=True)
class CompressedVision:
    """Figures of one quality."""

    #: In percent; RAW for none.
    quality: int
    #: Of the people [m].
    distance_m: float
    #: Of both cameras, 25 pairs a second [Mbit/s].
    mbit_s: float
    #: Share of the people who were found.
    recall: float
    #: False faces per image.
    false_faces: float
    #: Root mean square error of the depth, relative to the distance.
    depth_error: float
    #: How far looks move, as a share of what lies between two people; 0 for raw images.
    looks_moved: float


def compressed(image: np.ndarray, quality: int) -> tuple[np.ndarray, int]:
    """Compress an image and read it again; gives it with its size [bytes]."""
    if quality == RAW:
        return image, image.nbytes
    data = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return cv2.imdecode(data, cv2.IMREAD_COLOR), data.size


def measure_compression(
    make_front_end: Callable[[], VisualFrontEnd],
    scene: PeopleBeforeCamera,
    qualities: Sequence[int],
    distance_m: float,
    pairs: int,
) -> list[CompressedVision]:
    """Measure qualities on the same pairs.

    Parameters
    ----------
    make_front_end
        Called for each quality: a front end remembers the image before.
    scene
        Draws the pairs.
    qualities
        RAW among them, first: looks are compared with its.
    distance_m, pairs
        Of the people [m]; how many pairs.
    """
    random = np.random.default_rng(0)
    drawn = [scene.draw(index, distance_m, random) for index in range(pairs)]
    results: list[CompressedVision] = []
    reference: list[tuple[Face, ...]] = []
    for quality in qualities:
        errors = Errors()
        found, size = _faces(make_front_end(), drawn, quality, errors, scene)
        reference = reference or found
        results.append(
            CompressedVision(
                quality,
                distance_m,
                8e-6 * size / pairs * FRAME_RATE,
                float(np.mean(errors.is_found)),
                errors.false / pairs,
                errors.accuracy(distance_m).depth_error,
                looks_moved(reference, found),
            )
        )
    return results


def _faces(
    front_end: VisualFrontEnd,
    drawn: Sequence[tuple[StereoPair, np.ndarray]],
    quality: int,
    errors: Errors,
    scene: PeopleBeforeCamera,
) -> tuple[list[tuple[Face, ...]], int]:
    """Find the faces of all pairs, and tell how large these were in all [bytes]."""
    found = []
    size = 0
    for index, (pair, centers) in enumerate(drawn):
        images = [image for image in (pair.left, pair.right) if image is not None]
        versions = [compressed(image, quality) for image in images]
        size += sum(num_bytes for _, num_bytes in versions)
        features = front_end.process(index, versions[0][0], versions[1][0])
        errors.add(features.faces, centers, scene.camera)
        found.append(features.faces)
    return found, size


def looks_moved(before: Sequence[Sequence[Face]], after: Sequence[Sequence[Face]]) -> float:
    """Compare the looks of the same faces in two versions of images.

    Returns
    -------
    float
        Mean distance of a face to itself over that of two people of one image; NaN without any.
    """
    moved = []
    apart = []
    for faces, others in zip(before, after):
        for k, face in enumerate(faces):
            moved += [_distance(face, other) for other in others if _is_same(face, other)]
            apart += [_distance(face, other) for other in faces[k + 1 :]]
    if not moved or not apart:
        return float('nan')
    return float(np.nanmean(moved) / np.nanmean(apart))


def _is_same(face: Face, other: Face) -> bool:
    centers = [f.box[:2] + f.box[2:] / 2 for f in (face, other)]
    return bool(np.linalg.norm(centers[0] - centers[1]) < SAME_FACE_PX)


def _distance(face: Face, other: Face) -> float:
    """Root mean square difference of what shows of both; NaN where nothing does."""
    difference = face.appearance - other.appearance
    known = np.isfinite(difference)
    return float(np.sqrt(np.mean(difference[known] ** 2))) if known.any() else float('nan')
