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
_REMEMBERED = 16  # steps ahead that may be undone
_RECENT_S = 5.0  # stamps of before wait in queues no longer


class ClockSteps:
    """Tells by how much the clock behind the stamps was set.

    A stamp's lead is how far it is ahead of a clock that nobody sets. It falls when a message is
    late and comes back after it; only a step of the stamps' own clock brings it above all before.
    Stamps that go back are a step where they come back from one ahead, or where the clock of this
    machine was set back as far; else a recording that begins anew looks the same.

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
        self._usual_ns = 0  # from one stamp to the next
        self._clock_ns = 0
        self._wall_lead_ns: int | None = None  # of the clock of this machine
        self._set_back = (0, 0)  # when that clock was set back last, and how far
        self._ahead: list[tuple[int, int]] = []  # of steps ahead: the lead before, and how far

    def observe(self, stamp_ns: int, clock_ns: int, wall_ns: int | None = None) -> bool:
        """Take one stamp.

        Parameters
        ----------
        stamp_ns
            Of a frame [ns].
        clock_ns
            When it came, on a clock that nobody sets [ns].
        wall_ns
            The same on the clock of this machine, which may be set [ns]; None: it is not that
            clock which stamps are of.

        Returns
        -------
        bool
            The clock behind the stamps was set since the last stamp.
        """
        lead_ns = stamp_ns - clock_ns
        advance_ns = stamp_ns - self._stamp_ns
        passed_ns = clock_ns - self._clock_ns
        self._watch_wall(clock_ns, wall_ns)
        self._stamp_ns = stamp_ns
        self._clock_ns = clock_ns
        if self._lead_ns is None or passed_ns < 0:  # simulated time that jumps back tells nothing
            self._begin(lead_ns)
            return False
        if advance_ns < -nanoseconds(MIN_STEP_S):
            return self._goes_back(lead_ns, advance_ns)
        step_ns = lead_ns - self._lead_ns
        if step_ns < max(nanoseconds(MIN_STEP_S), MIN_SHARE * advance_ns):
            self._lead_ns = max(self._lead_ns, lead_ns)
            self._usual_ns = max(0, advance_ns)
            return False
        # The lead of who comes late tells of less than the step: time would go back with the
        # clock. No more has passed than the usual time.
        elapsed_ns = min(passed_ns, self._usual_ns or passed_ns)
        self._goes_ahead(lead_ns, max(step_ns, advance_ns - elapsed_ns), advance_ns)
        return True

    def _begin(self, lead_ns: int) -> None:
        self._lead_ns = lead_ns
        self._ahead.clear()

    def _watch_wall(self, clock_ns: int, wall_ns: int | None) -> None:
        """Note when, and by how much, the clock of this machine was set back."""
        before_ns = self._wall_lead_ns
        self._wall_lead_ns = None if wall_ns is None else wall_ns - clock_ns
        if before_ns is None or self._wall_lead_ns is None:
            return
        back_ns = before_ns - self._wall_lead_ns
        if back_ns > nanoseconds(MIN_STEP_S):
            self._set_back = (clock_ns, back_ns)

    def _goes_back(self, lead_ns: int, advance_ns: int) -> bool:
        """Tell whether stamps go back because their clock was set; else all begins anew."""
        assert self._lead_ns is not None
        for number, (before_ns, _) in enumerate(self._ahead):
            late_ns = before_ns - lead_ns
            if -nanoseconds(MIN_STEP_S) < late_ns < nanoseconds(_RECENT_S):
                steps_ns = sum(step_ns for _, step_ns in self._ahead[number:])
                del self._ahead[number:]
                self._lead_ns = before_ns
                self._take(-steps_ns, advance_ns)
                return True
        set_ns, back_ns = self._set_back
        self._set_back = (0, 0)
        is_recent = back_ns and self._clock_ns - set_ns < nanoseconds(_RECENT_S)
        if is_recent and abs(self._lead_ns - lead_ns - back_ns) < nanoseconds(MIN_STEP_S):
            self._begin(self._lead_ns - back_ns)
            self._take(-back_ns, advance_ns)
            return True
        self._begin(lead_ns)
        return False

    def _goes_ahead(self, lead_ns: int, step_ns: int, advance_ns: int) -> None:
        """Take a step ahead, and remember what the lead was before it."""
        assert self._lead_ns is not None
        self._ahead.append((self._lead_ns, step_ns))
        del self._ahead[:-_REMEMBERED]
        self._lead_ns = lead_ns
        self._take(step_ns, advance_ns)

    def _take(self, step_ns: int, advance_ns: int) -> None:
        self.total_ns += step_ns
        where = 'ahead' if advance_ns > 0 else 'back'
        passed_s = max(seconds(advance_ns - step_ns), 0.0)
        self.reason = (
            f'stamps jumped {where} by {abs(seconds(advance_ns)):.1f} s while {passed_s:.1f} s '
            'passed: was the clock set? People keep their ids'
        )

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
