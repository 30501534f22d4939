# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""People cut out of photographs and clips at true scale: head, shoulders, trunk, a soft mask."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from av_perception.errors import UserError
from av_perception.recording.images import read_image
from av_perception.simulation.assets import PHOTOGRAPHS, asset_path
from av_perception.simulation.clips import read_clip_images
from av_perception.simulation.scene import TalkerConfig

# Of the box that detectors draw, ear to ear; then the eyes are 63 mm apart, the head 0.16 m wide.
FACE_WIDTH_M = 0.135
PIXELS_PER_METER = 500.0
BELOW_M = 0.44  # the trunk is taken from the picture down to here below the head center
EXTENDED_M = 1.3  # and goes on to here
_FACE_WIDTH_PX = FACE_WIDTH_M * PIXELS_PER_METER
LEVEL_STEP = 0.8  # between the stored sizes of a texture

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Cutout:
    """One view of a person on a plane that faces the camera.

    Attributes
    ----------
    texture
        (height, width, 4) uint8 BGRA, premultiplied by alpha, at PIXELS_PER_METER.
    center
        (2,) [px] of the head center in it.
    face_radii_m
        (2,) [m] half width and half height of the face.
    """

    texture: np.ndarray
    center: np.ndarray
    face_radii_m: np.ndarray
    _levels: dict[int, np.ndarray] = field(default_factory=dict, repr=False)

    def level(self, scale: float) -> np.ndarray:
        """Shrink the texture without aliasing.

        Parameters
        ----------
        scale
            Of the full size.

        Returns
        -------
        np.ndarray
            The smallest stored size that is not below that, (h, w, 4) uint8 as `texture`.
        """
        index = max(0, int(np.floor(np.log(min(scale, 1.0)) / np.log(LEVEL_STEP) + 1e-9)))
        if not index:
            return self.texture
        if index not in self._levels:
            shrink = LEVEL_STEP**index
            size = [max(1, round(length * shrink)) for length in self.texture.shape[1::-1]]
            self._levels[index] = cv2.resize(self.texture, size, interpolation=cv2.INTER_AREA)
        return self._levels[index]


@dataclass(frozen=True)
class Appearance:
    """All views of a talker.

    Attributes
    ----------
    views
        One for a photograph; for a clip one per image, the first with the mouth at rest.
    rate
        [Hz] of a clip's images.
    """

    views: tuple[Cutout, ...]
    rate: float = 0.0

    def at(self, time_s: float, turns: tuple[tuple[float, float], ...]) -> Cutout:
        """Choose the view at a time; a clip plays from its beginning in every turn.

        turns: (start, end) [s].
        """
        starts = [start for start, end in turns if start <= time_s < end]
        if not starts or not self.rate:
            return self.views[0]
        return self.views[int((time_s - starts[0]) * self.rate) % len(self.views)]


def load_appearance(talker: TalkerConfig) -> Appearance:
    """Cut the talker out of the photo or the clip.

    Raises
    ------
    UserError
        When it cannot be read, or the face is not inside.
    """
    if talker.clip:
        if talker.face is None:  # a TalkerConfig with a clip has one
            raise UserError(f'the clip {talker.clip} needs the box of its face')
        images, rate = read_clip_images(Path(talker.clip))
        return Appearance(tuple(cut_out(images, talker.face, talker.clip)), rate)
    path, face = _photo_of(talker)
    try:
        image = read_image(path)
    except UserError as error:
        raise UserError(f'the photo {path} is not a readable image') from error
    return Appearance(tuple(cut_out([image], face, str(path))))


def _photo_of(talker: TalkerConfig) -> tuple[Path, Box]:
    """File of the talker's photo, and the face in it: what the talker says of it, or the asset."""
    if talker.photo in PHOTOGRAPHS:
        return asset_path(talker.photo), talker.face or PHOTOGRAPHS[talker.photo].face
    if talker.face is None:  # a TalkerConfig with a photo of its own has one
        raise UserError(f'the photo {talker.photo} needs the box of its face')
    return Path(talker.photo), talker.face


def cut_out(images: list[np.ndarray], face: Box, name: str) -> list[Cutout]:
    """Cut a person out of each image; the first image's outline serves all.

    Parameters
    ----------
    images
        (height, width, 3) uint8 BGR, all of one size.
    face
        [px] box of the person's face.
    name
        Of the file, for the message.

    Raises
    ------
    UserError
        When the face is not inside the image.
    """
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
    radii = np.array([face_width, face_height]) / 2 * FACE_WIDTH_M / face_width
    return _cut_out_scaled(scaled, center, radii)


def _cut_out_scaled(
    images: list[np.ndarray], center: np.ndarray, radii: np.ndarray
) -> list[Cutout]:
    """Cut out the person whose head center is at `center` [px]; images at PIXELS_PER_METER."""
    bottom = int(min(images[0].shape[0], center[1] + BELOW_M * PIXELS_PER_METER))
    images = [image[:bottom] for image in images]
    alpha = _soft_mask(images[0], center)
    columns = np.flatnonzero((alpha > 0).any(axis=0))
    kept = slice(columns[0], columns[-1] + 1)
    extension = max(0, int(center[1] + EXTENDED_M * PIXELS_PER_METER) - bottom)
    center = center - [kept.start, 0]
    return [
        Cutout(_premultiplied(image[:, kept], alpha[:, kept], extension, center[0]), center, radii)
        for image in images
    ]


def _soft_mask(image: np.ndarray, center: np.ndarray) -> np.ndarray:
    """(height, width) in [0, 1]: the person whose head center is at `center` [px].

    GrabCut (Rother et al. 2004) goes out from a template of head, neck and trunk.
    """
    labels = _template(image.shape[0], image.shape[1], center)
    cv2.setRNGSeed(0)
    models = (np.zeros((1, 65)), np.zeros((1, 65)))
    cv2.grabCut(image, labels, (0, 0, 0, 0), *models, 5, cv2.GC_INIT_WITH_MASK)
    # The piece that holds the head, without holes, spots and its outermost pixels.
    person = np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    _, pieces = cv2.connectedComponents(person)
    head_piece = pieces[min(int(center[1]), pieces.shape[0] - 1), int(center[0])]
    mask: np.ndarray = (pieces == head_piece).astype(np.uint8)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, kernel)
    mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, kernel)
    mask = cv2.erode(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3)))
    return cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 1.0)


def _template(height: int, width: int, center: np.ndarray) -> np.ndarray:
    """(height, width) GrabCut's labels: surely the person, maybe, surely not; in face widths."""
    labels = np.full((height, width), cv2.GC_BGD, np.uint8)
    _draw_trunk(labels, center, 0.65, 1.5, 1.65, cv2.GC_PR_FGD)
    _draw_ellipse(labels, center, -0.1, 0.94, 1.12, cv2.GC_PR_FGD)
    _draw_trunk(labels, center, 1.35, 0.53, 1.18, cv2.GC_FGD)
    _draw_ellipse(labels, center, -0.3, 0.42, 0.6, cv2.GC_FGD)
    _draw_ellipse(labels, center, 0.0, 0.42, 0.65, cv2.GC_FGD)
    _draw_ellipse(labels, center, 0.75, 0.27, 0.47, cv2.GC_FGD)
    return labels


def _draw_ellipse(
    labels: np.ndarray,
    center: np.ndarray,
    below: float,
    half_width: float,
    half_height: float,
    label: int,
) -> None:
    """Fill an upright ellipse `below` the head center; lengths in face widths."""
    middle = (round(center[0]), round(center[1] + below * _FACE_WIDTH_PX))
    axes = (round(half_width * _FACE_WIDTH_PX), round(half_height * _FACE_WIDTH_PX))
    cv2.ellipse(labels, middle, axes, 0, 0, 360, int(label), -1)


def _draw_trunk(
    labels: np.ndarray,
    center: np.ndarray,
    below: float,
    half_top: float,
    half_bottom: float,
    label: int,
) -> None:
    """Fill a trapezoid from `below` the head center to the lower border; in face widths."""
    top = center[1] + below * _FACE_WIDTH_PX
    bottom = labels.shape[0]
    sides = np.array([-half_top, half_top, half_bottom, -half_bottom])
    corners = np.stack([center[0] + sides * _FACE_WIDTH_PX, [top, top, bottom, bottom]], axis=1)
    cv2.fillPoly(labels, [corners.round().astype(np.int32)], int(label))


def _premultiplied(
    image: np.ndarray, alpha: np.ndarray, extension: int, neck: float
) -> np.ndarray:
    """(height + extension, width, 4) uint8: the image and more of the clothes below it.

    They go on downwards in their own colors, so that nobody ends in mid-air. neck: its column.
    """
    shade = np.linspace(1.0, 0.8, max(extension, 1), dtype=np.float32)[:extension, None, None]
    image = np.concatenate([image, np.clip(_cloth(image, alpha, neck) * shade, 0, 255)])
    alpha = np.pad(alpha, ((0, extension), (0, 0)), 'edge')[..., None]
    return np.dstack([image * alpha, 255 * alpha]).round().astype(np.uint8)


def _cloth(image: np.ndarray, alpha: np.ndarray, neck: float) -> np.ndarray:
    """(1, width, 3) colors of the lowest part of the trunk, column by column.

    The neck around column `neck` does not count.
    """
    rows = int(0.05 * PIXELS_PER_METER)
    weight = alpha[-rows:, :, None] ** 4 + 1e-6
    color = (image[-rows:] * weight).sum(axis=0) / weight.sum(axis=0)
    columns = np.arange(image.shape[1])
    beside_neck = np.abs(columns - neck) > 0.09 * PIXELS_PER_METER
    usable = (alpha[-rows:].mean(axis=0) > 0.9) & beside_neck
    if usable.any():
        channels = [np.interp(columns, columns[usable], c[usable]) for c in color.T]
        color = np.stack(channels, axis=1)
    return cv2.GaussianBlur(color.astype(np.float32)[None], (0, 0), 0.02 * PIXELS_PER_METER)
