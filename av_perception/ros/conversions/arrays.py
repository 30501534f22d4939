# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""NumPy data as message fields: array.array or NumPy, never lists."""

from __future__ import annotations

import array

import numpy as np
from numpy.typing import ArrayLike

DTYPE_OF_CODE = {'f': np.float32, 'd': np.float64, 'B': np.uint8}


def typed_array(code: str, values: ArrayLike) -> array.array:
    """Make the flat array.array of a message field: one copy, no Python loop.

    Parameters
    ----------
    code : str
        'f', 'd' or 'B': float32, float64 or uint8.
    values : array_like
        Of any shape.
    """
    result = array.array(code)
    result.frombytes(np.ascontiguousarray(values, DTYPE_OF_CODE[code]).tobytes())
    return result


def xyz(vector: np.ndarray) -> dict[str, float]:
    """Name the components of a vector (3,) as geometry_msgs does."""
    return {axis: float(value) for axis, value in zip('xyz', vector)}
