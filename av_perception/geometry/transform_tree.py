# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A tree of coordinate frames in time; between two known moments it interpolates."""

from __future__ import annotations

import bisect
import math

import numpy as np

from av_perception.geometry.rigid_transform import RigidTransform
from av_perception.geometry.time import seconds

KEEP_NS = 10_000_000_000  # older poses are forgotten
RESET_NS = 1_000_000_000  # a stamp that jumps back by more starts anew
ALIVE_NS = 500_000_000  # a pose that is no older is still published
_MANY = 1000  # frames that move, before those that are published no more are looked for
_SMALL_ANGLE = 1e-6  # [rad]: below, the straight line between quaternions is as good


class TransformUnavailable(Exception):
    """Why a pose is not known.

    may_come: it lies in the future of what is known, and a little patience may help.
    """

    def __init__(self, reason: str, may_come: bool):
        super().__init__(reason)
        self.may_come = may_come


class TransformTree:
    """Poses of frames in their parents, kept for ten seconds; static ones for ever.

    What a frame was said to be last holds: its parent, and whether it moves; but for a frame that
    is still published on another parent, and for what would close a loop: the first holds as long
    as it is published. A frame whose stamp jumps back by more than a second starts anew; the
    others do not suffer from its clock.
    """

    def __init__(self) -> None:
        self._parents: dict[str, str] = {}
        self._static: dict[str, RigidTransform] = {}
        # By child: stamps in order, and the poses at them.
        self._moving: dict[str, tuple[list[int], list[RigidTransform]]] = {}
        self._many = _MANY

    def add_static(self, parent: str, child: str, pose: RigidTransform) -> None:
        """Add a pose (parent_from_child) that never changes. ValueError for a loop."""
        self._attach(parent, child, None)
        self._moving.pop(child, None)
        self._static[child] = pose

    def add(self, parent: str, child: str, stamp_ns: int, pose: RigidTransform) -> None:
        """Add a pose (parent_from_child) at a moment.

        Raises
        ------
        ValueError
            When it closes a loop of frames, or another parent is still published.
        """
        self._attach(parent, child, stamp_ns)
        self._static.pop(child, None)
        stamps, poses = self._moving.setdefault(child, ([], []))
        if stamps and stamps[-1] - stamp_ns > RESET_NS:
            stamps.clear()
            poses.clear()
        place = bisect.bisect_right(stamps, stamp_ns)
        stamps.insert(place, stamp_ns)
        poses.insert(place, pose)
        old = bisect.bisect_left(stamps, stamps[-1] - KEEP_NS)
        del stamps[:old], poses[:old]
        if len(self._moving) > self._many:
            self._forget_old(stamp_ns)

    def _attach(self, parent: str, child: str, stamp_ns: int | None) -> None:
        """Hang a frame on another; stamp_ns: None for ever. ValueError where that cannot be."""
        if parent == child:
            raise ValueError(f"the frame '{child}' hangs on itself")
        before = self._parents.get(child, parent)
        if before != parent:
            if self._is_alive(child, stamp_ns):
                raise ValueError(
                    f"it hangs on '{before}', and is said to hang on '{parent}': two nodes "
                    'publish it'
                )
            self._moving.pop(child, None)  # poses in another frame
        self._open_loop(parent, child, stamp_ns)
        self._parents[child] = parent

    def _is_alive(self, child: str, stamp_ns: int | None) -> bool:
        """Tell whether a frame that moves is published at a moment."""
        stamps, _ = self._moving.get(child, ([], []))
        return (
            bool(stamps) and stamp_ns is not None and -RESET_NS < stamp_ns - stamps[-1] < ALIVE_NS
        )

    def _open_loop(self, parent: str, child: str, stamp_ns: int | None) -> None:
        """Cut what would be a loop where it is published no more; ValueError where it is."""
        chain = self._chain(parent)
        if child not in chain:
            return
        between = chain[: chain.index(child)]
        moving = [frame for frame in between if frame not in self._static]
        old = [frame for frame in moving if stamp_ns and not self._is_alive(frame, stamp_ns)]
        if not old:
            raise ValueError(
                f"it would hang on itself: '{parent}' hangs on '{child}'; two nodes publish them"
            )
        for frame in old:
            self._forget(frame)

    def _forget_old(self, stamp_ns: int) -> None:
        """Forget frames that nobody has published for long: things that were there once."""
        for frame, (stamps, _) in list(self._moving.items()):
            if stamp_ns - stamps[-1] > KEEP_NS:
                self._forget(frame)
        self._many = max(_MANY, 2 * len(self._moving))

    def _forget(self, frame: str) -> None:
        self._moving.pop(frame, None)
        self._parents.pop(frame, None)

    def pose(self, target: str, source: str, stamp_ns: int) -> RigidTransform:
        """Return target_from_source at a moment. Raises TransformUnavailable."""
        up = self._chain(source)
        down = self._chain(target)
        common = self._common(up, down)
        if common is None:
            raise TransformUnavailable(self._gap_between(target, source), may_come=True)
        return self._climb(down, common, stamp_ns).inverse() @ self._climb(up, common, stamp_ns)

    def newest_ns(self, target: str, source: str) -> int | None:
        """Return the latest moment at which the pose between two frames is known.

        None when they are not connected or nothing moves between them.
        """
        up = self._chain(source)
        down = self._chain(target)
        common = self._common(up, down)
        if common is None:
            return None
        between = [*up[: up.index(common)], *down[: down.index(common)]]
        newest = [
            self._moving[frame][0][-1]
            for frame in between
            if frame not in self._static and self._moving.get(frame, ([],))[0]
        ]
        return min(newest, default=None)

    @staticmethod
    def _common(up: list[str], down: list[str]) -> str | None:
        """Find the nearest frame above both."""
        above = set(down)
        return next((frame for frame in up if frame in above), None)

    def _gap_between(self, target: str, source: str) -> str:
        """Why there is no way between two frames."""
        known = {*self._parents, *self._parents.values()}
        missing = [f"'{frame}'" for frame in (target, source) if frame not in known]
        if missing:
            return f'nobody publishes the frame {" and ".join(missing)} on /tf'
        return f"the frames '{target}' and '{source}' are not connected on /tf"

    def _chain(self, frame: str) -> list[str]:
        """List the frame and all above it, from near; a loop ends where it closes."""
        chain = [frame]
        while (parent := self._parents.get(chain[-1])) is not None and parent not in chain:
            chain.append(parent)
        return chain

    def _climb(self, chain: list[str], top: str, stamp_ns: int) -> RigidTransform:
        """top_from_frame for the first frame of a chain."""
        result = RigidTransform()
        for frame in chain[: chain.index(top)]:
            static = self._static.get(frame)
            parent_from_frame = self._pose_at(frame, stamp_ns) if static is None else static
            result = parent_from_frame @ result
        return result

    def _pose_at(self, child: str, stamp_ns: int) -> RigidTransform:
        stamps, poses = self._moving.get(child, ([], []))
        if not stamps or stamp_ns > stamps[-1]:
            late_s = seconds(stamp_ns - stamps[-1]) if stamps else float('inf')
            raise TransformUnavailable(
                f"the newest transform of '{child}' is {late_s:.3f} s older than what it is "
                'wanted for',
                may_come=True,
            )
        if stamp_ns < stamps[0]:
            early_s = seconds(stamps[0] - stamp_ns)
            raise TransformUnavailable(
                f"the oldest transform of '{child}' is {early_s:.3f} s newer than what it is "
                'wanted for',
                may_come=False,
            )
        after = bisect.bisect_left(stamps, stamp_ns)
        if stamps[after] == stamp_ns:
            return poses[after]
        share = (stamp_ns - stamps[after - 1]) / (stamps[after] - stamps[after - 1])
        return interpolated(poses[after - 1], poses[after], share)


def interpolated(first: RigidTransform, second: RigidTransform, share: float) -> RigidTransform:
    """Interpolate between two poses: the straight line and the shortest turn at constant rate.

    Parameters
    ----------
    first, second
        The poses.
    share
        0 is the first, 1 the second.
    """
    start = first.quaternion_xyzw
    end = second.quaternion_xyzw
    cosine = float(start @ end)
    angle = math.acos(min(abs(cosine), 1.0))  # of the shorter way: q and -q are the same rotation
    of_start, of_end = 1 - share, share
    if angle >= _SMALL_ANGLE:
        of_start = math.sin((1 - share) * angle) / math.sin(angle)
        of_end = math.sin(share * angle) / math.sin(angle)
    quaternion = of_start * start + math.copysign(of_end, cosine) * end
    translation = first.translation + share * (second.translation - first.translation)
    return RigidTransform.from_quaternion(translation, quaternion)


def turn_rate(first: RigidTransform, second: RigidTransform, duration_s: float) -> float:
    """Return the angle between two orientations over the time between them [rad/s]."""
    cosine = (np.trace(first.rotation.T @ second.rotation) - 1) / 2
    return float(np.arccos(np.clip(cosine, -1.0, 1.0))) / duration_s
