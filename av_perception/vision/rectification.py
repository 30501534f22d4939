"""Raw camera images to rectified ones, by maps that are computed once."""

from __future__ import annotations

import cv2
import numpy as np

from av_perception.heads.calibration import CameraCalibration
from av_perception.heads.profile import CameraGeometry


class Rectifier:
    """Takes the distortion and the rotation against the other camera out of the images of one camera."""

    def __init__(self, calibration: CameraCalibration):
        self._maps = None if calibration.is_rectified else _maps(calibration)

    def rectify(self, image: np.ndarray) -> np.ndarray:
        """(height, width[, channels]) uint8 raw to rectified; black where the raw image does not reach. The very image when it is rectified."""
        return image if self._maps is None else cv2.remap(image, *self._maps, cv2.INTER_LINEAR)


def rectifiers_of(camera: CameraGeometry, calibrations: tuple[CameraCalibration, ...] = ()) -> tuple[Rectifier, Rectifier]:
    """For left and right; by the head profile's files when no calibrations are given. Without any, images are taken as rectified."""
    calibrations = calibrations or tuple(CameraCalibration.read(path) for path in camera.calibration)
    known = [*calibrations, *(CameraCalibration.rectified(camera, right) for right in (False, True)[len(calibrations):])]
    return Rectifier(known[0]), Rectifier(known[1])


def _maps(calibration: CameraCalibration) -> tuple[np.ndarray, np.ndarray]:
    """Fixed-point maps of cv2.remap."""
    size = (calibration.width, calibration.height)
    arguments = (calibration.matrix, calibration.distortion, calibration.rectification, calibration.projection[:, :3], size, cv2.CV_16SC2)
    make = cv2.fisheye.initUndistortRectifyMap if calibration.distortion_model == 'equidistant' else cv2.initUndistortRectifyMap
    return make(*arguments)
