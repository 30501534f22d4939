# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The room all around a turning head: a round wall, whose axis is that of the neck's pan.

So the view turns exactly by shifting it along the wall, and the stereo disparity is that of the
wall's distance in every direction.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from av_perception.robot_head import CameraGeometry
from av_perception.simulation.background import paint_wall
from av_perception.simulation.neck import base_from_head

_SEGMENTS = 4
_TILT_STEP_RAD = 1e-3  # views of tilts that differ by less share their rays


@dataclass(frozen=True)
class _Rays:
    """Where the pixels' rays meet the wall: (height, width) float32 columns and rows of it."""

    columns: np.ndarray
    rows: np.ndarray


class Panorama:
    """Backgrounds of both cameras.

    Parameters
    ----------
    camera
        One or a stereo pair, in the head's base frame, which pan and tilt turn about its origin.
    radius_m
        [m] of the wall.
    eye_height_m
        [m] of the head's origin above the floor.
    """

    def __init__(self, camera: CameraGeometry, radius_m: float, eye_height_m: float):
        self._camera = camera
        self._radius_m = radius_m
        self._pixels_per_m = camera.focal[0] / radius_m
        circumference = round(2 * np.pi * radius_m * self._pixels_per_m)
        # Rays of 60 degrees up or down still meet it.
        half_height = int(np.ceil(np.tan(np.radians(60)) * camera.focal[0]))
        self._eye_row = float(half_height)
        widths = np.diff(np.linspace(0, circumference, _SEGMENTS + 1).round().astype(int))
        segments = [
            paint_wall(
                width, 2 * half_height, self._pixels_per_m, self._eye_row, eye_height_m, seed
            )
            for seed, width in enumerate(widths.tolist())
        ]
        self._width = circumference
        self._margin = circumference // 3
        wall = np.hstack(segments)
        self._wall = np.hstack([wall[:, -self._margin :], wall, wall[:, : self._margin]])
        self._tilt_rad = np.nan
        self._rays: list[_Rays] = []

    def views(self, pan_rad: float, tilt_rad: float) -> list[np.ndarray]:
        """Draw what the cameras see of the wall, (height, width, 3) uint8 BGR each."""
        if not abs(tilt_rad - self._tilt_rad) < _TILT_STEP_RAD:
            self._tilt_rad = tilt_rad
            eyes = (0.0, self._camera.baseline) if self._camera.baseline else (0.0,)
            self._rays = [self._trace(tilt_rad, eye) for eye in eyes]
        # Azimuths grow to the left, columns to the right.
        shift = (-pan_rad * self._radius_m * self._pixels_per_m) % self._width + self._margin
        return [
            cv2.remap(self._wall, rays.columns + np.float32(shift), rays.rows, cv2.INTER_LINEAR)
            for rays in self._rays
        ]

    def _trace(self, tilt_rad: float, eye_m: float) -> _Rays:
        """Intersect the rays of a camera, so far to the right of the left one, with the wall."""
        camera = self._camera
        turned = base_from_head(0.0, tilt_rad) @ camera.base_from_optical
        x = (np.arange(camera.width) - camera.center[0]) / camera.focal[0]
        y = (np.arange(camera.height) - camera.center[1]) / camera.focal[1]
        rays = np.stack([*np.meshgrid(x, y), np.ones((camera.height, camera.width))], axis=-1)
        rays = turned.rotate(rays)
        eye = turned.apply(np.array([eye_m, 0.0, 0.0]))
        # |eye + s ray|^2 = radius^2 in the plane, for s > 0.
        a = np.sum(rays[..., :2] ** 2, axis=-1)
        b = rays[..., :2] @ eye[:2]
        c = float(eye[:2] @ eye[:2]) - self._radius_m**2
        reach = (-b + np.sqrt(b**2 - a * c)) / a
        points = eye + reach[..., None] * rays
        azimuth = np.arctan2(points[..., 1], points[..., 0])
        columns = -azimuth * self._radius_m * self._pixels_per_m
        rows = self._eye_row - points[..., 2] * self._pixels_per_m
        return _Rays(columns.astype(np.float32), rows.astype(np.float32))
