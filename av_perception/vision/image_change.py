# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What has changed in a camera's image since it was last looked at as a whole."""

from __future__ import annotations

import cv2
import numpy as np

SPARSE = 20  # [px] between those pixels that tell whether all has changed
CHANGED = 12.0  # [gray levels] mean change of these
BLOCK = 16  # [px] side of the blocks in which an image may change
SAMPLED = 4  # every fourth row and column tells a block's mean: sixteen pixels
NEW = 8.0  # [gray levels] change of a block's mean: above the noise of a sensor in the dark


class ImageChange:
    """Compares images with one that is kept.

    Only few pixels of it are kept.
    """

    def __init__(self) -> None:
        self._sparse: np.ndarray | None = None
        self._blocks = np.zeros((0, 0, 3), np.float32)

    def keep(self, image: np.ndarray) -> None:
        """Keep an image (height, width, 3) uint8 to compare others with."""
        self._sparse = _sparse_pixels(image)
        self._blocks = _block_means(image)

    def is_other(self, image: np.ndarray) -> bool:
        """Tell whether an image is another as a whole.

        The camera turned, a light went on, or nothing was kept.
        """
        if self._sparse is None:
            return True
        sparse = _sparse_pixels(image)
        if sparse.shape != self._sparse.shape:
            return True
        return bool(np.abs(sparse - self._sparse).mean() > CHANGED)

    def is_new_beside(self, image: np.ndarray, windows: np.ndarray) -> bool:
        """Tell whether an image has changed outside of some windows.

        Parameters
        ----------
        image
            (height, width, 3) uint8, of the size of the one that is kept.
        windows
            (N, 4) int left, top, width and height [px], inside the image.
        """
        changed = np.abs(_block_means(image) - self._blocks).max(axis=2) > NEW
        first = windows[:, :2] // BLOCK
        last = (windows[:, :2] + windows[:, 2:]) // BLOCK
        for (left, top), (right, bottom) in zip(first, last):
            changed[top : bottom + 1, left : right + 1] = False
        return bool(changed.any())


def _sparse_pixels(image: np.ndarray) -> np.ndarray:
    """Few pixels of an image, as numbers that can be subtracted."""
    return image[SPARSE // 2 :: SPARSE, SPARSE // 2 :: SPARSE].astype(np.int16)


def _block_means(image: np.ndarray) -> np.ndarray:
    """(rows, columns, 3) float32 mean colors of the blocks of an image.

    What is less than a block at the right and lower border is left out.
    """
    rows, columns = (max(side // BLOCK, 1) for side in image.shape[:2])
    sampled = np.ascontiguousarray(image[: rows * BLOCK : SAMPLED, : columns * BLOCK : SAMPLED])
    means = cv2.resize(sampled, (columns, rows), interpolation=cv2.INTER_AREA)
    return means.astype(np.float32)
