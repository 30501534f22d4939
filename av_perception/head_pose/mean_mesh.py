# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A mean face, and how far a measured face is turned against it.

The mean mesh comes from talkers who look into a camera: their meshes are aligned, averaged and
made symmetric, which fixes yaw and roll; pitch is zero where these people on average look into the
camera. The points that move while they talk count less.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from av_perception.head_pose.face_mesh import LEFT_EYE, RIGHT_EYE, facing_points
from av_perception.head_pose.procrustes import fit_similarity
from av_perception.head_pose.rotations import angles_from_rotation, rotation_from_angles

_ROUNDS = 5
_MIRROR = np.array([1.0, -1.0, 1.0])
_VARIANCE_FLOOR = 0.02**2  # of a point, in units of the radius of the mesh


@dataclass(frozen=True)
class MeanMesh:
    """A face in the head frame.

    points: (N, 3), of RMS radius 1 about their middle; weights: (N,), they sum to one.
    """

    points: np.ndarray
    weights: np.ndarray


@dataclass(frozen=True)
class HeadMeasurement:
    """What one image says of a head.

    angles: (3,) yaw, pitch, roll [rad] in the facing frame; residual: what the mean mesh leaves
    unexplained, see `Similarity`; size_px: width of the face in the image, from temple to temple.
    """

    angles: np.ndarray
    residual: float
    size_px: float


def measure(mesh: MeanMesh, points: np.ndarray) -> HeadMeasurement:
    """Measure how a head is turned.

    Parameters
    ----------
    mesh
        The mean mesh.
    points
        (N, 3) of the face in the image [px], see `FaceMesh`.
    """
    fit = fit_similarity(mesh.points, facing_points(points), mesh.weights)
    width = fit.scale * float(np.ptp(mesh.points[:, 1]))
    return HeadMeasurement(angles_from_rotation(fit.rotation), fit.residual, width)


def build_mean_mesh(talkers: Sequence[np.ndarray]) -> MeanMesh:
    """Make the mean mesh of talkers who look into the camera.

    Parameters
    ----------
    talkers
        For each talker (frames, N, 3) points of their face [px], see `FaceMesh`.
    """
    clouds = [_unit(facing_points(frames)) for frames in talkers]
    weights = np.full(clouds[0].shape[1], 1.0 / clouds[0].shape[1])
    mean = clouds[0][0]
    # Generalized Procrustes analysis; every talker counts the same.
    for _ in range(_ROUNDS):
        aligned = [_aligned(frames, mean, weights) for frames in clouds]
        mean = _unit(np.mean([frames.mean(axis=0) for frames in aligned], axis=0))
        weights = _weights(aligned)
    symmetric = _symmetric(mean, weights)
    return MeanMesh(_leveled(symmetric, clouds, weights), weights)


def _unit(points: np.ndarray) -> np.ndarray:
    """Center (..., N, 3) and scale them to an RMS radius of 1."""
    centered = points - points.mean(axis=-2, keepdims=True)
    radius = np.sqrt((centered**2).sum(axis=-1).mean(axis=-1))
    return centered / radius[..., None, None]


def _aligned(frames: np.ndarray, mean: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return np.array([fit_similarity(one, mean, weights).apply(one) for one in frames])


def _weights(aligned: list[np.ndarray]) -> np.ndarray:
    """(N,) in inverse proportion to how far the points of a talker move."""
    variances = [
        ((frames - frames.mean(axis=0)) ** 2).sum(axis=2).mean(axis=0) for frames in aligned
    ]
    weights = 1.0 / (np.mean(variances, axis=0) + _VARIANCE_FLOOR)
    return weights / weights.sum()


def mirror_pairs(points: np.ndarray) -> np.ndarray:
    """(N,) the point that each of (N, 3) nearly symmetric points becomes in the mirror."""
    from scipy.optimize import linear_sum_assignment  # slow to import; models are made offline

    mirrored = points * _MIRROR
    distances = ((mirrored[:, None] - points[None]) ** 2).sum(axis=2)
    return linear_sum_assignment(distances)[1]


def _symmetric(points: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Average (N, 3) points with their mirror image, whose plane becomes y = 0."""
    across = points[LEFT_EYE] - points[RIGHT_EYE]
    points = points @ _turn_to_left(across).T
    pairs = mirror_pairs(points)
    for _ in range(_ROUNDS):
        mirrored = (points * _MIRROR)[pairs]
        points = (points + fit_similarity(mirrored, points, weights).apply(mirrored)) / 2
        apart = points - points[pairs]
        apart = apart * np.sign(apart @ np.array([0.0, 1.0, 0.0]))[:, None]
        points = _unit(points) @ _turn_to_left(apart.sum(axis=0)).T
    # What is left of asymmetry is rounding.
    return (points + (points * _MIRROR)[pairs]) / 2


def _turn_to_left(across: np.ndarray) -> np.ndarray:
    """(3, 3) the yaw and roll that turn a vector from right to left into y."""
    yaw = np.arctan2(across[0], across[1])
    roll = -np.arctan2(across[2], np.hypot(across[0], across[1]))
    return rotation_from_angles(np.array([0.0, 0.0, roll])) @ rotation_from_angles(
        np.array([yaw, 0.0, 0.0])
    )


def _leveled(points: np.ndarray, clouds: list[np.ndarray], weights: np.ndarray) -> np.ndarray:
    """Pitch points (N, 3) so that the talkers, on average, have none."""
    pitches = [
        np.median([_pitch(points, frame, weights) for frame in frames]) for frames in clouds
    ]
    # facing_from_head of the old head frame is Ry(pitch): take it into the points.
    return points @ rotation_from_angles(np.array([0.0, np.mean(pitches), 0.0])).T


def _pitch(points: np.ndarray, frame: np.ndarray, weights: np.ndarray) -> float:
    return float(angles_from_rotation(fit_similarity(points, frame, weights).rotation)[1])
