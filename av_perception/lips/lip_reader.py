# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""From crops of a mouth to a few numbers per image that a visual prior of speech takes.

A crop is shrunk, its light taken out, and what the person's mouth looks like on average lately is
subtracted: what is left is what the mouth does. Its principal components, and how they change from
image to image, are the features. All of it is causal, the same live as in training.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import cv2
import numpy as np

from av_perception.audio_visual.features import VisualFeatures, resample
from av_perception.geometry.time import seconds
from av_perception.interfaces import MouthCrop

_ROWS = slice(10, 58)  # of the crop, about the lips
_COLUMNS = slice(6, 61)
_SIZE = (20, 18)  # width and height of what is looked at
_MEMORY_S = 10.0  # of how the mouth looks on average
_WARM_UP_S = 1.0  # until then the average is none
_LONGEST_STEP_S = 0.12  # two images further apart show no change
_KEPT_S = 2.0
# Between images further apart nothing is known, and the newest holds for half of it: live, sound
# is there before its image has been through detector and tracker.
_LONGEST_GAP_S = 0.2
_LEAST_CONTRAST = 5.0  # gray values
NUM_COMPONENTS = 16


@dataclass(frozen=True)
class Look:
    """What a mouth does in one image: (P,) gray values, and how far to rely on them."""

    stamp_ns: int
    values: np.ndarray
    reliability: float


class LipLooks:
    """Follows the looks of one mouth."""

    def __init__(self) -> None:
        self._mean: np.ndarray | None = None
        self._seen_s = 0.0
        self._stamp_ns: int | None = None

    def update(self, stamp_ns: int, crop: MouthCrop) -> Look | None:
        """Take the next image; None for one whose stamp does not advance."""
        elapsed_s = 0.0 if self._stamp_ns is None else seconds(stamp_ns - self._stamp_ns)
        if self._stamp_ns is not None and -1.0 < elapsed_s <= 0:
            return None
        if elapsed_s < 0:  # another stream
            self._mean = None
            self._seen_s = 0.0
        self._stamp_ns = stamp_ns
        plain = _plain(crop.mouth)
        if self._mean is None:
            self._mean = plain
        # A plain mean at first, then one that forgets.
        step_s = min(max(elapsed_s, 0.0), _LONGEST_STEP_S)
        share = step_s / max(min(self._seen_s + step_s, _MEMORY_S), 1e-3)
        weight = min(1.0, share * crop.reliability)
        self._mean = self._mean + weight * (plain - self._mean)
        self._seen_s += step_s
        known = min(1.0, self._seen_s / _WARM_UP_S)
        return Look(stamp_ns, plain - self._mean, crop.reliability * known)


def _plain(mouth: np.ndarray) -> np.ndarray:
    """(P,) float32 of a crop, without its light."""
    part = mouth[_ROWS, _COLUMNS].astype(np.float32)
    small = cv2.resize(part, _SIZE, interpolation=cv2.INTER_AREA).ravel()
    return (small - small.mean()) / (small.std() + _LEAST_CONTRAST)


@dataclass(frozen=True)
class LipEncoder:
    """Principal components of looks. mean: (P,); components: (C, P), scaled to unit variance."""

    mean: np.ndarray
    components: np.ndarray

    @property
    def num_features(self) -> int:
        """D, of the components and of their changes."""
        return 2 * len(self.components)

    def project(self, looks: np.ndarray) -> np.ndarray:
        """(N, C) of looks (N, P)."""
        return (looks - self.mean) @ self.components.T

    def features(self, stamps_ns: np.ndarray, looks: np.ndarray) -> np.ndarray:
        """Give components and changes of consecutive images of one mouth.

        Parameters
        ----------
        stamps_ns
            (N,) [ns], growing.
        looks
            (N, P).

        Returns
        -------
        np.ndarray
            (N, D); changes after a gap are 0.
        """
        found = self.project(looks)
        change = np.diff(found, axis=0, prepend=found[:1])
        gap_s = np.diff(stamps_ns, prepend=stamps_ns[:1]) * 1e-9
        change[gap_s > _LONGEST_STEP_S] = 0.0
        return np.concatenate([found, change], axis=1)


def learn_encoder(looks: np.ndarray, num_components: int = NUM_COMPONENTS) -> LipEncoder:
    """Find the principal components of looks (N, P) of several people."""
    mean = looks.mean(axis=0)
    _, strength, axes = np.linalg.svd(looks - mean, full_matrices=False)
    count = min(num_components, len(axes))
    spread = np.maximum(strength[:count] / np.sqrt(max(len(looks), 1)), 1e-3)
    return LipEncoder(mean.astype(np.float32), (axes[:count] / spread[:, None]).astype(np.float32))


class LipReader:
    """Reads the lips of one person, live."""

    def __init__(self, encoder: LipEncoder):
        self._encoder = encoder
        self._looks = LipLooks()
        self._before: tuple[int, np.ndarray] | None = None
        self._rows: deque[tuple[int, np.ndarray, float]] = deque()

    def see(self, stamp_ns: int, crop: MouthCrop) -> None:
        """Take the mouth in an image."""
        look = self._looks.update(stamp_ns, crop)
        if look is None:
            return
        found = self._encoder.project(look.values[None])[0]
        change = np.zeros_like(found)
        if self._before is not None:
            step_s = seconds(stamp_ns - self._before[0])
            if 0 < step_s <= _LONGEST_STEP_S:
                change = found - self._before[1]
            elif step_s < 0:
                self._rows.clear()
        self._before = (stamp_ns, found)
        self._rows.append((stamp_ns, np.concatenate([found, change]), look.reliability))
        while seconds(stamp_ns - self._rows[0][0]) > _KEPT_S:
            self._rows.popleft()

    def features(self, start_ns: int, times_s: np.ndarray) -> VisualFeatures:
        """Give the features at times (T,) [s] after a stamp; without reliability where unseen."""
        count = self._encoder.num_features
        stamps_s = np.array([seconds(row[0] - start_ns) for row in self._rows])
        values = np.array([row[1] for row in self._rows]).reshape(-1, count)
        reliability = np.array([row[2] for row in self._rows])
        return resample(stamps_s, values, reliability, times_s, _LONGEST_GAP_S)
