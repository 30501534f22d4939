# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""When results came late: all along, or in bursts while something else had the processor."""

from __future__ import annotations

import numpy as np

LATE_MS = 100.0
JOINED_S = 0.4  # late results that are no further apart belong to one burst
SHORTEST_S = 0.3  # shorter ones are single late results, not a burst


def late_bursts(
    times_s: np.ndarray, latency_ms: np.ndarray, late_ms: float = LATE_MS
) -> list[tuple[float, float]]:
    """Find the spells in which result after result is late.

    Parameters
    ----------
    times_s
        (N,) when each was captured [s], in any order.
    latency_ms
        (N,) how much later each came [ms].
    late_ms
        Beyond that one is late [ms].

    Returns
    -------
    list of (float, float)
        First and last time [s] of each burst, in order; single late results are in none.
    """
    times = np.sort(np.asarray(times_s, float)[np.asarray(latency_ms) > late_ms])
    ends = np.flatnonzero(np.diff(times) > JOINED_S)
    firsts = times[np.concatenate([[0], ends + 1])] if len(times) else times
    lasts = times[np.concatenate([ends, [len(times) - 1]])] if len(times) else times
    return [
        (float(first), float(last))
        for first, last in zip(firsts, lasts)
        if last - first >= SHORTEST_S
    ]
