# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""People cut out of photographs and clips: head, shoulders and trunk with a soft mask, at true scale."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from av_perception.errors import UserError
from av_perception.simulation.assets import PHOTOGRAPHS, asset_path
from av_perception.simulation.clips import read_clip_images
from av_perception.simulation.scene import TalkerConfig

FACE_WIDTH_M = 0.135  # of the box that detectors draw, ear to ear; the eyes are then 63 mm apart and the head 0.16 m wide
PIXELS_PER_METER = 500.0
BELOW_M, EXTENDED_M = (
    0.44,
    1.3,
)  # the trunk is taken from the picture down to the first below the head centre, and goes on to the second
LEVEL_STEP = 0.8

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Cutout:
    """One view of a person on a plane that faces the camera.

    texture: (height, width, 4) uint8 BGRA, premultiplied by alpha, PIXELS_PER_METRE; center: (2,) pixel of the head centre in it;
    face_radii_m: (2,) half width and half height of the face [m].
    """

    texture: np.ndarray
    center: np.ndarray
    face_radii_m: np.ndarray
    _levels: dict[int, np.ndarray] = field(default_factory=dict, repr=False)

    def level(self, scale: float) -> np.ndarray:
        """The texture shrunk, without aliasing, to the smallest stored size that is not below `scale` of the full one."""
        index = max(0, int(np.floor(np.log(min(scale, 1.0)) / np.log(LEVEL_STEP) + 1e-9)))
        if index not in self._levels:
            size = [
                max(1, round(length * LEVEL_STEP**index)) for length in self.texture.shape[1::-1]
            ]
            self._levels[index] = (
                cv2.resize(self.texture, size, interpolation=cv2.INTER_AREA)
                if index
                else self.texture
            )
        return self._levels[index]


@dataclass(frozen=True)
class Appearance:
    """All views of a talker. views: one for a photograph; for a clip one per image, `rate` [Hz], the first with the mouth at rest."""

    views: tuple[Cutout, ...]
    rate: float = 0.0

    def at(self, time_s: float, turns: tuple[tuple[float, float], ...]) -> Cutout:
        """The view at a time: a clip plays from its beginning in every turn."""
        start = next((s for s, e in turns if s <= time_s < e), None)
        if start is None or not self.rate:
            return self.views[0]
        return self.views[int((time_s - start) * self.rate) % len(self.views)]


def load_appearance(talker: TalkerConfig) -> Appearance:
    """The talker's views from the photo or the clip. Raises UserError."""
    if talker.clip:
        images, rate = read_clip_images(Path(talker.clip))
        return Appearance(tuple(cut_out(images, talker.face, talker.clip)), rate)
    known = PHOTOGRAPHS.get(talker.photo)
    path = asset_path(talker.photo) if known else Path(talker.photo)
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise UserError(f'the photo {path} is not a readable image')
    return Appearance(tuple(cut_out([image], talker.face or known.face, str(path))))


def cut_out(images: list[np.ndarray], face: Box, name: str) -> list[Cutout]:
    """The person around the face box [px] in each image; the first image's outline serves all."""
    height, width = images[0].shape[:2]
    x, y, face_width, face_height = face
    center = np.array([x + face_width / 2, y + face_height / 2])
    if not (0 <= center[0] < width and 0 <= center[1] < height):
        raise UserError(f'the face {face} is not inside {name} ({width}x{height})')
    scale = PIXELS_PER_METER * FACE_WIDTH_M / face_width
    center = (center + 0.5) * scale - 0.5
    filtering = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    scaled = [
        cv2.resize(image, None, fx=scale, fy=scale, interpolation=filtering) for image in images
    ]
    bottom = int(min(scaled[0].shape[0], center[1] + BELOW_M * PIXELS_PER_METER))
    scaled = [image[:bottom] for image in scaled]
    alpha = _soft_mask(scaled[0], center)
    columns = np.flatnonzero((alpha > 0).any(axis=0))
    first, last = columns[0], columns[-1] + 1
    extension = max(0, int(center[1] + EXTENDED_M * PIXELS_PER_METER) - bottom)
    radii = np.array([face_width, face_height]) / 2 * FACE_WIDTH_M / face_width
    center = center - [first, 0]
    return [
        Cutout(
            _premultiplied(image[:, first:last], alpha[:, first:last], extension, center[0]),
            center,
            radii,
        )
        for image in scaled
    ]


def _soft_mask(image: np.ndarray, center: np.ndarray) -> np.ndarray:
    """(height, width) in [0, 1]: GrabCut (Rother et al. 2004) from a template of head, neck and trunk drawn around the head centre."""
    mask = _template(image.shape[:2], center)
    cv2.setRNGSeed(0)
    cv2.grabCut(image, mask, None, np.zeros((1, 65)), np.zeros((1, 65)), 5, cv2.GC_INIT_WITH_MASK)
    person = np.isin(mask, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    _, labels = cv2.connectedComponents(person)
    person = (labels == labels[min(int(center[1]), labels.shape[0] - 1), int(center[0])]).astype(
        np.uint8
    )
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    person = cv2.morphologyEx(
        cv2.morphologyEx(person, cv2.MORPH_OPEN, kernel), cv2.MORPH_CLOSE, kernel
    )
    person = cv2.erode(person, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3)))
    return cv2.GaussianBlur(person.astype(np.float32), (0, 0), 1.0)


def _template(shape: tuple[int, int], center: np.ndarray) -> np.ndarray:
    """GrabCut's labels: what is surely the person, what may be, what surely is not; lengths in face widths."""
    mask = np.full(shape, cv2.GC_BGD, np.uint8)
    unit = FACE_WIDTH_M * PIXELS_PER_METER

    def ellipse(below: float, half_width: float, half_height: float, label: int) -> None:
        middle = (round(center[0]), round(center[1] + below * unit))
        cv2.ellipse(
            mask,
            middle,
            (round(half_width * unit), round(half_height * unit)),
            0,
            0,
            360,
            int(label),
            -1,
        )

    def trunk(below: float, half_top: float, half_bottom: float, label: int) -> None:
        top, bottom = center[1] + below * unit, shape[0]
        corners = [
            (-half_top, top),
            (half_top, top),
            (half_bottom, bottom),
            (-half_bottom, bottom),
        ]
        cv2.fillPoly(
            mask,
            [
                np.array([(center[0] + side * unit, row) for side, row in corners])
                .round()
                .astype(np.int32)
            ],
            int(label),
        )

    trunk(0.65, 1.5, 1.65, cv2.GC_PR_FGD)
    ellipse(-0.1, 0.94, 1.12, cv2.GC_PR_FGD)
    trunk(1.35, 0.53, 1.18, cv2.GC_FGD)
    ellipse(-0.3, 0.42, 0.6, cv2.GC_FGD)
    ellipse(0.0, 0.42, 0.65, cv2.GC_FGD)
    ellipse(0.75, 0.27, 0.47, cv2.GC_FGD)
    return mask


def _premultiplied(
    image: np.ndarray, alpha: np.ndarray, extension: int, neck: float
) -> np.ndarray:
    """(height + extension, width, 4) uint8: the clothes go on downwards in their own colours, so that nobody ends in mid-air."""
    shade = np.linspace(1.0, 0.8, max(extension, 1), dtype=np.float32)[:extension, None, None]
    image = np.concatenate([image, np.clip(_cloth(image, alpha, neck) * shade, 0, 255)])
    alpha = np.pad(alpha, ((0, extension), (0, 0)), 'edge')[..., None]
    return np.dstack([image * alpha, 255 * alpha]).round().astype(np.uint8)


def _cloth(image: np.ndarray, alpha: np.ndarray, neck: float) -> np.ndarray:
    """(1, width, 3) colours of the lowest part of the trunk, column by column, without the neck around column `neck`."""
    rows = int(0.05 * PIXELS_PER_METER)
    weight = alpha[-rows:, :, None] ** 4 + 1e-6
    color = (image[-rows:] * weight).sum(axis=0) / weight.sum(axis=0)
    columns = np.arange(image.shape[1])
    usable = (alpha[-rows:].mean(axis=0) > 0.9) & (
        np.abs(columns - neck) > 0.09 * PIXELS_PER_METER
    )
    if usable.any():
        color = np.stack(
            [np.interp(columns, columns[usable], channel[usable]) for channel in color.T], axis=1
        )
    return cv2.GaussianBlur(color.astype(np.float32)[None], (0, 0), 0.02 * PIXELS_PER_METER)
