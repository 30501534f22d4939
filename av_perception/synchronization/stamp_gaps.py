# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Messages that are missing from a regular stream, found by stamps alone."""

from __future__ import annotations

from collections import deque

import numpy as np

from av_perception.geometry.time import seconds

_REMEMBERED = 32  # intervals that tell what is usual
_FEWEST = 8  # intervals before anything is usual
_USUAL = 0.25  # quantile: even where every other message is missing, a quarter are in time
_LONGER = 1.6  # times the usual interval
_LONGEST_S = 1.0  # longer is a silence, or a new start


class StampGaps:
    """Counts what a camera, its driver or the network leaves out.

    Images have no running index. A stream that slows down for good (a camera in the dark) counts
    for a second; then its new pace is usual.

    Attributes
    ----------
    reason : str
        What was seen at the last gap.
    """

    def __init__(self) -> None:
        self.reason = ''
        self._last_ns: int | None = None
        self._intervals: deque[float] = deque(maxlen=_REMEMBERED)  # [s]

    def push(self, stamp_ns: int) -> int:
        """Take the next stamp.

        Parameters
        ----------
        stamp_ns
            Of a message [ns].

        Returns
        -------
        int
            How many messages are missing before it.
        """
        last_ns = self._last_ns
        self._last_ns = stamp_ns
        if last_ns is None:
            return 0
        interval_s = seconds(stamp_ns - last_ns)
        if not 0.0 < interval_s <= _LONGEST_S:
            return 0
        usual_s = None
        if len(self._intervals) >= _FEWEST:
            usual_s = float(np.quantile(self._intervals, _USUAL))
        self._intervals.append(interval_s)
        if usual_s is None or interval_s < _LONGER * usual_s:
            return 0
        self.reason = f'{1e3 * interval_s:.0f} ms between two stamps, {1e3 * usual_s:.0f} is usual'
        return round(interval_s / usual_s) - 1
