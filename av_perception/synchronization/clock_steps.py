# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Clocks that are set while people are tracked: a step of the clock is no time that passed."""

from __future__ import annotations

from dataclasses import replace

from av_perception.geometry.time import nanoseconds, seconds
from av_perception.interfaces import TrackFrame

MIN_STEP_S = 1.0  # less is late messages, or a stall
# Of an advance of the stamps: less than this may be a recording that is played fast.
MIN_SHARE = 0.9


class ClockSteps:
    """Tells by how much the clock behind the stamps was set ahead.

    A stamp's lead is how far it is ahead of a clock that nobody sets. It falls when a message is
    late and comes back after it; only a step of the stamps' own clock brings it above all before.
    Stamps that go back are another matter: a recording that begins anew looks the same.

    Attributes
    ----------
    total_ns : int
        Sum of all steps [ns].
    reason : str
        What was seen at the last one.
    """

    def __init__(self):
        self.total_ns = 0
        self.reason = ''
        self._lead_ns: int | None = None
        self._stamp_ns = 0

    def observe(self, stamp_ns: int, clock_ns: int) -> bool:
        """Take one stamp.

        Parameters
        ----------
        stamp_ns
            Of a frame [ns].
        clock_ns
            When it came, on a clock that nobody sets [ns].

        Returns
        -------
        bool
            The clock behind the stamps was set ahead since the last stamp.
        """
        lead_ns = stamp_ns - clock_ns
        advance_ns = stamp_ns - self._stamp_ns
        self._stamp_ns = stamp_ns
        if self._lead_ns is None or advance_ns < -nanoseconds(MIN_STEP_S):
            self._lead_ns = lead_ns
            return False
        step_ns = lead_ns - self._lead_ns
        self._lead_ns = max(self._lead_ns, lead_ns)
        if step_ns < max(nanoseconds(MIN_STEP_S), MIN_SHARE * advance_ns):
            return False
        self.total_ns += step_ns
        self.reason = (
            f'stamps jumped ahead by {seconds(advance_ns):.1f} s while '
            f'{max(seconds(advance_ns - step_ns), 0.0):.1f} s passed: was the clock set? '
            'People keep their ids'
        )
        return True

    def restore(self, frame: TrackFrame) -> TrackFrame:
        """Give a frame whose stamps leave the steps out the stamps that others know."""
        if not self.total_ns:
            return frame

        def moved(stamp_ns: int) -> int:
            return stamp_ns + self.total_ns if stamp_ns else 0

        tracks = tuple(
            replace(
                track,
                last_seen_ns=moved(track.last_seen_ns),
                last_heard_ns=moved(track.last_heard_ns),
            )
            for track in frame.tracks
        )
        return replace(frame, stamp_ns=moved(frame.stamp_ns), tracks=tracks)
