# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What a mouth does beside how it rests, image by image.

A crop is shrunk and laid over how the mouth rests (`registration`); what that leaves is what the
mouth does. Where it moves most is brought to the middle, for mouths lie elsewhere in every face.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from av_perception.geometry.time import seconds
from av_perception.interfaces import MouthCrop
from av_perception.lips.mouth_motion import unexplained_change
from av_perception.lips.registration import registered

_SIZE = 24  # height and width that a crop is shrunk to
_MARGIN = 4  # pixels around what is looked at, by which a mouth may lie beside the middle
INNER = _SIZE - 2 * _MARGIN
_MEMORY_S = 10.0  # of how the mouth looks at rest, and of where it moves
_KNOWN_S = 0.1  # of rest, until then it is not known
_MOVES = 2.2  # a mouth that changes so many times as much as at rest moves, at 1.2 it rests
_FLOOR_RISE = 0.1  # per second: what was the least change may not be so for ever
LONGEST_STEP_S = 0.12  # two images further apart show no change
_USUAL_MOTION = 20.0  # gray values
_USUAL_S = 1.0  # of motion that weighs as much as what mouths do usually


@dataclass(frozen=True)
class Look:
    """What a mouth does in one image.

    values: (P,) gray values beside those at rest; reliability: how far to rely on them; moved_s:
    how long it moved since the image before [s], as far as that one and this are relied on.
    """

    stamp_ns: int
    values: np.ndarray
    reliability: float
    moved_s: float = 0.0


class LipLooks:
    """Follows the looks of one mouth."""

    def __init__(self) -> None:
        self._begin()
        self._stamp_ns: int | None = None

    def _begin(self) -> None:
        self._before: np.ndarray | None = None
        self._rest = np.zeros((_SIZE, _SIZE), np.float32)
        # Of what differs from rest, pixel by pixel; at first that of most mouths.
        self._energy = _USUAL_MOTION**2 * _WINDOW
        self._rest_s = 0.0
        self._moved_s = _USUAL_S
        self._floor = 0.0  # change between images while the mouth rests

    def update(self, stamp_ns: int, crop: MouthCrop) -> Look | None:
        """Take the next image; None for one whose stamp does not advance."""
        elapsed_s = 0.0 if self._stamp_ns is None else seconds(stamp_ns - self._stamp_ns)
        if self._stamp_ns is not None and -1.0 < elapsed_s <= 0:
            return None
        if elapsed_s < 0:  # another stream
            self._begin()
        self._stamp_ns = stamp_ns
        plain = _plain(crop.mouth)
        moved_s = 0.0
        if self._before is None:
            self._rest = plain
        else:
            plain = registered(plain, self._rest, self._energy)
            step_s = min(max(elapsed_s, 0.0), LONGEST_STEP_S) * crop.reliability
            moved_s = self._learn(plain, step_s, unexplained_change(self._before, plain))
        self._before = plain
        known = min(1.0, self._rest_s / _KNOWN_S)
        values = self._centered(plain - self._rest).ravel()
        return Look(stamp_ns, values, crop.reliability * known, moved_s)

    def _learn(self, plain: np.ndarray, step_s: float, change: float) -> float:
        """Learn how the mouth rests while it rests, and where it moves while it moves.

        Gives how much of the step [s] it moved.
        """
        rising = self._floor * (1 + _FLOOR_RISE * step_s)
        self._floor = change if not self._floor else min(rising, change)
        still = float(np.clip(_MOVES - change / max(self._floor, 1e-3), 0.0, 1.0))
        self._rest_s += still * step_s
        share = still * step_s / max(min(self._rest_s, _MEMORY_S), 1e-3)
        self._rest = self._rest + share * (plain - self._rest)
        moved = (1 - still) * step_s
        self._moved_s += moved
        share = moved / max(min(self._moved_s, _MEMORY_S), 1e-3)
        self._energy += share * ((plain - self._rest) ** 2 - self._energy)
        return moved

    def _centered(self, change: np.ndarray) -> np.ndarray:
        """Bring what moves most to the middle."""
        energy = _WINDOW * np.maximum(self._energy - np.median(self._energy), 0.0)
        total = float(energy.sum())
        shift = np.zeros(2)
        if total > 0:
            middle = np.array([_INDEX @ energy.sum(axis=0), _INDEX @ energy.sum(axis=1)]) / total
            shift = np.clip(middle - (_SIZE - 1) / 2, -_MARGIN, _MARGIN)
        matrix = np.column_stack([np.eye(2), _MARGIN + shift])
        return cv2.warpAffine(
            change,
            matrix,
            (INNER, INNER),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )


_INDEX = np.arange(_SIZE, dtype=np.float32)
# What moves at the rim is no mouth: a collar, the background beside a cheek.
_FALL = np.exp(-0.5 * ((_INDEX - (_SIZE - 1) / 2) / (0.2 * _SIZE)) ** 2)
_WINDOW = _FALL[:, None] * _FALL


def _plain(mouth: np.ndarray) -> np.ndarray:
    """(24, 24) float32 gray values of a crop about their mean."""
    small = cv2.resize(mouth, (_SIZE, _SIZE), interpolation=cv2.INTER_AREA).astype(np.float32)
    return small - small.mean()
