# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The far wall of the simulated room: plaster, a shelf of books, pictures, skirting and floor boards. No two places of it look alike."""

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
    """(height, width, 3) uint8 BGR. eye_row: the row [px] of the camera's height, which is eye_height_m above the floor."""
    random = np.random.default_rng(seed)
    wall = (
        np.full((height, width, 3), (196, 204, 208), np.float32)
        * np.linspace(1.03, 0.88, width, dtype=np.float32)[:, None]
    )
    wall += (
        4.0 * _clouds(random, height, width, 40)[..., None]
        + 2.5 * _clouds(random, height, width, 7)[..., None]
    )

    def row(meters_above_floor: float) -> int:
        return int(round(eye_row + (eye_height_m - meters_above_floor) * pixels_per_meter))

    def column(meters: float) -> int:
        return int(round(width / 2 + meters * pixels_per_meter))

    for middle, size, seed_color in ((-2.2, 0.5, 20), (0.35, 0.7, 110), (2.9, 0.45, 60)):
        _picture(
            wall,
            random,
            column(middle - size / 2),
            row(1.75),
            column(middle + size / 2),
            row(1.75 - 0.7 * size),
            seed_color,
        )
    for shelf in (0.35, 0.75, 1.15):
        _books(wall, random, column(-1.6), column(-0.4), row(shelf + 0.3), row(shelf))
        _books(wall, random, column(1.1), column(2.3), row(shelf + 0.3), row(shelf))
    _floor(wall, random, row(0.0), max(2, int(0.1 * pixels_per_meter)))
    return np.clip(cv2.GaussianBlur(wall, (0, 0), 1.0), 0, 255).astype(np.uint8)


def _clouds(random: np.random.Generator, height: int, width: int, size: int) -> np.ndarray:
    """(height, width) smooth noise in about [-1, 1] with structure of `size` pixels."""
    coarse = random.uniform(-1, 1, (height // size + 2, width // size + 2)).astype(np.float32)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def _picture(
    wall: np.ndarray,
    random: np.random.Generator,
    left: int,
    top: int,
    right: int,
    bottom: int,
    hue: int,
) -> None:
    cv2.rectangle(wall, (left - 4, top - 4), (right + 4, bottom + 4), (40, 52, 66), -1)
    area = wall[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    if not area.size:
        return
    height, width = area.shape[:2]
    shades = [120 + 70 * _clouds(random, height, width, max(4, width // 6)) for _ in range(3)]
    hsv = (
        np.dstack([(hue + shades[0] * 0.2) % 180, 0.7 * shades[1], shades[2]])
        .clip(0, 255)
        .astype(np.uint8)
    )
    area[:] = cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)


def _books(
    wall: np.ndarray, random: np.random.Generator, left: int, right: int, top: int, bottom: int
) -> None:
    """A board with books of all widths, heights and muted colours."""
    cv2.rectangle(wall, (left - 3, top - 8), (right + 3, bottom + 3), (58, 76, 98), -1)
    position = left
    while position < right - 4:
        width = int(random.integers(4, 11))
        spine = random.uniform(40, 150) * random.uniform(0.6, 1.2, 3)
        corners = (
            (position, top + int(random.integers(0, 12))),
            (min(position + width - 2, right), bottom),
        )
        cv2.rectangle(wall, *corners, tuple(map(float, spine)), -1)
        position += width


def _floor(wall: np.ndarray, random: np.random.Generator, first_row: int, skirting: int) -> None:
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
