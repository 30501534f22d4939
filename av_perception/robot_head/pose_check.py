# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""How the sensors of a head can be turned, and what their frames can be called.

As in `plausibility`, each check raises ValueError with one sentence that names the likely cause.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from av_perception.geometry.rigid_transform import BODY_FROM_OPTICAL, RigidTransform

_MOST_DEG = 360.0
_RADIANS_WITHIN = 0.002  # of an eighth of a turn: 3.14, 1.57 and 0.785 are written for them
_OPTICAL_WITHIN_DEG = 45.0
_UPRIGHT_M = 0.002


def check_orientation(rpy_deg: Sequence[float], what: str, is_camera: bool = False) -> None:
    """Check roll, pitch and yaw of a sensor.

    Parameters
    ----------
    rpy_deg
        (3,) [deg] of its body axes in the head's base frame.
    what
        The sensor, in the message.
    is_camera
        Whether it has an optical frame that may have been meant.

    Raises
    ------
    ValueError
        For more than a turn, radians, and the axes of an optical frame.
    """
    angles = np.array(rpy_deg, float)
    if np.abs(angles).max() > _MOST_DEG:
        raise ValueError(f'orientation_rpy_deg: the {what} is turned by more than 360 degrees')
    turned = np.abs(angles[angles != 0])
    eighths = np.maximum(np.round(turned / (np.pi / 4)), 1)
    if len(turned) and np.all(np.abs(turned - eighths * np.pi / 4) < _RADIANS_WITHIN):
        meant = ', '.join(f'{angle:.0f}' for angle in np.degrees(angles))
        raise ValueError(
            f'orientation_rpy_deg: the {what} is turned by {_listed(angles)} degrees: radians '
            f'instead of degrees? Then write [{meant}]'
        )
    if is_camera and _is_optical(angles):
        raise ValueError(
            f'orientation_rpy_deg: with {_listed(angles)} degrees the top of the {what} points '
            'forward: this is the orientation of the optical frame (z forward); write that of the '
            'camera body (x forward, y left, z up), [0, 0, 0] where it looks ahead'
        )


def _is_optical(rpy_deg: np.ndarray) -> bool:
    """Tell whether body axes so turned lie as those of an optical frame that looks ahead."""
    turn = RigidTransform.from_xyz_rpy(np.zeros(3), np.radians(rpy_deg)).rotation
    cosine = 0.5 * (np.trace(turn.T @ BODY_FROM_OPTICAL) - 1)
    return bool(cosine > np.cos(np.radians(_OPTICAL_WITHIN_DEG)))


def check_not_upright(positions: np.ndarray) -> None:
    """Check that microphones do not stand on an upright line.

    Parameters
    ----------
    positions
        (M, 3) [m], along the axes of the head's base frame.

    Raises
    ------
    ValueError
        When they do: they hear how high a sound is, but not from which side.
    """
    offsets = positions - positions[0]
    if len(positions) > 1 and np.abs(offsets[:, :2]).max() < _UPRIGHT_M:
        raise ValueError(
            'coordinates: the microphones stand on an upright line and cannot hear from which '
            'side a sound comes: are x, y, z in another order, or orientation_rpy_deg wrong?'
        )


def check_frames(frames: dict[str, tuple[str, RigidTransform]]) -> None:
    """Check the names of a head's frames.

    Parameters
    ----------
    frames
        By the key of the profile that gives it: the name, and the pose in the base frame.

    Raises
    ------
    ValueError
        For names that TF does not know, and for one name of two frames that are not the same.
    """
    known: dict[str, tuple[str, RigidTransform]] = {}
    for key, (name, pose) in frames.items():
        check_frame_name(key, name)
        other, other_pose = known.setdefault(name, (key, pose))
        if not _are_same(pose, other_pose):
            raise ValueError(
                f'{other} and {key} are both {name!r}, but lie or are turned apart: each needs a '
                'name of its own'
            )


def check_frame_name(key: str, name: str) -> None:
    """Check the name of a TF frame that some key or parameter gives.

    Raises
    ------
    ValueError
        For an empty one, one with blanks, and one that begins with a slash, as in ROS 1.
    """
    if name and not name.startswith('/') and not any(letter.isspace() for letter in name):
        return
    stripped = name.strip('/ ')
    advice = f': write {stripped!r}' if stripped.isidentifier() else ''
    raise ValueError(
        f'{key} is {name!r}, but the name of a TF frame has no blanks and does not begin with a '
        f'slash{advice}'
    )


def _are_same(pose: RigidTransform, other: RigidTransform) -> bool:
    return bool(
        np.allclose(pose.rotation, other.rotation, atol=1e-6)
        and np.allclose(pose.translation, other.translation, atol=1e-6)
    )


def _listed(angles: np.ndarray) -> str:
    return ' '.join(f'{angle:.4g}' for angle in angles)
