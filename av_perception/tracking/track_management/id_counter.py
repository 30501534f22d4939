# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Ids of tracks: each is given once."""

from __future__ import annotations


class IdCounter:
    """Gives ids in order, from 1.

    Attributes
    ----------
    last : int
        The highest that was given so far, 0 before the first.
    """

    def __init__(self) -> None:
        """Start with none given."""
        self.last = 0

    def continue_after(self, last: int) -> None:
        """Give no id up to `last`: somebody else had them."""
        self.last = max(self.last, last)

    def take(self, count: int) -> range:
        """Give the next `count` ids."""
        self.last += count
        return range(self.last - count + 1, self.last + 1)
