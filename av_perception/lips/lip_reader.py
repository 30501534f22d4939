# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""From crops of a mouth to a few numbers per image that a visual prior of speech takes.

A crop is shrunk, its light taken out, and what the person's mouth looks like at rest is
subtracted: what is left is what the mouth does. Where it moves most is brought to the middle, and
how strongly it moves on average to one, for mouths lie elsewhere in every face, and skins are
light or dark. How much that differs from rest in nine fields about the middle, whether brighter or
darker, is told by nine numbers; they and their squares, of three images in a row, are the features
(principal components told people apart, not what they say). All is causal, live as in training.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from av_perception.audio_visual.features import VisualFeatures, nothing_seen, resample
from av_perception.geometry.time import seconds
from av_perception.interfaces import MouthCrop
from av_perception.lips.mouth_motion import unexplained_change

_SIZE = 24  # height and width that a crop is shrunk to
_MARGIN = 4  # pixels around what is looked at, by which a mouth may lie beside the middle
_MEMORY_S = 10.0  # of how the mouth looks at rest, and of where it moves
_KNOWN_S = 0.1  # of rest, until then it is not known
_MOVES = 2.2  # a mouth that changes so many times as much as at rest moves, at 1.2 it rests
_FLOOR_RISE = 0.1  # per second: what was the least change may not be so for ever
_LONGEST_STEP_S = 0.12  # two images further apart show no change
_KEPT_S = 2.0
# Between images further apart nothing is known, and the newest holds for half of it: live, sound
# is there before its image has been through detector and tracker.
_LONGEST_GAP_S = 0.2
_LARGEST = 3.0  # of what a pixel shows
_USUAL_MOTION = 20.0  # gray values
_USUAL_S = 1.0  # of motion that weighs as much as what mouths do usually
_LEAST_MOTION = 2.0  # gray values: a mouth that moves less is not made to move more
_INNER = _SIZE - 2 * _MARGIN
_FIELDS = 3  # across and down
_FIELD_PX = 4
_LEAST_AMOUNT = 0.05
_IMAGES = 3  # in a row, of which features tell
_FARTHEST = 4.0  # standard deviations


@dataclass(frozen=True)
class Look:
    """What a mouth does in one image: (P,) gray values, and how far to rely on them."""

    stamp_ns: int
    values: np.ndarray
    reliability: float


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
        if self._before is None:
            self._rest = plain
        else:
            step_s = min(max(elapsed_s, 0.0), _LONGEST_STEP_S) * crop.reliability
            self._learn(plain, step_s, unexplained_change(self._before, plain))
        self._before = plain
        known = min(1.0, self._rest_s / _KNOWN_S)
        values = self._centered(plain - self._rest).ravel()
        return Look(stamp_ns, values, crop.reliability * known)

    def _learn(self, plain: np.ndarray, step_s: float, change: float) -> None:
        """Learn how the mouth rests while it rests, and where it moves while it moves."""
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

    def _centered(self, change: np.ndarray) -> np.ndarray:
        """Bring what moves most to the middle, and to a strength of about one."""
        energy = _WINDOW * np.maximum(self._energy - np.median(self._energy), 0.0)
        total = float(energy.sum())
        shift = np.zeros(2)
        strength = 0.0
        if total > 0:
            middle = np.array([_INDEX @ energy.sum(axis=0), _INDEX @ energy.sum(axis=1)]) / total
            shift = np.clip(middle - (_SIZE - 1) / 2, -_MARGIN, _MARGIN)
            strength = float(np.sqrt((energy**2).sum() / total))
        matrix = np.column_stack([np.eye(2), _MARGIN + shift])
        moved = cv2.warpAffine(
            change, matrix, (_INNER, _INNER), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        )
        return np.clip(moved / (strength + _LEAST_MOTION), -_LARGEST, _LARGEST)


_INDEX = np.arange(_SIZE, dtype=np.float32)
# What moves at the rim is no mouth: a collar, the background beside a cheek.
_FALL = np.exp(-0.5 * ((_INDEX - (_SIZE - 1) / 2) / (0.2 * _SIZE)) ** 2)
_WINDOW = _FALL[:, None] * _FALL


def _plain(mouth: np.ndarray) -> np.ndarray:
    """(24, 24) float32 gray values of a crop about their mean."""
    small = cv2.resize(mouth, (_SIZE, _SIZE), interpolation=cv2.INTER_AREA).astype(np.float32)
    return small - small.mean()


def shape_numbers(looks: np.ndarray) -> np.ndarray:
    """(N, K) numbers of looks (N, P): how much each field differs from rest, in logarithms."""
    images = np.abs(looks.reshape(-1, _INNER, _INNER))
    margin = (_INNER - _FIELDS * _FIELD_PX) // 2
    middle = images[:, margin : _INNER - margin, margin : _INNER - margin]
    fields = middle.reshape(-1, _FIELDS, _FIELD_PX, _FIELDS, _FIELD_PX).mean(axis=(2, 4))
    return np.log(fields + _LEAST_AMOUNT).reshape(-1, _FIELDS**2)


@dataclass(frozen=True)
class LipEncoder:
    """Numbers of looks about their mean, in standard deviations. mean, scale: (K,)."""

    mean: np.ndarray
    scale: np.ndarray

    @property
    def num_features(self) -> int:
        """D, of the numbers and their squares in all images of a row."""
        return 2 * _IMAGES * len(self.mean)

    def project(self, looks: np.ndarray) -> np.ndarray:
        """(N, 2 K) numbers of looks (N, P) and their squares."""
        found = (shape_numbers(looks) - self.mean) * self.scale
        found = np.clip(found, -_FARTHEST, _FARTHEST)
        return np.concatenate([found, found**2 - 1], axis=1)

    def features(self, stamps_ns: np.ndarray, looks: np.ndarray) -> np.ndarray:
        """Give the features of consecutive images of one mouth.

        Parameters
        ----------
        stamps_ns
            (N,) [ns], growing.
        looks
            (N, P).

        Returns
        -------
        np.ndarray
            (N, D): of the image itself, then of those before it; what lies before a gap is taken
            for what came after it.
        """
        return in_a_row(np.asarray(stamps_ns), self.project(looks))


def in_a_row(stamps_ns: np.ndarray, found: np.ndarray) -> np.ndarray:
    """(N, 3 C) of rows (N, C): each with the two before it, as far as there is no gap."""
    rows = np.arange(len(found))
    gap_s = np.diff(stamps_ns, prepend=stamps_ns[:1]) * 1e-9
    goes_on = (gap_s > 0) & (gap_s <= _LONGEST_STEP_S)
    parts = [found]
    before = rows
    for _ in range(_IMAGES - 1):
        before = np.where(goes_on[before], before - 1, before)
        parts.append(found[before])
    return np.concatenate(parts, axis=1)


def learn_encoder(looks: np.ndarray) -> LipEncoder:
    """Find means and scales of the numbers of looks (N, P) of several people."""
    found = shape_numbers(looks)
    scale = 1 / np.maximum(found.std(axis=0), 1e-3)
    return LipEncoder(found.mean(axis=0).astype(np.float32), scale.astype(np.float32))


def read_all(
    encoder: LipEncoder, mouths: Sequence[tuple[int, MouthCrop]]
) -> Callable[[np.ndarray], VisualFeatures]:
    """Read the lips of one person in all images at once.

    Parameters
    ----------
    encoder
        Of a lip model.
    mouths
        Stamps [ns] after second 0, growing, and crops.

    Returns
    -------
    callable
        Gives the features at times (T,) [s] after second 0.
    """
    follower = LipLooks()
    looks = [look for row in mouths if (look := follower.update(*row)) is not None]
    if not looks:
        return lambda times_s: nothing_seen(len(times_s), encoder.num_features)
    stamps_ns = np.array([look.stamp_ns for look in looks])
    values = encoder.features(stamps_ns, np.stack([look.values for look in looks]))
    reliability = np.array([look.reliability for look in looks])
    return lambda times_s: resample(stamps_ns * 1e-9, values, reliability, times_s)


class LipReader:
    """Reads the lips of one person, live."""

    def __init__(self, encoder: LipEncoder):
        self._encoder = encoder
        self._looks = LipLooks()
        # Stamp [ns], what the image alone tells, reliability.
        self._rows: deque[tuple[int, np.ndarray, float]] = deque()

    def see(self, stamp_ns: int, crop: MouthCrop) -> None:
        """Take the mouth in an image."""
        look = self._looks.update(stamp_ns, crop)
        if look is None:
            return
        if self._rows and stamp_ns < self._rows[-1][0]:
            self._rows.clear()
        found = self._encoder.project(look.values[None])[0]
        self._rows.append((stamp_ns, found, look.reliability))
        while seconds(stamp_ns - self._rows[0][0]) > _KEPT_S:
            self._rows.popleft()

    def features(self, start_ns: int, times_s: np.ndarray) -> VisualFeatures:
        """Give the features at times (T,) [s] after a stamp; without reliability where unseen."""
        if not self._rows:
            return nothing_seen(len(times_s), self._encoder.num_features)
        stamps_ns = np.array([row[0] for row in self._rows])
        values = in_a_row(stamps_ns, np.array([row[1] for row in self._rows]))
        reliability = np.array([row[2] for row in self._rows])
        stamps_s = (stamps_ns - start_ns) * 1e-9
        return resample(stamps_s, values, reliability, times_s, _LONGEST_GAP_S)
