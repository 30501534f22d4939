# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""From the outputs of a detection network to faces: decoding and non-maximum suppression.

CenterFace: a face is a peak of the heat map; its cell holds the logarithm of the box size (scale),
the sub-cell offset of the center and the landmarks (Xu et al. 2020). BlazeFace: a grid of cells,
each with the score and the place of a face whose center lies near (Bazarevsky et al. 2019).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from av_perception.geometry.boxes import suppress_overlaps

HEAT_MAP_STRIDE = 4  # input pixels per cell of CenterFace's outputs
LARGEST_LOG_SIZE = 12.0  # of a box, in cells
BLAZEFACE_SIZE = 192  # [px] of its square input
BLAZEFACE_STRIDE = 4  # input pixels per cell
# What BlazeFace marks on a face 1 wide: its square box is 1.12 wide and 0.04 too low; brow to chin
# is 1.3.
BLAZEFACE_BOX = 1.12
BLAZEFACE_DROP = 0.04
FACE_HEIGHT = 1.3
# Of the distance of the eyes, on the eight faces that the triangulation is measured on.
MOUTH_WIDTH = 0.81


@dataclass(frozen=True)
class FaceDetections:
    """The N faces of one image, best score first."""

    #: (N, 4) left, top, width, height [px] of the image, not clipped at its border
    boxes: np.ndarray
    #: (N,) in [0, 1]
    scores: np.ndarray
    #: (N, 5, 2) [px] right eye, left eye, nose, right and left mouth corner, from the person's own
    #: side
    landmarks: np.ndarray
    #: of each, or of all, pixels of the image per pixel of the network's input, whose grid makes
    #: the boxes coarse
    input_scale: float | np.ndarray = 1.0

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def input_scales(self) -> np.ndarray:
        """(N,) pixels of the image per pixel of the network's input, of each face."""
        return np.broadcast_to(np.asarray(self.input_scale, float), len(self))

    def scaled(self, scale: np.ndarray) -> FaceDetections:
        """From pixels of the network's input to pixels of the image.

        Parameters
        ----------
        scale
            (2,) pixels of the image per pixel of the input, across and down.
        """
        return FaceDetections(
            self.boxes * np.tile(scale, 2),
            self.scores,
            self.landmarks * scale,
            float(scale.max()),
        )


def decode_centerface(
    heat_map: np.ndarray,
    scale: np.ndarray,
    offset: np.ndarray,
    landmarks: np.ndarray,
    score_threshold: float,
    overlap_threshold: float,
) -> FaceDetections:
    """Decode the four output maps of CenterFace for one image; see `decode_centerface_batch`.

    Returns
    -------
    FaceDetections
        In pixels of the network's input, the best of those that overlap.
    """
    faces, _ = decode_centerface_batch(heat_map, scale, offset, landmarks, score_threshold)
    return _best_of_overlapping(faces, score_threshold, overlap_threshold)


def decode_centerface_batch(
    heat_map: np.ndarray,
    scale: np.ndarray,
    offset: np.ndarray,
    landmarks: np.ndarray,
    score_threshold: float,
) -> tuple[FaceDetections, np.ndarray]:
    """Decode the four output maps of CenterFace for B images.

    Parameters
    ----------
    heat_map
        (B, 1, h, w) score of a face whose center lies in the cell.
    scale
        (B, 2, h, w) logarithm of height and width [cells].
    offset
        (B, 2, h, w) row and column of the center against the cell's [cells].
    landmarks
        (B, 10, h, w) row and column of each landmark as fractions of the box.
    score_threshold
        Below which there is no face.

    Returns
    -------
    faces : FaceDetections
        All M cells above the threshold, in pixels of the network's input.
    index : np.ndarray
        (M,) of the image that shows each.
    """
    index, rows, columns = np.nonzero(heat_map[:, 0] > score_threshold)
    scores = heat_map[index, 0, rows, columns].astype(float)
    size = _centerface_sizes(scale[index, ::-1, rows, columns].astype(float))
    cell = np.stack([columns, rows], axis=1)
    center = (cell + offset[index, ::-1, rows, columns] + 0.5) * HEAT_MAP_STRIDE
    corner = center - size / 2
    fractions = landmarks[index, :, rows, columns].reshape(-1, 5, 2)[..., ::-1]
    points = corner[:, None] + fractions * size[:, None]
    return FaceDetections(np.concatenate([corner, size], axis=1), scores, points), index


def _centerface_sizes(log_size: np.ndarray) -> np.ndarray:
    """(N, 2) width and height [px] from their logarithms [cells].

    exp of what an untrained or damaged network says may overflow: a size above 2^20 pixels is no
    face.
    """
    return np.exp(np.minimum(log_size, LARGEST_LOG_SIZE)) * HEAT_MAP_STRIDE


def decode_blazeface(
    regressors: np.ndarray,
    logits: np.ndarray,
    score_threshold: float,
    overlap_threshold: float,
) -> FaceDetections:
    """Decode the two outputs of BlazeFace's full-range network.

    Parameters
    ----------
    regressors
        (1, cells, 16) center, width and height of the box, then right and left eye, nose, mouth,
        right and left ear [px of the input]; all but the sizes from the middle of the cell. The
        cells lie on a square, row by row.
    logits
        (1, cells, 1) of the score.
    score_threshold
        Below which there is no face.
    overlap_threshold
        Intersection over union with a better face above which a face goes.

    Returns
    -------
    FaceDetections
        In pixels of the network's input.
    """
    side = BLAZEFACE_SIZE // BLAZEFACE_STRIDE
    scores = 1 / (1 + np.exp(-np.clip(logits.reshape(-1).astype(float), -50, 50)))
    index = np.nonzero(scores > score_threshold)[0]
    scores = scores[index]
    values = regressors.reshape(-1, 16)[index].astype(float)
    middle = (np.column_stack([index % side, index // side]) + 0.5) * BLAZEFACE_STRIDE
    # The square box becomes one from ear to ear and from brow to chin.
    width = values[:, 2] / BLAZEFACE_BOX
    size = np.column_stack([width, FACE_HEIGHT * width])
    center = values[:, :2] + middle
    center[:, 1] -= BLAZEFACE_DROP * width
    landmarks = _with_mouth_corners(values[:, 4:12].reshape(-1, 4, 2) + middle[:, None])
    faces = FaceDetections(np.column_stack([center - size / 2, size]), scores, landmarks)
    return _best_of_overlapping(faces, score_threshold, overlap_threshold)


def _best_of_overlapping(
    faces: FaceDetections, score_threshold: float, overlap_threshold: float
) -> FaceDetections:
    keep = suppress_overlaps(faces.boxes, faces.scores, score_threshold, overlap_threshold)
    return FaceDetections(faces.boxes[keep], faces.scores[keep], faces.landmarks[keep])


def _with_mouth_corners(points: np.ndarray) -> np.ndarray:
    """(N, 5, 2) landmarks from (N, 4, 2) right and left eye, nose and mouth.

    The corners of the mouth lie beside its center, parallel to the eyes.
    """
    right_eye, left_eye, nose, mouth = points.swapaxes(0, 1)
    aside = (left_eye - right_eye) * MOUTH_WIDTH / 2
    return np.stack([right_eye, left_eye, nose, mouth - aside, mouth + aside], axis=1)
