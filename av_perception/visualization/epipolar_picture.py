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
    """(height, 2 width, 3) BGR: both raw images rectified, side by side, under lines on which corresponding points lie."""
    picture = np.hstack(
        [
            Rectifier(calibration).rectify(image)
            for image, calibration in ((left, left_calibration), (right, right_calibration))
        ]
    )
    for index, row in enumerate(np.linspace(0, picture.shape[0], LINES + 2)[1:-1]):
        cv2.line(
            picture,
            (0, round(row)),
            (picture.shape[1], round(row)),
            _COLORS[index % 2],
            1,
            cv2.LINE_AA,
        )
    return picture
