# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The neck of a simulated head: two joints that reach their goals as motors do."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from av_perception.geometry.rigid_transform import RigidTransform

STEP_S = 0.002  # of the integration


@dataclass(frozen=True)
class JointConfig:
    """What a joint can do. Raises ValueError."""

    #: [rad] least and greatest angle
    limits: tuple[float, float]
    #: [rad/s]
    max_speed: float = 4.0
    #: [rad/s^2] of speeding up and of braking
    max_acceleration: float = 25.0

    def __post_init__(self):
        if not self.limits[0] < self.limits[1]:
            raise ValueError(f'the limits of a joint must grow, not {self.limits}')
        if not (0 < self.max_speed < 100 and 0 < self.max_acceleration < 10_000):
            raise ValueError('max_speed and max_acceleration of a joint must be positive')


@dataclass(frozen=True)
class NeckConfig:
    """Pan about the z axis, then tilt about the y axis, both through the head's origin."""

    #: to the left
    pan: JointConfig = field(default_factory=lambda: JointConfig((-2.09, 2.09)))
    #: downwards
    tilt: JointConfig = field(default_factory=lambda: JointConfig((-0.6, 0.5)))


class Joint:
    """One joint: as fast as its limits allow, and on time to brake.

    Attributes
    ----------
    angle, rate
        [rad], [rad/s] now.
    """

    def __init__(self, config: JointConfig, angle: float = 0.0):
        self._config = config
        self.angle = min(max(angle, config.limits[0]), config.limits[1])
        self.rate = 0.0

    def advance(self, goal: float, duration_s: float) -> np.ndarray:
        """Move towards a goal for a while.

        Parameters
        ----------
        goal
            [rad]; the limits cut it off. What is not finite is no goal: the joint brakes.
        duration_s
            [s], a multiple of STEP_S.

        Returns
        -------
        np.ndarray
            (steps,) rates [rad/s] at the ends of the steps of STEP_S.
        """
        rates = np.empty(round(duration_s / STEP_S))
        for step in range(len(rates)):
            self._step(goal)
            rates[step] = self.rate
        return rates

    def _step(self, goal: float) -> None:
        config = self._config
        wanted = 0.0
        if math.isfinite(goal):
            missing = min(max(goal, config.limits[0]), config.limits[1]) - self.angle
            wanted = math.copysign(self._speed_for(abs(missing)), missing)
        change = config.max_acceleration * STEP_S
        self.rate += min(max(wanted - self.rate, -change), change)
        self.angle += self.rate * STEP_S
        # Rounded, the last step may end beyond the limit: the rate is that of the way there.
        end = min(max(self.angle, config.limits[0]), config.limits[1])
        self.rate += (end - self.angle) / STEP_S
        self.angle = end

    def _speed_for(self, distance: float) -> float:
        """Fastest speed from which the joint can stop at a distance, in whole steps.

        Braking from v = n a h in n steps covers a h^2 n (n + 1) / 2. With n rounded up, braking a
        little less ends at the goal itself; the continuous law would overshoot by part of a step.
        """
        change = self._config.max_acceleration * STEP_S
        least = math.sqrt(0.25 + 2 * distance / (change * STEP_S)) - 0.5
        steps = max(1, math.ceil(least - 1e-6))
        braking = 2 * distance / (STEP_S * (steps + 1))
        return min(self._config.max_speed, braking)


class Neck:
    """Both joints of a head."""

    def __init__(self, config: NeckConfig | None = None):
        config = config or NeckConfig()
        self.pan = Joint(config.pan)
        self.tilt = Joint(config.tilt)

    def advance(self, pan: float, tilt: float, duration_s: float) -> np.ndarray:
        """Move towards goals [rad] for a while; (2, steps) rates [rad/s], see `Joint.advance`."""
        return np.stack([self.pan.advance(pan, duration_s), self.tilt.advance(tilt, duration_s)])

    @property
    def base_from_head(self) -> RigidTransform:
        """Where the head is in the frame that the neck turns in."""
        return base_from_head(self.pan.angle, self.tilt.angle)


def base_from_head(pan: float, tilt: float) -> RigidTransform:
    """Return the pose Rz(pan) Ry(tilt) of a head, angles in rad."""
    return RigidTransform.from_xyz_rpy((0.0, 0.0, 0.0), (0.0, tilt, pan))
