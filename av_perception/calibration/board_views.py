# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Views of a board by two cameras: each camera alone, and pairs that do not belong together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from av_perception.errors import UserError

FLAGS = cv2.CALIB_FIX_K3  # boards rarely reach the corners of the image that would determine it
AGREE_SHARE = 0.01  # of the image's diagonal: real pairs predict each other to a tenth of this
_NAMED = 12  # pairs in a message


@dataclass(frozen=True)
class BoardView:
    """Corners that both cameras see in one pair.

    points (N, 3) [m] of the board, left and right (N, 2) [px].
    """

    name: str
    points: np.ndarray
    left: np.ndarray
    right: np.ndarray


class SingleCamera(NamedTuple):
    """One camera alone: matrix (3, 3), distortion, and per view the board's pose.

    rotations (3, 3) and translations (3, 1) take points of the board to the camera.
    """

    matrix: np.ndarray
    distortion: np.ndarray
    rotations: list[np.ndarray]
    translations: list[np.ndarray]


def single_cameras(
    views: list[BoardView], size: tuple[int, int]
) -> tuple[SingleCamera, SingleCamera]:
    """Left and right camera, each calibrated alone; size: (width, height) of the images [px]."""
    points = [view.points for view in views]

    def camera(pixels: list[np.ndarray]) -> SingleCamera:
        _, matrix, distortion, turns, translations = cv2.calibrateCamera(
            points, pixels, size, None, None, flags=FLAGS
        )
        rotations = [cv2.Rodrigues(turn)[0] for turn in turns]
        return SingleCamera(matrix, distortion, rotations, translations)

    return camera([view.left for view in views]), camera([view.right for view in views])


def odd_pairs(
    views: list[BoardView], cameras: tuple[SingleCamera, SingleCamera], size: tuple[int, int]
) -> np.ndarray:
    """(pairs,) bool: those that do not fit the pair that most others fit.

    Every pair alone says how the cameras stand to each other. Pairs of images that were taken at
    different moments each say something else.
    """
    left, right = cameras
    errors = np.zeros((len(views), len(views)))
    for first in range(len(views)):
        # Right from left camera, as this pair has it.
        rotation = right.rotations[first] @ left.rotations[first].T
        translation = right.translations[first] - rotation @ left.translations[first]
        for other, view in enumerate(views):
            turn, _ = cv2.Rodrigues(rotation @ left.rotations[other])
            place = rotation @ left.translations[other] + translation
            expected, _ = cv2.projectPoints(
                view.points, turn, place, right.matrix, right.distortion
            )
            offset = np.linalg.norm(expected.reshape(-1, 2) - view.right, axis=1)
            errors[first, other] = np.sqrt(np.mean(offset**2))
    off = errors > AGREE_SHARE * np.hypot(*size)
    return off[np.argmin(off.sum(axis=1))]


def refuse_odd(views: list[BoardView], odd: np.ndarray, fewest: int) -> None:
    """Refuse by UserError unless most pairs, and at least `fewest`, belong together."""
    rest = len(views) - odd.sum()
    if not odd.any() or rest > odd.sum() and rest >= fewest:
        return
    if rest == 1:
        raise UserError(
            f'no two of the {len(views)} image pairs agree on how the cameras stand '
            'to each other: does the k-th left image belong to the k-th right one? '
            f'{some_names([view.name for view in views])}'
        )
    names = [view.name for view, is_odd in zip(views, odd) if is_odd]
    raise UserError(
        f'{len(names)} of {len(views)} image pairs do not belong together, is an '
        f'image missing on one side? {some_names(names)}'
    )


def some_names(names: list[str]) -> str:
    """List the first of many names."""
    return ', '.join(names[:_NAMED]) + (', ...' if len(names) > _NAMED else '')
