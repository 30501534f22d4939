# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""How well face embeddings tell people apart, on clips of talking faces shrunk to several sizes."""

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
_CANVAS, _GRAY = (480, 640), 128


@dataclass(frozen=True)
class Separation:
    """Cosines between embeddings of faces `face_px` wide: of one person (lowest, mean) and of two (mean, highest); faces: how many were
    found; median_ms: time of one embedding."""

    face_px: float
    faces: int
    same_lowest: float
    same_mean: float
    other_mean: float
    other_highest: float
    median_ms: float


@dataclass(frozen=True)
class ClipFaces:
    """Images of one person; face_px: width of the face in them."""

    images: list[np.ndarray]
    face_px: float


def read_clips(folder: Path, detector: FaceDetector) -> list[ClipFaces]:
    """Every video of a folder is one person. Raises UserError for fewer than two, or one without a face."""
    files = (
        sorted(
            path
            for path in folder.glob('*')
            if path.suffix.lower() in ('.mpg', '.mp4', '.avi', '.mov')
        )
        if folder.is_dir()
        else []
    )
    if len(files) < 2:
        raise UserError(
            f'{folder} holds {len(files)} clips, two people are needed: name a folder of videos with one talking face each'
        )
    clips = []
    for path in files:
        capture, images = cv2.VideoCapture(str(path)), []
        while (frame := capture.read())[0]:
            images.append(frame[1])
        capture.release()
        found = detector.detect(images[0]) if images else ()
        if not len(found):
            raise UserError(f'no face in the first image of {path}: leave the clip out')
        clips.append(ClipFaces(images[::EVERY], float(found.boxes[0, 2])))
    return clips


def separation(
    clips: list[ClipFaces], detector: FaceDetector, embedder: FaceEmbedder, face_px: float
) -> Separation:
    """Embeddings of all images, shrunk so that the faces are `face_px` wide, found there by the detector, against each other."""
    vectors, people, times = [], [], []
    for person, clip in enumerate(clips):
        for image in clip.images:
            shrunk = _shrunk(image, face_px / clip.face_px)
            found = detector.detect(shrunk)
            if len(found):
                started = time.perf_counter()
                vectors.append(embedder.embed(shrunk, found.landmarks[:1])[0])
                times.append(1e3 * (time.perf_counter() - started))
                people.append(person)
    cosines, people = np.array(vectors) @ np.array(vectors).T, np.array(people)
    same = people[:, None] == people
    own, others = cosines[same & ~np.eye(len(people), dtype=bool)], cosines[~same]
    return Separation(
        face_px,
        len(people),
        float(own.min()),
        float(own.mean()),
        float(others.mean()),
        float(others.max()),
        float(np.median(times)),
    )


def _shrunk(image: np.ndarray, scale: float) -> np.ndarray:
    """The image scaled and put on a grey one of 640 x 480, as the detector is used to it."""
    small = cv2.resize(
        image,
        None,
        fx=scale,
        fy=scale,
        interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC,
    )[: _CANVAS[0], : _CANVAS[1]]
    canvas = np.full((*_CANVAS, 3), _GRAY, np.uint8)
    canvas[: small.shape[0], : small.shape[1]] = small
    return canvas
