# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""How much a mouth moves between two images, beside what moves in the whole face.

Where a face mesh was measured, the change of the lips' opening tells. Else pixels do: with d the
least mean difference of two crops over small shifts, the motion is log d(mouth) - log d(eyes) / 2,
so that noise, light and landmarks that tremble, which change the eyes as well, count less.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import cv2
import numpy as np

from av_perception.geometry.time import seconds
from av_perception.interfaces import MouthCrop

OPENING = 'opening'
PIXELS = 'pixels'
LONGEST_STEP_S = 0.15  # two images further apart show no motion
_MEMORY_S = 0.08  # motion is the mean over this: longer would ring after a turn
_SHIFT_PX = 1
_NOISE = 0.5  # gray values: a difference below means nothing
_LEAST_OPENING = 0.01  # change of the opening that means nothing
_RATE_S = 0.04  # changes are scaled to so much time
_BLUR_PX = 1.5


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
            Mean of the last 80 ms; None where there is nothing to compare with.
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
        of_mouth = least_difference(self._mouth, mouth) + _NOISE
        of_eyes = least_difference(self._eyes, eyes) + _NOISE
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


def least_difference(before: np.ndarray, now: np.ndarray) -> float:
    """Mean absolute difference of two images (h, w), the least over shifts of a pixel.

    Their mean brightness does not count.
    """
    shift = _SHIFT_PX
    inner = now[shift:-shift, shift:-shift]
    height, width = inner.shape
    window = np.lib.stride_tricks.sliding_window_view(before, (height, width))
    # (shifts, h w): all places of the inner part in the image before
    moved = window.reshape(-1, height * width) - inner.ravel()
    moved -= moved.mean(axis=1, keepdims=True)
    return float(np.abs(moved).mean(axis=1).min())


def _smoothed(crop: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(crop, (0, 0), _BLUR_PX).astype(np.float32)
