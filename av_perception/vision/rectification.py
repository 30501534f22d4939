# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Raw camera images to rectified ones, by maps that are computed once."""

from __future__ import annotations

import cv2
import numpy as np

from av_perception.errors import UserError
from av_perception.robot_head.camera_calibration import CameraCalibration, read_calibrations
from av_perception.robot_head.profile import CameraGeometry

# Share of a rectified image that shows something. Rectified with alpha = 1 lenses keep 0.65,
# fisheyes 0.25; distortion that no lens has leaves 0.3 to 0.5, matrices that do not belong
# together next to nothing.
LEAST_USABLE, DOUBTFUL_USABLE = 0.2, 0.5
_EVERY_PX = 8  # grid on which the share is measured


class Rectifier:
    """Takes distortion and the rotation against the other camera out of the images of one camera.

    problem: a sentence when little is left of the images, else ''. Raises ValueError when hardly
    anything is: K, D, R and P do not belong together.
    """

    def __init__(self, calibration: CameraCalibration):
        self.problem, self._maps = '', None
        if calibration.is_rectified:
            return
        across, down = _maps(calibration)
        size = (calibration.width, calibration.height)
        usable = usable_share(across, down, size)
        if usable < DOUBTFUL_USABLE:
            self.problem = (
                f'{1 - usable:.0%} of the rectified image are black or folded: do K, '
                f'D, R and P belong together, and to images of {size[0]}x{size[1]}?'
            )
        if usable < LEAST_USABLE:
            raise ValueError(self.problem)
        self._maps = cv2.convertMaps(across, down, cv2.CV_16SC2)  # fixed-point: faster

    def rectify(self, image: np.ndarray) -> np.ndarray:
        """(height, width[, channels]) uint8 raw to rectified; black where the raw image does not reach. The very image when it is rectified."""
        return image if self._maps is None else cv2.remap(image, *self._maps, cv2.INTER_LINEAR)


def rectifiers_of(
    camera: CameraGeometry, calibrations: tuple[CameraCalibration, ...] = ()
) -> tuple[Rectifier, Rectifier]:
    """For left and right; by the head profile's files when no calibrations are given.

    Without any, images are taken as rectified. Raises UserError that names the file, or ValueError
    that names the side, for a calibration that leaves nothing of the images.
    """
    files = () if calibrations else camera.calibration
    calibrations = calibrations or read_calibrations(files)
    known = [
        *calibrations,
        *(
            CameraCalibration.rectified(camera, right)
            for right in (False, True)[len(calibrations) :]
        ),
    ]
    return tuple(_rectifier(calibration, side, files) for side, calibration in enumerate(known))


def _rectifier(calibration: CameraCalibration, side: int, files: tuple[str, ...]) -> Rectifier:
    try:
        return Rectifier(calibration)
    except ValueError as error:
        if side < len(files):
            raise UserError(f'{files[side]}: {error}') from error
        raise ValueError(f'{("left", "right")[side]} camera: {error}') from error


def _maps(calibration: CameraCalibration) -> tuple[np.ndarray, np.ndarray]:
    """(height, width) column and row of the raw image that each rectified pixel comes from."""
    size = (calibration.width, calibration.height)
    arguments = (
        calibration.matrix,
        calibration.distortion,
        calibration.rectification,
        calibration.projection[:, :3],
        size,
        cv2.CV_32FC1,
    )
    make = (
        cv2.fisheye.initUndistortRectifyMap
        if calibration.distortion_model == 'equidistant'
        else cv2.initUndistortRectifyMap
    )
    return make(*arguments)


def usable_share(across: np.ndarray, down: np.ndarray, size: tuple[int, int]) -> float:
    """How much of a rectified image shows something.

    Parameters
    ----------
    across, down : (height, width) arrays
        Column and row of the raw image that each rectified pixel comes from.
    size : (width, height)
        Of the raw image.

    Returns
    -------
    float
        Share of the pixels that come from within the raw image, where the map neither mirrors nor
        folds nor stands still (its Jacobian determinant is positive).
    """
    u, v = (values[::_EVERY_PX, ::_EVERY_PX].astype(float) for values in (across, down))
    inside = (u >= 0) & (u < size[0]) & (v >= 0) & (v < size[1])
    u, v = np.where(inside, u, 0.0), np.where(inside, v, 0.0)
    u_down, u_across = np.gradient(u)
    v_down, v_across = np.gradient(v)
    return float(np.mean(inside & (u_across * v_down - u_down * v_across > 0)))
