# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Stereo calibration from pairs of images of a board.

Source: Zhang, "A flexible new technique for camera calibration", 2000, by OpenCV. Each camera
alone first, then both together with all intrinsics free. Pairs that do not belong together, and
pairs that fit much worse than the others, are left out and the rest is calibrated once more; when
most do not belong together all are refused. The result is judged by what stereo matching needs:
how far corresponding corners lie from each other's row once the pair is rectified.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from av_perception.calibration.board_views import (
    FLAGS,
    BoardView,
    SingleCamera,
    odd_pairs,
    refuse_odd,
    single_cameras,
    some_names,
)
from av_perception.errors import UserError
from av_perception.robot_head.camera_calibration import CameraCalibration

FEWEST_PAIRS = 5
FEWEST_CORNERS = 8
# A pair this many times worse than the median, and at least this bad, is left out.
OUTLIER_FACTOR = 3.0
OUTLIER_PX = 1.0
REFUSED_PX = 3.0  # RMS reprojection error of a pair beyond which nothing good can come out
_REFINE = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 40, 1e-4)


@dataclass(frozen=True)
class BoardConfig:
    """What is on the board."""

    #: Inner corners of a chessboard, squares of a ChArUco board, in a row.
    columns: int
    #: The same in a column.
    rows: int
    #: [m] side of a square.
    square_m: float
    #: 'chessboard' or 'charuco'.
    kind: str = 'chessboard'
    #: [m] side of a marker of a ChArUco board.
    marker_m: float = 0.0
    #: Of its markers, by OpenCV's name without DICT_.
    dictionary: str = '5X5_100'

    def __post_init__(self):
        if self.kind not in ('chessboard', 'charuco'):
            raise ValueError(f"the board is 'chessboard' or 'charuco', not {self.kind!r}")
        if min(self.columns, self.rows) < 3 or max(self.columns, self.rows) > 100:
            raise ValueError(
                f'a board of {self.columns}x{self.rows} is not one of 3 to 100 columns and rows'
            )
        if not 0.001 <= self.square_m <= 1:
            raise ValueError(f'the squares must be 0.001 to 1 m wide, not {self.square_m}')
        if self.kind == 'charuco' and not 0 < self.marker_m < self.square_m:
            raise ValueError('the markers of a ChArUco board must be smaller than its squares')
        if self.kind == 'charuco' and not hasattr(cv2.aruco, f'DICT_{self.dictionary}'):
            raise ValueError(f"'{self.dictionary}' is no dictionary of OpenCV, such as 5X5_100")


@dataclass(frozen=True)
class StereoCalibration:
    """Both cameras, and how well the pairs of images fit them."""

    left: CameraCalibration
    right: CameraCalibration
    #: Of the pairs used.
    names: tuple[str, ...]
    #: (pairs,) RMS reprojection error [px].
    left_error_px: np.ndarray
    #: (pairs,) RMS reprojection error [px].
    right_error_px: np.ndarray
    #: (pairs,) RMS distance [px] of corresponding corners from each other's rectified row.
    epipolar_error_px: np.ndarray
    #: Names of the pairs in which the board was not found.
    without_board: tuple[str, ...]
    #: Names of the pairs that were left out.
    outliers: tuple[str, ...]
    #: Share of the left image, in 8 x 6 fields, where corners were seen.
    coverage: float


class _Solution(NamedTuple):
    """What OpenCV finds; the rotation and translation take points of the left camera to the right.

    errors: (pairs, 2) RMS reprojection [px].
    """

    matrix_left: np.ndarray
    distortion_left: np.ndarray
    matrix_right: np.ndarray
    distortion_right: np.ndarray
    rotation: np.ndarray
    translation: np.ndarray
    errors: np.ndarray


class BoardDetector:
    """Finds the corners of the board.

    Raises UserError for a ChArUco board when OpenCV is too old for one.
    """

    def __init__(self, board: BoardConfig):
        self._charuco = None
        inner = (board.columns, board.rows)
        if board.kind == 'charuco':
            inner = (board.columns - 1, board.rows - 1)
            self._charuco = _charuco_detector(board)
        self._inner = inner
        column, row = np.meshgrid(np.arange(inner[0]), np.arange(inner[1]))
        points = np.column_stack([column.ravel(), row.ravel(), np.zeros(column.size)])
        #: (corners, 3) [m] of the corners on the board, row by row.
        self.points = points.astype(np.float32) * board.square_m

    def find(self, gray: np.ndarray) -> dict[int, np.ndarray]:
        """Find the corners in an image.

        Parameters
        ----------
        gray
            (height, width) uint8.

        Returns
        -------
        dict
            Number of a corner (row by row) to its pixel (2,); empty without the board.
        """
        if self._charuco is not None:
            corners, ids, _, _ = self._charuco.detectBoard(gray)
            if ids is None:
                return {}
            return dict(zip(np.ravel(ids).tolist(), np.reshape(corners, (-1, 2))))
        flags = cv2.CALIB_CB_ADAPTIVE_THRESH + cv2.CALIB_CB_NORMALIZE_IMAGE
        found, corners = cv2.findChessboardCorners(gray, self._inner, flags=flags)
        if not found:
            return {}
        grid = corners.reshape(self._inner[1], self._inner[0], 2)
        closest = np.linalg.norm(np.diff(grid, axis=1), axis=2).min()
        reach = int(np.clip(closest / 3, 2, 11))  # a larger window would see the next corner
        corners = cv2.cornerSubPix(gray, corners, (reach, reach), (-1, -1), _REFINE)
        return dict(enumerate(corners.reshape(-1, 2)))


def _charuco_detector(board: BoardConfig):
    if not hasattr(cv2.aruco, 'CharucoDetector'):
        raise UserError(
            f'OpenCV {cv2.__version__} has no CharucoDetector: install OpenCV 4.7 or later, '
            'or use a chessboard'
        )
    name = getattr(cv2.aruco, f'DICT_{board.dictionary}')
    dictionary = cv2.aruco.getPredefinedDictionary(name)
    squares = (board.columns, board.rows)
    made = cv2.aruco.CharucoBoard(squares, board.square_m, board.marker_m, dictionary)
    return cv2.aruco.CharucoDetector(made)


def calibrate_stereo(
    pairs: list[tuple[str, np.ndarray, np.ndarray]],
    board: BoardConfig,
    progress: Callable[[float], None] = lambda fraction: None,
) -> StereoCalibration:
    """Calibrate two cameras.

    Parameters
    ----------
    pairs
        Name, left and right (height, width) uint8 image of each.
    board
        What is on the board.
    progress
        Told the fraction of the images that was looked at.

    Raises
    ------
    UserError
        When the images cannot calibrate a pair.
    """
    size = pairs[0][1].shape[::-1] if pairs else (0, 0)
    views, without = _find_board(pairs, BoardDetector(board), size, progress)
    _require(views, len(pairs), board)
    # Pairs that do not belong together.
    odd = odd_pairs(views, single_cameras(views, size), size)
    refuse_odd(views, odd, FEWEST_PAIRS)
    views, outliers = _without(views, odd)
    # Pairs that fit much worse than the others.
    solution = _solve(views, single_cameras(views, size), size)
    bad = _outliers(solution.errors)
    if bad.any() and len(views) - bad.sum() >= FEWEST_PAIRS:
        views, badly_fitting = _without(views, bad)
        outliers = outliers + badly_fitting
        solution = _solve(views, single_cameras(views, size), size)
    _refuse_errors(views, solution.errors)
    return _judged(solution, views, size, tuple(without), outliers)


def _find_board(pairs, detector: BoardDetector, size: tuple[int, int], progress):
    """Collect views of the pairs that show the board, and names of those that do not."""
    views: list[BoardView] = []
    without: list[str] = []
    for index, (name, left, right) in enumerate(pairs):
        for image in (left, right):
            if image.shape[::-1] != size:
                raise UserError(
                    f'{name}: an image is {image.shape[1]}x{image.shape[0]}, '
                    f'the first one {size[0]}x{size[1]}'
                )
        view = _view(name, detector, left, right)
        if view is None:
            without.append(name)
        else:
            views.append(view)
        progress((index + 1) / len(pairs))
    return views, without


def _without(
    views: list[BoardView], left_out: np.ndarray
) -> tuple[list[BoardView], tuple[str, ...]]:
    """Drop the views of a (pairs,) bool mask, and the names of those."""
    kept = [view for view, is_out in zip(views, left_out) if not is_out]
    return kept, tuple(view.name for view, is_out in zip(views, left_out) if is_out)


def _judged(
    solution: _Solution,
    views: list[BoardView],
    size: tuple[int, int],
    without: tuple[str, ...],
    outliers: tuple[str, ...],
) -> StereoCalibration:
    left, right = _rectify(solution, size)
    return StereoCalibration(
        left,
        right,
        names=tuple(view.name for view in views),
        left_error_px=solution.errors[:, 0],
        right_error_px=solution.errors[:, 1],
        epipolar_error_px=np.array([_row_error(view, left, right) for view in views]),
        without_board=without,
        outliers=outliers,
        coverage=_coverage(views, size),
    )


def _view(
    name: str, detector: BoardDetector, left: np.ndarray, right: np.ndarray
) -> BoardView | None:
    """Find the corners that both images show; None for too few."""
    in_left = detector.find(left)
    in_right = detector.find(right)
    common = sorted(in_left.keys() & in_right.keys())
    if len(common) < FEWEST_CORNERS:
        return None
    left_px = np.array([in_left[k] for k in common], np.float32)
    right_px = np.array([in_right[k] for k in common], np.float32)
    return BoardView(name, detector.points[common], left_px, right_px)


def _require(views: list[BoardView], total: int, board: BoardConfig) -> None:
    if len(views) < FEWEST_PAIRS:
        counted = 'inner corners' if board.kind == 'chessboard' else 'squares'
        raise UserError(
            f'the board is in {len(views)} of {total} image pairs, {FEWEST_PAIRS} are needed: '
            f'is it a {board.kind} of {board.columns}x{board.rows} {counted}, '
            'whole and sharp in both images?'
        )


def _refuse_errors(views: list[BoardView], errors: np.ndarray) -> None:
    """Refuse reprojection errors (pairs, 2) [px] that no good calibration has."""
    rms = np.sqrt(np.mean(errors**2))
    if rms > REFUSED_PX:
        worst = np.argsort(-errors.max(axis=1))
        raise UserError(
            f'the corners are {rms:.1f} px (RMS) off where they should be, at most '
            f'{REFUSED_PX:g} are accepted: is the board flat, did something move? '
            f'The worst first: {some_names([views[index].name for index in worst])}'
        )


def _solve(
    views: list[BoardView], cameras: tuple[SingleCamera, SingleCamera], size: tuple[int, int]
) -> _Solution:
    """Both cameras together, starting from each alone."""
    found = cv2.stereoCalibrateExtended(
        [view.points for view in views],
        [view.left for view in views],
        [view.right for view in views],
        *(value for camera in cameras for value in (camera.matrix, camera.distortion)),
        size,
        np.eye(3),
        np.zeros((3, 1)),
        flags=FLAGS | cv2.CALIB_USE_INTRINSIC_GUESS,
    )
    _, left, left_bend, right, right_bend, rotation, translation, *_, errors = found
    solution = _Solution(
        left, left_bend, right, right_bend, rotation, translation, np.asarray(errors)
    )
    x, y, _ = solution.translation.ravel()
    if abs(x) < abs(y):
        raise UserError(
            'the cameras lie above each other: turn the images by 90 degrees, '
            'rows must connect left and right'
        )
    if x > 0:
        raise UserError('the left camera lies right of the right one: swap --left and --right')
    return solution


def _outliers(errors: np.ndarray) -> np.ndarray:
    """Which errors (pairs, 2) stand out, (pairs,) bool."""
    worst = errors.max(axis=1)
    return worst > max(OUTLIER_FACTOR * np.median(worst), OUTLIER_PX)


def _rectify(
    solution: _Solution, size: tuple[int, int]
) -> tuple[CameraCalibration, CameraCalibration]:
    turn_left, turn_right, project_left, project_right, *_ = cv2.stereoRectify(
        solution.matrix_left,
        solution.distortion_left,
        solution.matrix_right,
        solution.distortion_right,
        size,
        solution.rotation,
        solution.translation,
        flags=cv2.CALIB_ZERO_DISPARITY,
        alpha=0,
    )

    def calibration(matrix, distortion, turn, projection) -> CameraCalibration:
        coefficients = distortion.ravel()[:5]
        return CameraCalibration(*size, matrix, coefficients, 'plumb_bob', turn, projection)

    return (
        calibration(solution.matrix_left, solution.distortion_left, turn_left, project_left),
        calibration(solution.matrix_right, solution.distortion_right, turn_right, project_right),
    )


def rectified_points(pixels: np.ndarray, calibration: CameraCalibration) -> np.ndarray:
    """Map (N, 2) raw pixels to (N, 2) rectified ones."""
    points = np.asarray(pixels, np.float64).reshape(-1, 1, 2)
    return cv2.undistortPoints(
        points,
        calibration.matrix,
        calibration.distortion,
        R=calibration.rectification,
        P=calibration.projection,
    ).reshape(-1, 2)


def _row_error(view: BoardView, left: CameraCalibration, right: CameraCalibration) -> float:
    rows = rectified_points(view.left, left)[:, 1] - rectified_points(view.right, right)[:, 1]
    return float(np.sqrt(np.mean(rows**2)))


def _coverage(views: list[BoardView], size: tuple[int, int]) -> float:
    pixels = np.concatenate([view.left for view in views])
    fields = np.unique(np.floor(pixels / np.array(size) * [8, 6]).astype(int), axis=0)
    return len(fields) / 48
