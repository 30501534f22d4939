"""While the head turns, its own motors drown the sound."""

from __future__ import annotations

from av_perception.geometry import RigidTransform
from av_perception.transform_tree import turn_rate

_NANO = 1e-9


class EgoMotion:
    """Says for every moment whether the head turned about then. max_rate [rad/s], 0: it never does; window_s: how long before and after."""

    def __init__(self, max_rate: float, window_s: float):
        self._max_rate, self._window_ns = max_rate, round(1e9 * window_s)
        self._turned_ns: int | None = None
        self._poses: dict[str, tuple[int, RigidTransform]] = {}
        self._joints: dict[str, tuple[int, float]] = {}

    def note_rate(self, stamp_ns: int, rate: float) -> None:
        """A turn rate [rad/s] at a moment, from a gyroscope or a joint."""
        if 0 < self._max_rate < abs(rate):
            self._turned_ns = stamp_ns

    def note_pose(self, stamp_ns: int, pose: RigidTransform, name: str = '') -> None:
        """An orientation at a moment: the rate is that since the last one of the same name."""
        before = self._poses.get(name)
        self._poses[name] = stamp_ns, pose
        if before is not None and stamp_ns > before[0]:
            self.note_rate(stamp_ns, turn_rate(before[1], pose, (stamp_ns - before[0]) * _NANO))

    def note_joint(self, stamp_ns: int, name: str, angle: float) -> None:
        """A joint's angle [rad] at a moment."""
        before = self._joints.get(name)
        self._joints[name] = stamp_ns, angle
        if before is not None and stamp_ns > before[0]:
            self.note_rate(stamp_ns, (angle - before[1]) / ((stamp_ns - before[0]) * _NANO))

    def drowns(self, stamp_ns: int) -> bool:
        """Whether sound of this moment is not to be used."""
        return self._turned_ns is not None and abs(stamp_ns - self._turned_ns) <= self._window_ns
