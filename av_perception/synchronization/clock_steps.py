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
# No stamp for longer is a silence [usual intervals; s]: no message is late by so much.
_SILENT_INTERVALS = 10
_SILENT_S = 2.0
# A process that did nothing for so long [s] was halted, say; what tells simulated time has reached
# it again so much later [s].
_HALT_S = 1.0
_CATCH_UP_S = 1.0


class ClockSteps:
    """Tells by how much the clock behind the stamps was set.

    A stamp's lead is how far it is ahead of a clock that nobody sets. It falls when a message is
    late and comes back after it; only a step of the stamps' own clock brings it above all before,
    or a clock that is told by messages and is late itself: see `must_wait`.
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
        self._wall_step = (0, 0)  # when that clock was set last, and by how much
        self._machine_ns = 0  # when somebody last asked whether to wait
        self._awake_ns = -nanoseconds(_CATCH_UP_S)  # when this process was last found halted
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
        is_step = self._is_step_ahead(stamp_ns, clock_ns)
        self._stamp_ns = stamp_ns
        self._clock_ns = clock_ns
        if self._lead_ns is None or passed_ns < 0:  # simulated time that jumps back tells nothing
            self._begin(lead_ns)
            return False
        if advance_ns < -nanoseconds(MIN_STEP_S):
            return self._goes_back(lead_ns, advance_ns)
        if not is_step:
            self._lead_ns = max(self._lead_ns, lead_ns)
            self._usual_ns = max(0, advance_ns)
            return False
        # The lead of who comes late tells of less than the step: time would go back with the
        # clock.
        step_ns = max(lead_ns - self._lead_ns, advance_ns - self._elapsed_ns(passed_ns))
        self._goes_ahead(lead_ns, step_ns, advance_ns)
        return True

    def must_wait(self, stamp_ns: int, clock_ns: int, machine_ns: int) -> bool:
        """Tell whether a stamp has to wait before it is observed, in simulated time.

        That time is told by messages, which reach a process that was halted later than the frames
        do: their clock seems to be set until then.

        Parameters
        ----------
        stamp_ns, clock_ns
            As of `observe`.
        machine_ns
            The time on a clock of this machine that nobody sets [ns].

        Returns
        -------
        bool
            Ask again, soon.
        """
        if machine_ns - self._machine_ns > nanoseconds(_HALT_S):
            self._awake_ns = machine_ns
        self._machine_ns = machine_ns
        may_be_behind = machine_ns - self._awake_ns < nanoseconds(_CATCH_UP_S)
        return may_be_behind and self._is_step_ahead(stamp_ns, clock_ns)

    def _is_step_ahead(self, stamp_ns: int, clock_ns: int) -> bool:
        """Whether a stamp is ahead of all before, by more than a late message or a pause."""
        if self._lead_ns is None or clock_ns < self._clock_ns:
            return False
        step_ns = stamp_ns - clock_ns - self._lead_ns
        if step_ns < nanoseconds(MIN_STEP_S):
            return False
        is_share = step_ns >= MIN_SHARE * (stamp_ns - self._stamp_ns)
        return is_share or self._was_wall_set(step_ns, clock_ns)

    def _was_wall_set(self, step_ns: int, clock_ns: int) -> bool:
        """Whether the clock of this machine was set by as much, a moment ago."""
        set_ns, by_ns = self._wall_step
        is_recent = by_ns != 0 and clock_ns - set_ns < nanoseconds(_RECENT_S)
        return is_recent and abs(step_ns - by_ns) < nanoseconds(MIN_STEP_S)

    def _elapsed_ns(self, passed_ns: int) -> int:
        """Tell how much time lies between two stamps, the second of which came so much later.

        The usual time, for the second may be late; but nobody is late by a long silence.
        """
        usual_ns = self._usual_ns or passed_ns
        if passed_ns > max(_SILENT_INTERVALS * usual_ns, nanoseconds(_SILENT_S)):
            return passed_ns
        return min(passed_ns, usual_ns)

    def _begin(self, lead_ns: int) -> None:
        self._lead_ns = lead_ns
        self._ahead.clear()

    def _watch_wall(self, clock_ns: int, wall_ns: int | None) -> None:
        """Note when, and by how much, the clock of this machine was set."""
        before_ns = self._wall_lead_ns
        self._wall_lead_ns = None if wall_ns is None else wall_ns - clock_ns
        if before_ns is None or self._wall_lead_ns is None:
            return
        step_ns = self._wall_lead_ns - before_ns
        if abs(step_ns) > nanoseconds(MIN_STEP_S):
            self._wall_step = (clock_ns, step_ns)

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
        was_set = self._was_wall_set(lead_ns - self._lead_ns, self._clock_ns)
        by_ns = self._wall_step[1]
        self._wall_step = (0, 0)
        if was_set:
            self._begin(self._lead_ns + by_ns)
            self._take(by_ns, advance_ns)
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
