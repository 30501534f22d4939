# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Seconds and nanoseconds: stamps are whole nanoseconds, durations floating point seconds."""

from __future__ import annotations

import math
from typing import overload

import numpy as np

NANOSECONDS = 1_000_000_000  # of a second
_EXACT = 2**53  # floating point numbers hold all integers up to here


@overload
def seconds(stamp_ns: int | np.integer) -> float: ...
@overload
def seconds(stamp_ns: np.ndarray) -> np.ndarray: ...
def seconds(stamp_ns):
    """Nanoseconds as seconds.

    Parameters
    ----------
    stamp_ns
        [ns] an integer, or an array of integers (...).

    Returns
    -------
    float or np.ndarray
        [s] the nearest floating point number; for arrays beyond 104 days, where they lie 2 ns
        and more apart, the nearest but for ties. A time since 1970 resolves 238 ns only: subtract
        the origin first.
    """
    if isinstance(stamp_ns, (int, np.integer)):
        return int(stamp_ns) / NANOSECONDS
    stamp_ns = np.asarray(stamp_ns)
    whole, rest = np.divmod(stamp_ns, NANOSECONDS)
    return np.where(np.abs(stamp_ns) <= _EXACT, stamp_ns / NANOSECONDS, whole + rest / NANOSECONDS)


@overload
def nanoseconds(time_s: float | np.floating) -> int: ...
@overload
def nanoseconds(time_s: np.ndarray) -> np.ndarray: ...
def nanoseconds(time_s):
    """Seconds as the nearest whole nanosecond.

    The whole seconds are multiplied as integers, so that a large time keeps what its floating
    point number says.

    Parameters
    ----------
    time_s
        [s] a finite number, or an array of them (...).

    Returns
    -------
    int or np.ndarray
        [ns] Python's int for a number, int64 (...) for an array. Halves go to the even neighbor;
        what is within 1e-7 ns of a half counts as one.

    Raises
    ------
    ValueError
        When a time is not finite, or an array holds one beyond the 292 years of int64.
    """
    if isinstance(time_s, (float, int)) or np.ndim(time_s) == 0:
        time_s = float(time_s)
        if not math.isfinite(time_s):
            raise ValueError(f'a time must be finite, not {time_s} s')
        whole_s = int(time_s)
        return whole_s * NANOSECONDS + round((time_s - whole_s) * NANOSECONDS)
    time_s = np.asarray(time_s, float)
    if not (np.abs(time_s) < 2**63 / NANOSECONDS).all():
        raise ValueError('times must be finite and within 292 years')
    whole = np.trunc(time_s)
    rest = np.rint((time_s - whole) * NANOSECONDS).astype(np.int64)
    return whole.astype(np.int64) * NANOSECONDS + rest
