# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Images of the room: people on planes that face the camera, far ones first, a textured wall behind; true sub-pixel disparity.

A person whose head centre is at optical (X, Y, Z) is drawn at u = f X / Z + c with f / Z pixels per metre in the left image and
d = f B / Z pixels further left in the right one.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from av_perception.robot_head import CameraGeometry
from av_perception.simulation.background import paint_wall
from av_perception.simulation.cutout import PIXELS_PER_METER, Cutout

NEAREST_M = 0.2
NOISE_LEVEL = 0.7  # standard deviation of the sensor noise in grey values
VISIBLE_SHARE = 0.5
_NOBODY = 255


@dataclass(frozen=True)
class StereoPair:
    """left, right (None with one camera): (height, width, 3) uint8 BGR; visible: (people,) bool, by the left image."""

    left: np.ndarray
    right: np.ndarray | None
    visible: np.ndarray


class StereoRenderer:
    """Draws people before the far wall, wall_depth_m away from the camera, whose height above the floor is eye_height_m."""

    def __init__(
        self, camera: CameraGeometry, wall_depth_m: float, eye_height_m: float, seed: int
    ):
        self._camera, self._seed = camera, seed
        self._shift = camera.disparity(wall_depth_m)
        margin = int(np.ceil(self._shift)) + 2
        wall = paint_wall(
            camera.width + margin,
            camera.height,
            camera.focal[0] / wall_depth_m,
            camera.center[1],
            eye_height_m,
        )
        self._walls = [_shifted(wall, shift, camera.width) for shift in (0.0, self._shift)]
        random = np.random.default_rng([seed, 2])
        noise_shape = (camera.height + 32, camera.width + 32, 3)
        self._noise = [
            random.normal(0, NOISE_LEVEL, noise_shape).round().astype(np.int16) for _ in range(2)
        ]

    def render(self, index: int, people: list[Cutout], positions: np.ndarray) -> StereoPair:
        """The image pair `index` (which seeds its noise) of people at positions (people, 3) [m] in the left optical frame."""
        random = np.random.default_rng([self._seed, 3, index])
        order = (
            [k for k in np.argsort(-positions[:, 2], kind='stable') if positions[k, 2] > NEAREST_M]
            if len(people)
            else []
        )
        left, right = (
            self._walls[0].copy(),
            self._walls[1].copy() if self._camera.baseline else None,
        )
        owner = np.full(left.shape[:2], _NOBODY, np.uint8)
        for k in order:
            pixel = self._camera.project(positions[k])
            scale = np.array(self._camera.focal) / positions[k, 2]
            alpha, corner = _draw(left, people[k], pixel, scale)
            _claim(owner, k, alpha, corner, pixel, people[k].face_radii_m * scale)
            if right is not None:
                _draw(
                    right, people[k], pixel - [self._camera.disparity(positions[k, 2]), 0.0], scale
                )
        visible = np.array(
            [
                k in order and self._is_visible(owner, k, people[k], positions[k])
                for k in range(len(people))
            ],
            bool,
        )
        return StereoPair(
            self._with_noise(left, random),
            None if right is None else self._with_noise(right, random),
            visible,
        )

    def _is_visible(self, owner: np.ndarray, k: int, person: Cutout, position: np.ndarray) -> bool:
        """The head centre lies in the image and at least VISIBLE_SHARE of the face's ellipse is neither hidden nor outside."""
        pixel = self._camera.project(position)
        inside = (
            (pixel >= -0.5).all()
            and pixel[0] < self._camera.width - 0.5
            and pixel[1] < self._camera.height - 0.5
        )
        area = np.pi * np.prod(person.face_radii_m * np.array(self._camera.focal) / position[2])
        return bool(inside and np.count_nonzero(owner == k) >= VISIBLE_SHARE * area)

    def _with_noise(self, image: np.ndarray, random: np.random.Generator) -> np.ndarray:
        row, column, which = (
            random.integers(0, 32),
            random.integers(0, 32),
            random.integers(0, len(self._noise)),
        )
        noise = self._noise[which][row : row + image.shape[0], column : column + image.shape[1]]
        return cv2.add(image, noise, dtype=cv2.CV_8U)


def _shifted(wall: np.ndarray, shift: float, width: int) -> np.ndarray:
    """The wall moved to the left by a fraction of pixels, cut to the image's width."""
    return cv2.warpAffine(
        wall,
        np.array([[1.0, 0.0, -shift], [0.0, 1.0, 0.0]]),
        (width, wall.shape[0]),
        flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )


def _draw(
    image: np.ndarray, person: Cutout, pixel: np.ndarray, scale: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Blend the person, head centre at `pixel`, `scale` [px/m], into the image; (alpha (h, w) uint8, its top left corner (x, y))."""
    shrink = scale / PIXELS_PER_METER
    texture = person.level(float(shrink.max()))
    ratio = np.array(texture.shape[1::-1]) / np.array(person.texture.shape[1::-1])
    # texture pixel t shows (t + 0.5) / ratio - 0.5 of the full texture, whose pixel `center` belongs at `pixel`
    zoom = shrink / ratio
    offset = pixel + shrink * (0.5 / ratio - 0.5 - person.center)
    size = np.array(image.shape[1::-1])
    first = np.clip(np.floor(offset - zoom), 0, size).astype(int)
    last = np.clip(np.ceil(offset + zoom * texture.shape[1::-1]), 0, size).astype(int)
    if (last <= first).any():
        return np.zeros((0, 0), np.uint8), first
    matrix = np.array([[zoom[0], 0.0, offset[0] - first[0]], [0.0, zoom[1], offset[1] - first[1]]])
    layer = cv2.warpAffine(
        texture, matrix, tuple(int(n) for n in last - first), flags=cv2.INTER_LINEAR
    )
    area = image[first[1] : last[1], first[0] : last[0]]
    kept = 255 - layer[..., 3:].astype(np.uint16)
    area[:] = layer[..., :3] + ((area * kept + 127) // 255).astype(np.uint8)
    return layer[..., 3], first


def _claim(
    owner: np.ndarray,
    k: int,
    alpha: np.ndarray,
    corner: np.ndarray,
    pixel: np.ndarray,
    radii: np.ndarray,
) -> None:
    """Note whose face each pixel shows: what this person covers shows no other face, its own ellipse shows `k`."""
    area = owner[corner[1] : corner[1] + alpha.shape[0], corner[0] : corner[0] + alpha.shape[1]]
    covered = alpha > 127
    area[covered] = _NOBODY
    rows, columns = np.ogrid[: alpha.shape[0], : alpha.shape[1]]
    ellipse = ((columns + corner[0] - pixel[0]) / radii[0]) ** 2 + (
        (rows + corner[1] - pixel[1]) / radii[1]
    ) ** 2 <= 1
    area[covered & ellipse] = k
