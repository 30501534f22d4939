# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Rigid transforms, quaternions and directions (REP-103: metres, x forward, y left, z up)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from scipy.spatial.transform import Rotation

UNIT_TOLERANCE = 0.01  # of the squared length of a quaternion, as tf2 allows
# Rotation that takes optical coordinates (x right, y down, z forward) to body coordinates (x forward, y left, z up).
BODY_FROM_OPTICAL = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])


@dataclass(frozen=True)
class RigidTransform:
    """Maps coordinates of a child frame into a parent frame: `p_parent = rotation @ p_child + translation`.

    rotation: (3, 3) orthonormal; translation: (3,) metres. Name instances `parent_from_child`.
    """

    rotation: np.ndarray = field(default_factory=lambda: np.eye(3))
    translation: np.ndarray = field(default_factory=lambda: np.zeros(3))

    @classmethod
    def from_xyz_rpy(cls, xyz, rpy_rad) -> RigidTransform:
        """Translation [m] and fixed-axis roll, pitch, yaw [rad] (the URDF convention)."""
        return cls(Rotation.from_euler('xyz', rpy_rad).as_matrix(), np.asarray(xyz, float))

    @classmethod
    def from_quaternion(cls, xyz, quaternion_xyzw) -> RigidTransform:
        """Translation [m] and unit quaternion (x, y, z, w), as in geometry_msgs/Transform. Raises ValueError for what is no rotation or not finite."""
        x, y, z, w = (float(q) for q in quaternion_xyzw)
        square = x * x + y * y + z * z + w * w
        if not (abs(square - 1) < UNIT_TOLERANCE and all(math.isfinite(t) for t in xyz)):
            raise ValueError(
                f'the quaternion ({x:.3g}, {y:.3g}, {z:.3g}, {w:.3g}) has not length 1, or the translation is not finite'
            )
        s = 2 / square
        return cls(
            np.array(
                [
                    [1 - s * (y * y + z * z), s * (x * y - z * w), s * (x * z + y * w)],
                    [s * (x * y + z * w), 1 - s * (x * x + z * z), s * (y * z - x * w)],
                    [s * (x * z - y * w), s * (y * z + x * w), 1 - s * (x * x + y * y)],
                ]
            ),
            np.array(xyz, float),
        )

    @property
    def quaternion_xyzw(self) -> np.ndarray:
        """(4,) unit quaternion (x, y, z, w), by the largest of its components (Shepperd 1978): SciPy takes eight times as long for a single one."""
        r = self.rotation
        trace = r[0, 0] + r[1, 1] + r[2, 2]
        squares = np.array(
            [1 + 2 * r[0, 0] - trace, 1 + 2 * r[1, 1] - trace, 1 + 2 * r[2, 2] - trace, 1 + trace]
        )
        i = int(squares.argmax())
        products = (
            (squares[0], r[1, 0] + r[0, 1], r[0, 2] + r[2, 0], r[2, 1] - r[1, 2]),
            (r[1, 0] + r[0, 1], squares[1], r[2, 1] + r[1, 2], r[0, 2] - r[2, 0]),
            (r[0, 2] + r[2, 0], r[2, 1] + r[1, 2], squares[2], r[1, 0] - r[0, 1]),
            (r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1], squares[3]),
        )
        quaternion = np.array(products[i])
        return quaternion / np.sqrt(quaternion @ quaternion)

    def apply(self, points: np.ndarray) -> np.ndarray:
        """(..., 3) points of the child frame -> (..., 3) points of the parent frame."""
        return np.asarray(points) @ self.rotation.T + self.translation

    def rotate(self, vectors: np.ndarray) -> np.ndarray:
        """(..., 3) free vectors (velocities, directions) of the child frame, expressed in the parent frame."""
        return np.asarray(vectors) @ self.rotation.T

    def inverse(self) -> RigidTransform:
        """The transform `child_from_parent`."""
        return RigidTransform(self.rotation.T, -self.rotation.T @ self.translation)

    def __matmul__(self, other: RigidTransform) -> RigidTransform:
        """`a_from_b @ b_from_c` is `a_from_c`."""
        return RigidTransform(self.rotation @ other.rotation, self.apply(other.translation))


def direction_from_angles(azimuth_rad, elevation_rad) -> np.ndarray:
    """(..., 3) unit vectors; azimuth counter-clockwise (left positive) from x, elevation up from the x-y plane."""
    azimuth, elevation = np.broadcast_arrays(
        np.asarray(azimuth_rad, float), np.asarray(elevation_rad, float)
    )
    return np.stack(
        [
            np.cos(elevation) * np.cos(azimuth),
            np.cos(elevation) * np.sin(azimuth),
            np.sin(elevation),
        ],
        axis=-1,
    )


def angles_from_direction(direction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(azimuth_rad, elevation_rad) of (..., 3) vectors of any length; azimuth in (-pi, pi]."""
    x, y, z = np.moveaxis(np.asarray(direction, float), -1, 0)
    return np.arctan2(y, x), np.arctan2(z, np.hypot(x, y))


def wrap_angle(angle_rad):
    """The same angle in [-pi, pi)."""
    return (np.asarray(angle_rad) + np.pi) % (2 * np.pi) - np.pi
