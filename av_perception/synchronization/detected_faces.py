# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The usable faces of one image as arrays; what cannot be used is dropped and counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from av_perception.interfaces import APPEARANCE_SIZE, Face, VisualFeatures

# Real covariances lie far inside: 0.01 mm to 100 m standard deviation.
_VARIANCE_RANGE = (1e-10, 1e4)
_SMALLEST_BOX_PX = 0.1
_NEAREST_M = 1e-3
_FARTHEST = 1e9  # [m] or [px]: a number beyond this is a mistake
_LARGEST_APPEARANCE = 20.0  # logarithms of what cameras see lie far inside
_LEAST_NORM = 1e-6  # of an embedding that has a direction
# Faces of one image that are taken, the surest: births of a thousand would halt a robot's tracker.
_MOST = 100
_EYE = np.eye(3)


@dataclass(frozen=True)
class DetectedFaces:
    """The M usable faces of one image.

    boxes: (M, 4) left, top, width, height [px]; positions: (M, 3) [m] and covariances: (M, 3, 3)
    [m^2] in the left optical frame; embeddings: (M, E) unit norm, zero rows where a face has none;
    appearances: (M, APPEARANCE_SIZE), NaN where something does not show, or (0, APPEARANCE_SIZE)
    where no face is described.
    """

    boxes: np.ndarray
    positions: np.ndarray
    covariances: np.ndarray
    embeddings: np.ndarray
    appearances: np.ndarray = field(default_factory=lambda: np.zeros((0, APPEARANCE_SIZE)))

    def __len__(self) -> int:
        return len(self.boxes)


def usable_faces(
    visual: VisualFeatures, embedding_size: int, counters: Counter, needs_positions: bool = True
) -> DetectedFaces:
    """Keep the faces with a finite box, and with a position and covariance that can be true.

    Parameters
    ----------
    visual
        The faces of one image.
    embedding_size
        Size of the embeddings seen so far, 0 before the first; others are ignored and counted.
    counters
        `bad_faces`, `bad_embeddings`, `bad_appearances` and `faces_too_many` are counted here.
    needs_positions
        Whether a face needs a position in front of the camera and a positive definite covariance,
        and there are no more of them than a robot can meet; otherwise a box with an area is
        enough.

    Returns
    -------
    DetectedFaces
        The usable ones, in their order.
    """
    offered = _surest(visual.faces, counters) if needs_positions else visual.faces
    faces = [face for face in offered if _has_shapes(face)]
    boxes = np.array([face.box for face in faces], float).reshape(-1, 4)
    positions = np.array([face.position for face in faces], float).reshape(-1, 3)
    covariances = np.array([face.covariance for face in faces], float).reshape(-1, 3, 3)
    good = np.isfinite(boxes).all(1)
    if needs_positions:
        covariances = 0.5 * (covariances + covariances.swapaxes(1, 2))
        good &= _are_located(positions, covariances)
    else:
        good &= (boxes[:, 2:] > _SMALLEST_BOX_PX).all(1) & (np.abs(boxes) < _FARTHEST).all(1)
    counters['bad_faces'] += len(offered) - int(good.sum())
    good_faces = [face for face, keep in zip(faces, good) if keep]
    embeddings = _embeddings(good_faces, embedding_size, counters)
    appearances = _appearances(good_faces, counters)
    return DetectedFaces(boxes[good], positions[good], covariances[good], embeddings, appearances)


def _surest(faces: Sequence[Face], counters: Counter) -> Sequence[Face]:
    """Leave out those beyond _MOST that the detector is least sure of."""
    if len(faces) <= _MOST:
        return faces
    counters['faces_too_many'] += len(faces) - _MOST
    scores = np.nan_to_num([float(face.score) for face in faces], nan=-np.inf)
    kept = np.sort(np.argsort(-scores, kind='stable')[:_MOST])
    return [faces[k] for k in kept]


def _has_shapes(face: Face) -> bool:
    return (
        np.shape(face.box) == (4,)
        and np.shape(face.position) == (3,)
        and np.shape(face.covariance) == (3, 3)
    )


def _are_located(positions: np.ndarray, covariances: np.ndarray) -> np.ndarray:
    """(M,) bool: finite, in front of the camera, and with a proper covariance."""
    # What is not a number is not below a bound either.
    good = (np.abs(positions) < _FARTHEST).all(1) & np.isfinite(covariances).all((1, 2))
    good &= positions[:, 2] > _NEAREST_M
    if not good.all():
        covariances = np.where(good[:, None, None], covariances, _EYE)
    return good & _are_proper(covariances)


def _are_proper(covariances: np.ndarray) -> np.ndarray:
    """(M,) bool: positive definite within the variance range."""
    try:
        np.linalg.cholesky(covariances - _VARIANCE_RANGE[0] * _EYE)
        positive = np.ones(len(covariances), bool)
    except np.linalg.LinAlgError:
        # At least one of them is not; which ones, only the slower eigenvalues tell.
        positive = np.linalg.eigvalsh(covariances)[:, 0] > _VARIANCE_RANGE[0]
    return positive & (covariances.diagonal(axis1=1, axis2=2).sum(1) < _VARIANCE_RANGE[1])


def _embeddings(faces: list[Face], size: int, counters: Counter) -> np.ndarray:
    """(M, E) unit vectors, zero rows for embeddings that are absent, broken or of another size."""
    sizes = [np.size(face.embedding) for face in faces]
    size = size or next((offered for offered in sizes if offered), 0)
    if not size:
        return np.zeros((len(faces), 0))
    fitting = [
        face.embedding if np.shape(face.embedding) == (size,) else np.zeros(size) for face in faces
    ]
    rows = np.array(fitting, float).reshape(len(faces), size)
    norm = np.sqrt((rows**2).sum(1, keepdims=True))
    usable = np.isfinite(norm) & (norm > _LEAST_NORM)
    is_offered = np.array(sizes, int) > 0
    counters['bad_embeddings'] += int((is_offered & ~usable[:, 0]).sum())
    return np.where(usable, rows, 0.0) / np.where(usable, norm, 1.0)


def _appearances(faces: list[Face], counters: Counter) -> np.ndarray:
    """(M, A), NaN where something does not show or is broken; (0, A) without any."""
    if not any(np.size(face.appearance) for face in faces):
        return np.zeros((0, APPEARANCE_SIZE))
    rows = np.full((len(faces), APPEARANCE_SIZE), np.nan)
    for row, face in zip(rows, faces):
        if np.shape(face.appearance) == (APPEARANCE_SIZE,):
            row[:] = face.appearance
        elif np.size(face.appearance):
            counters['bad_appearances'] += 1
    return np.where(np.abs(rows) < _LARGEST_APPEARANCE, rows, np.nan)
