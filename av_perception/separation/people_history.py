# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Where the tracked people are while a sound is heard, from tracks that come later than sound.

Tracks of an image come a while after the sound of that moment. So that nobody waits, sound is
paired with tracks of `delay_s` before, and people are taken to have walked on since. Which tracks
those are depends on stamps alone, live as offline.
"""

from __future__ import annotations

from bisect import bisect_right

import numpy as np

from av_perception.geometry.rigid_transform import RigidTransform
from av_perception.geometry.time import nanoseconds, seconds
from av_perception.interfaces import TrackFrame

_REMEMBERED_S = 5.0
_START_ANEW_S = 1.0  # a stamp so far back begins another stream
_STALE_S = 1.0  # so old, tracks say nothing of now
_SLACK_NS = 1000  # stamps are rounded
_MIN_DISTANCE_M = 1e-6  # nearer to the array a track has no direction


class PeopleHistory:
    """Directions by stamp.

    Parameters
    ----------
    delay_s
        How much older than the sound the tracks are that go with it [s].
    """

    def __init__(self, delay_s: float):
        self._delay_ns = nanoseconds(delay_s)
        self.forget()

    def forget(self) -> None:
        """Forget everybody."""
        self._newest_ns: int | None = None
        self._stamps: list[int] = []
        # Ids, (J, 3) places and (J, 3) velocities in the array frame, by stamp.
        self._people: list[tuple[tuple[int, ...], np.ndarray, np.ndarray]] = []

    def follow(self, frame: TrackFrame, reference_from_array: RigidTransform | None) -> None:
        """Take tracks, and where the array is in their frame (None: nobody knows)."""
        if self._newest_ns is not None:
            step_s = seconds(frame.stamp_ns - self._newest_ns)
            if step_s < -_START_ANEW_S:
                self.forget()
            elif step_s <= 0:
                return
        self._newest_ns = frame.stamp_ns
        if reference_from_array is None:
            return
        tracks = [track for track in frame.tracks if np.isfinite(track.mean).all()]
        ids = tuple(track.id for track in tracks)
        places = np.reshape([track.mean[:3] for track in tracks], (-1, 3)).astype(float)
        # Of who was never seen only the direction is known, and no velocity.
        motions = [track.mean[3:6] * bool(track.last_seen_ns) for track in tracks]
        velocities = np.reshape(motions, (-1, 3)).astype(float)
        array_from_reference = reference_from_array.inverse()
        moved = array_from_reference.apply(places + velocities)
        seen_from_array = array_from_reference.apply(places)
        self._stamps.append(frame.stamp_ns)
        self._people.append((ids, seen_from_array, moved - seen_from_array))
        self._drop_old()

    @property
    def has_tracks(self) -> bool:
        """Whether any tracks have come."""
        return self._newest_ns is not None

    def knows(self, stamp_ns: int) -> bool:
        """Tell whether no later tracks can change what is said of a moment."""
        if self._newest_ns is None:
            return False
        if seconds(stamp_ns - self._newest_ns) > _START_ANEW_S:
            return True  # of the stream before, or the tracks stand still
        return self._newest_ns + _SLACK_NS >= stamp_ns - self._delay_ns

    def at(self, stamp_ns: int) -> dict[int, np.ndarray]:
        """Give the people of a moment.

        Parameters
        ----------
        stamp_ns
            When the sound was heard.

        Returns
        -------
        dict of int to (3,) array
            Unit vector in the array frame by id; empty where the tracks are too old.
        """
        wanted_ns = stamp_ns - self._delay_ns + _SLACK_NS
        index = bisect_right(self._stamps, wanted_ns) - 1
        if index < 0 or seconds(wanted_ns - self._stamps[index]) > _STALE_S:
            return {}
        ids, places, velocities = self._people[index]
        now = places + velocities * seconds(stamp_ns - self._stamps[index])
        distance = np.linalg.norm(now, axis=1)
        return {
            i: place / length
            for i, place, length in zip(ids, now, distance, strict=True)
            if length > _MIN_DISTANCE_M
        }

    def _drop_old(self) -> None:
        oldest_ns = self._stamps[-1] - nanoseconds(_REMEMBERED_S)
        count = bisect_right(self._stamps, oldest_ns)
        if count > 64:  # not at every step
            del self._stamps[:count]
            del self._people[:count]
