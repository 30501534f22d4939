# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""How far lips can be read from a crop: size, what is covered or cut off, how the head is turned.

Each cause gives a factor that falls from 1 to 0 between two limits; the reliability is their
product.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from av_perception.interfaces import Face
from av_perception.vision.covering import covered_shares

_GRID = 8  # points across a crop, by which is counted how much of it lies in the image
# The tip of the nose stands so far before the line between the eyes, in distances of the eyes: a
# turned head moves it aside by this times the tangent of the yaw.
_NOSE_DEPTH = 0.6


@dataclass(frozen=True)
class ReliabilityConfig:
    """Limits (none of it, all of it) between which a crop is relied on more and more."""

    #: [px] distance of the eyes in the image
    eyes_px: tuple[float, float] = (7.0, 16.0)
    #: share of the crop that lies in the image
    inside: tuple[float, float] = (0.7, 1.0)
    #: share of the face that the head of somebody nearer covers
    covered: tuple[float, float] = (0.4, 0.05)
    #: [rad] by which the head is turned from the camera, to the side
    yaw: tuple[float, float] = (1.0, 0.5)
    #: of the detector, which is in doubt about faces that are covered by things
    score: tuple[float, float] = (0.25, 0.5)

    def __post_init__(self):
        for name in ('eyes_px', 'inside', 'covered', 'yaw', 'score'):
            none_of_it, all_of_it = getattr(self, name)
            if not (np.isfinite([none_of_it, all_of_it]).all() and none_of_it != all_of_it):
                raise ValueError(f'{name} must be two different numbers')


def reliabilities(
    faces: Sequence[Face],
    corners: Sequence[np.ndarray],
    image_size: np.ndarray,
    config: ReliabilityConfig | None = None,
    yaws: np.ndarray | None = None,
) -> np.ndarray:
    """Tell how far the crops of faces can be relied on.

    Parameters
    ----------
    faces, corners
        Of an image; (4, 2) [px] of the crop of each, NaN where there is none.
    image_size
        (2,) width and height [px].
    config, yaws
        Limits; (faces,) [rad] where they are known, else NaN.

    Returns
    -------
    np.ndarray
        (faces,) in [0, 1]; 0 where the landmarks are no numbers.
    """
    config = config or ReliabilityConfig()
    if not faces:
        return np.zeros(0)
    landmarks = np.array([face.landmarks for face in faces], float)
    apart = np.linalg.norm(landmarks[:, 1] - landmarks[:, 0], axis=1)
    turned = landmark_yaws(landmarks)
    if yaws is not None:
        turned = np.where(np.isfinite(yaws), yaws, turned)
    factors = [
        _ramp(apart, config.eyes_px),
        _ramp(np.array([_share_inside(one, image_size) for one in corners]), config.inside),
        _ramp(covered_shares(np.array([face.box for face in faces], float)), config.covered),
        _ramp(np.abs(turned), config.yaw),
        _ramp(np.array([face.score for face in faces], float), config.score),
    ]
    return np.nan_to_num(np.prod(factors, axis=0), nan=0.0)


def landmark_yaws(landmarks: np.ndarray) -> np.ndarray:
    """Guess from five landmarks (N, 5, 2) how far heads are turned aside: (N,) [rad].

    Positive to the person's left, where the tip of the nose then lies.
    """
    across = landmarks[:, 1] - landmarks[:, 0]
    length = np.maximum(np.linalg.norm(across, axis=1), 1e-9)
    aside = landmarks[:, 2] - (landmarks[:, :2].mean(axis=1) + landmarks[:, 3:].mean(axis=1)) / 2
    return np.arctan((aside * across).sum(axis=1) / length**2 / _NOSE_DEPTH)


def _share_inside(corners: np.ndarray, image_size: np.ndarray) -> float:
    """Share of a quadrangle (4, 2) [px] that lies in the image, by a grid of points."""
    steps = (np.arange(_GRID) + 0.5) / _GRID
    right = (corners[1] - corners[0]) * steps[:, None, None]
    down = (corners[3] - corners[0]) * steps[None, :, None]
    points = corners[0] + right + down
    return float(((points >= -0.5) & (points < image_size - 0.5)).all(axis=-1).mean())


def _ramp(values: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    """Rise from 0 at the first limit to 1 at the second."""
    none_of_it, all_of_it = limits
    return np.clip((values - none_of_it) / (all_of_it - none_of_it), 0.0, 1.0)
