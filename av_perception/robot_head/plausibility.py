# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What sizes, distances, focal lengths, rotations and distortions a head can have.

Numbers that are finite may still be impossible: millimeters in place of meters, a translation that
lacks the focal length, a matrix that is no rotation. One function per physical quantity, used
wherever a head profile, a calibration file or a camera_info message is read. Each raises
ValueError with one sentence that names the quantity, its value and the likely unit or cause.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# Distance [m] between the two microphones of a head that are farthest apart.
ARRAY_SIZE_M = (0.005, 3.0)
# From the left to the right camera [m].
BASELINE_M = (0.01, 1.0)
# A sensor's distance [m] from the head's base frame, which may be the robot's foot.
FARTHEST_SENSOR_M = 5.0
IMAGE_SIZE_PX = (16, 16384)
# Focal length over image width: a field of view of 171 down to 3 degrees.
FOCAL_PER_WIDTH = (0.04, 20.0)
FOCAL_RATIO = 2.0  # pixels of real sensors are square, or twice as high as wide
ROTATION_WITHIN = 0.01  # of R R^T from the identity: files keep three digits at least
LARGEST_COEFFICIENT = 1000.0  # of real lenses: up to some tens, in rational models
FRACTION_DIGITS = 1e-6  # of the last rows of K and P
# How many coefficients each of ROS's distortion models may have; 0: there is no distortion.
DISTORTION_MODELS = {
    'plumb_bob': (0, 4, 5),
    'rational_polynomial': (8, 12, 14),
    'equidistant': (4,),
}
# Other units, as parts of a meter, from the most to the least frequent mistake.
_UNITS = (('millimeters', 1e-3), ('centimeters', 1e-2), ('inches', 0.0254))
_USUAL_SIZE_M = (0.02, 0.5)  # of arrays and baselines, to tell millimeters from centimeters
_USUAL_DISTANCE_M = (0.02, 2.0)  # of a sensor from the base frame
FRAME_RATE_HZ = (0.5, 1000.0)
SAMPLE_RATE_HZ = (8000, 192000)
_USUAL_RATE_HZ = (2.0, 240.0)
# Part of an image in which the principal point of an uncropped camera lies, across and down.
CENTER_WITHIN = (0.25, 0.75)


def likely_unit(value: float, usual: tuple[float, float] = _USUAL_SIZE_M) -> str:
    """Guess the unit of a length that is no usual one in meters.

    Parameters
    ----------
    value
        The length, taken as meters.
    usual
        Shortest and longest usual length [m].

    Returns
    -------
    str
        Plural of the unit in which it would be a usual one, or ''.
    """
    for unit, meters in _UNITS:
        if usual[0] <= value * meters <= usual[1]:
            return unit
    return ''


def check_sample_rate(rate: int, name: str = 'sample_rate') -> None:
    """Check the rate of a sound: one of 1 Hz would make an hour of each chunk.

    Parameters
    ----------
    rate
        In Hz.
    name
        What it is called where it stands.

    Raises
    ------
    ValueError
        When no device has it.
    """
    low, high = SAMPLE_RATE_HZ
    if not low <= rate <= high:
        raise ValueError(f'{name} must lie in {low}..{high} Hz, not {rate}')


def check_microphones(positions: np.ndarray) -> None:
    """Check the extent of an array.

    Parameters
    ----------
    positions
        (M, 3) of the microphones [m].

    Raises
    ------
    ValueError
        When the two that are farthest apart are nearer or farther than on any head.
    """
    if len(positions) < 2:
        return
    extent = float(np.linalg.norm(positions[:, None] - positions, axis=2).max())
    least, most = ARRAY_SIZE_M
    if not least <= extent <= most:
        raise ValueError(f'the outermost are {extent:.4g} m apart{_cause(extent, least, most)}')


def check_position(position: Sequence[float], what: str) -> None:
    """Check the place of a sensor.

    Parameters
    ----------
    position
        (3,) [m] in the head's base frame.
    what
        The sensor, in the message.

    Raises
    ------
    ValueError
        When it lies farther away than on any robot.
    """
    distance = float(np.linalg.norm(position))
    if distance > FARTHEST_SENSOR_M:
        cause = _cause(distance, 0.0, FARTHEST_SENSOR_M, _USUAL_DISTANCE_M)
        raise ValueError(f'position: the {what} lies {distance:.4g} m from the base frame{cause}')


def check_frame_rate(rate_hz: float) -> None:
    """Check how many images a camera gives a second. Raises ValueError."""
    least, most = FRAME_RATE_HZ
    if least <= rate_hz <= most:
        return
    period = rate_hz > 0 and _USUAL_RATE_HZ[0] <= 1 / rate_hz <= _USUAL_RATE_HZ[1]
    cause = f': seconds between images? Then write {1 / rate_hz:.4g}' if period else ''
    raise ValueError(f'frame_rate must lie in {least:g}..{most:g} Hz, not {rate_hz:g}{cause}')


def check_center(center: Sequence[float], size: tuple[int, int]) -> None:
    """Check a principal point that a person has written down.

    Parameters
    ----------
    center
        (2,) [px].
    size
        (width, height) of the image [px].

    Raises
    ------
    ValueError
        When it is so far from the middle that it, and the focal length with it, are those of
        images of another size.
    """
    least, most = CENTER_WITHIN
    if all(least < place / extent < most for place, extent in zip(center, size)):
        return
    raise ValueError(
        f'the center {center[0]:.4g}, {center[1]:.4g} lies far from the middle of images of '
        f'{size[0]}x{size[1]}: are focal and center those of images of another size? Both grow '
        'with the width'
    )


def check_baseline(baseline: float, shift: float | None = None) -> None:
    """Check the distance of two cameras.

    Parameters
    ----------
    baseline
        From the left to the right camera [m], positive.
    shift
        P[3] of the right camera (Tx) that it was computed from [px m].

    Raises
    ------
    ValueError
        For a baseline that no head has.
    """
    least, most = BASELINE_M
    if least <= baseline <= most:
        return
    if shift is None:
        raise ValueError(f'a baseline of {baseline:.4g} m{_cause(baseline, least, most)}')
    if baseline < least and least <= -shift <= most:
        focal = -shift / baseline
        raise ValueError(
            f'a baseline of {baseline:.4g} m: Tx of the right camera is {shift:.4g}, P[3] must be '
            f'-focal length times baseline, {focal * shift:.4g} for {-shift:.4g} m'
        )
    unit = likely_unit(baseline)
    cause = f': is the translation in {unit}?' if unit else _cause(baseline, least, most)
    raise ValueError(
        f'a baseline of {baseline:.4g} m{cause} (P[3] of the right camera is {shift:g})'
    )


def check_image_size(width: int, height: int) -> None:
    """Check the size of an image [px]. Raises ValueError."""
    least, most = IMAGE_SIZE_PX
    if min(width, height) <= 0:
        raise ValueError(f'the image size is {width}x{height}: the driver or file leaves it out')
    if min(width, height) < least:
        raise ValueError(f'an image of {width}x{height} is too small')
    if max(width, height) > most:
        raise ValueError(f'an image of {width}x{height} is too large: is the size in pixels?')


def check_lens(
    focal: Sequence[float] | np.ndarray,
    center: Sequence[float] | np.ndarray,
    size: tuple[int, int],
    what: str = 'focal',
) -> None:
    """Check focal lengths and principal point of a camera.

    Parameters
    ----------
    focal, center
        (2,) [px].
    size
        (width, height) of the image [px].
    what
        Name of the numbers in the message.

    Raises
    ------
    ValueError
        For a focal length that is not positive, of another unit, or of images of another size.
    """
    fx, fy = (float(value) for value in focal)
    for value in (fx, fy):
        _check_focal_length(value, size[0], what)
    if not 1 / FOCAL_RATIO <= fx / fy <= FOCAL_RATIO:
        raise ValueError(
            f'{what}: focal lengths of {fx:.4g} and {fy:.4g} pixels belong to no camera'
        )
    if not all(0 < place < extent for place, extent in zip(center, size)):
        raise ValueError(
            f'{what}: the center {center[0]:.4g}, {center[1]:.4g} does not lie in an '
            f'image of {size[0]}x{size[1]}: calibrated for images of another size?'
        )


def _check_focal_length(value: float, width: int, what: str) -> None:
    """Compare a focal length [px] with the width of the image [px]."""
    if value <= 0:
        raise ValueError(f'{what}: the focal length is {value:g}, it must be positive, in pixels')
    narrow, wide = (limit * width for limit in FOCAL_PER_WIDTH)
    cause = ''
    if value < narrow:
        cause = 'millimeters instead of pixels?'
    if value > wide:
        cause = 'calibrated for images of another size?'
    if cause:
        raise ValueError(
            f'{what}: a focal length of {value:.4g} pixels for images {width} pixels wide: {cause}'
        )


def check_camera_matrix(matrix: np.ndarray, size: tuple[int, int], name: str) -> None:
    """Check a camera matrix.

    Parameters
    ----------
    matrix
        K (3, 3), or P (3, 4) of a rectified camera [px].
    size
        (width, height) of the image [px].
    name
        Of the matrix, in the message.

    Raises
    ------
    ValueError
        For a last row that is not 0 0 1, and for what no lens has.
    """
    last = np.zeros(matrix.shape[1])
    last[2] = 1.0
    if np.abs(matrix[2] - last).max() > FRACTION_DIGITS:
        raise ValueError(
            f'the last row of {name} is {_listed(matrix[2])}, not {_listed(last)}: '
            'are its numbers in another order?'
        )
    check_lens(matrix[[0, 1], [0, 1]], matrix[:2, 2], size, name)


def check_rotation(rotation: np.ndarray) -> None:
    """Check R (3, 3) of a camera. Raises ValueError for a matrix that does not rotate."""
    if not rotation.any():
        raise ValueError('the rectification matrix R is all zeros')
    difference = float(np.abs(rotation @ rotation.T - np.eye(3)).max())
    if difference > ROTATION_WITHIN:
        raise ValueError(
            f'the rectification matrix R is no rotation, R R^T differs from the '
            f'identity by {difference:.3g}: calibrate again'
        )
    if np.linalg.det(rotation) < 0:
        raise ValueError(
            'the rectification matrix R mirrors, its determinant is -1: '
            'is the sign of one row wrong?'
        )


def check_distortion(model: str, coefficients: np.ndarray) -> None:
    """Check the distortion of a lens.

    Parameters
    ----------
    model
        Name of ROS's distortion model.
    coefficients
        (N,) D of that model.

    Raises
    ------
    ValueError
        For an unknown model, another number of coefficients, or some that no lens has.
    """
    count = len(coefficients)
    if model not in DISTORTION_MODELS:
        raise ValueError(
            f"the distortion model '{model}' is not one of {', '.join(DISTORTION_MODELS)}"
        )
    allowed = DISTORTION_MODELS[model]
    if count not in allowed:
        fitting = [name for name, counts in DISTORTION_MODELS.items() if count in counts]
        advice = f'; {count} are those of {" or ".join(fitting)}: name that' if fitting else ''
        raise ValueError(
            f'distortion: {model} has {_alternatives(allowed)} coefficients, not {count}{advice}'
        )
    if count and np.abs(coefficients).max() > LARGEST_COEFFICIENT:
        worst = coefficients[np.argmax(np.abs(coefficients))]
        raise ValueError(
            f'distortion: a coefficient of {worst:.4g} belongs to no lens: calibrate again'
        )


def _cause(
    value: float, least: float, most: float, usual: tuple[float, float] = _USUAL_SIZE_M
) -> str:
    """Tell the likely unit of a length, or else which lengths [m] are possible."""
    unit = likely_unit(value, usual)
    return f': {unit} instead of meters?' if unit else f', {least:g} to {most:g} m are possible'


def _alternatives(counts: tuple[int, ...]) -> str:
    *others, last = map(str, counts)
    return f'{", ".join(others)} or {last}' if others else last


def _listed(row: np.ndarray) -> str:
    return ' '.join(f'{value:.4g}' for value in row)
