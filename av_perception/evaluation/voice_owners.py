# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Whose voice a stream carries, moment by moment, and how often that changes."""

from __future__ import annotations

import numpy as np

NOBODY = -1
WINDOW_S = 1.0
STEP_S = 0.5
_LEAST_LIKENESS = 0.5  # squared correlation with the image of one person: most of it is theirs
_LOUDEST_BELOW = 10**-1.5  # power of a stream over that of the mixture: less is no voice


def voice_owners(
    stream: np.ndarray, images: np.ndarray, mixture: np.ndarray, rate: int
) -> np.ndarray:
    """Tell whose voice a stream carries.

    Parameters
    ----------
    stream
        (N,) of one track.
    images
        (N, J) what each person gives the microphone that the stream is taken from.
    mixture
        (N,) of that microphone.
    rate
        [Hz] of all.

    Returns
    -------
    np.ndarray
        (W,) index of the person in windows of `WINDOW_S` every `STEP_S`; NOBODY where the stream
        is quiet, or is not clearly one person's.
    """
    size = round(WINDOW_S * rate)
    owners = []
    for first in range(0, len(stream) - size + 1, round(STEP_S * rate)):
        part = slice(first, first + size)
        owners.append(_owner(stream[part], images[part], mixture[part]))
    return np.array(owners, int)


def _owner(stream: np.ndarray, images: np.ndarray, mixture: np.ndarray) -> int:
    power = float(stream @ stream)
    if not power > _LOUDEST_BELOW * float(mixture @ mixture):
        return NOBODY
    own = np.einsum('nj,nj->j', images, images)
    likeness = (images.T @ stream) ** 2 / np.maximum(own * power, np.finfo(float).tiny)
    best = int(np.argmax(likeness))
    return best if likeness[best] > _LEAST_LIKENESS else NOBODY


def swaps(owners: np.ndarray) -> int:
    """Count how often a stream passes to another person and stays there.

    Parameters
    ----------
    owners
        (W,) of `voice_owners`.

    Returns
    -------
    int
        Changes from one person to another who is heard in two clear windows in a row, whatever
        lies between; a single window of somebody else is none.
    """
    return int(np.count_nonzero(np.diff(_settled(owners))))


def is_passed_on(owners: np.ndarray) -> bool:
    """Tell whether a stream ends with another person than it began with; as of `swaps`."""
    settled = _settled(owners)
    return len(settled) > 0 and settled[0] != settled[-1]


def _settled(owners: np.ndarray) -> list[int]:
    """Owners of the clear windows that are followed by one of the same owner."""
    clear = owners[owners != NOBODY].tolist()
    return [a for a, b in zip(clear[:-1], clear[1:], strict=True) if a == b]
