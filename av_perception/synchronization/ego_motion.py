# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Ego noise: what a robot makes itself is heard, and drowns the rest.

That is the motors of a head that turns fast, and the robot's own voice while it talks.
"""

from __future__ import annotations

import math
from collections import deque

from av_perception.geometry.rigid_transform import RigidTransform
from av_perception.geometry.time import nanoseconds, seconds
from av_perception.geometry.transform_tree import RESET_NS, turn_rate

# Over less than 50 ms the last bit of an encoder is a rate. Up to 150 ms, a second publisher of
# ten messages a second has said its own angle twice.
_SHORTEST_NS = 50_000_000
_LONGEST_NS = 150_000_000
WINDOW_S = 0.2
_MAX_TURNS = 100  # remembered ones; frames may come long after them
_VOICE_TAIL_NS = nanoseconds(0.5)  # a loudspeaker plays what it has, and the room rings
# Who said that the robot talks, and then nothing more, is gone: it is listened to again.
_LONGEST_TALK_NS = nanoseconds(60.0)
_AUDIBLE_RATE = 0.05  # [rad/s] slower than this motors are hardly heard, and gyroscopes drift


class EgoMotion:
    """Says for every moment whether the head turned about then, or the robot talked.

    Parameters
    ----------
    max_rate
        [rad/s] turn rate from which the motors drown the sound; 0: they never do, nor are heard.
    window_s
        [s] how long before and after a turn the sound is not to be used.
    """

    def __init__(self, max_rate: float, window_s: float = WINDOW_S):
        self._fast = _Turns(max_rate, window_s)
        self._all = _Turns(min(_AUDIBLE_RATE, max_rate), window_s)
        self._newest_ns = 0
        self._poses: dict[str, tuple[int, RigidTransform]] = {}
        self._joints: dict[str, _Joint] = {}
        # When the robot began to talk, and when it ended or must have.
        self._talks: deque[tuple[int, int]] = deque(maxlen=_MAX_TURNS)

    def note_own_voice(self, stamp_ns: int, is_talking: bool) -> None:
        """Note that the robot talks from a moment on, or does no more.

        Parameters
        ----------
        stamp_ns
            The moment [ns].
        is_talking
            Whether it talks. Said again and again, it holds on; else for a minute at most.
        """
        if self._talks and stamp_ns < self._talks[-1][0] - RESET_NS:
            self._talks.clear()
        goes_on = bool(self._talks) and stamp_ns <= self._talks[-1][1]
        first_ns = self._talks.pop()[0] if goes_on else stamp_ns
        if is_talking:
            self._talks.append((first_ns, stamp_ns + _LONGEST_TALK_NS))
        elif goes_on:
            self._talks.append((first_ns, stamp_ns))

    def is_own_voice(self, stamp_ns: int) -> bool:
        """Whether the robot's own voice is heard at this moment."""
        return any(first <= stamp_ns <= last + _VOICE_TAIL_NS for first, last in self._talks)

    def note_rate(self, stamp_ns: int, rate: float) -> None:
        """Note a turn rate [rad/s] at a moment, from a gyroscope or a joint."""
        begins_anew = self._newest_ns - stamp_ns > RESET_NS
        self._newest_ns = stamp_ns
        for turns in (self._fast, self._all):
            if begins_anew:
                turns.clear()
            turns.note(stamp_ns, rate)

    def note_pose(self, stamp_ns: int, pose: RigidTransform, name: str = '') -> None:
        """Note an orientation at a moment.

        Parameters
        ----------
        stamp_ns
            The moment [ns].
        pose
            Where the sensor is in a frame that does not turn.
        name
            Of the sensor: the turn rate is that since its last pose.
        """
        before = self._poses.get(name)
        self._poses[name] = stamp_ns, pose
        if before is not None and stamp_ns > before[0]:
            self.note_rate(stamp_ns, turn_rate(before[1], pose, seconds(stamp_ns - before[0])))

    def note_joint(
        self, stamp_ns: int, name: str, angle: float, velocity: float = math.nan
    ) -> None:
        """Note the state of a joint at a moment.

        Parameters
        ----------
        stamp_ns
            The moment [ns].
        name
            Which joint.
        angle
            Where it is [rad]; NaN when that is not known.
        velocity
            How fast it turns [rad/s], as its driver says; NaN when it does not.
        """
        joint = self._joints.setdefault(name, _Joint())
        rate = joint.rate(stamp_ns, angle, velocity)
        if rate is not None:
            self.note_rate(stamp_ns, rate)

    def is_ego_noise(self, stamp_ns: int) -> bool:
        """Whether sound of this moment is not to be used."""
        return self._fast.is_about(stamp_ns) or self.is_own_voice(stamp_ns)

    def is_turning(self, stamp_ns: int) -> bool:
        """Whether motors are heard at this moment, loud or not."""
        return self._all.is_about(stamp_ns)


class _Turns:
    """First and last moment [ns] of each turn that was faster than a rate [rad/s]."""

    def __init__(self, least_rate: float, window_s: float):
        self._least_rate = least_rate
        self._window_ns = nanoseconds(window_s)
        self._turns: deque[tuple[int, int]] = deque(maxlen=_MAX_TURNS)

    def clear(self) -> None:
        """Forget all turns."""
        self._turns.clear()

    def note(self, stamp_ns: int, rate: float) -> None:
        """Note a rate at a moment."""
        if not 0 < self._least_rate < abs(rate):
            return
        if self._turns and self._is_about(stamp_ns, self._turns[-1]):
            first, last = self._turns.pop()
            self._turns.append((min(first, stamp_ns), max(last, stamp_ns)))
        else:
            self._turns.append((stamp_ns, stamp_ns))

    def is_about(self, stamp_ns: int) -> bool:
        """Whether a moment lies in a turn, or no farther from one than the window."""
        return any(self._is_about(stamp_ns, turn) for turn in self._turns)

    def _is_about(self, stamp_ns: int, turn: tuple[int, int]) -> bool:
        return turn[0] - self._window_ns <= stamp_ns <= turn[1] + self._window_ns


class _Joint:
    """What one joint said of late, and how fast it turns by that."""

    def __init__(self) -> None:
        self._angles: deque[tuple[int, float]] = deque()
        self._velocities: deque[tuple[int, float]] = deque()

    def rate(self, stamp_ns: int, angle: float, velocity: float) -> float | None:
        """Take one more message; the turn rate [rad/s] by all of them, None while none tells."""
        by_velocity = self._mean_velocity(stamp_ns, velocity)
        by_angle = self._slowest_change(stamp_ns, angle)
        # Many drivers fill in 0 for a velocity that they do not measure: then the angles tell.
        return by_velocity or by_angle

    def _mean_velocity(self, stamp_ns: int, velocity: float) -> float | None:
        """Over 50 ms, as some drivers divide single steps of the encoder themselves."""
        if not math.isfinite(velocity):
            return None
        _remember(self._velocities, stamp_ns, velocity, _SHORTEST_NS)
        recent = [v for then_ns, v in self._velocities if stamp_ns - then_ns < _SHORTEST_NS]
        return sum(recent) / len(recent)

    def _slowest_change(self, stamp_ns: int, angle: float) -> float | None:
        """Against the angles of 50 to 150 ms ago or, where messages are rarer, the last one.

        A turn is faster than the limit against each of them. Where two publishers contradict
        each other on a joint that stands still, each of them agrees with what it said before.
        """
        if not math.isfinite(angle):
            return None
        _remember(self._angles, stamp_ns, angle, _LONGEST_NS)
        ages = [(stamp_ns - then_ns, before) for then_ns, before in self._angles]
        window = [a for a in ages if _SHORTEST_NS <= a[0] <= _LONGEST_NS]
        rarer = [a for a in ages if a[0] > _LONGEST_NS][-1:]
        rates = [(angle - before) / seconds(age_ns) for age_ns, before in window or rarer]
        return min(rates, key=abs, default=None)


def _remember(
    history: deque[tuple[int, float]], stamp_ns: int, value: float, span_ns: int
) -> None:
    """Append a value; forget what is older than the span, but for the last one before it.

    A clock that was set back by more than a second starts anew.
    """
    if history and history[-1][0] - stamp_ns > RESET_NS:
        history.clear()
    history.append((stamp_ns, value))
    while len(history) > 2 and stamp_ns - history[1][0] > span_ns:
        history.popleft()
