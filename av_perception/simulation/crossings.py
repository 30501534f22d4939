# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Walks of people who cross, hide, leave and come back: a minute of life in a dozen seconds.

Every kind is drawn anew from a seed: depths, heights, speeds, sides and waits. The walks know
nothing of images or sound; `crossing_faces` makes detections of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator

from av_perception.robot_head.profile import CameraGeometry

Waypoint = tuple[float, float, float, float]
_END_S = 1.0  # everybody stands that long at the end
_LEAVE_S = 1.2  # and at least that long before anything happens
_CHILD_M = -0.35  # height of a child's head above the base: a meter above the floor
_OUTSIDE = 1.3  # half widths of the view at which nothing of a head is in the image


@dataclass(frozen=True)
class Crossing:
    """Walks of one kind and seed.

    kind: one of CROSSINGS; duration_s: [s]; paths: per person rows of time [s] and x, y, z [m] of
    the head center in the head's base frame; dark: whether people wear dark clothes in dim light;
    newcomer: index of the person who comes where another one left, None: nobody does.
    """

    kind: str
    duration_s: float
    paths: tuple[tuple[Waypoint, ...], ...]
    dark: bool = False
    newcomer: int | None = None


class _Stage:
    """Where a camera sees what, and how one seed has people walk."""

    def __init__(self, camera: CameraGeometry, random: np.random.Generator):
        origin = camera.base_from_optical.translation
        self._origin = origin[:2]
        self._half_width = camera.width / 2 / camera.focal[0]
        self.random = random
        self.side = random.choice([-1.0, 1.0])
        self.near = random.uniform(1.3, 1.8)
        self.far = self.near + random.uniform(0.5, 1.1)

    def speed(self) -> float:
        """Draw how fast somebody walks [m/s]."""
        return self.random.uniform(0.4, 1.1)

    def height(self) -> float:
        """Draw the height of an adult's head above the base [m]."""
        return self.random.uniform(0.0, 0.2)

    def at(self, place: float, depth: float) -> np.ndarray:
        """(2,) x, y in the base frame of a place in the view: -1, 1 are its edges at any depth."""
        return self._origin + depth * np.array([1.0, place * self._half_width])


class _Walker:
    """One path under way."""

    def __init__(self, stage: _Stage, place: float, depth: float, height: float):
        self._stage = stage
        self._height = height
        self._where = stage.at(place, depth)
        self.time_s = 0.0
        self.path: list[Waypoint] = []
        self._add()

    def _add(self) -> None:
        x, y = self._where.tolist()
        self.path.append((float(self.time_s), x, y, float(self._height)))

    def wait(self, duration_s: float) -> _Walker:
        """Stand."""
        self.time_s += max(duration_s, 0.05)
        self._add()
        return self

    def go(self, place: float, depth: float, speed: float) -> _Walker:
        """Walk straight."""
        goal = self._stage.at(place, depth)
        # Smooth starts and stops take the peak speed above the mean.
        self.time_s += max(float(np.linalg.norm(goal - self._where)) / speed, 0.1)
        self._where = goal
        self._add()
        return self


def _behind(stage: _Stage) -> Crossing:
    """Somebody walks to and fro behind one who stands."""
    front = _Walker(stage, stage.random.uniform(-0.1, 0.1), stage.near, stage.height())
    rear = _Walker(stage, 0.6 * stage.side, stage.far, stage.height()).wait(_LEAVE_S)
    for turn in (-1.0, 1.0, -1.0):
        rear.go(0.6 * turn * stage.side, stage.far, stage.speed()).wait(0.8)
    return _crossing('behind', front, rear)


def _before(stage: _Stage) -> Crossing:
    """Somebody walks to and fro before one who stands."""
    rear = _Walker(stage, stage.random.uniform(-0.1, 0.1), stage.far, stage.height())
    front = _Walker(stage, 0.6 * stage.side, stage.near, stage.height()).wait(_LEAVE_S)
    for turn in (-1.0, 1.0, -1.0):
        front.go(0.6 * turn * stage.side, stage.near, stage.speed()).wait(0.8)
    return _crossing('before', rear, front)


def _two_at_once(stage: _Stage) -> Crossing:
    """Two cross each other behind a third, who stands."""
    front = _Walker(stage, stage.random.uniform(-0.1, 0.1), stage.near, stage.height())
    walkers = []
    for sign, extra in ((1.0, 0.0), (-1.0, 0.4)):
        depth = stage.far + extra
        walker = _Walker(stage, 0.6 * sign * stage.side, depth, stage.height()).wait(_LEAVE_S)
        for turn in (-1.0, 1.0):
            walker.go(0.6 * turn * sign * stage.side, depth, stage.speed()).wait(1.0)
        walkers.append(walker)
    return _crossing('two_at_once', front, *walkers)


def _hide(stage: _Stage, kind: str, hidden_s: float, onward: bool) -> Crossing:
    """Somebody stops behind one who stands, and walks on, or back."""
    place = stage.random.uniform(-0.1, 0.1)
    front = _Walker(stage, place, stage.near, stage.height())
    height = stage.height()
    rear = _Walker(stage, 0.6 * stage.side, stage.far, height).wait(_LEAVE_S)
    rear.go(place, stage.far, stage.speed()).wait(hidden_s)
    rear.go(0.6 * stage.side * (-1.0 if onward else 1.0), stage.far, stage.speed()).wait(2.0)
    return _crossing(kind, front, rear)


def _stop_hidden(stage: _Stage) -> Crossing:
    return _hide(stage, 'stop_hidden', stage.random.uniform(1.0, 3.0), onward=True)


def _turn_back(stage: _Stage) -> Crossing:
    return _hide(stage, 'turn_back', stage.random.uniform(0.1, 1.5), onward=False)


def _hide_5s(stage: _Stage) -> Crossing:
    return _hide(stage, 'hide_5s', 5.0, onward=bool(stage.random.integers(2)))


def _leave(stage: _Stage, kind: str, away_s: float, stranger: bool = False) -> Crossing:
    """Somebody leaves the view at a side; after a while the same or another one comes in there."""
    stays = _Walker(stage, -0.4 * stage.side, stage.far, stage.height())
    depth = stage.random.uniform(stage.near, stage.far)
    outside = _OUTSIDE * stage.side
    leaves = _Walker(stage, 0.2 * stage.side, depth, stage.height()).wait(_LEAVE_S)
    leaves.go(outside, depth, stage.speed())
    comes = leaves
    if stranger:
        comes = _Walker(stage, outside, depth, stage.height()).wait(leaves.time_s)
    # Half a second on either side is walked between the edge of the image and outside.
    comes.wait(max(away_s - 1.0, 0.1)).go(0.3 * stage.side, depth, stage.speed()).wait(2.0)
    if stranger:
        return _crossing(kind, stays, leaves, comes, newcomer=2)
    return _crossing(kind, stays, leaves)


def _leave_2s(stage: _Stage) -> Crossing:
    return _leave(stage, 'leave_2s', 2.0)


def _leave_5s(stage: _Stage) -> Crossing:
    return _leave(stage, 'leave_5s', 5.0)


def _leave_10s(stage: _Stage) -> Crossing:
    return _leave(stage, 'leave_10s', 10.0)


def _stranger(stage: _Stage) -> Crossing:
    return _leave(stage, 'stranger', stage.random.uniform(2.0, 5.0), stranger=True)


def _child(stage: _Stage) -> Crossing:
    """Let a child walk to and fro before an adult, whose face it does not hide."""
    adult = _Walker(stage, stage.random.uniform(-0.1, 0.1), stage.far, stage.height())
    child = _Walker(stage, 0.6 * stage.side, stage.far - 0.5, _CHILD_M).wait(_LEAVE_S)
    for turn in (-1.0, 1.0, -1.0):
        child.go(0.6 * turn * stage.side, stage.far - 0.5, stage.speed()).wait(0.8)
    return _crossing('child', adult, child)


def _dark(stage: _Stage) -> Crossing:
    """Somebody in the dark walks to and fro behind one who stands."""
    bright = _behind(stage)
    return Crossing('dark', bright.duration_s, bright.paths, dark=True)


def _crossing(kind: str, *walkers: _Walker, newcomer: int | None = None) -> Crossing:
    duration_s = max(walker.time_s for walker in walkers) + _END_S
    return Crossing(kind, duration_s, tuple(tuple(w.path) for w in walkers), False, newcomer)


CROSSINGS: dict[str, Callable[[_Stage], Crossing]] = {
    'behind': _behind,
    'before': _before,
    'two_at_once': _two_at_once,
    'stop_hidden': _stop_hidden,
    'turn_back': _turn_back,
    'hide_5s': _hide_5s,
    'leave_2s': _leave_2s,
    'leave_5s': _leave_5s,
    'leave_10s': _leave_10s,
    'stranger': _stranger,
    'child': _child,
    'dark': _dark,
}


def crossing(kind: str, seed: int, camera: CameraGeometry) -> Crossing:
    """Draw the walks of a kind.

    Parameters
    ----------
    kind
        One of CROSSINGS.
    seed
        Of all that is drawn at random, not negative.
    camera
        Whose view the walks are made for.

    Returns
    -------
    Crossing
        10 to 25 s long.
    """
    random = np.random.default_rng([seed, sorted(CROSSINGS).index(kind)])
    return CROSSINGS[kind](_Stage(camera, random))


def walked(waypoints: Sequence[Waypoint], time_s) -> np.ndarray:
    """Interpolate waypoints by monotone cubics, so that a stop is a stop.

    Parameters
    ----------
    waypoints
        Rows of time [s], x, y, z [m].
    time_s
        (...) [s]

    Returns
    -------
    np.ndarray
        (..., 3) [m], held before the first and after the last waypoint.
    """
    table = np.array(waypoints, float)
    time_s = np.clip(np.asarray(time_s, float), table[0, 0], table[-1, 0])
    if len(table) == 1:
        return np.broadcast_to(table[0, 1:], (*time_s.shape, 3)).copy()
    return PchipInterpolator(table[:, 0], table[:, 1:], axis=0)(time_s)
