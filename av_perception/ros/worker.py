# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Threads of a node: a worker with a short queue for heavy work, and a pacer that plays timed items."""

from __future__ import annotations

import queue
import threading

JOIN_LATENESS_NS = 1_000_000_000


class Worker:
    """Runs `work(item)` in a thread of its own. When it falls behind, the oldest waiting item is dropped and `on_drop()` called.

    An exception in the work goes to `on_error(exception)`, and the next item is taken.
    """

    def __init__(self, work, on_drop, on_error, depth: int = 4):
        self._work, self._on_drop, self._on_error = work, on_drop, on_error
        self._queue: queue.Queue = queue.Queue(depth)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def put(self, item) -> None:
        """Hand over an item without ever blocking the caller."""
        while True:
            try:
                return self._queue.put_nowait(item)
            except queue.Full:
                self._drop_oldest()

    def stop(self) -> None:
        """Finish the item in work, forget the waiting ones, end the thread."""
        while not self._queue.empty():
            self._take_silently()
        self._queue.put(None)
        self._thread.join(timeout=5.0)

    def _drop_oldest(self):
        if self._take_silently():
            self._on_drop()

    def _take_silently(self) -> bool:
        try:
            self._queue.get_nowait()
        except queue.Empty:
            return False
        return True

    def _run(self):
        while (item := self._queue.get()) is not None:
            try:
                self._work(item)
            except Exception as error:  # the thread must outlive any single item
                self._on_error(error)


class Pacer:
    """Publishes timed items: `items` yields (due_ns, action) in order; each action runs when the clock reads due_ns. A player that
    starts after its time joins in progress: it leaves out what is more than a second past, so that several players stay together.

    now_ns: function that reads the clock. on_end() is called after the last item, on_error(exception) when reading an item fails.
    """

    def __init__(self, items, now_ns, on_end, on_error):
        self._items, self._now_ns, self._on_end, self._on_error = items, now_ns, on_end, on_error
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=5.0)

    def _run(self):
        try:
            joined = False
            for due_ns, action in self._items:
                if not joined and self._now_ns() - due_ns > JOIN_LATENESS_NS:
                    continue
                joined = True
                while (wait_s := 1e-9 * (due_ns - self._now_ns())) > 0:
                    if self._stopping.wait(
                        min(wait_s, 0.2)
                    ):  # short waits: the clock may be simulated
                        return
                if self._stopping.is_set():
                    return
                action()
            self._on_end()
        except (
            Exception
        ) as error:  # a cut file ends the stream with a word, not with a dead thread
            if not self._stopping.is_set():
                self._on_error(error)
