# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Trackers to compare with: the model that all of them share, and one in the style of SORT.

Stone Soup's are in `stone_soup`. All use one linear Gaussian model: every observed component is a
place, the first `moving` of them have a velocity (white acceleration), the others walk at random.
State: the O observed components, then the velocities.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.optimize import linear_sum_assignment

from av_perception.numerics import kalman_steps

TENTATIVE_STEPS = 2  # without detection, after which a track that does not count yet is deleted
Located = list[tuple[int, np.ndarray]]
Detections = tuple[np.ndarray, np.ndarray]  # (M, O) values and (M, O, O) covariances of a frame


@dataclass(frozen=True)
class PeerModel:
    """Motion and detection as every peer assumes them."""

    #: number O of observed components
    size: int
    #: how many of the observed components, the first ones, have a velocity
    moving: int
    #: process noise of components with a velocity, [unit of the observation squared / s^3]
    acceleration_density: float
    #: process noise of components without one, [unit of the observation squared / s]
    walk_density: float
    #: velocity prior of a new track, standard deviation [unit of the observation / s]
    speed_sd: float
    #: false detections per frame and unit of the observation space, as in the scene
    clutter_density: float
    #: probability in [0, 1] that an object is detected in a frame, as in the scene
    detection_probability: float
    #: time between frames [s], as in the scene
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
        dt = self.period_s
        noise = np.zeros((self.size + self.moving,) * 2)
        # White acceleration, integrated over the period.
        integrated = np.array([[dt**3 / 3, dt**2 / 2], [dt**2 / 2, dt]])
        for axis in range(self.moving):
            place_and_velocity = (axis, self.size + axis)
            noise[np.ix_(place_and_velocity, place_and_velocity)] = (
                self.acceleration_density * integrated
            )
        rest = np.arange(self.moving, self.size)
        noise[rest, rest] = self.walk_density * dt
        return noise

    @property
    def observation(self) -> np.ndarray:
        """(O, D)."""
        return np.eye(self.size, self.size + self.moving)

    def newborn(self, value: np.ndarray, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Start a track at a detection.

        Parameters
        ----------
        value, noise
            (O,) and (O, O): the detection and its covariance.

        Returns
        -------
        mean, covariance
            (D,) and (D, D) of the state.
        """
        covariance = np.diag(np.full(self.size + self.moving, self.speed_sd**2))
        covariance[: self.size, : self.size] = noise
        return np.append(value, np.zeros(self.moving)), covariance


@dataclass(frozen=True)
class PeerConfig:
    """When a peer outputs a track, and when it deletes one."""

    #: detections until a track is output
    confirm_hits: int = 3
    #: steps without detection until a track is deleted
    forget_steps: int = 10
    #: probability in (0, 1) that the true detection lies in the gate
    gate_probability: float = 0.999


class Peer(Protocol):
    """One tracker at work."""

    def step(self, values: np.ndarray, noises: np.ndarray) -> Located:
        """Take the detections of the next frame.

        Parameters
        ----------
        values, noises
            (M, O) detections and their (M, O, O) covariances.

        Returns
        -------
        Located
            Ids and (O,) places of everybody detected lately.
        """


class Sort:
    """A tracker in the style of SORT (Bewley et al. 2016).

    Every track is a Kalman filter; detections are assigned one to one at the least total cost
    within a gate; tracks count after some hits. SORT itself shows a track only while it is hit
    again and again, which loses most people here, where one detection in ten is missing; these
    tracks coast until they are deleted, as Stone Soup's do.

    Parameters
    ----------
    model, config
        The shared model, and the rules of output and deletion.
    cost
        `cost(predicted (N, O), values (M, O))` gives (N, M) costs.
    gate
        Pairs that cost more are not assigned (SORT: 1 - overlap, gate 0.7).
    """

    def __init__(
        self,
        model: PeerModel,
        config: PeerConfig,
        cost: Callable[[np.ndarray, np.ndarray], np.ndarray],
        gate: float,
    ):
        self._model = model
        self._config = config
        self._cost = cost
        self._gate = gate
        self._tracks: list[_SortTrack] = []
        self._last_id = 0

    def step(self, values: np.ndarray, noises: np.ndarray) -> Located:
        """Take the detections of the next frame; see `Peer.step`."""
        self._predict()
        # Tracks that count already have the first choice of detections.
        free = np.arange(len(values))
        for counts in (True, False):
            tracks = [track for track in self._tracks if self._counts(track) == counts]
            free = self._assign(tracks, values, noises, free)
        # What nobody took starts a track.
        for column in free:
            self._last_id += 1
            newborn = self._model.newborn(values[column], noises[column])
            self._tracks.append(_SortTrack(self._last_id, *newborn))
        self._tracks = [track for track in self._tracks if not self._is_over(track)]
        size = self._model.size
        return [(track.id, track.mean[:size]) for track in self._tracks if self._counts(track)]

    def _counts(self, track: _SortTrack) -> bool:
        return track.hits >= self._config.confirm_hits

    def _is_over(self, track: _SortTrack) -> bool:
        most = self._config.forget_steps if self._counts(track) else TENTATIVE_STEPS
        return track.missed > most

    def _predict(self) -> None:
        """Move all tracks on by a period, in one batch."""
        if not self._tracks:
            return
        means, covariances = kalman_steps.predict(
            np.array([track.mean for track in self._tracks]),
            np.array([track.covariance for track in self._tracks]),
            self._model.transition,
            self._model.process_noise,
        )
        for track, mean, covariance in zip(self._tracks, means, covariances):
            track.mean = mean
            track.covariance = covariance
            track.missed += 1

    def _assign(
        self, tracks: list[_SortTrack], values: np.ndarray, noises: np.ndarray, free: np.ndarray
    ) -> np.ndarray:
        """Update tracks from the detections of the indices in `free`; return those left over."""
        size = self._model.size
        predicted = np.array([track.mean[:size] for track in tracks]).reshape(-1, size)
        cost = self._cost(predicted, values[free])
        rows, columns = linear_sum_assignment(np.minimum(cost, self._gate))
        within = cost[rows, columns] < self._gate
        chosen = free[columns[within]]
        self._update([tracks[row] for row in rows[within]], values[chosen], noises[chosen])
        return np.delete(free, columns[within])

    def _update(self, tracks: list[_SortTrack], values: np.ndarray, noises: np.ndarray) -> None:
        """Update every track from its own detection, in one batch."""
        if not tracks:
            return
        means, covariances, _ = kalman_steps.update(
            np.array([track.mean for track in tracks]),
            np.array([track.covariance for track in tracks]),
            self._model.observation,
            values,
            noises,
        )
        for track, mean, covariance in zip(tracks, means, covariances):
            track.mean = mean
            track.covariance = covariance
            track.hits += 1
            track.missed = 0


@dataclass
class _SortTrack:
    """State of one Kalman filter; hits: detections so far, missed: steps since the last one."""

    id: int
    mean: np.ndarray
    covariance: np.ndarray
    hits: int = 1
    missed: int = 0


def run_peer(peer: Peer, frames: list[Detections]) -> tuple[list[Located], np.ndarray]:
    """Run a peer over a sequence.

    Parameters
    ----------
    peer
        A fresh one.
    frames
        Per frame (M, O) detections and their (M, O, O) covariances.

    Returns
    -------
    located
        Everybody in every frame.
    step_s
        (frames,) seconds that each step took.
    """
    located = []
    step_s = np.zeros(len(frames))
    for index, (values, noises) in enumerate(frames):
        started = time.perf_counter()
        located.append(peer.step(values, noises))
        step_s[index] = time.perf_counter() - started
    return located, step_s
