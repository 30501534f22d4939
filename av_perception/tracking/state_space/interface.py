# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What the inference needs to know of a state space; the rest of the tracker is the same for all.

The variational inference is that of VAVIT: Ban, Alameda-Pineda, Girin, Horaud, "Variational
Bayesian inference for audio-visual tracking of multiple speakers", IEEE TPAMI 43(5), 2021. Sizes:
N tracks, M faces, B births, D state, O visual observation, L location. The equations T1.. are
listed in docs/tracker_equations.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from av_perception.robot_head.sensor_poses import SensorPoses

if TYPE_CHECKING:
    from av_perception.synchronization.detected_faces import DetectedFaces

Gaussians = tuple[np.ndarray, np.ndarray]  # means (N, D) and covariances (N, D, D)


@dataclass(frozen=True)
class Prediction:
    """State dynamics over one step, before the process noise (T1).

    mean: (N, D) predicted means `m = D mu`; propagated: (N, D, D) covariances `D Gam D'`;
    base_noise: (N, D, D) nominal process noise `Lam0` of this step, positive definite.
    """

    mean: np.ndarray
    propagated: np.ndarray
    base_noise: np.ndarray


@dataclass(frozen=True)
class Measurements:
    """Detections in the observation space (T2). value: (M, O) `v`; noise: (M, O, O) `Phi`."""

    value: np.ndarray
    noise: np.ndarray


@dataclass(frozen=True)
class LinearMap:
    """An observation function, linearized at the predicted means: `f(s) ~ value + matrix (s - m)`.

    value: (N, O); matrix: (N, O, D); usable: (N,) bool, False where the function has no meaning (a
    person behind the camera).
    """

    value: np.ndarray
    matrix: np.ndarray
    usable: np.ndarray


@dataclass(frozen=True)
class View:
    """What the camera could see of N tracks.

    clear: nothing is before any of the head; hidden: somebody is before the middle of it; both
    (N,) bool. Neither holds between the two, outside of the image, and where a state space cannot
    tell.
    """

    clear: np.ndarray
    hidden: np.ndarray

    @classmethod
    def unknown(cls, count: int) -> View:
        """Nothing can be told of so many tracks."""
        return cls(np.zeros(count, bool), np.zeros(count, bool))


class StateSpace(Protocol):
    """A model of people's motion and of what camera and microphones observe of it.

    state_size: D; location: which components of the state say where a person is (L of them);
    needs_positions: whether faces without a position in space are of no use; log_visual_volume:
    log of the volume of the visual observation space, so that clutter has the log density
    `-log_visual_volume` (`U(V)` of the paper).
    """

    state_size: int
    location: slice
    needs_positions: bool
    log_visual_volume: float

    def predict(
        self, mean: np.ndarray, covariance: np.ndarray, dt_s: float, unseen: np.ndarray
    ) -> Prediction:
        """Move (N, D) means and (N, D, D) covariances by dt_s (T1). unseen: (N,) bool."""

    def measure(self, faces: DetectedFaces) -> Measurements:
        """Turn M faces into observations (T2)."""

    def ray_noise(self, measurements: Measurements) -> tuple[np.ndarray, float] | None:
        """Describe detections whose depth is that of something else (T17).

        The (M, R, R) noise of the first components, which tell the ray, and the log density of the
        others, which tell nothing; None where a detection has no depth.
        """

    def vague(self, measurements: Measurements, which: np.ndarray) -> Measurements:
        """Give some of the detections the noise of a depth that may be another's: which (M,)."""

    def initial_states(self, measurements: Measurements, poses: SensorPoses) -> Gaussians:
        """(M, D) means and (M, D, D) covariances of people who are detected for the first time."""

    def visual_map(self, mean: np.ndarray, poses: SensorPoses) -> LinearMap:
        """Linearize what the camera observes of (N, D) states, `h(s)` (T2)."""

    def direction_map(self, mean: np.ndarray, poses: SensorPoses) -> LinearMap:
        """Linearize the unit directions from the array to (N, D) states, `u(s)` (T3).

        They are in the array frame, O = 3.
        """

    def bearing_only_states(
        self, directions: np.ndarray, covariances: np.ndarray, poses: SensorPoses
    ) -> Gaussians:
        """Place people who are heard for the first time and were never seen.

        Parameters
        ----------
        directions, covariances
            (B, 3) unit vectors from the array and (B, 3, 3), axes of the reference frame.
        poses
            Of the sensors.

        Returns
        -------
        Gaussians
            Of at most B people: directions that the state space cannot hold are left out.
        """

    def reset_range(
        self, mean: np.ndarray, covariance: np.ndarray, poses: SensorPoses
    ) -> Gaussians:
        """(B, D), (B, D, D) bearing-only states with their range put back to its prior.

        Sound cannot tell the range.
        """

    def gate(
        self,
        mean_a: np.ndarray,
        covariance_a: np.ndarray,
        mean_b: np.ndarray,
        covariance_b: np.ndarray,
        dt_s: float,
    ) -> np.ndarray:
        """Whether one person can be at initial states a and, dt_s later, b: (A, B) bool."""

    def same_place(self, mean_a: np.ndarray, mean_b: np.ndarray) -> np.ndarray:
        """Whether two heads cannot be at the places of (A, D) and (B, D) states: (A, B) bool."""

    def view(
        self, mean: np.ndarray, covariance: np.ndarray, in_view: np.ndarray, poses: SensorPoses
    ) -> View:
        """Tell who would be seen if they were where their states say.

        in_view: (N,) bool, who is seen, and may hide others.
        """

    def stopped(self, mean: np.ndarray) -> np.ndarray:
        """(N, D) states at the same places, at rest."""

    def turned(self, predicted: np.ndarray, mean: np.ndarray, poses: SensorPoses) -> np.ndarray:
        """(N, D) predicted states, turned about the head to where `mean` is: sound tells no more.

        predicted, mean: (N, D) before and after the sound.
        """

    def bound_unseen(self, mean: np.ndarray, poses: SensorPoses) -> np.ndarray:
        """(N, D) states of people out of view, moved back to where people can be."""

    def bound_covariance(self, covariance: np.ndarray) -> np.ndarray:
        """(N, D, D) covariances limited to what is known of anybody in the scene."""

    def random_walk_covariance(self, mean: np.ndarray, distance_m: np.ndarray) -> np.ndarray:
        """(N, L, L) covariance of the location of (N, D) states after a walk in any direction.

        It is diagonal.

        distance_m: (N,) standard deviation of the distance walked [m].
        """

    def implausible(
        self, mean: np.ndarray, covariance: np.ndarray, poses: SensorPoses
    ) -> np.ndarray:
        """(N,) bool: states that have certainly left the region the sensors cover."""
