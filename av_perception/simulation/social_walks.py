# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Walks of people in a hall with a robot: they stand, walk, turn, approach, join and avoid.

Everybody follows a list of intentions by a social force: towards where they want to be, away from
people, robot and walls that are near. Source of the force: Helbing and Molnar, Phys. Rev. E 51,
1995. On top of the walk the head sways.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter

RATE = 25  # [Hz] of the walks
HALL_M = np.array([9.0, 7.0])  # the robot stands at the origin, in the middle of one short side
_RELAX_S = 0.5  # in which a walker takes on the speed wanted
_ARRIVE_S = 0.8  # of walking before a goal at which walkers slow down
_EYE_M = 1.55  # height of heads, above the floor


@dataclass(frozen=True)
class SocialConfig:
    """How people behave. Raises ValueError."""

    #: in the hall at once, 1..12
    people: int = 4
    #: [s] 1..600
    duration_s: float = 40.0
    #: [s] mean time for which somebody stands
    stand_s: float = 3.0
    #: [m/s] mean and standard deviation of wanted speeds
    speed: tuple[float, float] = (1.0, 0.25)
    #: chances that the next walk leads anywhere, over a turn, to the robot, to somebody
    goals: tuple[float, float, float, float] = (0.3, 0.35, 0.2, 0.15)
    #: whether people only pass: they walk straight on and leave, and others come
    passing: bool = False

    def __post_init__(self):
        if not 1 <= self.people <= 12:
            raise ValueError(f'people must lie in 1..12, not {self.people}')
        if not 1.0 <= self.duration_s <= 600.0:
            raise ValueError(f'duration_s must lie in 1..600 s, not {self.duration_s}')


def social_walks(seed: int, config: SocialConfig | None = None) -> np.ndarray:
    """Draw the heads of everybody.

    Parameters
    ----------
    seed
        Of all that is drawn at random, not negative.
    config
        How people behave.

    Returns
    -------
    np.ndarray
        (T, N, 3) [m] head centers at RATE; the robot's head is at the origin, the floor 1.2 m
        below. Who leaves a hall of passers-by comes back elsewhere: NaN for one second between.
    """
    config = config or SocialConfig()
    random = np.random.default_rng([seed, 7])
    hall = _Hall(config, random)
    count = round(config.duration_s * RATE)
    ground = np.stack([hall.step() for _ in range(count)])
    return _with_sway(ground, hall.heights, random)


class _Hall:
    """Everybody's place, velocity and intention."""

    def __init__(self, config: SocialConfig, random: np.random.Generator):
        self._config = config
        self._random = random
        count = config.people
        self._places = np.stack([self._somewhere() for _ in range(count)])
        self._velocities = np.zeros((count, 2))
        self._plans: list[Iterator[tuple[np.ndarray, float]]] = []
        for person in range(count):
            self._plans.append(self._passes(person) if config.passing else self._lives(person))
        self._wants = [next(plan) for plan in self._plans]
        self.heights = random.normal(_EYE_M - 1.2, 0.08, count)

    def _somewhere(self) -> np.ndarray:
        low, high = np.array([0.8, -HALL_M[1] / 2 + 0.5]), np.array([8.5, HALL_M[1] / 2 - 0.5])
        return self._random.uniform(low, high)

    def _speed(self) -> float:
        return float(np.clip(self._random.normal(*self._config.speed), 0.4, 1.6))

    def _lives(self, person: int) -> Iterator[tuple[np.ndarray, float]]:
        """Yield every moment where the person wants to be, and how fast at most [m/s]."""
        while True:
            for _ in range(int(RATE * self._random.exponential(self._config.stand_s))):
                yield self._places[person], 0.0
            kind = self._random.choice(4, p=self._config.goals)
            goal = self._goal(person, kind)
            speed = self._speed()
            if kind == 1:
                corner = self._somewhere()
                # Through a corner nobody stops.
                while np.linalg.norm(self._places[person] - corner) > 0.6:
                    ahead = corner - self._places[person]
                    yield self._places[person] + 5 * ahead / np.linalg.norm(ahead), speed
            for _ in range(12 * RATE):
                if np.linalg.norm(self._places[person] - goal) < 0.25:
                    break
                yield goal, speed

    def _goal(self, person: int, kind: int) -> np.ndarray:
        others = [k for k in range(self._config.people) if k != person]
        if kind == 2:
            angle = self._random.uniform(-0.8, 0.8)
            distance = self._random.uniform(0.9, 1.6)
            return distance * np.array([np.cos(angle), np.sin(angle)])
        if kind == 3 and others:
            other = self._places[self._random.choice(others)]
            away = self._places[person] - other
            return other + self._random.uniform(0.8, 1.2) * away / (np.linalg.norm(away) + 1e-9)
        return self._somewhere()

    def _passes(self, person: int) -> Iterator[tuple[np.ndarray, float]]:
        while True:
            side = self._random.choice([-1.0, 1.0])
            depth = self._random.uniform(1.2, 7.5, 2)
            half = HALL_M[1] / 2
            self._places[person] = [depth[0], -side * half]
            ahead = np.array([depth[1] - depth[0], 2 * side * half])
            speed = self._speed()
            self._velocities[person] = speed * ahead / np.linalg.norm(ahead)
            end = np.array([depth[1], side * half])
            while (end - self._places[person]) @ ahead > 0:
                yield self._places[person] + 5 * ahead / np.linalg.norm(ahead), speed
            for _ in range(RATE):
                yield np.full(2, np.nan), 0.0

    def step(self) -> np.ndarray:
        """(N, 2) places after one more step, NaN for who is away."""
        self._wants = [next(plan) for plan in self._plans]
        goals = np.stack([want[0] for want in self._wants])
        speeds = np.array([want[1] for want in self._wants])
        is_here = np.isfinite(goals[:, 0])
        ahead = np.where(is_here[:, None], goals - self._places, 0.0)
        distance = np.linalg.norm(ahead, axis=1) + 1e-9
        wanted = ahead / distance[:, None] * np.minimum(speeds, distance / _ARRIVE_S)[:, None]
        force = (wanted - self._velocities) / _RELAX_S + self._repulsion(is_here)
        force += self._random.normal(0.0, 0.5, force.shape) * (speeds > 0)[:, None]
        self._velocities += np.clip(force, -4.0, 4.0) / RATE
        self._places += self._velocities / RATE
        return np.where(is_here[:, None], self._places, np.nan)

    def _repulsion(self, is_here: np.ndarray) -> np.ndarray:
        """(N, 2) [m/s^2] away from people and the robot that are near."""
        others = np.vstack([self._places, np.zeros((1, 2))])
        away = self._places[:, None] - others[None]
        distance = np.linalg.norm(away, axis=2) + 1e-9
        np.fill_diagonal(distance, np.inf)
        strength = 2.0 * np.exp((0.5 - distance) / 0.25) * np.append(is_here, True)
        return (strength[..., None] * away / distance[..., None]).sum(1)


def _with_sway(ground: np.ndarray, heights: np.ndarray, random) -> np.ndarray:
    """Add to (T, N, 2) the heads' heights, their swing at walking and their drift at standing."""
    speed = np.linalg.norm(np.gradient(np.nan_to_num(ground), axis=0), axis=2) * RATE
    share = np.clip(speed / 0.8, 0.0, 1.0)
    count = ground.shape[1]
    # Two steps a second swing the head from side to side once.
    swing = 2 * np.pi * np.cumsum(0.55 + 0.4 * share, axis=0) / RATE + random.uniform(0, 6, count)
    heading = np.gradient(np.nan_to_num(ground), axis=0)
    heading /= np.linalg.norm(heading, axis=2, keepdims=True) + 1e-4
    across = np.stack([-heading[..., 1], heading[..., 0]], axis=2)
    white = random.normal(0.0, 0.0035, (*ground.shape[:2], 3))
    drift = lfilter([1.0], [1.0, -0.96], white, axis=0)
    moved = ground + (0.02 * share * np.sin(swing))[..., None] * across
    height = heights + 0.015 * share * np.cos(2 * swing)
    height = np.where(np.isfinite(ground[..., 0]), height, np.nan)
    return np.concatenate([moved, height[..., None]], axis=2) + drift
