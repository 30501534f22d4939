# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The far wall of the simulated room: plaster, a shelf of books, pictures, skirting, floor boards.

No two places of it look alike.
"""

from __future__ import annotations

import cv2
import numpy as np


def paint_wall(
    width: int,
    height: int,
    pixels_per_meter: float,
    eye_row: float,
    eye_height_m: float,
    seed: int = 0,
) -> np.ndarray:
    """Paint the wall as a camera sees it.

    Parameters
    ----------
    width, height
        [px] of the picture.
    pixels_per_meter, seed
        Scale, and seed of what is drawn at random.
    eye_row
        [px] row of the camera's height, which is eye_height_m above the floor.

    Returns
    -------
        (height, width, 3) uint8 BGR.
    """
    random = np.random.default_rng(seed)

    def row(meters_above_floor: float) -> int:
        return int(round(eye_row + (eye_height_m - meters_above_floor) * pixels_per_meter))

    def column(meters: float) -> int:
        return int(round(width / 2 + meters * pixels_per_meter))

    wall = _plaster(random, height, width)
    for middle, side, hue in ((-2.2, 0.5, 20), (0.35, 0.7, 110), (2.9, 0.45, 60)):
        columns = (column(middle - side / 2), column(middle + side / 2))
        _picture(wall, random, columns, (row(1.75), row(1.75 - 0.7 * side)), hue)
    for board in (0.35, 0.75, 1.15):
        for left, right in ((-1.6, -0.4), (1.1, 2.3)):
            _books(wall, random, column(left), column(right), row(board + 0.3), row(board))
    _floor(wall, random, row(0.0), max(2, int(0.1 * pixels_per_meter)))
    return np.clip(cv2.GaussianBlur(wall, (0, 0), 1.0), 0, 255).astype(np.uint8)


def _plaster(random: np.random.Generator, height: int, width: int) -> np.ndarray:
    """(height, width, 3) float32: pale, darker to the right, coarse and fine clouds on it."""
    color = np.full((height, width, 3), (196, 204, 208), np.float32)
    wall = color * np.linspace(1.03, 0.88, width, dtype=np.float32)[:, None]
    coarse = 4.0 * _clouds(random, height, width, 40)
    fine = 2.5 * _clouds(random, height, width, 7)
    wall += coarse[..., None] + fine[..., None]
    return wall


def _clouds(random: np.random.Generator, height: int, width: int, grain: int) -> np.ndarray:
    """(height, width) smooth noise in about [-1, 1] with structure of `grain` pixels."""
    coarse = random.uniform(-1, 1, (height // grain + 2, width // grain + 2)).astype(np.float32)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def _picture(
    wall: np.ndarray,
    random: np.random.Generator,
    columns: tuple[int, int],
    rows: tuple[int, int],
    hue: int,
) -> None:
    """Hang a picture of colored clouds in a frame. hue: in OpenCV's 0..180."""
    left, right = columns
    top, bottom = rows
    cv2.rectangle(wall, (left - 4, top - 4), (right + 4, bottom + 4), (40, 52, 66), -1)
    area = wall[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    if not area.size:
        return
    height, width = area.shape[:2]
    shades = [120 + 70 * _clouds(random, height, width, max(4, width // 6)) for _ in range(3)]
    hsv = np.dstack([(hue + shades[0] * 0.2) % 180, 0.7 * shades[1], shades[2]])
    area[:] = cv2.cvtColor(hsv.clip(0, 255).astype(np.uint8), cv2.COLOR_HSV2BGR)


def _books(
    wall: np.ndarray, random: np.random.Generator, left: int, right: int, top: int, bottom: int
) -> None:
    """Put up a board with books of all widths, heights and muted colors."""
    cv2.rectangle(wall, (left - 3, top - 8), (right + 3, bottom + 3), (58, 76, 98), -1)
    position = left
    while position < right - 4:
        width = int(random.integers(4, 11))
        spine = random.uniform(40, 150) * random.uniform(0.6, 1.2, 3)
        upper = (position, top + int(random.integers(0, 12)))
        lower = (min(position + width - 2, right), bottom)
        cv2.rectangle(wall, upper, lower, spine.tolist(), -1)
        position += width


def _floor(wall: np.ndarray, random: np.random.Generator, first_row: int, skirting: int) -> None:
    """Lay boards from a row on downwards, below a skirting of so many rows."""
    height, width = wall.shape[:2]
    if first_row >= height:
        return
    wall[max(first_row - skirting, 0) : first_row] = (222, 228, 230)
    floor = wall[max(first_row, 0) :]
    floor[:] = (74, 104, 138)
    floor += 5.0 * _clouds(random, len(floor), width, 6)[..., None]
    for line in np.cumsum(random.integers(14, 26, 20)):
        if line < len(floor):
            floor[line] -= 28.0
