# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A picture that shows whether a stereo pair is rectified."""

from __future__ import annotations

import cv2
import numpy as np

from av_perception.robot_head.camera_calibration import CameraCalibration
from av_perception.vision.rectification import Rectifier

LINES = 16
_COLORS = ((80, 220, 80), (80, 160, 255))  # BGR


def epipolar_picture(
    left: np.ndarray,
    right: np.ndarray,
    left_calibration: CameraCalibration,
    right_calibration: CameraCalibration,
) -> np.ndarray:
    """Draw both raw images rectified, side by side, under lines on which corresponding points lie.

    Parameters
    ----------
    left, right
        (height, width, 3) uint8 BGR as the cameras took them.
    left_calibration, right_calibration
        Of the two cameras.

    Returns
    -------
    np.ndarray
        (height, 2 width, 3) uint8 BGR.
    """
    picture = np.hstack(
        [
            Rectifier(left_calibration).rectify(left),
            Rectifier(right_calibration).rectify(right),
        ]
    )
    height, width = picture.shape[:2]
    for index, row in enumerate(np.linspace(0, height, LINES + 2)[1:-1]):
        ends = ((0, round(row)), (width, round(row)))
        cv2.line(picture, *ends, _COLORS[index % 2], 1, cv2.LINE_AA)
    return picture
