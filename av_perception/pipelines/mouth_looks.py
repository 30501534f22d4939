# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""In which images mouths are cut out: all, or enough to tell that sound and images are apart."""

from __future__ import annotations

from av_perception.geometry.time import seconds

COMPARED_S = 60.0  # whether sound and images are apart shows by then
COMPARED_EVERY = 2  # images


class MouthLooks:
    """Decides image by image.

    Parameters
    ----------
    is_always
        Mouths are wanted for themselves. Else every second image of the first minute will do.
    is_heard
        There are voices to compare them with.
    """

    def __init__(self, is_always: bool, is_heard: bool):
        self.is_always = is_always
        self._is_heard = is_heard
        self._first_ns: int | None = None
        self._num_images = 0

    def is_due(self, stamp_ns: int) -> bool:
        """Tell whether mouths are to be cut out of the image of a stamp; ask once for each."""
        if self._first_ns is None:
            self._first_ns = stamp_ns
        self._num_images += 1
        if self.is_always or not self._is_heard:
            return self.is_always
        is_early = seconds(stamp_ns - self._first_ns) < COMPARED_S
        return is_early and self._num_images % COMPARED_EVERY == 0
