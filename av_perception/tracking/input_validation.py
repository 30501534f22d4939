# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Turns features into arrays and drops what cannot be used, with a count per reason."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from av_perception.geometry.rigid_transform import RigidTransform
from av_perception.interfaces import AudioFeatures, Face, VisualFeatures
from av_perception.robot_head.sensor_poses import SensorPoses
from av_perception.tracking.association.audio_statistics import AudioStatistics

# Real covariances lie far inside: 0.01 mm to 100 m standard deviation.
_VARIANCE_RANGE = (1e-10, 1e4)
_SMALLEST_BOX_PX = 0.1


@dataclass(frozen=True)
class DetectedFaces:
    """The usable faces of one image. boxes: (M, 4) pixels; positions: (M, 3) [m] and covariances: (M, 3, 3) [m^2] in the left optical
    frame; embeddings: (M, E) unit norm, zero rows where a face has none.
    """

    boxes: np.ndarray
    positions: np.ndarray
    covariances: np.ndarray
    embeddings: np.ndarray

    def __len__(self) -> int:
        return len(self.boxes)


def usable_faces(
    visual: VisualFeatures, embedding_size: int, counters: Counter, needs_positions: bool = True
) -> DetectedFaces:
    """Faces with a finite box, a position in front of the camera and a positive definite covariance.

    embedding_size: size of the embeddings seen so far, 0 before the first; others are ignored and counted. needs_positions False: a
    box with an area is all a face needs. Counts `bad_faces`, `bad_embeddings`.
    """
    faces = [face for face in visual.faces if _has_shapes(face)]
    boxes = np.array([face.box for face in faces], float).reshape(-1, 4)
    positions = np.array([face.position for face in faces], float).reshape(-1, 3)
    covariances = np.array([face.covariance for face in faces], float).reshape(-1, 3, 3)
    good = np.isfinite(boxes).all(1)
    if needs_positions:
        covariances = 0.5 * (covariances + covariances.swapaxes(1, 2))
        good &= _located(positions, covariances)
    else:
        good &= (boxes[:, 2:] > _SMALLEST_BOX_PX).all(1) & (np.abs(boxes) < 1e9).all(1)
    counters['bad_faces'] += len(visual.faces) - int(good.sum())
    embeddings = _embeddings(
        [face for face, keep in zip(faces, good) if keep], embedding_size, counters
    )
    return DetectedFaces(boxes[good], positions[good], covariances[good], embeddings)


def _has_shapes(face: Face) -> bool:
    return (
        np.shape(face.box) == (4,)
        and np.shape(face.position) == (3,)
        and np.shape(face.covariance) == (3, 3)
    )


def _located(positions: np.ndarray, covariances: np.ndarray) -> np.ndarray:
    """(M,) bool: finite, in front of the camera, and with a proper covariance."""
    good = np.isfinite(positions).all(1) & np.isfinite(covariances).all((1, 2))
    good &= (positions[:, 2] > 1e-3) & (np.abs(positions) < 1e9).all(1)
    return good & _proper(np.where(good[:, None, None], covariances, np.eye(3)))


def _proper(covariances: np.ndarray) -> np.ndarray:
    """(M,) bool: positive definite within the variance range."""
    try:
        np.linalg.cholesky(covariances - _VARIANCE_RANGE[0] * np.eye(3))
        positive = np.ones(len(covariances), bool)
    except np.linalg.LinAlgError:
        positive = np.linalg.eigvalsh(covariances)[:, 0] > _VARIANCE_RANGE[0]
    return positive & (np.trace(covariances, axis1=1, axis2=2) < _VARIANCE_RANGE[1])


def _embeddings(faces: list[Face], size: int, counters: Counter) -> np.ndarray:
    size = size or next((np.size(face.embedding) for face in faces if np.size(face.embedding)), 0)
    if not size:
        return np.zeros((len(faces), 0))
    fitting = [np.shape(face.embedding) == (size,) for face in faces]
    rows = np.array(
        [face.embedding if fits else np.zeros(size) for face, fits in zip(faces, fitting)], float
    ).reshape(len(faces), size)
    norm = np.sqrt((rows**2).sum(1, keepdims=True))
    usable = np.isfinite(norm) & (norm > 1e-6)
    offered = np.array([np.size(face.embedding) > 0 for face in faces], bool)
    counters['bad_embeddings'] += int((offered & ~usable[:, 0]).sum())
    return np.where(usable, rows, 0.0) / np.where(usable, norm, 1.0)


def usable_audio(
    audio: AudioFeatures, tables: AudioStatistics, counters: Counter
) -> AudioFeatures | None:
    """The features with broken sub-bands marked invalid, None when nothing is left. Counts `bad_audio`, `bad_subbands`."""
    shape = (tables.num_subbands, tables.feature_size)
    fits = np.shape(audio.vectors) == shape and np.shape(audio.present) == shape
    if not (
        fits
        and np.shape(audio.energy) == shape[:1]
        and np.shape(audio.valid) == shape[:1]
        and np.isfinite(audio.voice_activity)
    ):
        counters['bad_audio'] += 1
        return None
    present, valid = np.asarray(audio.present, bool), np.asarray(audio.valid, bool)
    vectors, energy = np.asarray(audio.vectors, float), np.asarray(audio.energy, float)
    sound = (np.abs(vectors) < 1e6).all(1) & np.isfinite(energy) & (energy >= 0)
    counters['bad_subbands'] += int((valid & ~sound).sum())
    valid = valid & sound & present.any(1)
    if not valid.any():
        return None
    return AudioFeatures(
        audio.stamp_ns, float(audio.voice_activity), vectors, present, energy, valid
    )


def usable_poses(poses: SensorPoses) -> bool:
    """Whether all transforms are finite and their rotations orthonormal."""
    return all(_usable(pose) for pose in poses.all)


def _usable(pose: RigidTransform) -> bool:
    rotation, translation = np.asarray(pose.rotation, float), np.asarray(pose.translation, float)
    if rotation.shape != (3, 3) or translation.shape != (3,) or not np.isfinite(translation).all():
        return False
    return bool(np.abs(rotation @ rotation.T - np.eye(3)).max() < 1e-3)


def box_overlap(boxes_a: np.ndarray, boxes_b: np.ndarray) -> np.ndarray:
    """(A, B) intersection over union of (x, y, width, height) boxes."""
    low = np.maximum(boxes_a[:, None, :2], boxes_b[None, :, :2])
    high = np.minimum(
        (boxes_a[:, :2] + boxes_a[:, 2:])[:, None], (boxes_b[:, :2] + boxes_b[:, 2:])[None]
    )
    common = np.maximum(high - low, 0).prod(-1)
    union = boxes_a[:, None, 2:].prod(-1) + boxes_b[None, :, 2:].prod(-1) - common
    return common / np.maximum(union, 1e-9)
