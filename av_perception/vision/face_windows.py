# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Windows of an image in which known faces are looked for, one around each or around several."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from av_perception.geometry.boxes import centers, far_corners, grown, intersections

CROP_WIDTH = 2.2  # of a crop, in lengths of the longer side of its face
LEAST_CROP_SCALE = 0.75  # pixels of the image per pixel of a crop: enlarging more shows no more
CROP_BORDER = 0.02  # of a crop's width: what reaches into it is cut off
NEAR = 0.5  # widths of a face around it: another one that reaches there may be covered
BODY_WIDTH = 3.6  # of a person, in widths of the face
PART_STEP = 32  # [px] of which the sides of a part's input are multiples


@dataclass(frozen=True)
class Part:
    """A part of an image that shows faces near each other.

    Attributes
    ----------
    window
        (4,) int left, top, width and height [px].
    input_size
        Width and height that the network sees it in [px].
    """

    window: np.ndarray
    input_size: tuple[int, int]

    @property
    def input_area(self) -> int:
        """Pixels of the network's input."""
        return self.input_size[0] * self.input_size[1]


def crop_windows(boxes: np.ndarray, image_size: np.ndarray, crop_size: int) -> np.ndarray:
    """Lay a square window around each face, inside the image.

    Parameters
    ----------
    boxes
        (N, 4) of the faces [px].
    image_size
        (2,) width and height [px].
    crop_size
        [px] of the network's input: windows are no smaller than LEAST_CROP_SCALE times that.

    Returns
    -------
    np.ndarray
        (N, 4) int left, top, width and height [px].
    """
    sides = CROP_WIDTH * boxes[:, 2:].max(axis=1)
    # Whole pixels first: a window that is moved into the image then ends where the image does.
    sides = np.floor(np.clip(sides, LEAST_CROP_SCALE * crop_size, image_size.min()))
    return _windows_inside(centers(boxes), np.column_stack([sides, sides]), image_size)


def people_windows(boxes: np.ndarray, image_size: np.ndarray) -> np.ndarray:
    """Lay two windows around each person, inside the image: the face's, and one of the body.

    Parameters
    ----------
    boxes, image_size
        As for `crop_windows`.

    Returns
    -------
    np.ndarray
        (2 N, 4) int left, top, width and height [px].
    """
    middle = boxes[:, 0] + boxes[:, 2] / 2
    beside = BODY_WIDTH / 2 * boxes[:, 2]
    low = np.column_stack([middle - beside, boxes[:, 1]])
    high = np.column_stack([middle + beside, np.full(len(boxes), image_size[1])])
    low = np.clip(low, 0, image_size)
    bodies = np.hstack([low, np.clip(high, low, image_size) - low])
    return np.concatenate([crop_windows(boxes, image_size, 0), bodies.astype(int)])


def near_groups(boxes: np.ndarray) -> np.ndarray:
    """Group faces of which one covers another, or soon may.

    Parameters
    ----------
    boxes
        (N, 4) of the faces [px].

    Returns
    -------
    np.ndarray
        (N,) index of the first face of each one's group: its own where no other is near.
    """
    near = intersections(boxes, grown(boxes, NEAR * boxes[:, 2:3])) > 0
    near |= near.T | np.eye(len(boxes), dtype=bool)
    for _ in range(len(boxes).bit_length()):  # near what is near, and so on
        near = near @ near
    return near.argmax(axis=1) if len(boxes) else np.zeros(0, int)


def part_around(boxes: np.ndarray, image_size: np.ndarray, crop_size: int, scale: float) -> Part:
    """Lay a window around faces that are near each other, inside the image where it is large.

    Parameters
    ----------
    boxes, image_size
        As for `crop_windows`.
    crop_size
        [px] least side of the network's input.
    scale
        Pixels of the image per pixel of the network's input, at least 1.

    Returns
    -------
    Part
        With sides that are multiples of PART_STEP in the network's input; the image's where it is
        too small for that.
    """
    windows = crop_windows(boxes, image_size, crop_size)
    low = windows[:, :2].min(axis=0)
    high = far_corners(windows).max(axis=0)
    steps = np.ceil((high - low) / (scale * PART_STEP)).astype(int)
    most = np.maximum(image_size / (scale * PART_STEP), 1).astype(int)
    input_size = PART_STEP * np.minimum(steps, most)
    size = np.minimum(np.floor(scale * input_size), image_size)
    window = _windows_inside((low + high) / 2, size, image_size)
    return Part(window, (int(input_size[0]), int(input_size[1])))


def _windows_inside(middle: np.ndarray, size: np.ndarray, image_size: np.ndarray) -> np.ndarray:
    """(..., 4) int windows of whole sizes (..., 2) about middles (..., 2), in the image."""
    corner = np.clip(middle - size / 2, 0, image_size - size)
    return np.floor(np.concatenate([corner, size], axis=-1)).astype(int)


def lie_inside(boxes: np.ndarray, windows: np.ndarray, image_size: np.ndarray) -> np.ndarray:
    """Tell which boxes their windows do not cut off.

    Parameters
    ----------
    boxes, windows
        (M, 4) each [px].
    image_size
        (2,) width and height [px].

    Returns
    -------
    np.ndarray
        (M,) bool; those that the image cuts off are whole enough.
    """
    border = CROP_BORDER * windows[:, 2:3]
    low = np.where(windows[:, :2] <= 0, -np.inf, windows[:, :2] + border)
    ends = far_corners(windows)
    high = np.where(ends >= image_size, np.inf, ends - border)
    whole = (boxes[:, :2] >= low) & (far_corners(boxes) <= high)
    return np.all(whole, axis=1)
