# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The calibration of a camera as ROS keeps it.

A `camera_info` YAML file (camera_calibration_parsers, REP-104). A raw pixel becomes a ray by
`matrix` K and `distortion` D; the ray is turned by `rectification` R and projected by `projection`
P into the rectified image. In a rectified pair both P have the same focal lengths and center, and
P of the right camera carries -f * baseline in its last column.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from av_perception.config import are_missing, dump_yaml, read_yaml
from av_perception.errors import UserError
from av_perception.robot_head.plausibility import (
    check_baseline,
    check_camera_matrix,
    check_distortion,
    check_image_size,
    check_rotation,
)

_MATRICES = {'camera_matrix': (3, 3), 'rectification_matrix': (3, 3), 'projection_matrix': (3, 4)}
_KEYS = ('image_width', 'image_height', 'distortion_model', 'distortion_coefficients', *_MATRICES)
RECTIFIED_WITHIN_PX = 0.5  # how far the focal lengths and centers of a rectified pair may differ


@dataclass(frozen=True, eq=False)
class CameraCalibration:
    """What a camera_info message or file says.

    Raises ValueError for values that no camera has.
    """

    #: [px] of the raw and of the rectified images
    width: int
    #: [px] of the raw and of the rectified images
    height: int
    #: (3, 3) K [px] of the raw images
    matrix: np.ndarray
    #: (D,) coefficients of distortion_model
    distortion: np.ndarray
    #: a name of DISTORTION_MODELS
    distortion_model: str
    #: (3, 3) R, from the raw to the rectified camera's frame
    rectification: np.ndarray
    #: (3, 4) P [px, last column px m] of the rectified images
    projection: np.ndarray

    def __post_init__(self):
        arrays = (self.matrix, self.distortion, self.rectification, self.projection)
        numbers = np.concatenate([np.ravel(array) for array in arrays])
        if not np.isfinite(numbers).all():
            raise ValueError('the calibration holds numbers that are not finite')
        size = (self.width, self.height)
        check_image_size(*size)
        if not self.matrix[:2].any():
            raise ValueError(
                'the camera is not calibrated, its focal length is 0: run `av-perception '
                'calibrate stereo`, or for one camera the package camera_calibration of ROS'
            )
        if not self.projection[:2].any():
            raise ValueError(
                'the projection matrix P is all zeros: calibrate the two cameras as one stereo '
                'pair'
            )
        check_camera_matrix(self.matrix, size, 'K')
        check_distortion(self.distortion_model, self.distortion)
        check_rotation(self.rectification)
        check_camera_matrix(self.projection, size, 'P')

    @classmethod
    def of_driver(
        cls,
        width: int,
        height: int,
        matrix: np.ndarray,
        distortion: np.ndarray,
        distortion_model: str,
        rectification: np.ndarray,
        projection: np.ndarray,
        alone: bool,
    ) -> CameraCalibration:
        """Complete what a driver or file says, where drivers of single cameras leave zeros.

        Parameters
        ----------
        width, height, matrix, distortion, distortion_model, rectification, projection
            As in CameraCalibration.
        alone
            The camera is not one of a pair. An R of zeros is then the identity, a P of zeros is K.

        Raises
        ------
        ValueError
            For values that no camera has; for a camera of a pair zeros are such values.
        """
        if alone and not rectification.any():
            rectification = np.eye(3)
        if alone and not projection.any():
            projection = np.column_stack([matrix, np.zeros(3)])
        return cls(width, height, matrix, distortion, distortion_model, rectification, projection)

    @classmethod
    def rectified(cls, camera, right: bool) -> CameraCalibration:
        """Describe a camera whose images are rectified already.

        Parameters
        ----------
        camera
            A CameraGeometry, whose module imports this one.
        right
            The right camera of the pair, else the left one.
        """
        (fx, fy), (cx, cy) = camera.focal, camera.center
        matrix = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]], float)
        shift = -fx * camera.baseline if right else 0.0
        return cls(
            camera.width,
            camera.height,
            matrix,
            np.zeros(5),
            'plumb_bob',
            np.eye(3),
            np.column_stack([matrix, [shift, 0, 0]]),
        )

    @classmethod
    def read(cls, path: str | Path, alone: bool = False) -> CameraCalibration:
        """Read a camera_info YAML file.

        Parameters
        ----------
        path
            The file.
        alone
            See `of_driver`.

        Raises
        ------
        UserError
            When it is absent, malformed, or describes no camera.
        """
        content = read_yaml(Path(path))
        missing = [key for key in _KEYS if key not in content]
        if missing:
            raise UserError(f'{path} is no camera_info file: {are_missing(missing)}')
        try:
            matrix, rectification, projection = (
                _numbers(content, name).reshape(shape) for name, shape in _MATRICES.items()
            )
            return cls.of_driver(
                _pixels(content, 'image_width'),
                _pixels(content, 'image_height'),
                matrix,
                _numbers(content, 'distortion_coefficients'),
                str(content['distortion_model']),
                rectification,
                projection,
                alone,
            )
        except KeyError as error:
            raise UserError(
                f'{path} is no camera_info file: the key {error} is missing'
            ) from error
        except (TypeError, ValueError) as error:
            raise UserError(f'{path}: {error}') from error

    def write(self, path: str | Path, name: str) -> None:
        """Write a camera_info YAML file.

        Parameters
        ----------
        path
            The file.
        name
            Of the camera.

        Raises
        ------
        UserError
            When it cannot be written.
        """
        content = {
            'image_width': self.width,
            'image_height': self.height,
            'camera_name': name,
            'camera_matrix': _listed(self.matrix),
            'distortion_model': self.distortion_model,
            'distortion_coefficients': _listed(self.distortion[None]),
            'rectification_matrix': _listed(self.rectification),
            'projection_matrix': _listed(self.projection),
        }
        text = dump_yaml(content, default_flow_style=None, width=150)
        try:
            Path(path).write_text(text, encoding='utf-8')
        except OSError as error:
            raise UserError(f'cannot write {path}: {error.strerror}') from error

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CameraCalibration) and all(
            np.array_equal(getattr(self, f.name), getattr(other, f.name)) for f in fields(self)
        )

    @property
    def is_rectified(self) -> bool:
        """Whether raw and rectified image are the same."""
        return (
            not self.distortion.any()
            and np.allclose(self.rectification, np.eye(3))
            and np.allclose(self.matrix, self.projection[:, :3])
        )


def read_calibrations(paths: Sequence[str | Path]) -> tuple[CameraCalibration, ...]:
    """Read one camera's file, or the left and the right camera's. Raises UserError."""
    return tuple(CameraCalibration.read(path, alone=len(paths) == 1) for path in paths)


def rectified_geometry(calibrations: tuple[CameraCalibration, ...]) -> dict[str, Any]:
    """Describe a rectified camera or pair as a head profile does.

    Parameters
    ----------
    calibrations
        Of the camera, or of left and right.

    Returns
    -------
    dict
        width, height, focal, center and baseline, see CameraGeometry.

    Raises
    ------
    ValueError
        When the two do not form a rectified pair.
    """
    left = calibrations[0]
    geometry: dict[str, Any] = {
        'width': left.width,
        'height': left.height,
        'focal': [float(left.projection[0, 0]), float(left.projection[1, 1])],
        'center': [float(left.projection[0, 2]), float(left.projection[1, 2])],
        'baseline': 0.0,
    }
    if len(calibrations) == 1:
        return geometry
    return {**geometry, 'baseline': _baseline(left, calibrations[1])}


def _baseline(left: CameraCalibration, right: CameraCalibration) -> float:
    """Distance [m] of a rectified pair. Raises ValueError when the two are none."""
    if (left.width, left.height) != (right.width, right.height):
        raise ValueError(
            f'the left images are {left.width}x{left.height}, the right ones '
            f'{right.width}x{right.height}'
        )
    if np.abs(left.projection[:, :3] - right.projection[:, :3]).max() > RECTIFIED_WITHIN_PX:
        raise ValueError(
            'the projection matrices of left and right differ: calibrate the two as one stereo '
            'pair'
        )
    baseline = float(-right.projection[0, 3] / right.projection[0, 0])
    if baseline <= 0:
        raise ValueError(
            'the projection matrix of the right camera has no negative fourth column: calibrate '
            'the two as one stereo pair, and do not swap left and right'
        )
    check_baseline(baseline, float(right.projection[0, 3]))
    return baseline


def _numbers(content: dict, key: str) -> np.ndarray:
    """Read the numbers of a matrix in the file, flat."""
    return np.array(content[key]['data'], float).ravel()


def _pixels(content: dict, key: str) -> int:
    """Read a size of the image [px]."""
    value = content[key]
    is_whole = isinstance(value, int) or isinstance(value, float) and value.is_integer()
    if not is_whole:
        raise ValueError(f'{key} must be a whole number of pixels, not {value!r}')
    return int(value)


def _listed(matrix: np.ndarray) -> dict:
    return {
        'rows': matrix.shape[0],
        'cols': matrix.shape[1],
        'data': [float(value) for value in matrix.ravel()],
    }
