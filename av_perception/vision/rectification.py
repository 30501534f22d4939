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
LEAST_USABLE = 0.2
DOUBTFUL_USABLE = 0.5
_EVERY_PX = 8  # grid on which the share is measured


class Rectifier:
    """Takes distortion and the rotation against the other camera out of a camera's images.

    Attributes
    ----------
    problem
        A sentence when little is left of the images, else ''.

    Raises
    ------
    ValueError
        When hardly anything is: K, D, R and P do not belong together.
    """

    def __init__(self, calibration: CameraCalibration):
        self.problem = ''
        self._maps: tuple[np.ndarray, np.ndarray] | None = None
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
        """Rectify an image.

        Parameters
        ----------
        image
            (height, width[, channels]) uint8, raw.

        Returns
        -------
        np.ndarray
            Of the same shape; black where the raw image does not reach. The very image when it is
            rectified already.
        """
        return image if self._maps is None else cv2.remap(image, *self._maps, cv2.INTER_LINEAR)


def rectifiers_of(
    camera: CameraGeometry, calibrations: tuple[CameraCalibration, ...] = ()
) -> tuple[Rectifier, Rectifier]:
    """Make the rectifiers of the left and the right camera.

    Parameters
    ----------
    camera
        Of the head profile; its files are read when no calibrations are given. Without any,
        images are taken as rectified.
    calibrations
        Of the left or of both cameras.

    Returns
    -------
    left, right
        The latter also where there is one camera.

    Raises
    ------
    UserError
        For a file whose calibration leaves nothing of the images; it names the file.
    ValueError
        For such a calibration that was given; it names the side.
    """
    files = () if calibrations else camera.calibration
    calibrations = calibrations or read_calibrations(files)
    left, right = (
        calibrations[side]
        if side < len(calibrations)
        else CameraCalibration.rectified(camera, right=side == 1)
        for side in (0, 1)
    )
    return _rectifier(left, 0, files), _rectifier(right, 1, files)


def _rectifier(calibration: CameraCalibration, side: int, files: tuple[str, ...]) -> Rectifier:
    try:
        return Rectifier(calibration)
    except ValueError as error:
        if side < len(files):
            raise UserError(f'{files[side]}: {error}') from error
        raise ValueError(f'{("left", "right")[side]} camera: {error}') from error


def _maps(calibration: CameraCalibration) -> tuple[np.ndarray, np.ndarray]:
    """(height, width) column and row of the raw image that each rectified pixel comes from."""
    arguments = (
        calibration.matrix,
        calibration.distortion,
        calibration.rectification,
        calibration.projection[:, :3],
        (calibration.width, calibration.height),
        cv2.CV_32FC1,
    )
    if calibration.distortion_model == 'equidistant':
        return cv2.fisheye.initUndistortRectifyMap(*arguments)
    return cv2.initUndistortRectifyMap(*arguments)


def usable_share(across: np.ndarray, down: np.ndarray, size: tuple[int, int]) -> float:
    """Measure how much of a rectified image shows something.

    Parameters
    ----------
    across, down
        (height, width) column and row of the raw image that each rectified pixel comes from.
    size
        (width, height) of the raw image [px].

    Returns
    -------
    float
        Share of the pixels that come from within the raw image, where the map neither mirrors nor
        folds nor stands still (its Jacobian determinant is positive).
    """
    u = across[::_EVERY_PX, ::_EVERY_PX].astype(float)
    v = down[::_EVERY_PX, ::_EVERY_PX].astype(float)
    inside = (u >= 0) & (u < size[0]) & (v >= 0) & (v < size[1])
    u_down, u_across = np.gradient(np.where(inside, u, 0.0))
    v_down, v_across = np.gradient(np.where(inside, v, 0.0))
    determinant = u_across * v_down - u_down * v_across
    return float(np.mean(inside & (determinant > 0)))
