# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Whose voice a stream carries, moment by moment, and how often it is another person's.

A stream belongs to whom it carries most of the time. Where somebody else is in it who stands
elsewhere, that is a swap; where both stand in one line for the microphones, nothing that hears
directions can tell them apart: the voice is shared, and counted by itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

NOBODY = -1
WINDOW_S = 0.5
STEP_S = 0.25
IN_ONE_LINE_DEG = 15.0  # closer than this small arrays hear one source
_LEAST_LIKENESS = 0.5  # squared correlation with the image of one person: most of it is theirs
_LOUDEST_BELOW = 10**-1.5  # power of a stream over that of the mixture: less is no voice


@dataclass(frozen=True)
class StreamOwners:
    """What is counted of one stream.

    Attributes
    ----------
    windows, wrong, shared
        Windows of `WINDOW_S` every `STEP_S`: in which the stream is clearly one person's, those of
        them with another's voice than its owner's who stand apart, and those of them with
        another's voice who stand in one line.
    swaps
        Passages of two wrong windows and more.
    is_passed_on
        Whether the last passage that is clear, nobody in one line, is another person's than the
        first.
    """

    windows: int
    wrong: int
    shared: int
    swaps: int
    is_passed_on: bool


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


def window_times(num_samples: int, rate: int) -> np.ndarray:
    """(W,) centers of the windows of `voice_owners` [s]."""
    count = max(0, (num_samples - round(WINDOW_S * rate)) // round(STEP_S * rate) + 1)
    return np.arange(count) * STEP_S + 0.5 * WINDOW_S


def in_one_line(directions: np.ndarray) -> np.ndarray:
    """Tell who is in one line for the microphones.

    Parameters
    ----------
    directions
        (W, J, 3) unit vectors.

    Returns
    -------
    np.ndarray
        (W, J, J) bool; everybody is with themselves.
    """
    cosine = np.einsum('wjc,wkc->wjk', directions, directions)
    return cosine > np.cos(np.radians(IN_ONE_LINE_DEG)) - 1e-12


def judge_owners(owners: np.ndarray, together: np.ndarray) -> StreamOwners:
    """Count how often a stream carries somebody else's voice.

    Parameters
    ----------
    owners
        (W,) of `voice_owners`.
    together
        (W, J, J) of `in_one_line`, for the same windows.

    Returns
    -------
    StreamOwners
        A passage leads from a clear window to the next, whatever lies between; a single window of
        somebody else is none.
    """
    clear = np.flatnonzero(owners != NOBODY)
    if not len(clear):
        return StreamOwners(0, 0, 0, 0, False)
    whose = owners[clear]
    alone = together[clear, whose].sum(axis=1) == 1  # nobody else is where this voice is
    home = _most(whose[alone]) if alone.any() else _most(whose)
    is_other = whose != home
    shared = is_other & together[clear, whose, home]
    wrong = is_other & ~shared
    passages = _settled(whose[~shared])
    before = [home, *passages[:-1]]
    settled = _settled(whose[alone])
    return StreamOwners(
        windows=len(clear),
        wrong=int(wrong.sum()),
        shared=int(shared.sum()),
        swaps=sum(now not in (home, last) for last, now in zip(before, passages, strict=False)),
        is_passed_on=bool(settled) and settled[0] != settled[-1],
    )


def _owner(stream: np.ndarray, images: np.ndarray, mixture: np.ndarray) -> int:
    power = float(stream @ stream)
    if not power > _LOUDEST_BELOW * float(mixture @ mixture):
        return NOBODY
    own = np.einsum('nj,nj->j', images, images)
    likeness = (images.T @ stream) ** 2 / np.maximum(own * power, np.finfo(float).tiny)
    best = int(np.argmax(likeness))
    return best if likeness[best] > _LEAST_LIKENESS else NOBODY


def _most(owners: np.ndarray) -> int:
    return int(np.argmax(np.bincount(owners)))


def _settled(owners: np.ndarray) -> list[int]:
    """Owners of the clear windows that are followed by one of the same owner."""
    clear = owners.tolist()
    return [a for a, b in zip(clear[:-1], clear[1:], strict=True) if a == b]
