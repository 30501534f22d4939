# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""How well face embeddings tell people apart, on clips of talking faces of several sizes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from av_perception.errors import UserError
from av_perception.vision.face_detector import FaceDetector
from av_perception.vision.face_embedding import FaceEmbedder

EVERY = 8  # one of so many images of a clip
_CANVAS = (480, 640)  # height and width [px]
_GRAY = 128
_SUFFIXES = ('.mpg', '.mp4', '.avi', '.mov')


@dataclass(frozen=True)
class Separation:
    """Cosines between embeddings of faces of one size."""

    #: width of the faces [px]
    face_px: float
    #: how many faces were found
    faces: int
    #: lowest cosine of one person's faces
    same_lowest: float
    #: mean cosine of one person's faces
    same_mean: float
    #: mean cosine of two people's faces
    other_mean: float
    #: highest cosine of two people's faces
    other_highest: float
    #: median time of one embedding [ms]
    median_ms: float


@dataclass(frozen=True)
class ClipFaces:
    """Images of one person."""

    #: (H, W, 3) BGR
    images: list[np.ndarray]
    #: width of the face in them [px]
    face_px: float


def read_clips(folder: Path, detector: FaceDetector) -> list[ClipFaces]:
    """Read the videos of a folder, of which each shows one person.

    Parameters
    ----------
    folder
        Where the videos are.
    detector
        Finds the face in the first image.

    Returns
    -------
    list of ClipFaces
        One per video, with one of EVERY images.

    Raises
    ------
    UserError
        There are fewer than two videos, or one without a face.
    """
    files = []
    if folder.is_dir():
        files = sorted(p for p in folder.glob('*') if p.suffix.lower() in _SUFFIXES)
    if len(files) < 2:
        raise UserError(
            f'{folder} holds {len(files)} clips, two people are needed: '
            'name a folder of videos with one talking face each'
        )
    return [_read_clip(path, detector) for path in files]


def _read_clip(path: Path, detector: FaceDetector) -> ClipFaces:
    capture = cv2.VideoCapture(str(path))
    images = []
    while (frame := capture.read())[0]:
        images.append(frame[1])
    capture.release()
    boxes = detector.detect(images[0]).boxes if images else np.zeros((0, 4))
    if not len(boxes):
        raise UserError(f'no face in the first image of {path}: leave the clip out')
    return ClipFaces(images[::EVERY], float(boxes[0, 2]))


def separation(
    clips: list[ClipFaces], detector: FaceDetector, embedder: FaceEmbedder, face_px: float
) -> Separation:
    """Compare the embeddings of all images with each other.

    Parameters
    ----------
    clips
        Images of a person each.
    detector
        Finds the faces in the shrunk images.
    embedder
        The network that is rated.
    face_px
        The images are shrunk so that the faces are that wide [px].

    Returns
    -------
    Separation
        Cosines and time.
    """
    vectors = []
    people = []
    times = []
    for person, clip in enumerate(clips):
        for image in clip.images:
            shrunk = _shrunk(image, face_px / clip.face_px)
            for vector, milliseconds in _embed_first(shrunk, detector, embedder):
                vectors.append(vector)
                times.append(milliseconds)
                people.append(person)
    return _separation(face_px, np.array(vectors), people, times)


def _separation(
    face_px: float, vectors: np.ndarray, people: list[int], times: list[float]
) -> Separation:
    """Compare (N, D) embeddings, of N people's numbers, with times [ms]."""
    cosines = vectors @ vectors.T
    same = np.equal.outer(people, people)
    own = cosines[same & ~np.eye(len(people), dtype=bool)]
    others = cosines[~same]
    return Separation(
        face_px=face_px,
        faces=len(people),
        same_lowest=float(own.min()),
        same_mean=float(own.mean()),
        other_mean=float(others.mean()),
        other_highest=float(others.max()),
        median_ms=float(np.median(times)),
    )


def _embed_first(
    image: np.ndarray, detector: FaceDetector, embedder: FaceEmbedder
) -> list[tuple[np.ndarray, float]]:
    """Embed the first face that is found; the vector and the time [ms], nothing without a face."""
    detections = detector.detect(image)
    if not len(detections):
        return []
    started = time.perf_counter()
    vector = embedder.embed(image, detections.landmarks[:1])[0]
    return [(vector, 1e3 * (time.perf_counter() - started))]


def _shrunk(image: np.ndarray, scale: float) -> np.ndarray:
    """Scale the image and put it on a gray one of 640 x 480, as the detector is used to it."""
    kind = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=kind)
    small = small[: _CANVAS[0], : _CANVAS[1]]
    canvas = np.full((*_CANVAS, 3), _GRAY, np.uint8)
    canvas[: small.shape[0], : small.shape[1]] = small
    return canvas
