# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The sensors of a head that an experiment cannot do without."""

from __future__ import annotations

from av_perception.errors import UserError
from av_perception.robot_head.profile import CameraGeometry, HeadProfile, MicrophoneArray


def camera_of(head: HeadProfile) -> CameraGeometry:
    """Look up the head's camera.

    Raises
    ------
    UserError
        The head has none.
    """
    if head.camera is None:
        raise UserError(f"head '{head.name}' has no camera: name another one")
    return head.camera


def microphones_of(head: HeadProfile) -> MicrophoneArray:
    """Look up the head's microphones.

    Raises
    ------
    UserError
        The head has none.
    """
    if head.microphones is None:
        raise UserError(f"head '{head.name}' has no microphones: name another one")
    return head.microphones
