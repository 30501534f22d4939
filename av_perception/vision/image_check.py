# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Whether an image can be looked at, and why not."""

from __future__ import annotations

from functools import reduce

import cv2
import numpy as np

from av_perception.robot_head.profile import CameraGeometry

WHITE = 250  # gray level from which a pixel is over-exposed
OVER_EXPOSED = 0.5  # share of white pixels that is worth a warning
WHITE_ALL_OVER = 0.97  # share of white pixels at which there is nothing to see
_SAMPLED = 8  # every eighth row and column tells the share
_FLAT = 8.0  # gray levels of deviation, below which there is too little to tell noise from
_RELATED = 0.3  # correlation of neighboring pixels; above 0.9 in what cameras see


class BadImage(ValueError):
    """An image that holds nothing to see.

    The message says which one and why. The next image may be good.
    """


def checked_image(image: np.ndarray, camera: CameraGeometry, side: str) -> np.ndarray:
    """Check an image and make it a color image.

    Parameters
    ----------
    image
        (height, width, 3) BGR, or gray: (height, width) or (height, width, 1); uint8.
    camera
        Whose image size it must have.
    side
        'left' or 'right', for messages.

    Returns
    -------
    np.ndarray
        (height, width, 3) uint8 BGR; a color image itself.

    Raises
    ------
    BadImage
        When it is empty, of another size, not 8-bit, not finite, constant or white all over.
    """
    _check_layout(image, side)
    if image.shape[:2] != (camera.height, camera.width):
        raise BadImage(
            f'the {side} image has {image.shape[1]}x{image.shape[0]} pixels, the head '
            f"profile's camera {camera.width}x{camera.height}"
        )
    if _is_constant(image):
        raise BadImage(f'the {side} image is constant: is the lens covered?')
    if white_share(image) > WHITE_ALL_OVER:
        raise BadImage(f'the {side} image is over-exposed, white all over: lower the exposure')
    if image.ndim == 3 and image.shape[2] == 3:
        return image
    return cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)


def _check_layout(image: np.ndarray, side: str) -> None:
    """Check type and number of channels. Raises BadImage."""
    if not isinstance(image, np.ndarray) or image.size == 0:
        raise BadImage(f'the {side} image is empty')
    if image.dtype != np.uint8:
        if np.issubdtype(image.dtype, np.inexact) and not np.isfinite(image).all():
            raise BadImage(f'the {side} image is not finite')
        raise BadImage(f'the {side} image is of type {image.dtype}, not uint8')
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 3)):
        raise BadImage(f'the {side} image has the shape {image.shape}, not (height, width, 3)')


def _is_constant(image: np.ndarray) -> bool:
    """Whether all numbers of an image are alike; the first few pixels of most say no."""
    start = image[:_SAMPLED]
    return bool(start.min() == start.max() and image.min() == image.max())


def white_share(image: np.ndarray) -> float:
    """Share of the pixels of a (height, width[, channels]) uint8 image that are white."""
    sampled = image[::_SAMPLED, ::_SAMPLED]
    if sampled.ndim == 3:  # white is what is white in all channels
        # Not `min`: along an axis so short it takes ten times as long.
        sampled = reduce(np.minimum, sampled.transpose(2, 0, 1))
    return float(np.count_nonzero(sampled >= WHITE) / sampled.size)


def is_over_exposed(image: np.ndarray) -> bool:
    """Whether most of the image is white, so that faces may be missed."""
    return white_share(image) > OVER_EXPOSED


def is_noise(image: np.ndarray) -> bool:
    """Whether neighboring pixels of a (height, width[, channels]) uint8 image have no relation.

    So it is where bytes are taken for another encoding, or a sensor sees nothing but itself.
    """
    rows = image[::_SAMPLED, : image.shape[1] // 2 * 2]
    values = rows.reshape(*rows.shape[:2], -1)[..., 0].astype(np.float32)
    left = values[:, 0::2] - values[:, 0::2].mean()
    right = values[:, 1::2] - values[:, 1::2].mean()
    power = float(np.sqrt(np.mean(left**2) * np.mean(right**2)))
    return power > _FLAT**2 and float(np.mean(left * right)) < _RELATED * power
