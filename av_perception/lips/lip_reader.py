# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""From what a mouth does to a few numbers per image that a visual prior of speech takes.

Nine fields about the middle of the mouth tell how much they differ from rest, how much brighter
and how much darker they are, in logarithms. Every person opens the mouth in an own way and has an
own skin: numbers count about their mean while this person's mouth moved until now, in standard
deviations. They and their squares, of two images in a row, are the features (principal components
told people apart, not what they say). All is causal, live as in training.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from av_perception.audio_visual.features import VisualFeatures, nothing_seen, resample
from av_perception.geometry.time import seconds
from av_perception.interfaces import MouthCrop
from av_perception.lips.lip_looks import INNER, LONGEST_STEP_S, LipLooks, Look

_FIELDS = 3  # across and down
_FIELD_PX = 4
_LEAST_AMOUNT = 2.0  # gray values: a field that differs less does not differ
_IMAGES = 2  # in a row, of which features tell
_FARTHEST = 4.0  # standard deviations
_USUAL_S = 1.0  # of motion of this person that weighs as much as what other people do
_MEMORY_S = 10.0  # of motion
_LEAST_VARIANCE = 1e-4
_KEPT_S = 2.0
# Between images further apart nothing is known, and the newest holds for half of it: live, sound
# is there before its image has been through detector and tracker.
_LONGEST_GAP_S = 0.2


def shape_numbers(looks: np.ndarray) -> np.ndarray:
    """(N, K) of looks (N, P): how much each field differs, is brighter, and is darker."""
    margin = (INNER - _FIELDS * _FIELD_PX) // 2
    images = looks.reshape(-1, INNER, INNER)
    middle = images[:, margin : INNER - margin, margin : INNER - margin]
    numbers = []
    for amount in (np.abs(middle), np.maximum(middle, 0.0), np.maximum(-middle, 0.0)):
        fields = amount.reshape(-1, _FIELDS, _FIELD_PX, _FIELDS, _FIELD_PX).mean(axis=(2, 4))
        numbers.append(np.log(fields + _LEAST_AMOUNT).reshape(-1, _FIELDS**2))
    return np.concatenate(numbers, axis=1)


class PersonScale:
    """Mean and spread of the numbers of one person, while the mouth moved until now.

    Parameters
    ----------
    encoder
        What they are of most people.
    """

    def __init__(self, encoder: LipEncoder):
        self._mean = encoder.mean.astype(float)
        self._variance = 1 / encoder.scale.astype(float) ** 2
        self._known_s = _USUAL_S

    def update(self, numbers: np.ndarray, moved_s: float) -> np.ndarray:
        """Take the numbers (K,) of the next image; gives the features (2 K,) of it alone."""
        self._known_s = min(self._known_s + moved_s, _MEMORY_S)
        share = moved_s / self._known_s
        ahead = numbers - self._mean
        self._mean = self._mean + share * ahead
        self._variance = self._variance + share * ((1 - share) * ahead**2 - self._variance)
        scale = np.sqrt(self._variance + _LEAST_VARIANCE)
        found = np.clip((numbers - self._mean) / scale, -_FARTHEST, _FARTHEST)
        return np.concatenate([found, found**2 - 1])


@dataclass(frozen=True)
class LipEncoder:
    """What numbers of mouths that move are usually. mean, scale: (K,), 1 / standard deviation."""

    mean: np.ndarray
    scale: np.ndarray

    @property
    def num_features(self) -> int:
        """D, of the numbers and their squares in all images of a row."""
        return 2 * _IMAGES * len(self.mean)

    def features(self, looks: Sequence[Look]) -> np.ndarray:
        """Give the features of consecutive images of one mouth.

        Parameters
        ----------
        looks
            N, with growing stamps.

        Returns
        -------
        np.ndarray
            (N, D): of the image itself, then of that before it; what lies before a gap is taken
            for what came after it.
        """
        scale = PersonScale(self)
        numbers = shape_numbers(np.stack([look.values for look in looks]))
        rows = [scale.update(*row) for row in zip(numbers, (look.moved_s for look in looks))]
        return in_a_row(np.array([look.stamp_ns for look in looks]), np.stack(rows))


def in_a_row(stamps_ns: np.ndarray, found: np.ndarray) -> np.ndarray:
    """(N, 2 C) of rows (N, C): each with the one before it, unless there is a gap."""
    rows = np.arange(len(found))
    gap_s = np.diff(stamps_ns, prepend=stamps_ns[:1]) * 1e-9
    goes_on = (gap_s > 0) & (gap_s <= LONGEST_STEP_S)
    parts = [found]
    before = rows
    for _ in range(_IMAGES - 1):
        before = np.where(goes_on[before], before - 1, before)
        parts.append(found[before])
    return np.concatenate(parts, axis=1)


def learn_encoder(looks: Sequence[Look]) -> LipEncoder:
    """Find means and scales of the numbers, of looks at mouths of several people while they move.

    Where nobody's mouth moves, all looks count alike.
    """
    numbers = shape_numbers(np.stack([look.values for look in looks]))
    weights = np.array([look.moved_s for look in looks])
    if not weights.sum() > 0:
        weights = np.ones(len(looks))
    mean = np.average(numbers, axis=0, weights=weights)
    spread = np.sqrt(np.average((numbers - mean) ** 2, axis=0, weights=weights))
    return LipEncoder(mean.astype(np.float32), (1 / np.maximum(spread, 1e-3)).astype(np.float32))


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
    values = encoder.features(looks)
    reliability = np.array([look.reliability for look in looks])
    return lambda times_s: resample(stamps_ns * 1e-9, values, reliability, times_s)


class LipReader:
    """Reads the lips of one person, live."""

    def __init__(self, encoder: LipEncoder):
        self._encoder = encoder
        self._looks = LipLooks()
        self._scale = PersonScale(encoder)
        # Stamp [ns], what the image alone tells, reliability.
        self._rows: deque[tuple[int, np.ndarray, float]] = deque()

    def see(self, stamp_ns: int, crop: MouthCrop) -> None:
        """Take the mouth in an image."""
        look = self._looks.update(stamp_ns, crop)
        if look is None:
            return
        if self._rows and stamp_ns < self._rows[-1][0]:
            self._rows.clear()
            self._scale = PersonScale(self._encoder)
        found = self._scale.update(shape_numbers(look.values[None])[0], look.moved_s)
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
