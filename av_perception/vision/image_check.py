# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Whether an image can be looked at, and why not."""

from __future__ import annotations

import cv2
import numpy as np

from av_perception.robot_head.profile import CameraGeometry

WHITE = 250  # grey level from which a pixel is over-exposed
OVER_EXPOSED, WHITE_ALL_OVER = 0.5, 0.97  # shares of white pixels: worth a warning; nothing to see
_SAMPLED = 8  # every eighth row and column tells the share


class BadImage(ValueError):
    """An image that holds nothing to see: the message says which and why. The next image may be good."""


def checked_image(image: np.ndarray, camera: CameraGeometry, side: str) -> np.ndarray:
    """The image as (height, width, 3) uint8 BGR; grey ones, (height, width) or (height, width, 1), are converted. Raises BadImage."""
    if not isinstance(image, np.ndarray) or image.size == 0:
        raise BadImage(f'the {side} image is empty')
    if image.dtype != np.uint8:
        finite = not np.issubdtype(image.dtype, np.inexact) or np.isfinite(image).all()
        raise BadImage(
            f'the {side} image '
            + (f'is of type {image.dtype}, not uint8' if finite else 'is not finite')
        )
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 3)):
        raise BadImage(f'the {side} image has the shape {image.shape}, not (height, width, 3)')
    if image.shape[:2] != (camera.height, camera.width):
        size = f'{image.shape[1]}x{image.shape[0]}'
        raise BadImage(
            f"the {side} image has {size} pixels, the head profile's camera {camera.width}x{camera.height}"
        )
    if image.min() == image.max():
        raise BadImage(f'the {side} image is constant: is the lens covered?')
    if white_share(image) > WHITE_ALL_OVER:
        raise BadImage(f'the {side} image is over-exposed, white all over: lower the exposure')
    return (
        image
        if image.ndim == 3 and image.shape[2] == 3
        else cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
    )


def white_share(image: np.ndarray) -> float:
    """Share of the pixels of a (height, width[, channels]) uint8 image that are white."""
    sampled = image[::_SAMPLED, ::_SAMPLED].reshape(-1, *image.shape[2:])
    return float(
        np.mean(sampled >= WHITE if sampled.ndim == 1 else (sampled >= WHITE).all(axis=1))
    )


def is_over_exposed(image: np.ndarray) -> bool:
    """Whether most of the image is white, so that faces may be missed."""
    return white_share(image) > OVER_EXPOSED
