# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A skeleton in a room: where its root is, how it is turned, and poses without either.

The networks know poses in the root's own frame: x to the person's left, y up the trunk, z ahead.
The root is the pelvis; hips and lower back hardly move in its frame, so that they tell where it is
and how it is turned.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

NUM_JOINTS = 21
#: the order of joints everywhere
JOINT_NAMES = (
    *('left_hip', 'left_knee', 'left_ankle', 'left_toes'),
    *('right_hip', 'right_knee', 'right_ankle', 'right_toes'),
    *('lower_back', 'chest', 'neck_base', 'neck', 'head'),
    *('left_collar', 'left_shoulder', 'left_elbow', 'left_wrist'),
    *('right_collar', 'right_shoulder', 'right_elbow', 'right_wrist'),
)
HEAD = JOINT_NAMES.index('head')
_ANCHORS = [JOINT_NAMES.index(name) for name in ('left_hip', 'right_hip', 'lower_back')]


@dataclass(frozen=True)
class BodyFrames:
    """Frames of roots at T moments."""

    #: (T, 3, 3) that take the root's frame to the room's
    rotations: np.ndarray
    #: (T, 3) [m] of the roots in the room
    origins: np.ndarray

    def poses(self, joints: np.ndarray) -> np.ndarray:
        """(T, 3 J) [m] poses in the roots' frames, of joints (T, J, 3) [m] in the room."""
        local = (joints - self.origins[:, None]) @ self.rotations
        return local.reshape(len(joints), -1)


def body_frames(joints: np.ndarray, mean_pose: np.ndarray) -> BodyFrames:
    """Find the roots of a skeleton.

    Parameters
    ----------
    joints
        (T, NUM_JOINTS, 3) [m] in the room.
    mean_pose
        (3 NUM_JOINTS,) [m] of the networks, in the root's frame.

    Returns
    -------
    BodyFrames
        By which hips and lower back come nearest to those of the mean pose (Kabsch 1976). Bodies
        of another size keep their size.
    """
    model = mean_pose.reshape(-1, 3)[_ANCHORS]
    seen = joints[:, _ANCHORS]
    middle = model.mean(0)
    centers = seen.mean(1)
    products = np.einsum('ki,tkj->tij', model - middle, seen - centers[:, None])
    left, _, right = np.linalg.svd(products)
    # A mirrored body is no rotation.
    signs = np.ones((len(joints), 3))
    signs[:, 2] = np.sign(np.linalg.det(left) * np.linalg.det(right))
    rotations = np.einsum('tji,tj,tkj->tik', right, signs, left)
    return BodyFrames(rotations, centers - rotations @ middle)


def headings(velocities: np.ndarray) -> np.ndarray:
    """(...) [rad] of velocities (..., 2 or 3) on the ground."""
    return np.arctan2(velocities[..., 1], velocities[..., 0])


def turned(vectors: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Turn vectors (..., K, 3) about the vertical by angles (...) [rad]."""
    cos = np.cos(angles)[..., None]
    sin = np.sin(angles)[..., None]
    x, y, z = np.moveaxis(vectors, -1, 0)
    return np.stack([cos * x - sin * y, sin * x + cos * y, z], -1)
