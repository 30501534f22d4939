# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What a camera shows of a speaker, brought to the frames of the sound."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from av_perception.enhancement.prior import PRIOR_TRANSFORM, RATE

#: Between two images farther apart nothing is known [s]: three images at 25 per second.
LONGEST_GAP_S = 0.12


@dataclass(frozen=True)
class VisualFeatures:
    """Features of one person, one row per frame of the sound.

    A row that is not finite has no reliability, whatever was said of it, and is zero.

    Attributes
    ----------
    values
        (T, D) features.
    reliability
        (T,) in 0..1: how far to believe them; 0: nothing was seen.
    """

    values: np.ndarray
    reliability: np.ndarray

    def __post_init__(self):
        values = np.asarray(self.values, np.float32)
        reliability = np.asarray(self.reliability, np.float32)
        if values.ndim != 2 or reliability.shape != values.shape[:1]:
            raise ValueError(
                f'features must be (T, D) and their reliability (T,), not {values.shape} and '
                f'{reliability.shape}'
            )
        is_known = np.isfinite(values).all(axis=1) & np.isfinite(reliability)
        believed = np.where(is_known, np.clip(reliability, 0.0, 1.0), 0.0)
        object.__setattr__(self, 'values', np.where(is_known[:, None], values, 0.0))
        object.__setattr__(self, 'reliability', believed.astype(np.float32))

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, frames: slice) -> VisualFeatures:
        """Give some of the frames."""
        return VisualFeatures(self.values[frames], self.reliability[frames])

    @property
    def size(self) -> int:
        """D."""
        return self.values.shape[1]


def nothing_seen(num_frames: int, size: int) -> VisualFeatures:
    """Make features of a person whom nobody sees."""
    return VisualFeatures(np.zeros((num_frames, size)), np.zeros(num_frames))


def frame_times(num_frames: int, start_s: float = 0.0) -> np.ndarray:
    """(T,) centers [s] of the windows of a sound whose first sample is at `start_s`."""
    transform = PRIOR_TRANSFORM
    first = 0.5 * transform.size - transform.lead
    return start_s + (first + transform.hop * np.arange(num_frames)) / RATE


def resample(
    stamps_s: np.ndarray,
    values: np.ndarray,
    reliability: np.ndarray,
    times_s: np.ndarray,
    longest_gap_s: float = LONGEST_GAP_S,
) -> VisualFeatures:
    """Bring features of images to other times, linearly between neighbors.

    Parameters
    ----------
    stamps_s
        (N,) of the images in any order [s]; of one stamp the last row counts.
    values, reliability
        (N, D) and (N,) of the images; a row that is not finite counts as no image.
    times_s
        (T,) when the features are wanted, as `frame_times` gives them.
    longest_gap_s
        Between images farther apart nothing is known; each image holds for half of it.

    Returns
    -------
    VisualFeatures
        At these times.
    """
    stamps, values, reliability = _in_order(stamps_s, values, reliability)
    if not len(stamps):
        return nothing_seen(len(times_s), values.shape[1])
    after = np.clip(np.searchsorted(stamps, times_s), 1, max(len(stamps) - 1, 1))
    before = after - 1
    after = np.minimum(after, len(stamps) - 1)
    gap = stamps[after] - stamps[before]
    place = np.clip((times_s - stamps[before]) / np.where(gap > 0, gap, 1.0), 0.0, 1.0)
    is_inside = (gap <= longest_gap_s) & (times_s >= stamps[0]) & (times_s <= stamps[-1])
    nearest = np.minimum(abs(times_s - stamps[before]), abs(times_s - stamps[after]))
    place = np.where(is_inside, place, place > 0.5)
    is_known = is_inside | (nearest <= 0.5 * longest_gap_s)
    mixed = values[before] + place[:, None] * (values[after] - values[before])
    believed = (1 - place) * reliability[before] + place * reliability[after]
    return VisualFeatures(mixed, np.where(is_known, believed, 0.0))


def _in_order(stamps_s, values, reliability) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sort the images by their stamps, without those that are broken."""
    stamps_s = np.asarray(stamps_s, float)
    values = np.asarray(values, float)
    reliability = np.asarray(reliability, float)
    is_image = np.isfinite(stamps_s) & np.isfinite(reliability) & np.isfinite(values).all(axis=1)
    # (the first of the reversed rows of a stamp is the last that came)
    stamps, rows = np.unique(stamps_s[is_image][::-1], return_index=True)
    return stamps, values[is_image][::-1][rows], reliability[is_image][::-1][rows]
