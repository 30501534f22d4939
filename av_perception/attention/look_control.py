# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""From a point to look at to goals of the neck that do not fidget.

A fast turn deafens the head for a while: its motors drown the sound. So it jumps to whom is far
from where it points, and follows whom it looks at slowly enough to go on hearing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from av_perception.attention.aim import angle_between, neck_angles
from av_perception.geometry.rigid_transform import direction_from_angles


@dataclass(frozen=True)
class LookControlConfig:
    """When and how the neck moves. Raises ValueError."""

    #: [deg] the neck stays where it points no farther than this beside the person
    dead_zone_deg: float = 4.0
    #: [deg] farther beside, the neck jumps as fast as it can; nearer, it follows
    jump_deg: float = 12.0
    #: [rad/s] at which it follows: below `max_turn_rate` of the tracker, which listens meanwhile
    follow_rate: float = 0.2
    #: [rad] least and greatest angle of pan
    pan_limits: tuple[float, float] = (-2.09, 2.09)
    #: [rad] least and greatest angle of tilt, which is positive downwards
    tilt_limits: tuple[float, float] = (-0.6, 0.5)

    def __post_init__(self):
        if not 0 <= self.dead_zone_deg <= self.jump_deg <= 90:
            raise ValueError('0 <= dead_zone_deg <= jump_deg <= 90 must hold')
        if not (math.isfinite(self.follow_rate) and self.follow_rate > 0):
            raise ValueError('follow_rate must be positive')
        for low, high in (self.pan_limits, self.tilt_limits):
            if not low < high:
                raise ValueError(f'limits must grow, not {low}, {high}')


class LookController:
    """Goals of pan and tilt [rad], from points to look at.

    Attributes
    ----------
    goals
        The newest.
    """

    def __init__(self, config: LookControlConfig | None = None):
        self._config = config or LookControlConfig()
        self.goals = (0.0, 0.0)
        self._follows = False

    def look_at(self, point: np.ndarray | None, elapsed_s: float) -> tuple[float, float]:
        """Take a point to look at.

        Parameters
        ----------
        point
            (3,) [m] in the frame that the neck turns in, whose origin is where its axes meet;
            None, or what is not finite: the neck stays.
        elapsed_s
            [s] since the last call.

        Returns
        -------
        tuple
            `goals`.
        """
        if point is None or not np.isfinite(point).all() or not np.any(point):
            self._follows = False
            return self.goals
        config = self._config
        pan, tilt = neck_angles(point)
        wanted = (_within(pan, config.pan_limits), _within(tilt, config.tilt_limits))
        beside = angle_between(_axis(*wanted), _axis(*self.goals))
        if beside > math.radians(config.jump_deg):
            self._follows = False
            self.goals = wanted
        elif self._follows or beside > math.radians(config.dead_zone_deg):
            self._follow(wanted, config.follow_rate * elapsed_s)
        return self.goals

    def _follow(self, wanted: tuple[float, float], way: float) -> None:
        """Go a part of the way [rad]; once the neck follows, it does so until it is there."""
        missing = [there - here for there, here in zip(wanted, self.goals)]
        share = min(1.0, way / max(math.hypot(*missing), 1e-9))
        pan, tilt = (here + share * gap for here, gap in zip(self.goals, missing))
        self.goals = (pan, tilt)
        self._follows = share < 1.0


def _axis(pan: float, tilt: float) -> np.ndarray:
    """Return where the head's x axis points."""
    return direction_from_angles(pan, -tilt)


def _within(angle: float, limits: tuple[float, float]) -> float:
    return min(max(angle, limits[0]), limits[1])
