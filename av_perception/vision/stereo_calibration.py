"""Calibrates two cameras from pairs of images of a board (Zhang 2000, "A flexible new technique for camera calibration", by OpenCV).

Each camera alone first, then both together with all intrinsics free; pairs that fit much worse than the others are left out and the rest
is calibrated once more. The result is judged by what stereo matching needs: how far corresponding corners lie from each other's row once
the pair is rectified.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from av_perception.errors import UserError
from av_perception.heads.calibration import CameraCalibration

FEWEST_PAIRS = 5
FEWEST_CORNERS = 8
OUTLIER_FACTOR, OUTLIER_PX = 3.0, 1.0   # a pair this many times worse than the median, and at least this bad, is left out
AGREE_SHARE = 0.01   # of the image's diagonal: a pair off by more from what another pair predicts is not of this head
REFUSED_PX = 3.0     # RMS reprojection error of a pair beyond which nothing good can come out
_NAMED = 12          # pairs in a message
_FLAGS = cv2.CALIB_FIX_K3   # boards rarely reach the corners of the image that would determine it
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
            raise ValueError(f'a board of {self.columns}x{self.rows} is not one of 3 to 100 columns and rows')
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


@dataclass(frozen=True)
class _View:
    """Corners that both cameras see in one pair: points (N, 3) [m] of the board, left and right (N, 2) pixels."""

    name: str
    points: np.ndarray
    left: np.ndarray
    right: np.ndarray


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
                raise UserError(f'OpenCV {cv2.__version__} has no CharucoDetector: install OpenCV 4.7 or later, or use a chessboard')
            dictionary = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, f'DICT_{board.dictionary}'))
            made = cv2.aruco.CharucoBoard((board.columns, board.rows), board.square_m, board.marker_m, dictionary)
            self._charuco = cv2.aruco.CharucoDetector(made)
        self._inner = inner
        column, row = np.meshgrid(np.arange(inner[0]), np.arange(inner[1]))
        self.points = np.column_stack([column.ravel(), row.ravel(), np.zeros(column.size)]).astype(np.float32) * board.square_m

    def find(self, gray: np.ndarray) -> dict[int, np.ndarray]:
        """Number of a corner (row by row) -> its pixel (2,); empty when the board is not in the (height, width) uint8 image."""
        if self._charuco is not None:
            corners, ids, _, _ = self._charuco.detectBoard(gray)
            return {} if ids is None else dict(zip(np.ravel(ids).tolist(), np.reshape(corners, (-1, 2))))
        found, corners = cv2.findChessboardCorners(gray, self._inner, flags=cv2.CALIB_CB_ADAPTIVE_THRESH + cv2.CALIB_CB_NORMALIZE_IMAGE)
        if not found:
            return {}
        closest = np.linalg.norm(np.diff(corners.reshape(self._inner[1], self._inner[0], 2), axis=1), axis=2).min()
        reach = int(np.clip(closest / 3, 2, 11))   # a larger window would see the neighbouring corner
        corners = cv2.cornerSubPix(gray, corners, (reach, reach), (-1, -1), _REFINE)
        return dict(enumerate(corners.reshape(-1, 2)))


def calibrate_stereo(pairs: list[tuple[str, np.ndarray, np.ndarray]], board: BoardConfig,
                     progress: Callable[[float], None] = lambda fraction: None) -> StereoCalibration:
    """From pairs of name, left and right (height, width) uint8 image. Raises UserError for images that cannot calibrate a pair."""
    detector, views, without = BoardDetector(board), [], []
    size = pairs[0][1].shape[::-1] if pairs else (0, 0)
    for index, (name, left, right) in enumerate(pairs):
        for image in (left, right):
            if image.shape[::-1] != size:
                raise UserError(f'{name}: an image is {image.shape[1]}x{image.shape[0]}, the first one {size[0]}x{size[1]}')
        view = _view(name, detector, left, right)
        if view is None:
            without.append(name)
        else:
            views.append(view)
        progress((index + 1) / len(pairs))
    _require(views, len(pairs), board)
    cameras = _cameras(views, size)
    odd = _odd(views, cameras, size)
    _refuse_odd(views, odd)
    outliers = [view.name for view, is_odd in zip(views, odd) if is_odd]
    if outliers:
        views = [view for view, is_odd in zip(views, odd) if not is_odd]
        cameras = _cameras(views, size)
    solution = _solve(views, cameras, size)
    bad = _outliers(solution.errors)
    if bad.any() and len(views) - bad.sum() >= FEWEST_PAIRS:
        outliers += [view.name for view, is_bad in zip(views, bad) if is_bad]
        views = [view for view, is_bad in zip(views, bad) if not is_bad]
        solution = _solve(views, _cameras(views, size), size)
    _refuse_errors(views, solution.errors)
    left, right = _rectify(solution, size)
    epipolar = np.array([_row_error(view, left, right) for view in views])
    return StereoCalibration(left, right, tuple(view.name for view in views), *solution.errors.T, epipolar, tuple(without), tuple(outliers),
                             _coverage(views, size))


def _view(name: str, detector: BoardDetector, left: np.ndarray, right: np.ndarray) -> _View | None:
    found = [detector.find(image) for image in (left, right)]
    common = sorted(found[0].keys() & found[1].keys())
    if len(common) < FEWEST_CORNERS:
        return None
    return _View(name, detector.points[common], *(np.array([side[k] for k in common], np.float32) for side in found))


def _require(views: list[_View], total: int, board: BoardConfig) -> None:
    if len(views) < FEWEST_PAIRS:
        counted = 'inner corners' if board.kind == 'chessboard' else 'squares'
        raise UserError(f'the board is in {len(views)} of {total} image pairs, {FEWEST_PAIRS} are needed: is it a {board.kind} of '
                        f'{board.columns}x{board.rows} {counted}, whole and sharp in both images?')


class _Camera(NamedTuple):
    """One camera alone: matrix (3, 3), distortion, and per view the pose of the board, rotation (3, 3) and translation (3, 1)."""

    matrix: np.ndarray
    distortion: np.ndarray
    rotations: list[np.ndarray]
    translations: list[np.ndarray]


def _cameras(views: list[_View], size: tuple[int, int]) -> tuple[_Camera, _Camera]:
    points = [view.points for view in views]
    cameras = []
    for pixels in ([view.left for view in views], [view.right for view in views]):
        _, matrix, distortion, turns, translations = cv2.calibrateCamera(points, pixels, size, None, None, flags=_FLAGS)
        cameras.append(_Camera(matrix, distortion, [cv2.Rodrigues(turn)[0] for turn in turns], translations))
    return tuple(cameras)


def _odd(views: list[_View], cameras: tuple[_Camera, _Camera], size: tuple[int, int]) -> np.ndarray:
    """(pairs,) bool: those that do not fit the pair that most others fit.

    Every pair alone says how the cameras stand to each other. Of images taken at different moments each says something else.
    """
    left, right = cameras
    errors = np.zeros((len(views), len(views)))
    for first in range(len(views)):
        rotation = right.rotations[first] @ left.rotations[first].T
        translation = right.translations[first] - rotation @ left.translations[first]
        for other, view in enumerate(views):
            turn, _ = cv2.Rodrigues(rotation @ left.rotations[other])
            place = rotation @ left.translations[other] + translation
            expected, _ = cv2.projectPoints(view.points, turn, place, right.matrix, right.distortion)
            errors[first, other] = np.sqrt(np.mean(np.sum((expected.reshape(-1, 2) - view.right) ** 2, axis=1)))
    off = errors > AGREE_SHARE * np.hypot(*size)
    return off[np.argmin(off.sum(axis=1))]


def _refuse_odd(views: list[_View], odd: np.ndarray) -> None:
    """Raises UserError when not even half of the pairs belong together."""
    if 2 * odd.sum() < len(views):
        return
    if odd.sum() == len(views) - 1:
        raise UserError(f'no two of the {len(views)} image pairs agree on how the cameras stand to each other: does the k-th left image belong '
                        f'to the k-th right one? {_some([view.name for view in views])}')
    names = [view.name for view, is_odd in zip(views, odd) if is_odd]
    raise UserError(f'{len(names)} of {len(views)} image pairs do not belong together, is an image missing on one side? {_some(names)}')


def _refuse_errors(views: list[_View], errors: np.ndarray) -> None:
    """Raises UserError for reprojection errors (pairs, 2) [px] that no good calibration has."""
    rms = np.sqrt(np.mean(errors ** 2))
    if rms > REFUSED_PX:
        worst = np.argsort(-errors.max(axis=1))
        raise UserError(f'the corners are {rms:.1f} px (RMS) off where they should be, at most {REFUSED_PX:g} are accepted: is the board flat, did something '
                        f'move? The worst first: {_some([views[index].name for index in worst])}')


def _some(names: list[str]) -> str:
    return ', '.join(names[:_NAMED]) + (', ...' if len(names) > _NAMED else '')


def _solve(views: list[_View], cameras: tuple[_Camera, _Camera], size: tuple[int, int]) -> _Solution:
    points, left, right = ([getattr(view, side) for view in views] for side in ('points', 'left', 'right'))
    known = [value for camera in cameras for value in (camera.matrix, camera.distortion)]
    found = cv2.stereoCalibrateExtended(points, left, right, *known, size, np.eye(3), np.zeros((3, 1)), flags=_FLAGS | cv2.CALIB_USE_INTRINSIC_GUESS)
    solution = _Solution(*found[1:7], np.asarray(found[-1]))
    x, y, _ = solution.translation.ravel()
    if abs(x) < abs(y):
        raise UserError('the cameras lie above each other: turn the images by 90 degrees, rows must connect left and right')
    if x > 0:
        raise UserError('the left camera lies right of the right one: swap --left and --right')
    return solution


def _outliers(errors: np.ndarray) -> np.ndarray:
    """(pairs,) bool for errors (pairs, 2)."""
    worst = errors.max(axis=1)
    return worst > max(OUTLIER_FACTOR * np.median(worst), OUTLIER_PX)


def _rectify(solution: _Solution, size: tuple[int, int]) -> tuple[CameraCalibration, CameraCalibration]:
    left, right = solution[0:2], solution[2:4]
    found = cv2.stereoRectify(*left, *right, size, solution.rotation, solution.translation, flags=cv2.CALIB_ZERO_DISPARITY, alpha=0)
    return tuple(CameraCalibration(*size, matrix, distortion.ravel()[:5], 'plumb_bob', turn, projection)
                 for (matrix, distortion), turn, projection in zip((left, right), found[0:2], found[2:4]))


def rectified_points(pixels: np.ndarray, calibration: CameraCalibration) -> np.ndarray:
    """(N, 2) raw pixels -> (N, 2) rectified ones."""
    points = np.asarray(pixels, np.float64).reshape(-1, 1, 2)
    return cv2.undistortPoints(points, calibration.matrix, calibration.distortion, R=calibration.rectification, P=calibration.projection).reshape(-1, 2)


def _row_error(view: _View, left: CameraCalibration, right: CameraCalibration) -> float:
    rows = rectified_points(view.left, left)[:, 1] - rectified_points(view.right, right)[:, 1]
    return float(np.sqrt(np.mean(rows ** 2)))


def _coverage(views: list[_View], size: tuple[int, int]) -> float:
    pixels = np.concatenate([view.left for view in views])
    fields = np.unique(np.floor(pixels / np.array(size) * [8, 6]).astype(int), axis=0)
    return len(fields) / 48
