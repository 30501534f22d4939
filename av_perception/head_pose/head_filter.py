# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""One head over time: measured angles in, the orientation and how sure it is out."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from av_perception.geometry.time import seconds
from av_perception.head_pose.mean_mesh import HeadMeasurement
from av_perception.head_pose.model import HeadPoseModel
from av_perception.head_pose.rotations import (
    angle_axes,
    angles_from_rotation,
    rotation_from_angles,
)
from av_perception.numerics.gaussian import propagate_covariance
from av_perception.numerics.plds import Evidence, evidence_of
from av_perception.numerics.plds_filter import PldsBelief, filter_step

_OUTLIER = 0.5  # probability of the last piece from which on a measurement does not count
_ITERATIONS = 4


@dataclass(frozen=True)
class HeadState:
    """What is known of a head at one moment.

    facing_from_head: (3, 3); covariance: (3, 3) [rad^2] of a small rotation about the axes of the
    facing frame; measured: whether this very moment's image counted.
    """

    facing_from_head: np.ndarray
    covariance: np.ndarray
    measured: bool


class HeadFilter:
    """Filters the angles of one head by the dynamical system.

    The state is carried along when the facing frame turns, because the person or the camera
    moves.

    Parameters
    ----------
    model
        What is learned of heads.
    longest_gap_s
        [s] after which what was known before is forgotten.
    """

    def __init__(self, model: HeadPoseModel, longest_gap_s: float = 1.0):
        self._model = model
        self._longest_gap_s = longest_gap_s
        self._nothing = evidence_of(model.system.observation, np.full((1, 3), np.nan))
        self._belief: PldsBelief | None = None
        self._stamp_ns = 0
        self._frame = np.eye(3)
        self._last_measured_ns = 0

    @property
    def last_measured_ns(self) -> int:
        """Stamp [ns] of the last image that counted, 0 for none."""
        return self._last_measured_ns

    def step(
        self,
        stamp_ns: int,
        reference_from_facing: np.ndarray,
        measurement: HeadMeasurement | None,
    ) -> HeadState | None:
        """Take one image.

        Parameters
        ----------
        stamp_ns
            [ns] of the image.
        reference_from_facing
            (3, 3) the facing frame of this moment, in a frame that does not turn.
        measurement
            None where the image does not show the head well enough; angles that are not finite
            are none either.

        Returns
        -------
        HeadState or None
            None when nothing is known (any more).
        """
        if measurement is not None and not np.isfinite(measurement.angles).all():
            measurement = None
        elapsed_s = seconds(stamp_ns - self._stamp_ns)
        if not 0.0 <= elapsed_s <= self._longest_gap_s:
            self._belief = None
        unseen_s = seconds(stamp_ns - self._last_measured_ns)
        if measurement is None and unseen_s > self._longest_gap_s:
            self._belief = None
        if self._belief is None and measurement is None:
            return None
        self._carry(reference_from_facing)
        self._stamp_ns = stamp_ns
        counted = self._update(elapsed_s, measurement)
        if counted:
            self._last_measured_ns = stamp_ns
        return self._state(counted)

    def _carry(self, frame: np.ndarray) -> None:
        """Express the state in another facing frame (3, 3)."""
        if self._belief is not None:
            turn = frame.T @ self._frame
            before = rotation_from_angles(self._belief.mean[:3])
            mean = self._belief.mean.copy()
            mean[:3] = angles_from_rotation(turn @ before)
            self._belief = replace(self._belief, mean=mean)
        self._frame = frame

    def _update(self, elapsed_s: float, measurement: HeadMeasurement | None) -> bool:
        """Predict to now and take the measurement; tells whether it counted."""
        system = self._model.system
        steps = max(1, round(elapsed_s / self._model.step_s))
        if self._belief is not None:
            for _ in range(steps - 1):
                self._belief = filter_step(system, self._belief, self._nothing, _ITERATIONS)
        evidence = self._nothing if measurement is None else self._evidence(measurement)
        belief = filter_step(system, self._belief, evidence, _ITERATIONS)
        counted = measurement is not None and belief.pieces[-1] < _OUTLIER
        if self._belief is None and not counted:
            return False  # the first is an outlier: nothing is known yet
        self._belief = belief
        return counted

    def _evidence(self, measurement: HeadMeasurement) -> Evidence:
        scale = self._model.noise_scale(measurement)
        return evidence_of(self._model.system.observation, measurement.angles[None], scale)

    def _state(self, measured: bool) -> HeadState | None:
        belief = self._belief
        if belief is None:
            return None
        angles = belief.mean[:3]
        weights = belief.pieces[:-1] / max(float(belief.pieces[:-1].sum()), 1e-12)
        bias = np.einsum('k,kij->ij', weights, self._model.bias[:-1])
        spread = belief.covariance[:3, :3] + bias
        axes = angle_axes(angles)
        return HeadState(
            rotation_from_angles(angles), propagate_covariance(axes, spread), measured
        )
