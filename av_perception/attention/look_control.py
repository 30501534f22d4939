# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""From a point to look at to goals of the neck that do not fidget.

Motors drown the sound, slow ones too: a neck that followed every step of a person would never
hear. So it stays while it points nearly at the person, and then turns all the way.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from av_perception.attention.aim import angle_between, neck_angles
from av_perception.geometry.rigid_transform import direction_from_angles


@dataclass(frozen=True)
class LookControlConfig:
    """When the neck moves, and how far it can. Raises ValueError."""

    #: [deg] the neck stays while its goal lies no farther than this beside the person
    dead_zone_deg: float = 8.0
    #: [rad] least and greatest angle of pan
    pan_limits: tuple[float, float] = (-2.09, 2.09)
    #: [rad] least and greatest angle of tilt, which is positive downwards
    tilt_limits: tuple[float, float] = (-0.6, 0.5)

    def __post_init__(self):
        if not 0 <= self.dead_zone_deg <= 90:
            raise ValueError(f'dead_zone_deg must lie in 0..90, not {self.dead_zone_deg}')
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

    def look_at(self, point: np.ndarray | None) -> tuple[float, float]:
        """Take a point to look at.

        Parameters
        ----------
        point
            (3,) [m] in the frame that the neck turns in, whose origin is where its axes meet;
            None, or what is not finite: the neck stays.

        Returns
        -------
        tuple
            `goals`.
        """
        if point is None or not np.isfinite(point).all() or not np.any(point):
            return self.goals
        config = self._config
        pan, tilt = neck_angles(point)
        wanted = (_within(pan, config.pan_limits), _within(tilt, config.tilt_limits))
        beside = angle_between(_axis(*wanted), _axis(*self.goals))
        if beside > math.radians(config.dead_zone_deg):
            self.goals = wanted
        return self.goals


def _axis(pan: float, tilt: float) -> np.ndarray:
    """Return where the head's x axis points."""
    return direction_from_angles(pan, -tilt)


def _within(angle: float, limits: tuple[float, float]) -> float:
    return min(max(angle, limits[0]), limits[1])
