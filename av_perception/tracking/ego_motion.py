"""While the head turns, its own motors drown the sound."""

from __future__ import annotations

from collections import deque

from av_perception.geometry import RigidTransform
from av_perception.transform_tree import RESET_NS, turn_rate

_NANO = 1e-9


class EgoMotion:
    """Says for every moment whether the head turned about then. max_rate [rad/s], 0: it never does; window_s: how long before and after."""

    def __init__(self, max_rate: float, window_s: float):
        self._max_rate, self._window_ns = max_rate, round(1e9 * window_s)
        self._turns: deque[tuple[int, int]] = deque(maxlen=100)   # first and last moment of each; frames may come long after them
        self._newest_ns = 0
        self._poses: dict[str, tuple[int, RigidTransform]] = {}
        self._joints: dict[str, tuple[int, float]] = {}

    def note_rate(self, stamp_ns: int, rate: float) -> None:
        """A turn rate [rad/s] at a moment, from a gyroscope or a joint."""
        if self._newest_ns - stamp_ns > RESET_NS:
            self._turns.clear()
        self._newest_ns = stamp_ns
        if not 0 < self._max_rate < abs(rate):
            return
        if self._turns and self._is_about(stamp_ns, self._turns[-1]):
            first, last = self._turns.pop()
            self._turns.append((min(first, stamp_ns), max(last, stamp_ns)))
        else:
            self._turns.append((stamp_ns, stamp_ns))

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
        return any(self._is_about(stamp_ns, turn) for turn in self._turns)

    def _is_about(self, stamp_ns: int, turn: tuple[int, int]) -> bool:
        return turn[0] - self._window_ns <= stamp_ns <= turn[1] + self._window_ns
