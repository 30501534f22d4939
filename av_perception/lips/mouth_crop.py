# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Mouths cut out of an image: the rotation of the head in the image and its size taken out.

Eyes and corners of the mouth are brought to where they are in an upright face of one size, by the
similarity that fits best (least squares); the middle of the mouth is the middle of the crop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from av_perception.interfaces import Face, MouthCrop
from av_perception.lips.reliability import ReliabilityConfig, reliabilities

MOUTH_PX = 67  # height and width of the crop
EYES_ROWS = 34  # height of the crop of the eyes
# Right eye, left eye, right and left corner of the mouth of an upright face, x + i y [px of the
# crop], relative to the middle of the mouth; corners are 36 apart.
UPRIGHT = np.array([-22.0 - 50.2j, 22.0 - 50.2j, -18.0 + 0.0j, 18.0 + 0.0j])
_USED = (0, 1, 3, 4)  # of the five landmarks: the nose sticks out, and moves as the head turns
_EYES_LIFT_PX = 50.2  # of the middle of the eyes above that of the mouth
_SHRINKS = 1.5  # from this on pixels are averaged, not left out
# Of the 468 points of a face mesh: outer corners of the eyes, tip of the nose, corners of the
# mouth; inner edges of the lips and inner corners of the mouth.
_MESH_LANDMARKS = (33, 263, 1, 61, 291)
_MESH_LIPS = (13, 14, 78, 308)
# Outer corners of eyes are so much further apart than their centers, in which landmarks lie.
_OUTER_EYES = 1.44


@dataclass(frozen=True)
class _Placement:
    """Where the mouth is: image = middle + turn * crop (complex; crop relative to its middle)."""

    middle: complex
    turn: complex


def crop_mouths(
    image: np.ndarray,
    faces: Sequence[Face],
    config: ReliabilityConfig | None = None,
    yaws: np.ndarray | None = None,
) -> tuple[MouthCrop, ...]:
    """Cut out the mouth of every face.

    Parameters
    ----------
    image
        (height, width, 3) uint8 BGR, or (height, width) gray, rectified, in which the faces lie.
    faces
        Found in this image; one whose landmarks are not finite or coincide has no crop.
    config
        When a crop can be relied on.
    yaws
        (faces,) [rad] by which heads are turned from the camera, NaN where not known; None: the
        landmarks tell.

    Returns
    -------
    tuple of MouthCrop
        In the order of the faces.
    """
    placed = [placement(face.landmarks) for face in faces]
    size = np.array(image.shape[1::-1])
    reliable = reliabilities(faces, [_corners(one) for one in placed], size, config, yaws)
    crops = []
    for face, place, reliability in zip(faces, placed, reliable):
        if place is not None:
            mouth = _cut(image, place, 0j, MOUTH_PX)
            eyes = _cut(image, place, -1j * _EYES_LIFT_PX, EYES_ROWS)
            crops.append(MouthCrop(np.asarray(face.box, float), mouth, eyes, float(reliability)))
    return tuple(crops)


def placement(landmarks: np.ndarray) -> _Placement | None:
    """Find the similarity of an upright face to landmarks (5, 2) [px]; None where there is none.

    With t the points of the upright face and p the landmarks, both complex and about their means,
    the turn is sum conj(t) p / sum |t|^2.
    """
    points = np.asarray(landmarks, float)[list(_USED)]
    if not np.isfinite(points).all():
        return None
    given = points[:, 0] + 1j * points[:, 1]
    wanted = UPRIGHT - UPRIGHT.mean()
    turn = complex((wanted.conj() * (given - given.mean())).sum() / (np.abs(wanted) ** 2).sum())
    if not abs(turn) > 1e-3:  # all in one point
        return None
    return _Placement(complex(given[2:].mean()), turn)


def mesh_landmarks(points: np.ndarray) -> np.ndarray:
    """Give the five landmarks (5, 2) [px] of a face mesh (468, 2 or 3), as detectors give them."""
    landmarks = np.asarray(points, float)[list(_MESH_LANDMARKS), :2]
    middle = landmarks[:2].mean(axis=0)
    landmarks[:2] = middle + (landmarks[:2] - middle) / _OUTER_EYES
    return landmarks


def lip_opening(points: np.ndarray) -> float:
    """Measure the gap between the lips of a mesh (468, 2 or 3) over the width of the mouth."""
    upper, lower, right, left = np.asarray(points, float)[list(_MESH_LIPS)]
    width = float(np.linalg.norm(left - right))
    return float(np.linalg.norm(lower - upper)) / width if width > 0 else float('nan')


def _corners(place: _Placement | None) -> np.ndarray:
    """(4, 2) [px] corners of the mouth's crop in the image, NaN without a placement."""
    if place is None:
        return np.full((4, 2), np.nan)
    half = MOUTH_PX / 2
    offsets = half * np.array([-1 - 1j, 1 - 1j, 1 + 1j, -1 + 1j])
    corners = place.middle + place.turn * offsets
    return np.column_stack([corners.real, corners.imag])


def _cut(image: np.ndarray, place: _Placement, center: complex, rows: int) -> np.ndarray:
    """(rows, 67) uint8 gray around a point of the crop's frame, relative to the mouth."""
    half = (MOUTH_PX - 1) / 2 + 1j * (rows - 1) / 2
    origin = place.middle + place.turn * (center - half)
    turn = place.turn
    matrix = np.array([[turn.real, -turn.imag, origin.real], [turn.imag, turn.real, origin.imag]])
    part, shift = _part(image, matrix, rows)
    gray = cv2.cvtColor(part, cv2.COLOR_BGR2GRAY) if part.ndim == 3 else part
    matrix[:, 2] -= shift
    shrink = abs(turn)
    if shrink > _SHRINKS:
        # averages what one pixel of the crop covers; centers of pixels lie at halves
        gray = cv2.resize(gray, None, fx=1 / shrink, fy=1 / shrink, interpolation=cv2.INTER_AREA)
        matrix = np.column_stack([matrix[:, :2] / shrink, (matrix[:, 2] + 0.5) / shrink - 0.5])
    return cv2.warpAffine(
        gray,
        matrix,
        (MOUTH_PX, rows),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )


def _part(image: np.ndarray, matrix: np.ndarray, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Cut the part of an image that a crop shows, at least a pixel, and its first pixel (2,)."""
    last = (MOUTH_PX - 1, rows - 1)
    corners = np.array([[0, 0, 1], [last[0], 0, 1], [0, last[1], 1], [*last, 1]]) @ matrix.T
    margin = 2.0 + abs(matrix[0, 0]) + abs(matrix[1, 0])
    size = np.array(image.shape[1::-1])
    low = np.clip(np.floor(corners.min(axis=0) - margin), 0, size - 1).astype(int)
    high = np.clip(np.ceil(corners.max(axis=0) + margin), low + 1, size).astype(int)
    return image[low[1] : high[1], low[0] : high[0]], low
