# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Long recordings in pieces that fade into each other, so that memory is bounded."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def join_pieces(
    function: Callable[[int, int], np.ndarray], count: int, length: int, fade: int
) -> np.ndarray:
    """Add up what a function makes of pieces of a recording.

    Parameters
    ----------
    function
        Gives the (end - start, ...) samples of the piece from `start` to `end`; it is called from
        the first piece to the last.
    count
        Samples of the recording.
    length, fade
        Of a piece, and how much of it fades linearly into the next [samples]; fade < length.

    Returns
    -------
    np.ndarray
        (count, ...)
    """
    rise = (np.arange(fade) + 0.5) / fade
    result = np.zeros(0)
    for start in range(0, max(count - fade, 1), length - fade):
        end = min(start + length, count)
        piece = function(start, end)
        weights = np.ones(len(piece), piece.dtype)
        if start:
            weights[:fade] *= rise[: len(piece)]
        else:
            result = np.zeros((count, *piece.shape[1:]), piece.dtype)
        if end < count:
            weights[-fade:] *= 1 - rise
        result[start:end] += weights.reshape(-1, *(1,) * (piece.ndim - 1)) * piece
    return result
