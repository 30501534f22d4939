# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""How people look apart from their faces: colors of clothes and hair, size of the head.

A face's box (1 wide) places hair above it and the upper body below it. Their colors are taken
relative to the skin of the same face: for each channel,

    f = log((color + OFFSET) / (skin + OFFSET)).

The light on clothes and face is about the same, so its strength and color cancel, to first order,
and so does the gain of the camera. Left and right are averaged: people turn. The width of the head
in meters, from the box and its depth, is the last number where the depth comes from a disparity.
What lies outside the image or is covered by somebody nearer is NaN.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from av_perception.interfaces import APPEARANCE_SIZE

# The window around a face of width 1 and what it is scaled to.
_ASIDE = 1.2  # from the middle of the face to either side
_ABOVE = 0.5  # of the top of the box
_BELOW = 1.9  # of the bottom of the box
_FACE_PX = 10  # width of the face in the scaled window
_FACE_HEIGHT_PX = 13  # of the box in it
OFFSET = 12.0  # [gray levels] below which noise and reflections rule
# Rows and columns of the scaled window: from the top of the box, from the middle of the face.
_SKIN = ((4, 9), (0, 3))
_REGIONS = (
    ((-4, -1), (0, 3)),  # hair above the forehead
    ((17, 22), (0, 3)),  # collar and chest
    ((24, 31), (0, 4)),
    ((19, 24), (6, 11)),  # shoulders
    ((25, 32), (6, 11)),  # sides of the chest
)
_OVER_EXPOSED = 250.0  # [gray levels] skin so bright has lost its color
_LEAST_SHOWN = 0.5  # share of a region that must lie in the image
_TEXTURE_REGIONS = (2, 4)
MIN_FACE_PX = 16.0  # narrower faces are not described
# Widths of the face: nearer to a border the box may be of a part of it, and all is elsewhere.
_LEAST_MARGIN = 0.15


@dataclass(frozen=True)
class DescriptionConfig:
    """When people are described."""

    #: Describe clothes, hair and size of heads, so that people who were away are known again;
    #: without it nothing of how people look leaves the node but embeddings of faces.
    enabled: bool = True
    #: the faces of one of so many images are described, at least 1
    every: int = 2

    def __post_init__(self):
        if self.every < 1:
            raise ValueError('every must be at least 1')


def describe_people(
    image_bgr: np.ndarray, boxes: np.ndarray, depths_m: np.ndarray, focal_px: float
) -> np.ndarray:
    """Describe the people of some faces.

    Parameters
    ----------
    image_bgr
        (height, width, 3) uint8.
    boxes
        (N, 4) left, top, width and height of the faces [px].
    depths_m
        (N,) of the faces by their disparities [m]; NaN without.
    focal_px
        Focal length [px].

    Returns
    -------
    np.ndarray
        (N, APPEARANCE_SIZE) numbers, NaN where a region does not show; whole rows of NaN for
        faces that are too small, or that the image's border or somebody nearer may cover.
    """
    described = np.full((len(boxes), APPEARANCE_SIZE), np.nan)
    widths_m = np.log(boxes[:, 2] * depths_m / focal_px) if len(boxes) else np.zeros(0)
    is_whole = ~is_obstructed(boxes) & ~_is_at_border(boxes, image_bgr.shape[1])
    for k in np.flatnonzero(is_whole):
        if boxes[k, 2] >= MIN_FACE_PX:
            described[k, :-1] = _colors(_window(image_bgr, boxes[k]))
            # The size of a head alone tells nobody from anybody.
            if np.isfinite(described[k, :-1]).any():
                described[k, -1] = widths_m[k]
    return described


def is_obstructed(boxes: np.ndarray) -> np.ndarray:
    """Whether the window of each of (N, 4) boxes [px] meets a person with a larger face: (N,).

    That person has a head around the face, and shoulders below it.
    """
    left = boxes[:, 0] - 1.2 * boxes[:, 2]
    right = boxes[:, 0] + 2.2 * boxes[:, 2]
    top = boxes[:, 1] - 0.4 * boxes[:, 2]
    window_left = boxes[:, 0] + (0.5 - _ASIDE) * boxes[:, 2]
    window_right = boxes[:, 0] + (0.5 + _ASIDE) * boxes[:, 2]
    window_bottom = boxes[:, 1] + boxes[:, 3] + _BELOW * boxes[:, 2]
    meets = (window_left[:, None] < right) & (window_right[:, None] > left)
    meets &= window_bottom[:, None] > top
    larger = boxes[:, 2] > boxes[:, 2:3]
    return np.any(meets & larger, axis=1)


def _is_at_border(boxes: np.ndarray, image_width: int) -> np.ndarray:
    """(N,) whether the left, right or upper border of the image may cut (N, 4) boxes [px]."""
    margin = _LEAST_MARGIN * boxes[:, 2]
    left, top, width = boxes[:, 0], boxes[:, 1], boxes[:, 2]
    return (left < margin) | (top < margin) | (left + width > image_width - margin)


def _window(image_bgr: np.ndarray, box: np.ndarray) -> np.ndarray:
    """(rows, columns, 3) the scaled window around a face, NaN outside of the image."""
    scale = box[2:] / [_FACE_PX, _FACE_HEIGHT_PX]
    shape = np.array([2 * _ASIDE * _FACE_PX, (_ABOVE + _BELOW) * _FACE_PX + _FACE_HEIGHT_PX])
    shape = shape.round().astype(int)
    scaled = np.full((shape[1], shape[0], 3), np.nan, np.float32)
    start = box[:2] + box[2:] * [0.5, 0.0] - scale * _FACE_PX * np.array([_ASIDE, _ABOVE])
    size = np.array(image_bgr.shape[1::-1])
    # Whole pixels of the scaled window that lie in the image.
    first = np.maximum(np.ceil(-start / scale), 0).astype(int)
    last = np.minimum(np.floor((size - start) / scale), shape).astype(int)
    if (last <= first).any():
        return scaled
    low = np.clip(np.round(start + first * scale).astype(int), 0, size - 1)
    high = np.clip(np.round(start + last * scale).astype(int), low + 1, size)
    part = image_bgr[low[1] : high[1], low[0] : high[0]]
    target = (last - first).tolist()
    scaled[first[1] : last[1], first[0] : last[0]] = cv2.resize(
        part, target, interpolation=cv2.INTER_AREA
    )
    return scaled


def _colors(window: np.ndarray) -> np.ndarray:
    """Describe by (A - 1,) colors and textures of the regions of a scaled window."""
    skin = _median(_sorted_pixels(window, *_SKIN))
    # With two channels at their end the color is lost. (Not a number is not below it either.)
    if not np.sort(skin)[1] < _OVER_EXPOSED:
        return np.full(APPEARANCE_SIZE - 1, np.nan)
    logs = np.log((window + OFFSET) / (skin + OFFSET))
    regions = [_sorted_pixels(logs, *region) for region in _REGIONS]
    colors = [_median(pixels) for pixels in regions]
    textures = [_texture(regions[k]) for k in _TEXTURE_REGIONS]
    return np.concatenate([*colors, textures])


def _sorted_pixels(
    window: np.ndarray, rows: tuple[int, int], columns: tuple[int, int]
) -> np.ndarray:
    """(P, 3) sorted values of a region and of its mirror image; NaN last."""
    top = round(_ABOVE * _FACE_PX)
    middle = window.shape[1] // 2
    chosen = window[top + rows[0] : top + rows[1]]
    right = chosen[:, middle + columns[0] : middle + columns[1]]
    left = chosen[:, middle - columns[1] : middle - columns[0]]
    return np.sort(np.concatenate([right.reshape(-1, 3), left.reshape(-1, 3)]), axis=0)


def _shown(pixels: np.ndarray) -> int:
    """How many of (P, 3) sorted pixels lie in the image; 0 when those are too few."""
    count = int(np.isfinite(pixels[:, 0]).sum())
    return count if count >= _LEAST_SHOWN * len(pixels) else 0


def _median(pixels: np.ndarray) -> np.ndarray:
    """(3,) median of (P, 3) sorted pixels, NaN when too few of them lie in the image."""
    count = _shown(pixels)
    return pixels[count // 2].astype(float) if count else np.full(3, np.nan)


def _texture(pixels: np.ndarray) -> float:
    """Spread of the lightness of (P, 3) sorted logarithms; NaN as of `_median`."""
    count = _shown(pixels)
    if not count:
        return float('nan')
    low, high = pixels[[int(0.15 * count), int(0.85 * count)], 1]
    return float(np.log(high - low + 0.05))
