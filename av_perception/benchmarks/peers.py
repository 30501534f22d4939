# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Other trackers to compare with: the model that all of them share, and one in the style of SORT; Stone Soup's are in `stone_soup`.

All use one linear Gaussian model: every observed component is a place, the first `moving` of them have a velocity (white acceleration),
the others walk at random. State: the O observed components, then the velocities.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.optimize import linear_sum_assignment

from av_perception.numerics.gaussian import symmetrize

TENTATIVE_STEPS = 2  # without detection, after which a track that does not count yet is deleted
Located = list[tuple[int, np.ndarray]]


@dataclass(frozen=True)
class PeerModel:
    """moving: how many of the O observed components have a velocity; acceleration_density, walk_density: process noise of those with and
    without (the unit of the observation squared, per s^3 and s); speed_sd: velocity prior of a new track; clutter_density: false detections
    per unit of the observation space; detection_probability; period_s. The last three are the true values of the scene.
    """

    size: int
    moving: int
    acceleration_density: float
    walk_density: float
    speed_sd: float
    clutter_density: float
    detection_probability: float
    period_s: float

    @property
    def transition(self) -> np.ndarray:
        """(D, D), D = O + moving."""
        matrix = np.eye(self.size + self.moving)
        matrix[: self.moving, self.size :] = self.period_s * np.eye(self.moving)
        return matrix

    @property
    def process_noise(self) -> np.ndarray:
        """(D, D) of one period."""
        dt, noise = self.period_s, np.zeros((self.size + self.moving,) * 2)
        for axis in range(self.moving):
            place, velocity = axis, self.size + axis
            noise[np.ix_((place, velocity), (place, velocity))] = (
                self.acceleration_density * np.array([[dt**3 / 3, dt**2 / 2], [dt**2 / 2, dt]])
            )
        rest = np.arange(self.moving, self.size)
        noise[rest, rest] = self.walk_density * dt
        return noise

    @property
    def observation(self) -> np.ndarray:
        """(O, D)."""
        return np.eye(self.size, self.size + self.moving)

    def newborn(self, value: np.ndarray, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean (D,) and covariance (D, D) of a track that starts at a detection."""
        covariance = np.diag(np.full(self.size + self.moving, self.speed_sd**2))
        covariance[: self.size, : self.size] = noise
        return np.append(value, np.zeros(self.moving)), covariance


@dataclass(frozen=True)
class PeerConfig:
    """confirm_hits: detections until a track is output; forget_steps: steps without detection until it is deleted; gate_probability: of
    the true detection to lie in the gate.
    """

    confirm_hits: int = 3
    forget_steps: int = 10
    gate_probability: float = 0.999


class Peer(Protocol):
    """One tracker at work."""

    def step(self, values: np.ndarray, noises: np.ndarray) -> Located:
        """(M, O) detections with (M, O, O) covariances of the next frame -> ids and (O,) places of everybody detected lately."""


class Sort:
    """In the style of SORT (Bewley et al. 2016): a Kalman filter each, one-to-one assignment of least total cost within a gate, tracks that
    count after some hits. SORT itself shows a track only while it is hit again and again, which loses most people here, where one detection
    in ten is missing; these coast until they are deleted, as Stone Soup's do.

    cost(predicted (N, O), values (M, O)) -> (N, M); pairs that cost more than the gate are not assigned (SORT: 1 - overlap, gate 0.7).
    """

    def __init__(self, model: PeerModel, config: PeerConfig, cost, gate: float):
        self._model, self._config, self._cost, self._gate = model, config, cost, gate
        self._tracks: list[_SortTrack] = []
        self._last_id = 0

    def step(self, values, noises):
        """One frame; who counts already has the first choice of detections."""
        for track in self._tracks:
            track.predict(self._model)
        free = np.arange(len(values))
        for counts in (True, False):
            free = self._assign(
                [track for track in self._tracks if self._counts(track) == counts],
                values,
                noises,
                free,
            )
        for column in free:
            self._last_id += 1
            self._tracks.append(
                _SortTrack(self._last_id, *self._model.newborn(values[column], noises[column]))
            )
        self._tracks = [
            track
            for track in self._tracks
            if track.missed
            <= (self._config.forget_steps if self._counts(track) else TENTATIVE_STEPS)
        ]
        return [
            (track.id, track.mean[: self._model.size])
            for track in self._tracks
            if self._counts(track)
        ]

    def _counts(self, track: _SortTrack) -> bool:
        return track.hits >= self._config.confirm_hits

    def _assign(self, tracks: list[_SortTrack], values, noises, free: np.ndarray) -> np.ndarray:
        """Updates tracks from the detections of the indices in free; returns those that are left."""
        cost = self._cost(
            np.array([track.mean[: self._model.size] for track in tracks]).reshape(
                -1, self._model.size
            ),
            values[free],
        )
        rows, columns = linear_sum_assignment(np.minimum(cost, self._gate))
        taken = cost[rows, columns] < self._gate
        for row, column in zip(rows[taken], free[columns[taken]]):
            tracks[row].update(self._model, values[column], noises[column])
        return np.delete(free, columns[taken])


@dataclass
class _SortTrack:
    """One Kalman filter; hits: detections, missed: steps since the last."""

    id: int
    mean: np.ndarray
    covariance: np.ndarray
    hits: int = 1
    missed: int = 0

    def predict(self, model: PeerModel):
        self.missed += 1
        transition = model.transition
        self.mean, self.covariance = (
            transition @ self.mean,
            transition @ self.covariance @ transition.T + model.process_noise,
        )

    def update(self, model: PeerModel, value: np.ndarray, noise: np.ndarray):
        observation = model.observation
        gain = (
            self.covariance
            @ observation.T
            @ np.linalg.inv(self.covariance[: model.size, : model.size] + noise)
        )
        self.mean = self.mean + gain @ (value - self.mean[: model.size])
        self.covariance = symmetrize(self.covariance - gain @ observation @ self.covariance)
        self.hits, self.missed = self.hits + 1, 0


def run_peer(
    peer: Peer, frames: list[tuple[np.ndarray, np.ndarray]]
) -> tuple[list[Located], np.ndarray]:
    """Everybody in every frame, and the seconds that each step took."""
    found, step_s = [], np.zeros(len(frames))
    for index, (values, noises) in enumerate(frames):
        started = time.perf_counter()
        found.append(peer.step(values, noises))
        step_s[index] = time.perf_counter() - started
    return found, step_s
