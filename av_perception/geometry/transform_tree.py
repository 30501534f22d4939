# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A tree of coordinate frames in time: who hangs on whom, where, and when; between two known moments it interpolates."""

from __future__ import annotations

import bisect
import math

import numpy as np

from av_perception.geometry.rigid_transform import RigidTransform

KEEP_NS = 10_000_000_000
RESET_NS = 1_000_000_000


class TransformUnavailable(Exception):
    """Why a pose is not known. may_come: it lies in the future of what is known and a little patience may help."""

    def __init__(self, reason: str, may_come: bool):
        super().__init__(reason)
        self.may_come = may_come


class TransformTree:
    """Poses of frames in their parents, kept for ten seconds; static ones for ever. What a frame was said to be last holds: its parent, and
    whether it moves. A frame whose stamp jumps back by more than a second starts anew; the others do not suffer from its clock.
    """

    def __init__(self):
        self._parents: dict[str, str] = {}
        self._static: dict[str, RigidTransform] = {}
        self._moving: dict[
            str, tuple[list[int], list[RigidTransform]]
        ] = {}  # child -> stamps in order, poses

    def add_static(self, parent: str, child: str, pose: RigidTransform) -> None:
        """A pose (parent_from_child) that never changes. Raises ValueError for a frame in itself."""
        self._attach(parent, child)
        self._moving.pop(child, None)
        self._static[child] = pose

    def add(self, parent: str, child: str, stamp_ns: int, pose: RigidTransform) -> None:
        """A pose (parent_from_child) at a moment. Raises ValueError for a frame in itself."""
        self._attach(parent, child)
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

    def _attach(self, parent: str, child: str) -> None:
        if parent == child:
            raise ValueError(f"the frame '{child}' hangs on itself")
        self._parents[child] = parent

    def pose(self, target: str, source: str, stamp_ns: int) -> RigidTransform:
        """target_from_source at a moment. Raises TransformUnavailable."""
        up, down = self._chain(source), self._chain(target)
        common = next((frame for frame in up if frame in set(down)), None)
        if common is None:
            known = [
                frame
                for frame in (target, source)
                if frame in self._parents or frame in self._parents.values()
            ]
            missing = ' and '.join(
                f"'{frame}'" for frame in (target, source) if frame not in known
            )
            raise TransformUnavailable(
                f'nobody publishes the frame {missing} on /tf'
                if missing
                else f"the frames '{target}' and '{source}' are not connected on /tf",
                may_come=True,
            )
        return self._climb(down, common, stamp_ns).inverse() @ self._climb(up, common, stamp_ns)

    def newest_ns(self, target: str, source: str) -> int | None:
        """The latest moment at which the pose between two frames is known; None when they are not connected or nothing moves between them."""
        up, down = self._chain(source), self._chain(target)
        common = next((frame for frame in up if frame in set(down)), None)
        moving = (
            []
            if common is None
            else [
                f
                for chain in (up, down)
                for f in chain[: chain.index(common)]
                if f not in self._static
            ]
        )
        return min(
            (self._moving[f][0][-1] for f in moving if self._moving.get(f, ([],))[0]), default=None
        )

    def _chain(self, frame: str) -> list[str]:
        """The frame and all above it, from near to far; a loop ends where it closes."""
        chain = [frame]
        while (parent := self._parents.get(chain[-1])) is not None and parent not in chain:
            chain.append(parent)
        return chain

    def _climb(self, chain: list[str], top: str, stamp_ns: int) -> RigidTransform:
        """top_from_frame for the first frame of a chain."""
        result = RigidTransform()
        for frame in chain[: chain.index(top)]:
            result = (
                self._static[frame] if frame in self._static else self._at(frame, stamp_ns)
            ) @ result
        return result

    def _at(self, child: str, stamp_ns: int) -> RigidTransform:
        stamps, poses = self._moving.get(child, ([], []))
        if not stamps or stamp_ns > stamps[-1]:
            late_s = 1e-9 * (stamp_ns - stamps[-1]) if stamps else float('inf')
            raise TransformUnavailable(
                f"the newest transform of '{child}' is {late_s:.3f} s older than what it is wanted for",
                may_come=True,
            )
        if stamp_ns < stamps[0]:
            raise TransformUnavailable(
                f"the oldest transform of '{child}' is {1e-9 * (stamps[0] - stamp_ns):.3f} s newer than what it is wanted for",
                may_come=False,
            )
        after = bisect.bisect_left(stamps, stamp_ns)
        if stamps[after] == stamp_ns:
            return poses[after]
        share = (stamp_ns - stamps[after - 1]) / (stamps[after] - stamps[after - 1])
        return interpolated(poses[after - 1], poses[after], share)


def interpolated(first: RigidTransform, second: RigidTransform, share: float) -> RigidTransform:
    """Between two poses: the straight line and the shortest turn at constant rate; share 0 is the first, 1 the second."""
    start, end = first.quaternion_xyzw, second.quaternion_xyzw
    cosine = float(start @ end)
    angle = math.acos(min(abs(cosine), 1.0))  # of the shorter way: q and -q are the same rotation
    weights = (
        (1 - share, share)
        if angle < 1e-6
        else (
            math.sin((1 - share) * angle) / math.sin(angle),
            math.sin(share * angle) / math.sin(angle),
        )
    )
    quaternion = weights[0] * start + math.copysign(weights[1], cosine) * end
    return RigidTransform.from_quaternion(
        first.translation + share * (second.translation - first.translation), quaternion
    )


def turn_rate(first: RigidTransform, second: RigidTransform, seconds: float) -> float:
    """Angle between two orientations over the time between them [rad/s]."""
    cosine = (np.trace(first.rotation.T @ second.rotation) - 1) / 2
    return float(np.arccos(np.clip(cosine, -1.0, 1.0))) / seconds
