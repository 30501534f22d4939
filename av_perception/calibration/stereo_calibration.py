# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Calibrates two cameras from pairs of images of a board (Zhang 2000, "A flexible new technique for camera calibration", by OpenCV).

Each camera alone first, then both together with all intrinsics free. Pairs that do not belong
together, and pairs that fit much worse than the others, are left out and the rest is calibrated
once more; when most do not belong together all are refused. The result is judged by what stereo
matching needs: how far corresponding corners lie from each other's row once the pair is rectified.
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
OUTLIER_FACTOR, OUTLIER_PX = (
    3.0,
    1.0,
)  # a pair this many times worse than the median, and at least this bad, is left out
REFUSED_PX = 3.0  # RMS reprojection error of a pair beyond which nothing good can come out
_REFINE = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 40, 1e-4)


@dataclass(frozen=True)
class BoardConfig:
    """kind: 'chessboard', columns and rows counting inner corners, or 'charuco', counting squares; square_m: side of a square.

    marker_m, dictionary: of the markers in a ChArUco board; the dictionary by OpenCV's name without DICT_.
    """

    columns: int
    rows: int
    square_m: float
    kind: str = 'chessboard'
    marker_m: float = 0.0
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
    """left, right: the calibrations; names: of the pairs used; left_error_px, right_error_px: (pairs,) RMS reprojection errors;
    epipolar_error_px: (pairs,) RMS distance of corresponding corners from each other's row after rectification; without_board, outliers:
    names of the pairs that were not used; coverage: share of the left image, in 8 x 6 fields, where corners were seen."""

    left: CameraCalibration
    right: CameraCalibration
    names: tuple[str, ...]
    left_error_px: np.ndarray
    right_error_px: np.ndarray
    epipolar_error_px: np.ndarray
    without_board: tuple[str, ...]
    outliers: tuple[str, ...]
    coverage: float


class _Solution(NamedTuple):
    """Matrices and distortions of both cameras, rotation and translation that take points of the left one to the right one, and errors
    (pairs, 2), RMS reprojection [px]."""

    matrix_left: np.ndarray
    distortion_left: np.ndarray
    matrix_right: np.ndarray
    distortion_right: np.ndarray
    rotation: np.ndarray
    translation: np.ndarray
    errors: np.ndarray


class BoardDetector:
    """Finds the corners of the board."""

    def __init__(self, board: BoardConfig):
        self._board, self._charuco = board, None
        inner = (board.columns, board.rows)
        if board.kind == 'charuco':
            inner = (board.columns - 1, board.rows - 1)
            if not hasattr(cv2.aruco, 'CharucoDetector'):
                raise UserError(
                    f'OpenCV {cv2.__version__} has no CharucoDetector: install OpenCV 4.7 or later, or use a chessboard'
                )
            dictionary = cv2.aruco.getPredefinedDictionary(
                getattr(cv2.aruco, f'DICT_{board.dictionary}')
            )
            made = cv2.aruco.CharucoBoard(
                (board.columns, board.rows), board.square_m, board.marker_m, dictionary
            )
            self._charuco = cv2.aruco.CharucoDetector(made)
        self._inner = inner
        column, row = np.meshgrid(np.arange(inner[0]), np.arange(inner[1]))
        self.points = (
            np.column_stack([column.ravel(), row.ravel(), np.zeros(column.size)]).astype(
                np.float32
            )
            * board.square_m
        )

    def find(self, gray: np.ndarray) -> dict[int, np.ndarray]:
        """Number of a corner (row by row) -> its pixel (2,); empty when the board is not in the (height, width) uint8 image."""
        if self._charuco is not None:
            corners, ids, _, _ = self._charuco.detectBoard(gray)
            return (
                {}
                if ids is None
                else dict(zip(np.ravel(ids).tolist(), np.reshape(corners, (-1, 2))))
            )
        found, corners = cv2.findChessboardCorners(
            gray, self._inner, flags=cv2.CALIB_CB_ADAPTIVE_THRESH + cv2.CALIB_CB_NORMALIZE_IMAGE
        )
        if not found:
            return {}
        closest = np.linalg.norm(
            np.diff(corners.reshape(self._inner[1], self._inner[0], 2), axis=1), axis=2
        ).min()
        reach = int(
            np.clip(closest / 3, 2, 11)
        )  # a larger window would see the neighbouring corner
        corners = cv2.cornerSubPix(gray, corners, (reach, reach), (-1, -1), _REFINE)
        return dict(enumerate(corners.reshape(-1, 2)))


def calibrate_stereo(
    pairs: list[tuple[str, np.ndarray, np.ndarray]],
    board: BoardConfig,
    progress: Callable[[float], None] = lambda fraction: None,
) -> StereoCalibration:
    """From pairs of name, left and right (height, width) uint8 image. Raises UserError for images that cannot calibrate a pair."""
    detector, views, without = BoardDetector(board), [], []
    size = pairs[0][1].shape[::-1] if pairs else (0, 0)
    for index, (name, left, right) in enumerate(pairs):
        for image in (left, right):
            if image.shape[::-1] != size:
                raise UserError(
                    f'{name}: an image is {image.shape[1]}x{image.shape[0]}, the first one {size[0]}x{size[1]}'
                )
        view = _view(name, detector, left, right)
        if view is None:
            without.append(name)
        else:
            views.append(view)
        progress((index + 1) / len(pairs))
    _require(views, len(pairs), board)
    cameras = single_cameras(views, size)
    odd = odd_pairs(views, cameras, size)
    refuse_odd(views, odd, FEWEST_PAIRS)
    outliers = [view.name for view, is_odd in zip(views, odd) if is_odd]
    if outliers:
        views = [view for view, is_odd in zip(views, odd) if not is_odd]
        cameras = single_cameras(views, size)
    solution = _solve(views, cameras, size)
    bad = _outliers(solution.errors)
    if bad.any() and len(views) - bad.sum() >= FEWEST_PAIRS:
        outliers += [view.name for view, is_bad in zip(views, bad) if is_bad]
        views = [view for view, is_bad in zip(views, bad) if not is_bad]
        solution = _solve(views, single_cameras(views, size), size)
    _refuse_errors(views, solution.errors)
    left, right = _rectify(solution, size)
    epipolar = np.array([_row_error(view, left, right) for view in views])
    return StereoCalibration(
        left,
        right,
        tuple(view.name for view in views),
        *solution.errors.T,
        epipolar,
        tuple(without),
        tuple(outliers),
        _coverage(views, size),
    )


def _view(
    name: str, detector: BoardDetector, left: np.ndarray, right: np.ndarray
) -> BoardView | None:
    found = [detector.find(image) for image in (left, right)]
    common = sorted(found[0].keys() & found[1].keys())
    if len(common) < FEWEST_CORNERS:
        return None
    return BoardView(
        name,
        detector.points[common],
        *(np.array([side[k] for k in common], np.float32) for side in found),
    )


def _require(views: list[BoardView], total: int, board: BoardConfig) -> None:
    if len(views) < FEWEST_PAIRS:
        counted = 'inner corners' if board.kind == 'chessboard' else 'squares'
        raise UserError(
            f'the board is in {len(views)} of {total} image pairs, {FEWEST_PAIRS} are needed: is it a {board.kind} of '
            f'{board.columns}x{board.rows} {counted}, whole and sharp in both images?'
        )


def _refuse_errors(views: list[BoardView], errors: np.ndarray) -> None:
    """Raises UserError for reprojection errors (pairs, 2) [px] that no good calibration has."""
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
    points, left, right = (
        [getattr(view, side) for view in views] for side in ('points', 'left', 'right')
    )
    known = [value for camera in cameras for value in (camera.matrix, camera.distortion)]
    found = cv2.stereoCalibrateExtended(
        points,
        left,
        right,
        *known,
        size,
        np.eye(3),
        np.zeros((3, 1)),
        flags=FLAGS | cv2.CALIB_USE_INTRINSIC_GUESS,
    )
    solution = _Solution(*found[1:7], np.asarray(found[-1]))
    x, y, _ = solution.translation.ravel()
    if abs(x) < abs(y):
        raise UserError(
            'the cameras lie above each other: turn the images by 90 degrees, rows must connect left and right'
        )
    if x > 0:
        raise UserError('the left camera lies right of the right one: swap --left and --right')
    return solution


def _outliers(errors: np.ndarray) -> np.ndarray:
    """(pairs,) bool for errors (pairs, 2)."""
    worst = errors.max(axis=1)
    return worst > max(OUTLIER_FACTOR * np.median(worst), OUTLIER_PX)


def _rectify(
    solution: _Solution, size: tuple[int, int]
) -> tuple[CameraCalibration, CameraCalibration]:
    left, right = solution[0:2], solution[2:4]
    found = cv2.stereoRectify(
        *left,
        *right,
        size,
        solution.rotation,
        solution.translation,
        flags=cv2.CALIB_ZERO_DISPARITY,
        alpha=0,
    )
    return tuple(
        CameraCalibration(*size, matrix, distortion.ravel()[:5], 'plumb_bob', turn, projection)
        for (matrix, distortion), turn, projection in zip((left, right), found[0:2], found[2:4])
    )


def rectified_points(pixels: np.ndarray, calibration: CameraCalibration) -> np.ndarray:
    """(N, 2) raw pixels -> (N, 2) rectified ones."""
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
