# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Calibrations of cameras."""

from __future__ import annotations

import numpy as np
from sensor_msgs.msg import CameraInfo

from av_perception.robot_head.camera_calibration import CameraCalibration
from av_perception.ros.conversions.arrays import typed_array
from av_perception.ros.conversions.headers import header


def camera_info_to_msg(calibration: CameraCalibration, stamp_ns: int, frame_id: str) -> CameraInfo:
    """Convert a CameraCalibration to its message."""
    return CameraInfo(
        header=header(stamp_ns, frame_id),
        width=calibration.width,
        height=calibration.height,
        distortion_model=calibration.distortion_model,
        d=typed_array('d', calibration.distortion),
        k=calibration.matrix.ravel(),
        r=calibration.rectification.ravel(),
        p=calibration.projection.ravel(),
    )


def calibration_from_msg(message: CameraInfo, alone: bool = False) -> CameraCalibration:
    """Convert a message to a CameraCalibration.

    Parameters
    ----------
    message : CameraInfo
        Of any driver.
    alone : bool
        It is the only camera, see `CameraCalibration.of_driver`.

    Raises
    ------
    ValueError
        For a camera that is not calibrated, and for values that no camera has.
    """
    # Drivers of rectified cameras may leave the model out.
    model = message.distortion_model or 'plumb_bob'
    return CameraCalibration.of_driver(
        message.width,
        message.height,
        np.array(message.k, float).reshape(3, 3),
        np.array(message.d, float),
        model,
        np.array(message.r, float).reshape(3, 3),
        np.array(message.p, float).reshape(3, 4),
        alone,
    )
