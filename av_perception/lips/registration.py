# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A mouth laid over how it looks at rest: landmarks tremble by two pixels, lips move by as many.

With I the image, J the reference and g = (u, v, s, r) the shift, growth and turn between them, to
first order

    I - J = u J_x + v J_y + s (x J_x + y J_y) + r (x J_y - y J_x) + a J + b,

with light a, b (Lucas and Kanade, "An iterative image registration technique", IJCAI 1981). Pixels
weigh as little as they change by themselves, so that lips that move move nothing. The step is
repeated with I moved by what was found.
"""

from __future__ import annotations

import cv2
import numpy as np

from av_perception.lips.mouth_motion import causes_of_change

_ROUNDS = 3
_NOISE = 30.0  # variance of gray values that do not change
# What is known of (u, v, s, r, a, b) before, as the inverse of a variance, in units of the noise.
_BELIEFS = np.diag([0.5, 0.5, 25.0, 25.0, 50.0, 0.0])


def registered(image: np.ndarray, reference: np.ndarray, energy: np.ndarray) -> np.ndarray:
    """Bring an image to place and light of a reference.

    Parameters
    ----------
    image, reference
        (n, n) float32 gray values.
    energy
        (n, n) by how much each pixel changes when the mouth moves, squared.

    Returns
    -------
    np.ndarray
        (n, n) float32.
    """
    causes = causes_of_change(reference)
    weights = 1 / (energy + _NOISE)
    weighed = causes * (weights[1:-1, 1:-1].ravel() / weights.sum())
    spread = np.linalg.inv(weighed @ causes.T + _BELIEFS)
    still = reference[1:-1, 1:-1].ravel()
    motion = np.zeros(4)
    moved = image
    for _ in range(_ROUNDS):
        found = spread @ (weighed @ (moved[1:-1, 1:-1].ravel() - still))
        motion = motion + found[:4]
        moved = _moved_back(image, motion)
    return (moved - found[5]) / (1 + found[4])


def _moved_back(image: np.ndarray, motion: np.ndarray) -> np.ndarray:
    """Undo shift, growth and turn about the middle of an image."""
    right, down, growth, turn = motion
    matrix = np.array([[1 - growth, turn], [-turn, 1 - growth]])
    middle = np.full(2, (len(image) - 1) / 2)
    shift = middle - matrix @ middle - [right, down]
    return cv2.warpAffine(
        image,
        np.column_stack([matrix, shift]).astype(np.float32),
        image.shape,
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
