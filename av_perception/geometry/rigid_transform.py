# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Rigid transforms, quaternions and directions (REP-103: meters, x forward, y left, z up)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

UNIT_TOLERANCE = 0.01  # of the squared length of a quaternion, as tf2 allows
# Takes optical coordinates (x right, y down, z forward) to body ones (x forward, y left, z up).
BODY_FROM_OPTICAL = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])


@dataclass(frozen=True)
class RigidTransform:
    """Maps a child frame into a parent frame: `p_parent = rotation @ p_child + translation`.

    Name instances `parent_from_child`.
    """

    #: (3, 3) orthonormal.
    rotation: np.ndarray = field(default_factory=lambda: np.eye(3))
    #: (3,) [m].
    translation: np.ndarray = field(default_factory=lambda: np.zeros(3))

    @classmethod
    def from_xyz_rpy(cls, xyz, rpy_rad) -> RigidTransform:
        """Make one of a translation [m] and fixed-axis roll, pitch, yaw [rad], as URDF does."""
        # Not SciPy's: its import would be half of what some nodes and verbs take to start.
        about_x, about_y, about_z = (
            _rotation_about(axis, float(angle)) for axis, angle in enumerate(rpy_rad)
        )
        return cls(about_z @ about_y @ about_x, np.asarray(xyz, float))

    @classmethod
    def from_quaternion(cls, xyz, quaternion_xyzw) -> RigidTransform:
        """Make one of a translation and a quaternion, as in geometry_msgs/Transform.

        Parameters
        ----------
        xyz
            Translation [m].
        quaternion_xyzw
            x, y, z, w of unit length.

        Raises
        ------
        ValueError
            When the quaternion is no rotation or a number is not finite.
        """
        x, y, z, w = (float(q) for q in quaternion_xyzw)
        square = x * x + y * y + z * z + w * w
        is_unit = abs(square - 1) < UNIT_TOLERANCE
        if not (is_unit and all(math.isfinite(t) for t in xyz)):
            raise ValueError(
                f'the quaternion ({x:.3g}, {y:.3g}, {z:.3g}, {w:.3g}) has not length 1, '
                'or the translation is not finite'
            )
        s = 2 / square
        rotation = np.array(
            [
                [1 - s * (y * y + z * z), s * (x * y - z * w), s * (x * z + y * w)],
                [s * (x * y + z * w), 1 - s * (x * x + z * z), s * (y * z - x * w)],
                [s * (x * z - y * w), s * (y * z + x * w), 1 - s * (x * x + y * y)],
            ]
        )
        return cls(rotation, np.array(xyz, float))

    @property
    def quaternion_xyzw(self) -> np.ndarray:
        """(4,) unit quaternion (x, y, z, w), by the largest of its components (Shepperd 1978).

        SciPy takes eight times as long for a single one.
        """
        r = self.rotation
        trace = r[0, 0] + r[1, 1] + r[2, 2]
        # 4 q q' of the quaternion q, from sums and differences of the matrix: any row is q.
        xx, yy, zz = 1 + 2 * r.diagonal() - trace
        ww = 1 + trace
        xy, xz, yz = r[1, 0] + r[0, 1], r[0, 2] + r[2, 0], r[2, 1] + r[1, 2]
        xw, yw, zw = r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1]
        rows = ((xx, xy, xz, xw), (xy, yy, yz, yw), (xz, yz, zz, zw), (xw, yw, zw, ww))
        largest = int(np.argmax((xx, yy, zz, ww)))
        quaternion = np.array(rows[largest])
        return quaternion / np.sqrt(quaternion @ quaternion)

    def apply(self, points: np.ndarray) -> np.ndarray:
        """Map (..., 3) points of the child frame to points of the parent frame."""
        return np.asarray(points) @ self.rotation.T + self.translation

    def rotate(self, vectors: np.ndarray) -> np.ndarray:
        """Express (..., 3) free vectors (velocities, directions) of the child in the parent."""
        return np.asarray(vectors) @ self.rotation.T

    def inverse(self) -> RigidTransform:
        """Return the transform `child_from_parent`."""
        return RigidTransform(self.rotation.T, -self.rotation.T @ self.translation)

    def __matmul__(self, other: RigidTransform) -> RigidTransform:
        """`a_from_b @ b_from_c` is `a_from_c`."""
        return RigidTransform(self.rotation @ other.rotation, self.apply(other.translation))


def _rotation_about(axis: int, angle_rad: float) -> np.ndarray:
    """Rotation (3, 3) about the axis x (0), y (1) or z (2)."""
    first, second = (axis + 1) % 3, (axis + 2) % 3
    rotation = np.eye(3)
    rotation[first, first] = rotation[second, second] = math.cos(angle_rad)
    rotation[second, first] = math.sin(angle_rad)
    rotation[first, second] = -rotation[second, first]
    return rotation


def direction_from_angles(azimuth_rad, elevation_rad) -> np.ndarray:
    """Return (..., 3) unit vectors.

    Azimuth runs counter-clockwise (left positive) from x, elevation up from the x-y plane.
    """
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
    """Return azimuth, in (-pi, pi], and elevation [rad] of (..., 3) vectors of any length."""
    direction = np.asarray(direction, float)
    x, y, z = direction[..., 0], direction[..., 1], direction[..., 2]
    return np.arctan2(y, x), np.arctan2(z, np.hypot(x, y))


def wrap_angle(angle_rad):
    """Return the same angle in [-pi, pi)."""
    return (np.asarray(angle_rad) + np.pi) % (2 * np.pi) - np.pi
