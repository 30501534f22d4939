# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Skeletons in motion: clips of joint positions from a file, and which of them are unseen.

The file is an `.npz` with an array (frames, joints, 3) in meters per clip, called `action__name`,
root position and rotation removed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from av_perception.array_files import read_npz
from av_perception.errors import UserError

FILE_RATE = 120  # [Hz] of the clips in the file
RATE = 24  # [Hz] of what the networks see
STEP = FILE_RATE // RATE
# Clips of the CMU selection that no weights of ours were trained on, nor chosen by.
UNSEEN = (
    'basketball_5',
    'basketball_signal_5',
    'directing_traffic_4',
    'jumping_5',
    'soccer_5',
    'walking_5',
    *(f'walking_{number}' for number in (18, 24, 30, 36, 42, 48)),
)
# By which weights and thresholds were chosen: neither trained on nor reported.
CHOSEN_BY = ('basketball_4', 'basketball_signal_4', 'jumping_4', 'soccer_4') + (
    'walking_4',
    'walking_21',
    'walking_33',
    'walking_45',
)
# Joints of the left and of the right side, in corresponding order.
LEFT = (0, 1, 2, 3, 13, 14, 15, 16)
RIGHT = (4, 5, 6, 7, 17, 18, 19, 20)


@dataclass(frozen=True)
class Clip:
    """One recording of one action."""

    #: what is done; walking_extra is walking
    action: str
    #: of the clip
    name: str
    #: (frames, joints, 3) [m] at FILE_RATE, without root motion
    joints: np.ndarray


def load_clips(path: Path) -> list[Clip]:
    """Load all clips of a file.

    Parameters
    ----------
    path
        An `.npz` file as this module describes it.

    Raises
    ------
    UserError
        When it cannot be read or holds something else.
    """
    try:
        arrays = {name: values for name, values in read_npz(path).items() if '__' in name}
    except (OSError, ValueError) as error:
        raise UserError(f'cannot read skeletons from {path}: {error}') from error
    clips = []
    for key, values in sorted(arrays.items()):
        action, name = key.split('__', 1)
        joints = values.astype(float)
        if joints.ndim != 3 or joints.shape[2] != 3 or not np.isfinite(joints).all():
            raise UserError(f'{path}: {key} is no finite array (frames, joints, 3) of positions')
        clips.append(Clip(action.removesuffix('_extra'), name, joints))
    if not clips:
        raise UserError(f'{path} holds no clips called action__name')
    return clips


def windows(clip: Clip, observed: int, ahead: int, stride: int) -> np.ndarray:
    """Cut a clip, at RATE, into windows.

    Parameters
    ----------
    clip
        To cut.
    observed, ahead
        Frames of a window before and after now.
    stride
        Frames between the starts of neighbors.

    Returns
    -------
    np.ndarray
        (N, observed + ahead, 3 joints) [m]; N is 0 for a clip that is too short.
    """
    poses = clip.joints[::STEP].reshape(len(clip.joints[::STEP]), -1)
    length = observed + ahead
    starts = np.arange(0, len(poses) - length + 1, stride)
    return poses[starts[:, None] + np.arange(length)]


def mirrored(joints: np.ndarray) -> np.ndarray:
    """Exchange left and right of (..., joints, 3); x points to the left."""
    order = np.arange(joints.shape[-2])
    order[list(LEFT)] = RIGHT
    order[list(RIGHT)] = LEFT
    return joints[..., order, :] * np.array([-1.0, 1.0, 1.0])
