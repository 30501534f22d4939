# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What is learned of heads: the mean mesh, and the dynamical system over the mesh's angles.

The pieces are regions of pose, each with the bias of the mesh there; the last one stands for
outliers, whose angles say nothing of the head. What a piece cannot know, the bias of this very
person, does not average out from image to image: it is added to the covariance at the end.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from av_perception.head_pose.mean_mesh import HeadMeasurement, MeanMesh
from av_perception.networks.weights import Weights, load_arrays
from av_perception.numerics.gaussian_mixture import Pieces
from av_perception.numerics.plds import AffinePieces, PieceDynamics, Plds


@dataclass(frozen=True)
class HeadPoseModel:
    """Everything that `HeadFilter` needs.

    Attributes
    ----------
    mesh
        The mean face.
    system
        State: yaw, pitch, roll [rad] and their rates [rad/s]; observation: the mesh's angles.
    bias
        (K, 3, 3) [rad^2] of what the pieces do not know of a person.
    step_s
        [s] between two moments of the system.
    usual_residual
        Of the fit of the mean mesh, on faces that are seen well.
    """

    mesh: MeanMesh
    system: Plds
    bias: np.ndarray
    step_s: float
    usual_residual: float

    def noise_scale(self, measurement: HeadMeasurement) -> float:
        """Tell how much the variances grow for a face that fits worse than usual."""
        return max(1.0, measurement.residual / self.usual_residual) ** 2

    def arrays(self) -> dict[str, np.ndarray]:
        """Give all numbers by name, for a file."""
        system, dynamics = self.system, self.system.dynamics
        gate = system.gate
        assert gate is not None
        return {
            'points': self.mesh.points,
            'weights': self.mesh.weights,
            'slope': system.observation.slope,
            'offset': system.observation.offset,
            'variance': system.observation.variance,
            'first_mean': dynamics.mean,
            'first_covariance': dynamics.covariance,
            'transition': dynamics.transition,
            'drift': dynamics.drift,
            'noise': dynamics.noise,
            'log_initial': system.log_initial,
            'log_switching': system.log_switching,
            'gate_log_weight': gate.log_weight,
            'gate_center': gate.center,
            'gate_precision': gate.precision,
            'bias': self.bias,
            'step_s': np.array(self.step_s),
            'usual_residual': np.array(self.usual_residual),
        }

    @classmethod
    def of_arrays(cls, arrays: dict[str, np.ndarray]) -> HeadPoseModel:
        """Make it of the numbers in a file."""
        precision = arrays['gate_precision']
        gate = Pieces(
            arrays['gate_log_weight'],
            arrays['gate_center'],
            precision,
            np.linalg.slogdet(precision)[1],
        )
        motion = ('first_mean', 'first_covariance', 'transition', 'drift', 'noise')
        system = Plds(
            AffinePieces(arrays['slope'], arrays['offset'], arrays['variance']),
            PieceDynamics(*(arrays[name] for name in motion)),
            arrays['log_initial'],
            arrays['log_switching'],
            gate,
        )
        mesh = MeanMesh(arrays['points'], arrays['weights'])
        step_s = float(arrays['step_s'])
        return cls(mesh, system, arrays['bias'], step_s, float(arrays['usual_residual']))


def load_head_pose_model(weights: str | Weights = 'head_pose') -> HeadPoseModel:
    """Read the model that the package ships. Raises UserError."""
    return HeadPoseModel.of_arrays(load_arrays(weights))
