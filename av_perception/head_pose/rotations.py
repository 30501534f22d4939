# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Rotations of heads as yaw, pitch and roll against the ray from the camera.

The facing frame of a head has x from the head to the camera, y to the right in the image and z up:
the head frame (x out of the face, y to the person's left, z up) of who looks into the camera
coincides with it. `facing_from_head = Rz(yaw) Ry(pitch) Rx(roll)`: positive yaw turns to the
person's left, positive pitch looks down, positive roll tilts the head to the person's right.
"""

from __future__ import annotations

import numpy as np

# Takes the facing frame of a head straight ahead to optical coordinates.
_AHEAD = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, -1.0], [-1.0, 0.0, 0.0]])


def rotation_from_angles(angles: np.ndarray) -> np.ndarray:
    """Rotations (..., 3, 3) of yaw, pitch and roll (..., 3) [rad]."""
    cosine, sine = np.cos(angles), np.sin(angles)
    cy, cp, cr = cosine[..., 0], cosine[..., 1], cosine[..., 2]
    sy, sp, sr = sine[..., 0], sine[..., 1], sine[..., 2]
    rows = (
        (cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr),
        (sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr),
        (-sp, cp * sr, cp * cr),
    )
    rotation = np.empty((*np.shape(angles), 3))
    for row, entries in enumerate(rows):
        for column, entry in enumerate(entries):
            rotation[..., row, column] = entry
    return rotation


def angles_from_rotation(rotation: np.ndarray) -> np.ndarray:
    """Yaw, pitch and roll (..., 3) [rad] of rotations (..., 3, 3)."""
    yaw = np.arctan2(rotation[..., 1, 0], rotation[..., 0, 0])
    pitch = -np.arcsin(np.clip(rotation[..., 2, 0], -1.0, 1.0))
    roll = np.arctan2(rotation[..., 2, 1], rotation[..., 2, 2])
    return np.stack([yaw, pitch, roll], axis=-1)


def angle_axes(angles: np.ndarray) -> np.ndarray:
    """Axes (3, 3), one a column, about which small changes of yaw, pitch and roll turn.

    In the facing frame, at angles (3,) [rad].
    """
    yaw_pitch = rotation_from_angles(np.array([angles[0], angles[1], 0.0]))
    yaw_only = rotation_from_angles(np.array([angles[0], 0.0, 0.0]))
    return np.column_stack([[0.0, 0.0, 1.0], yaw_only[:, 1], yaw_pitch[:, 0]])


def optical_from_facing(direction: np.ndarray) -> np.ndarray:
    """Rotation (3, 3) from the facing frame of a head to optical coordinates.

    Parameters
    ----------
    direction
        (3,) from the camera to the head, of any length, in optical coordinates (z forward).

    Returns
    -------
    np.ndarray
        The facing frame of a head straight ahead, turned along with the ray the shortest way.
    """
    x, y, z = direction / np.linalg.norm(direction)
    # Rodrigues' formula about the axis (-y, x, 0), for rays before the camera.
    cross = np.array([[0.0, 0.0, x], [0.0, 0.0, y], [-x, -y, 0.0]])
    shortest = np.eye(3) + cross + cross @ cross / max(1.0 + z, 1e-9)
    return shortest @ _AHEAD
