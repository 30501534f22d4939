# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""People of photographs and clips in clothes of drawn colors, under light that changes."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from av_perception.robot_head.profile import CameraGeometry
from av_perception.simulation.cutout import PIXELS_PER_METER, Cutout
from av_perception.simulation.rendering import StereoPair, StereoRenderer
from av_perception.simulation.simulator import face_surfaces

SIDE_BY_SIDE = 3  # people in an image
NEUTRAL_SHARE = 0.45  # of clothes: black, gray, white and navy
_SKIN_DISTANCE = 14.0  # in Lab's a, b: what is nearer to the face's color below it is neck
_SHIRT_M = 0.07  # half width of what shows between the sides of a jacket
_JACKET_SHARE = 0.5  # of the people wear something of another color over their shirt
_SEAM_PX = 6.0  # standard deviation of the transition from skin to cloth
_SHADE_M = 0.1  # below the chin, from where on the light is the body's
BODY_LIGHT_SPREAD = 0.15  # of the logarithm of the body's brightness against the head's
_WALL_M = 5.0
_EYE_HEIGHT_M = 1.4
_MARGIN_PX = 50


def draw_clothes(random: np.random.Generator) -> np.ndarray:
    """Draw the colors of shirt and sides: (2, 3) BGR in 0..255, often of one color."""
    shirt = _draw_color(random)
    sides = _draw_color(random) if random.random() < _JACKET_SHARE else shirt
    return np.stack([shirt, sides])


def _draw_color(random: np.random.Generator) -> np.ndarray:
    if random.random() < NEUTRAL_SHARE:
        tone = (random.uniform(0, 1), random.uniform(0, 0.12), random.uniform(0.08, 0.95))
        if random.random() < 0.25:
            tone = (random.uniform(0.58, 0.66), random.uniform(0.4, 0.7), random.uniform(0.1, 0.3))
    else:
        tone = (random.uniform(0, 1), random.uniform(0.3, 0.9), random.uniform(0.2, 0.9))
    return 255.0 * np.array(colorsys.hsv_to_rgb(*tone)[::-1])


def dress(person: Cutout, clothes: np.ndarray) -> Cutout:
    """Color a person's clothes, whose folds stay.

    Parameters
    ----------
    person
        Whom.
    clothes
        (2, 3) of `draw_clothes`.

    Returns
    -------
    Cutout
        The person in these clothes.
    """
    alpha = person.texture[..., 3:].astype(np.float32) / 255
    image = person.texture[..., :3].astype(np.float32) / np.maximum(alpha, 1 / 255)
    image = np.clip(image, 0, 255)
    mask = _cloth_mask(image, person)
    gray = cv2.cvtColor(image.astype(np.uint8), cv2.COLOR_BGR2GRAY).astype(np.float32) + 20
    aside = np.abs(np.arange(image.shape[1]) - person.center[0]) / PIXELS_PER_METER
    side = 1 / (1 + np.exp(-(aside - _SHIRT_M) / 0.01))[None, :, None]
    color = (1 - side) * clothes[0] + side * clothes[1]
    # Folds: the lightness against that of the neighborhood.
    shade = np.clip(gray / cv2.GaussianBlur(gray, (0, 0), 25), 0.6, 1.5)[..., None]
    dressed = mask * np.clip(color * shade, 0, 255) + (1 - mask) * image
    texture = np.dstack([dressed * alpha, 255 * alpha]).round().astype(np.uint8)
    return Cutout(texture, person.center, person.face_radii_m)


def _cloth_mask(image: np.ndarray, person: Cutout) -> np.ndarray:
    """(height, width, 1) in [0, 1]: what lies below the chin and is not of the skin's color."""
    radii = person.face_radii_m * PIXELS_PER_METER
    x, y = person.center.astype(int)
    lab = cv2.cvtColor(image.astype(np.uint8), cv2.COLOR_BGR2LAB).astype(np.float32)
    face = lab[y : y + int(radii[1] / 2), x - int(radii[0] / 2) : x + int(radii[0] / 2)]
    skin = np.median(face.reshape(-1, 3), axis=0)
    away = np.hypot(lab[..., 1] - skin[1], lab[..., 2] - skin[2])
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    is_neck = (away < _SKIN_DISTANCE) & (np.abs(columns - x) < radii[0])
    is_neck &= rows < y + 2.2 * radii[1]
    mask = ((rows > y + 1.05 * radii[1]) & ~is_neck).astype(np.float32)
    return cv2.GaussianBlur(mask, (0, 0), _SEAM_PX)[..., None]


def shade(person: Cutout, gain: float) -> Cutout:
    """Light a person's body `gain` times as much as the head, as lamps above or beside do."""
    rows = np.arange(person.texture.shape[0]) - person.center[1]
    below_chin = rows / PIXELS_PER_METER - person.face_radii_m[1]
    share = np.clip(below_chin / _SHADE_M, 0.0, 1.0)[:, None, None]
    texture = person.texture.copy()
    alpha = texture[..., 3:].astype(np.float32)
    color = texture[..., :3] * (1 + share * (gain - 1)).astype(np.float32)
    texture[..., :3] = np.minimum(color, alpha).round()
    return Cutout(texture, person.center, person.face_radii_m)


@dataclass(frozen=True)
class Light:
    """Light and camera setting of one moment: gains (3,) of blue, green and red, and a gamma."""

    gains: np.ndarray
    gamma: float

    @classmethod
    def draw(cls, random: np.random.Generator) -> Light:
        """Draw from lamps of many colors, and half to one and a half times the brightness."""
        warmth = random.normal(0, 0.12)
        tint = random.normal(0, 0.04)
        gains = np.exp([-warmth, tint, warmth]) * np.exp(random.normal(0, 0.2))
        return cls(gains, float(np.exp(random.normal(0, 0.08))))

    def on(self, image: np.ndarray) -> np.ndarray:
        """See a (height, width, 3) uint8 image in this light."""
        levels = (np.arange(256) / 255) ** self.gamma
        table = np.clip(255 * levels[:, None] * self.gains, 0, 255).round().astype(np.uint8)
        return cv2.LUT(image, table[:, None, :])


class Stage:
    """Renders people side by side before the head's cameras."""

    def __init__(self, camera: CameraGeometry):
        self.camera = camera
        self._renderer = StereoRenderer(camera, _WALL_M, _EYE_HEIGHT_M, 2)

    def draw(
        self, index: int, people: Sequence[Cutout], light: Light, random: np.random.Generator
    ) -> tuple[StereoPair, np.ndarray]:
        """Draw at most SIDE_BY_SIDE people at random places.

        Parameters
        ----------
        index
            Of the image, which seeds its noise.
        people
            Whom.
        light
            On all of them.
        random
            Draws the places, and how much more or less light falls on each body than on the head.

        Returns
        -------
        pair
            The images in this light.
        centers
            (people, 3) head centers [m] in the left optical frame.
        """
        camera = self.camera
        places = random.permutation(SIDE_BY_SIDE)[: len(people)]
        z = random.uniform(1.2, 3.0) * random.uniform(0.95, 1.05, len(people))
        left = camera.disparity(float(z.min())) + _MARGIN_PX
        width = (camera.width - _MARGIN_PX - left) / SIDE_BY_SIDE
        u = left + (places + random.uniform(0.4, 0.6, len(people))) * width
        v = camera.height * random.uniform(0.25, 0.5, len(people))
        rays = (np.column_stack([u, v]) - np.array(camera.center)) / np.array(camera.focal)
        centers = np.column_stack([rays * z[:, None], z])
        gains = np.exp(BODY_LIGHT_SPREAD * random.normal(size=len(people)))
        shaded = [shade(person, float(gain)) for person, gain in zip(people, gains)]
        pair = self._renderer.render(index, shaded, face_surfaces(centers))
        right = None if pair.right is None else light.on(pair.right)
        return StereoPair(light.on(pair.left), right, pair.visible, pair.shown), centers
