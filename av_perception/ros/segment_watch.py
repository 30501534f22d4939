# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Whether what this process sends still finds a place in its shared memory.

What a killed or halted process had not taken stays where it was sent from. Fast DDS takes back
the oldest of it where bytes are short, but it counts bytes, not places: once small messages lie
where images were, bytes enough are free, nothing is taken back, and each image is dropped without
a word. With one place left, right images find none while left ones are read. A single message for
which bytes are short makes Fast DDS take back as much as that one needs.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from av_perception.ros.segment_layout import (
    Segment,
    UnknownLayout,
    block_bytes,
    own_segments,
    read_segment,
)

LOOK_S = 0.45  # between two looks; what lies there in both is left over, not on its way
STUCK_S = 0.4  # so long nothing finds a place before it is said
REST_S = 2.0  # so long after it was said it is not said again
ENOUGH = 2  # places: what a pair needs
MOST_FAILED = 10  # looks that may fail beyond those that succeed
LARGE_BYTES = 1 << 16  # smaller messages find a place between others
RECURRENT = 4  # so many of a size were sent lately, or it is not waited for
LATELY_S = 120.0
MB = 1e6
REASON = (
    '{:.2f} MB of the shared memory from which it sends were free, but in pieces with room for {} '
    'message{} of {:.2f} MB, for ended or halted processes have left the rest unread'
)


@dataclass(frozen=True)
class Lack:
    """What finds no place.

    Attributes
    ----------
    reason : str
        For people.
    num_bytes : int
        For a message of this size bytes are short: it makes Fast DDS take back what was left.
    """

    reason: str
    num_bytes: int


def places_left(segment: Segment, num_bytes: int) -> int | None:
    """Tell how many messages of a size find a place where Fast DDS would take back no other.

    Parameters
    ----------
    segment
        Of what is held alone.
    num_bytes
        Of a message.

    Returns
    -------
    int or None
        None where Fast DDS makes room as soon as the places are taken.
    """
    places = int(np.sum(segment.gaps() // block_bytes(num_bytes)))
    if segment.num_free() < (places + 1) * num_bytes:
        return None
    return places


class SegmentWatch:
    """Looks into the segments of this process now and then.

    Attributes
    ----------
    complaint : str
        Why it cannot, once it has found that out; it then does nothing more.
    """

    def __init__(
        self,
        segments: Callable[[], list[Path]] = own_segments,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """segments: names their files; clock: in seconds."""
        self.complaint = ''
        self._find = segments
        self._clock = clock
        self._looked = clock()
        self._rests_until = -np.inf
        self._watched: dict[Path, _Looks] = {}
        self._looking = threading.Lock()  # the nodes of a process publish in threads of their own

    def lacking(self) -> Lack | None:
        """Say what finds no place for good, else None; call it several times a second.

        None, too, while another thread looks.
        """
        if self.complaint or not self._looking.acquire(blocking=False):
            return None
        try:
            return self._look()
        finally:
            self._looking.release()

    def _look(self) -> Lack | None:
        now = self._clock()
        if now - self._looked < LOOK_S:
            return None
        self._looked = now
        if not all(path.exists() for path in self._watched):
            self._watched = {}
        if not self._watched:
            self._watched = {path: _Looks() for path in self._find()}
        for path, looks in self._watched.items():
            try:
                lack = looks.judge(now, read_segment(path))
                looks.num_read += 1
            except OSError:  # gone meanwhile
                continue
            except UnknownLayout as error:
                self._doubt(path, looks, error)
                continue
            if lack is not None and now >= self._rests_until:
                self._rests_until = now + REST_S
                return lack
        return None

    def _doubt(self, path: Path, looks: _Looks, error: UnknownLayout) -> None:
        """Give up when nothing could be read so often that it was no change in between."""
        looks.num_failed += 1
        if looks.num_failed > looks.num_read + MOST_FAILED:
            self.complaint = f'{path} is not looked after: {error}'


class _Looks:
    """What was seen of one segment."""

    def __init__(self) -> None:
        self.num_read = 0
        self.num_failed = 0
        self._known = np.empty(0, np.int64)
        self._large: deque[tuple[float, int]] = deque(maxlen=64)  # when seen first, size
        self._seen: deque[tuple[float, np.ndarray]] = deque()  # when, what was held
        self._stuck_since: float | None = None

    def judge(self, now: float, segment: Segment) -> Lack | None:
        """Say what finds no place, and will not, by one more look; None if all is well."""
        self._keep(now, segment)
        lack = self._lack(now, segment)
        if lack is None:
            self._stuck_since = None
            return None
        if self._stuck_since is None:
            self._stuck_since = now
        return lack if now - self._stuck_since >= STUCK_S else None

    def _lack(self, now: float, segment: Segment) -> Lack | None:
        """Say what finds no place now, and will not unless somebody reads what is there."""
        is_new = now - self._seen[0][0] < LOOK_S
        if is_new or self._is_roomy(now, segment):
            return None
        left_over = self._left_over(segment)
        num_bytes = self._usual_size(now, left_over)
        places = places_left(left_over, num_bytes) if num_bytes else None
        if places is None or places >= ENOUGH:
            return None
        num_free = left_over.num_free()
        plural = '' if places == 1 else 's'
        reason = REASON.format(num_free / MB, places, plural, num_bytes / MB)
        return Lack(reason, max(num_free + ENOUGH * num_bytes, segment.capacity // 2))

    def _keep(self, now: float, segment: Segment) -> None:
        """Remember what this look has shown."""
        large = segment.only(segment.sizes >= LARGE_BYTES)
        is_new = ~np.isin(large.keys, self._known)
        self._large += [(now, size) for size in np.sort(large.sizes[is_new])[-RECURRENT:].tolist()]
        self._known = large.keys
        self._seen.append((now, segment.keys[segment.held]))
        while len(self._seen) > 2 and self._seen[1][0] <= now - LOOK_S:
            self._seen.popleft()

    def _is_roomy(self, now: float, segment: Segment) -> bool:
        """Whether there is room even beside what is on its way: nothing need be compared then."""
        num_bytes = self._usual_size(now, segment)
        return not num_bytes or segment.gaps().max() >= ENOUGH * block_bytes(num_bytes)

    def _left_over(self, segment: Segment) -> Segment:
        """Give what was held in every look."""
        kept = segment.held.copy()
        for _, keys in self._seen:
            kept &= np.isin(segment.keys, keys)
        return segment.only(kept)

    def _usual_size(self, now: float, held: Segment) -> int:
        """Give the size of the largest messages that are sent again and again; 0 if none is."""
        lately = [size for at, size in self._large if now - at <= LATELY_S]
        still = held.sizes[held.sizes >= LARGE_BYTES].tolist()
        sizes = sorted(lately + still)
        return sizes[-RECURRENT] if len(sizes) >= RECURRENT else 0
