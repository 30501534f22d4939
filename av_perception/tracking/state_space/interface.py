# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What the inference needs to know of a state-space model; the rest of the tracker is the same for every model.

The variational inference is that of VAVIT: Ban, Alameda-Pineda, Girin, Horaud, "Variational Bayesian inference for
audio-visual tracking of multiple speakers", IEEE TPAMI 43(5), 2021. Sizes: N people, M faces, D state, O visual observation, 3 direction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from av_perception.robot_head.sensor_poses import SensorPoses

if TYPE_CHECKING:
    from av_perception.synchronization.detected_faces import DetectedFaces


@dataclass(frozen=True)
class Prediction:
    """State dynamics over one step, before the process noise.

    mean: (N, D) predicted means `m = D mu`; propagated: (N, D, D) covariances `D Gam D'`; base_noise: (N, D, D) nominal process noise
    `Lam0` of this step, positive definite.
    """

    mean: np.ndarray
    propagated: np.ndarray
    base_noise: np.ndarray


@dataclass(frozen=True)
class Measurements:
    """Detections in the model's observation space. value: (M, O) `v`; noise: (M, O, O) `Phi`."""

    value: np.ndarray
    noise: np.ndarray


@dataclass(frozen=True)
class LinearMap:
    """An observation function linearised at the predicted means: `f(s) ~ value + matrix (s - m)`.

    value: (N, O); matrix: (N, O, D); usable: (N,) bool, False where the function has no meaning (a person behind the camera).
    """

    value: np.ndarray
    matrix: np.ndarray
    usable: np.ndarray


class StateSpace(Protocol):
    """A model of people's motion and of what camera and microphones observe of it.

    state_size: D; location: which components of the state say where a person is (L of them); needs_positions: whether faces without a
    position in space are of no use; log_visual_volume: log of the volume of the visual observation space, so that clutter has the log
    density `-log_visual_volume` (`U(V)` of the paper).
    """

    state_size: int
    location: slice
    needs_positions: bool
    log_visual_volume: float

    def predict(
        self, mean: np.ndarray, covariance: np.ndarray, dt_s: float, unseen: np.ndarray
    ) -> Prediction:
        """Dynamics over dt_s seconds of (N, D) means and (N, D, D) covariances; unseen: (N,) bool."""

    def measure(self, faces: DetectedFaces) -> Measurements:
        """M faces as observations."""

    def initial_states(
        self, measurements: Measurements, poses: SensorPoses
    ) -> tuple[np.ndarray, np.ndarray]:
        """(M, D) means and (M, D, D) covariances of people who were just detected for the first time."""

    def visual_map(self, mean: np.ndarray, poses: SensorPoses) -> LinearMap:
        """What the camera observes of (N, D) states, linearised."""

    def direction_map(self, mean: np.ndarray, poses: SensorPoses) -> LinearMap:
        """The unit direction from the array to people in (N, D) states, in the array frame, linearised (O = 3)."""

    def rays(
        self, directions: np.ndarray, covariances: np.ndarray, poses: SensorPoses
    ) -> tuple[np.ndarray, np.ndarray]:
        """(B, D) means and (B, D, D) covariances of people who were just heard for the first time, in the unit directions (B, 3) from the
        array with covariances (B, 3, 3), axes of the reference frame. Directions that the state space cannot hold are left out.
        """

    def settle_rays(
        self, mean: np.ndarray, covariance: np.ndarray, poses: SensorPoses
    ) -> tuple[np.ndarray, np.ndarray]:
        """The states (B, D), (B, D, D) of people who were never seen with what sound cannot tell, the range, put back to its prior."""

    def reachable(
        self,
        mean_a: np.ndarray,
        covariance_a: np.ndarray,
        mean_b: np.ndarray,
        covariance_b: np.ndarray,
        dt_s: float,
    ) -> np.ndarray:
        """(A, B) bool: whether one person can be at initial states a and, dt_s later, b."""

    def bound(self, covariance: np.ndarray) -> np.ndarray:
        """(N, D, D) covariances limited to what is known of anybody in the scene."""

    def wander(self, mean: np.ndarray, distance_m: np.ndarray) -> np.ndarray:
        """(N, L, L) covariances of the location of people in (N, D) states after walking (N,) distances [m, standard deviation] anywhere."""

    def implausible(
        self, mean: np.ndarray, covariance: np.ndarray, poses: SensorPoses
    ) -> np.ndarray:
        """(N,) bool: people that have certainly left the region the sensors cover."""
