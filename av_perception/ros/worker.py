# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Threads of a node: a worker with a short queue, and a pacer that plays timed items."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from av_perception.geometry.time import NANOSECONDS, seconds

JOIN_LATENESS_NS = NANOSECONDS
LONGEST_WAIT_S = 0.2  # the clock may be simulated: it is read again and again
JOIN_TIMEOUT_S = 5.0


class Worker:
    """Runs heavy work in a thread of its own.

    When it falls behind and too many items wait, the oldest is dropped. Where late results are of
    no use, it can also keep fewer waiting from then on: a burst that fits the queue loses nothing,
    and who is too slow for good leaves out single items between others, and is never far behind.
    An exception in the work is handed on, and the next item is taken.
    """

    def __init__(
        self,
        work: Callable[[Any], None],
        on_drop: Callable[[], None],
        on_error: Callable[[Exception], None],
        depth: int = 4,
        depth_behind: int | None = None,
    ):
        """Start the thread.

        Parameters
        ----------
        work : callable
            Called with each item.
        on_drop : callable
            Called for each item that is dropped.
        on_error : callable
            Called with the exception of an item.
        depth : int
            So many items wait.
        depth_behind : int or None
            So many wait once there were more than `depth`, until `depth` items in a row have found
            nobody waiting; of those that wait then, the newest and others at equal distances stay.
            None: always `depth`.
        """
        self._work = work
        self._on_drop = on_drop
        self._on_error = on_error
        self._depth = depth
        self._depth_behind = depth_behind
        self._is_behind = False
        self._num_prompt = 0  # items in a row that have found nobody waiting
        self._waiting: deque[Any] = deque()
        self._changed = threading.Condition()
        self._is_stopped = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def num_waiting(self) -> int:
        """How many items wait behind the one in work."""
        return len(self._waiting)

    def put(self, item: Any) -> None:
        """Hand over an item without ever blocking the caller."""
        with self._changed:
            self._note_pace()
            self._waiting.append(item)
            num_dropped = self._leave_out()
            self._changed.notify()
        for _ in range(num_dropped):
            self._on_drop()

    def stop(self) -> None:
        """Finish the item in work, forget the waiting ones, end the thread."""
        with self._changed:
            self._is_stopped = True
            self._waiting.clear()
            self._changed.notify()
        self._thread.join(timeout=JOIN_TIMEOUT_S)

    def _note_pace(self) -> None:
        """Be no more behind when enough items have found nobody waiting."""
        self._num_prompt = 0 if self._waiting else self._num_prompt + 1
        if self._num_prompt >= self._depth:
            self._is_behind = False

    def _leave_out(self) -> int:
        """Drop what is too much; tells how many."""
        before = len(self._waiting)
        if self._depth_behind is not None and before > self._depth and not self._is_behind:
            self._is_behind = True
            step = -(-before // self._depth_behind)  # rounded up
            self._waiting = deque(list(self._waiting)[::-1][::step][::-1])
        limit = self._depth
        if self._is_behind and self._depth_behind is not None:
            limit = self._depth_behind
        while len(self._waiting) > limit:
            self._waiting.popleft()
        return before - len(self._waiting)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._is_stopped)
                if self._is_stopped:
                    return
                item = self._waiting.popleft()
            try:
                self._work(item)
            except Exception as error:  # the thread must outlive any single item
                self._on_error(error)


class Pacer:
    """Runs timed actions in a thread of its own, each when the clock reads its time.

    A player that starts after its time joins in progress: it leaves out what is more than a
    second past, so that several players stay together.
    """

    def __init__(
        self,
        items: Iterable[tuple[int, Callable[[], None]]],
        now_ns: Callable[[], int],
        on_end: Callable[[], None],
        on_error: Callable[[Exception], None],
    ):
        """Start the thread.

        Parameters
        ----------
        items : iterable of (int, callable)
            When an action is due [ns] and the action, in order.
        now_ns : callable
            Reads the clock [ns].
        on_end : callable
            Called after the last item.
        on_error : callable
            Called with the exception when an item cannot be read or its action fails.
        """
        self._items = items
        self._now_ns = now_ns
        self._on_end = on_end
        self._on_error = on_error
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=JOIN_TIMEOUT_S)

    def _run(self) -> None:
        try:
            self._play()
        except Exception as error:  # a cut file ends the stream with a word, not a dead thread
            if not self._stopping.is_set():
                self._on_error(error)

    def _play(self) -> None:
        joined = False
        for due_ns, action in self._items:
            if not joined and self._now_ns() - due_ns > JOIN_LATENESS_NS:
                continue
            joined = True
            if not self._wait_for(due_ns):
                return
            action()
        self._on_end()
        self._stopping.wait()  # what the thread has cost is known only while it lives

    def _wait_for(self, due_ns: int) -> bool:
        """Wait until the clock reads a time; False when stopped."""
        while (wait_s := seconds(due_ns - self._now_ns())) > 0:
            if self._stopping.wait(min(wait_s, LONGEST_WAIT_S)):
                return False
        return not self._stopping.is_set()
