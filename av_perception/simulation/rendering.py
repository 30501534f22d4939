# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Images of the room, with true sub-pixel disparity.

People on planes that face the camera are drawn, far ones first, before a textured wall. A person
whose head center is at optical (X, Y, Z) is drawn at u = f X / Z + c with f / Z pixels per meter
in the left image and d = f B / Z pixels further left in the right one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from av_perception.robot_head import CameraGeometry
from av_perception.simulation.background import paint_wall
from av_perception.simulation.cutout import PIXELS_PER_METER, Cutout

NEAREST_M = 0.2
NOISE_LEVEL = 0.7  # standard deviation of the sensor noise in gray values
VISIBLE_SHARE = 0.5  # of a face that makes a person visible
_NOBODY = 255
_NOISE_MARGIN = 32  # pixels that a stored noise image is larger than an image


@dataclass(frozen=True)
class StereoPair:
    """Images of one moment.

    Attributes
    ----------
    left, right
        (height, width, 3) uint8 BGR; right is None with one camera.
    visible
        (people,) bool, by the left image.
    shown
        (people,) share of each face, in [0, 1], that nobody nearer covers in the left image.
    """

    left: np.ndarray
    right: np.ndarray | None
    visible: np.ndarray
    shown: np.ndarray


class PeopleRenderer:
    """Draws people before whatever is behind them.

    Parameters
    ----------
    camera
        One or a stereo pair.
    seed
        Of the sensor noise.
    """

    def __init__(self, camera: CameraGeometry, seed: int):
        self._camera = camera
        self._seed = seed
        random = np.random.default_rng([seed, 2])
        noise_shape = (camera.height + _NOISE_MARGIN, camera.width + _NOISE_MARGIN, 3)
        self._noise = [
            random.normal(0, NOISE_LEVEL, noise_shape).round().astype(np.int16) for _ in range(2)
        ]

    def draw(
        self,
        index: int,
        people: list[Cutout],
        positions: np.ndarray,
        backgrounds: Sequence[np.ndarray],
        blur_px: tuple[float, float] = (0.0, 0.0),
    ) -> StereoPair:
        """Draw an image pair.

        Parameters
        ----------
        index
            Of the pair, which seeds its noise.
        people
            Views to draw.
        positions
            (people, 3) [m] of their head centers in the left optical frame.
        backgrounds
            (height, width, 3) uint8 BGR, what is behind them in the left and the right image.
        blur_px
            By how many columns and rows the image moves while the shutter is open.
        """
        order = _far_to_near(positions) if len(people) else []
        left = backgrounds[0].copy()
        right = backgrounds[1].copy() if self._camera.baseline else None
        owner = np.full(left.shape[:2], _NOBODY, np.uint8)
        for k in order:
            pixel = self._camera.project(positions[k])
            scale = np.array(self._camera.focal) / positions[k, 2]
            alpha, corner = _draw(left, people[k], pixel, scale)
            _claim(owner, k, alpha, corner, pixel, people[k].face_radii_m * scale)
            if right is not None:
                shift = self._camera.disparity(positions[k, 2])
                _draw(right, people[k], pixel - [shift, 0.0], scale)
        shown = self._shown_shares(owner, people, positions)
        inside = np.array([self._is_inside(position) for position in positions], bool)
        visible = inside & (shown >= VISIBLE_SHARE)
        pair = StereoPair(left, right, visible, np.minimum(shown, 1.0))
        return self._exposed(index, pair, blur_px)

    def _exposed(self, index: int, pair: StereoPair, blur_px: tuple[float, float]) -> StereoPair:
        """Blur an image pair by its motion, and add the sensors' noise."""
        random = np.random.default_rng([self._seed, 3, index])
        left = self._with_noise(_blurred(pair.left, blur_px), random)
        right = None
        if pair.right is not None:
            right = self._with_noise(_blurred(pair.right, blur_px), random)
        return replace(pair, left=left, right=right)

    def _is_inside(self, position: np.ndarray) -> bool:
        """Whether a head center, (3,) [m], lies in the image."""
        pixel = self._camera.project(position)
        size = np.array([self._camera.width, self._camera.height])
        return bool((pixel >= -0.5).all() and (pixel < size - 0.5).all())

    def _shown_shares(
        self, owner: np.ndarray, people: list[Cutout], positions: np.ndarray
    ) -> np.ndarray:
        """(people,) share of the ellipse of each face that shows. owner: see `_claim`."""
        shown = np.zeros(len(people))
        for k, person in enumerate(people):
            radii = person.face_radii_m * np.array(self._camera.focal) / positions[k, 2]
            shown[k] = np.count_nonzero(owner == k) / (np.pi * np.prod(radii))
        return shown

    def _with_noise(self, image: np.ndarray, random: np.random.Generator) -> np.ndarray:
        row = random.integers(0, _NOISE_MARGIN)
        column = random.integers(0, _NOISE_MARGIN)
        which = random.integers(0, len(self._noise))
        noise = self._noise[which][row : row + image.shape[0], column : column + image.shape[1]]
        return cv2.add(image, noise, dtype=cv2.CV_8U)


class StereoRenderer(PeopleRenderer):
    """Draws people before the far wall.

    Parameters
    ----------
    camera
        One or a stereo pair.
    wall_depth_m
        [m] distance of the wall from the camera.
    eye_height_m
        [m] height of the camera above the floor.
    seed
        Of the sensor noise.
    """

    def __init__(
        self, camera: CameraGeometry, wall_depth_m: float, eye_height_m: float, seed: int
    ):
        super().__init__(camera, seed)
        wall_shift = camera.disparity(wall_depth_m)
        margin = int(np.ceil(wall_shift)) + 2
        wall = paint_wall(
            camera.width + margin,
            camera.height,
            camera.focal[0] / wall_depth_m,
            camera.center[1],
            eye_height_m,
        )
        self._walls = [_shifted(wall, shift, camera.width) for shift in (0.0, wall_shift)]

    def render(self, index: int, people: list[Cutout], positions: np.ndarray) -> StereoPair:
        """Draw an image pair before the wall; see `PeopleRenderer.draw`."""
        return self.draw(index, people, positions, self._walls)


def _blurred(image: np.ndarray, blur_px: tuple[float, float]) -> np.ndarray:
    """Average along the way that the image moves."""
    columns, rows = (max(1, round(abs(blur))) for blur in blur_px)
    return image if columns == rows == 1 else cv2.blur(image, (columns, rows))


def _far_to_near(positions: np.ndarray) -> list[int]:
    """Sort indices of positions (people, 3) [m] before the camera, the farthest first."""
    order = np.argsort(-positions[:, 2], kind='stable').tolist()
    return [k for k in order if positions[k, 2] > NEAREST_M]


def _shifted(wall: np.ndarray, shift: float, width: int) -> np.ndarray:
    """Move the wall to the left by a fraction of pixels and cut it to the image's width."""
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
    """Blend the person into the image.

    pixel: (2,) of the head center; scale: (2,) [px/m]. Returned are the person's alpha (h, w)
    uint8 and the pixel (x, y) of its top left corner.
    """
    shrink = scale / PIXELS_PER_METER
    texture = person.level(float(shrink.max()))
    ratio = np.array(texture.shape[1::-1]) / np.array(person.texture.shape[1::-1])
    # Texture pixel t shows (t + 0.5) / ratio - 0.5 of the full texture, whose pixel `center`
    # belongs at `pixel`.
    zoom = shrink / ratio
    offset = pixel + shrink * (0.5 / ratio - 0.5 - person.center)
    size = np.array(image.shape[1::-1])
    first = np.clip(np.floor(offset - zoom), 0, size).astype(int)
    last = np.clip(np.ceil(offset + zoom * texture.shape[1::-1]), 0, size).astype(int)
    if (last <= first).any():
        return np.zeros((0, 0), np.uint8), first
    matrix = np.array([[zoom[0], 0.0, offset[0] - first[0]], [0.0, zoom[1], offset[1] - first[1]]])
    layer_size = (last - first).tolist()
    layer = cv2.warpAffine(texture, matrix, layer_size, flags=cv2.INTER_LINEAR)
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
    """Note whose face each pixel shows.

    What person k covers shows no other face; their own face's ellipse, of these radii (2,) [px]
    around `pixel`, shows `k`.
    """
    area = owner[corner[1] : corner[1] + alpha.shape[0], corner[0] : corner[0] + alpha.shape[1]]
    covered = alpha > 127
    area[covered] = _NOBODY
    rows, columns = np.ogrid[: alpha.shape[0], : alpha.shape[1]]
    right = (columns + corner[0] - pixel[0]) / radii[0]
    down = (rows + corner[1] - pixel[1]) / radii[1]
    area[covered & (right**2 + down**2 <= 1)] = k
