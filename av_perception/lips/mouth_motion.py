# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""How much a mouth moves between two images, beside what moves in the whole face.

Where a face mesh was measured, the change of the lips' opening tells. Else pixels do: with d the
part of the change between two crops that no shift, turn, scale or light explains, the motion is
log d(mouth) - log d(eyes) / 2. Landmarks tremble by a pixel, which is more than lips move.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from av_perception.geometry.time import seconds
from av_perception.interfaces import MouthCrop

OPENING = 'opening'
PIXELS = 'pixels'
LONGEST_STEP_S = 0.15  # two images further apart show no motion
_MEMORY_S = 0.12  # motion is the mean over this: longer would ring after a turn
_NOISE = 0.3  # gray values: a difference below means nothing
_LEAST_OPENING = 0.01  # change of the opening that means nothing
_RATE_S = 0.04  # changes are scaled to so much time
_SHRINK = 0.5  # of crops: about what cameras resolve
_BLUR_PX = 1.2
_RIDGE = 1e-3


@dataclass(frozen=True)
class Motion:
    """Of one mouth: which of OPENING and PIXELS tells, and how much in logarithms."""

    kind: str
    value: float


class MouthMotion:
    """Follows one mouth."""

    def __init__(self) -> None:
        self._stamp_ns: int | None = None
        self._mouth = np.zeros(0)
        self._eyes = np.zeros(0)
        self._opening = float('nan')
        self._recent: deque[tuple[int, Motion]] = deque()

    def update(self, stamp_ns: int, crop: MouthCrop) -> Motion | None:
        """Take the next image.

        Parameters
        ----------
        stamp_ns
            [ns] of the image; one that does not advance is left out.
        crop
            The mouth in it.

        Returns
        -------
        Motion or None
            Mean of the last 120 ms; None where there is nothing to compare with.
        """
        elapsed_s = 0.0 if self._stamp_ns is None else seconds(stamp_ns - self._stamp_ns)
        if self._stamp_ns is not None and -1.0 < elapsed_s <= 0:
            return None
        mouth = _smoothed(crop.mouth)
        eyes = _smoothed(crop.eyes)
        if 0 < elapsed_s <= LONGEST_STEP_S:
            self._recent.append((stamp_ns, self._motion(mouth, eyes, crop.opening, elapsed_s)))
        else:
            self._recent.clear()
        self._stamp_ns = stamp_ns
        self._mouth = mouth
        self._eyes = eyes
        self._opening = crop.opening
        return self._mean(stamp_ns)

    def _motion(
        self, mouth: np.ndarray, eyes: np.ndarray, opening: float, elapsed_s: float
    ) -> Motion:
        change = abs(opening - self._opening) * _RATE_S / elapsed_s
        if np.isfinite(change):
            return Motion(OPENING, float(np.log(change + _LEAST_OPENING)))
        of_mouth = unexplained_change(self._mouth, mouth) + _NOISE
        of_eyes = unexplained_change(self._eyes, eyes) + _NOISE
        return Motion(PIXELS, float(np.log(of_mouth) - np.log(of_eyes) / 2))

    def _mean(self, stamp_ns: int) -> Motion | None:
        """Average over the last images of one kind."""
        while self._recent and seconds(stamp_ns - self._recent[0][0]) >= _MEMORY_S - 1e-3:
            self._recent.popleft()
        if not self._recent:
            return None
        kind = self._recent[-1][1].kind
        values = [motion.value for _, motion in self._recent if motion.kind == kind]
        return Motion(kind, float(np.mean(values)))


def unexplained_change(before: np.ndarray, now: np.ndarray) -> float:
    """Mean absolute change between two images (h, w) that no shift, turn, scale or light explains.

    To first order a similarity changes the image I by u I_x + v I_y + s (x I_x + y I_y)
    + r (x I_y - y I_x), light by a I + b: the change is regressed on these six.
    """
    causes = causes_of_change((before + now) / 2)
    change = (now - before)[1:-1, 1:-1].ravel()
    normal = causes @ causes.T + _RIDGE * np.eye(6)
    explained = np.linalg.solve(normal, causes @ change) @ causes
    return float(np.abs(change - explained).mean())


def causes_of_change(image: np.ndarray) -> np.ndarray:
    """(6, (h - 2) (w - 2)) by what pixels within the rim change with u, v, s, r, a and b."""
    rows, columns = _places(*image.shape)
    causes = np.empty((6, *rows.shape), np.float32)
    causes[0] = 0.5 * (image[1:-1, 2:] - image[1:-1, :-2])
    causes[1] = 0.5 * (image[2:, 1:-1] - image[:-2, 1:-1])
    causes[2] = columns * causes[0] + rows * causes[1]
    causes[3] = columns * causes[1] - rows * causes[0]
    causes[4] = image[1:-1, 1:-1]
    causes[5] = 1.0
    return causes.reshape(6, -1)


@cache
def _places(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns (h - 2, w - 2) of the pixels within the rim, about the middle."""
    rows, columns = np.mgrid[1 : height - 1, 1 : width - 1].astype(np.float32)
    return rows - (height - 1) / 2, columns - (width - 1) / 2


def _smoothed(crop: np.ndarray) -> np.ndarray:
    """Shrink and smooth a crop (h, w), float32."""
    small = cv2.resize(
        crop.astype(np.float32), None, fx=_SHRINK, fy=_SHRINK, interpolation=cv2.INTER_AREA
    )
    return cv2.GaussianBlur(small, (0, 0), _BLUR_PX)
