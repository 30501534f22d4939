# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Which directions an array cannot tell apart, by its shape alone."""

from __future__ import annotations

import numpy as np

from av_perception.robot_head.profile import MicrophoneArray

# Microphones that lie this close to a line or a plane [m, RMS] are on it: a ruler errs as much,
# and so little tells nothing of voices.
FLAT_M = 0.002
_ALONG = 0.7  # cosine from which an axis points ahead


def is_on_a_line(array: MicrophoneArray) -> bool:
    """Tell whether an array hears but the angle to the line on which its microphones are."""
    return bool(_extents(array)[0][1] < FLAT_M)


def is_on_a_plane(array: MicrophoneArray) -> bool:
    """Tell whether an array in the free field hears both sides of its plane alike."""
    flat = _extents(array)[0][2] < FLAT_M and not array.sphere
    return bool(flat and not is_on_a_line(array))


def axes_in_base(array: MicrophoneArray) -> np.ndarray:
    """(3, 3) main axes of the array in the head's base frame, the longest first, in rows."""
    return array.base_from_array.rotate(_extents(array)[1])


def hearing_limits(array: MicrophoneArray) -> list[str]:
    """Say what an array of two or more microphones hears alike.

    Parameters
    ----------
    array
        Without a measured map: ears with pinnae may do better.

    Returns
    -------
    list of str
        Sentences; none of an array that tells all directions apart.
    """
    axes = np.abs(axes_in_base(array))
    if is_on_a_line(array):
        if axes[0, 0] > _ALONG:
            return ['microphones on a line that points ahead hear left and right alike']
        return [
            'microphones on a line hear front and back alike, and high and low: what is behind is '
            'shown in front'
        ]
    if not is_on_a_plane(array):
        return []
    if axes[2, 0] > _ALONG:
        return [
            'microphones in an upright plane hear front and back alike: what is behind is shown '
            'in front'
        ]
    if axes[2, 2] > _ALONG:
        return ['level microphones hear above and below alike: above is assumed']
    return []


def _extents(array: MicrophoneArray) -> tuple[np.ndarray, np.ndarray]:
    """RMS extents (3,) [m], falling, and the axes (3, 3) along which they are, in rows."""
    positions = array.positions
    _, values, axes = np.linalg.svd(positions - positions.mean(axis=0))
    extents = np.zeros(3)
    extents[: len(values)] = values / np.sqrt(len(positions))
    return extents, axes
