# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The least of the last rows of a stream, component by component, at two comparisons a row.

The window is cut where the ring of rows begins anew: the least of what lies before the cut was
found for every place at once when the ring was full, that of what lies after it grows with the
rows (van Herk 1992; Gil and Werman 1993).
"""

from __future__ import annotations

import numpy as np


class SlidingLeast:
    """Minimum of the last `num_rows` rows of `size` numbers; infinite before the first.

    least: (size,) of them.
    """

    def __init__(self, num_rows: int, size: int):
        self._rows = np.full((num_rows, size), np.inf)
        self._next = 0  # place of the next row in the ring
        self._of_new = np.full(size, np.inf)
        self._find_anew()

    def push(self, row: np.ndarray) -> None:
        """Take the next row (size,); the oldest one goes."""
        self._rows[self._next] = row
        self._next += 1
        if self._next == len(self._rows):
            self._next = 0
            self._find_anew()
            return
        self._of_new = np.minimum(self._of_new, row)
        self.least = np.minimum(self._of_new, self._of_old[self._next])

    def take_back(self) -> None:
        """Forget the newest row; the one that went for it does not come back."""
        self._next = (self._next - 1) % len(self._rows)
        self._rows[self._next] = np.inf
        self._find_anew()

    def _find_anew(self) -> None:
        """Find the least of all rows from every place on, and of those since the ring began."""
        # (num_rows, size), of this row and all that follow: what was there before the next ones
        self._of_old = np.minimum.accumulate(self._rows[::-1], axis=0)[::-1]
        self._of_new = self._rows[: self._next].min(axis=0, initial=np.inf)
        self.least = np.minimum(self._of_new, self._of_old[self._next])
