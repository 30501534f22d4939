# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""How far the middle of a detector's box lies from the head, by the size of the face.

Of a face that is w pixels of the image wide, which the network sees at 1 / s of its size, the
middle of the box has across, and with figures of its own down, the standard deviation

    sigma^2 = (spread w)^2 + (grid s max(1, small s / w))^2.

The first part grows with the face: where a network takes the middle of this person's face to be.
The second is of the network's grid: a small face is few cells wide. It holds for whole images and
for the larger pictures that crops are of them alike, each with its own s.

The figures were learnt from planted faces of eleven people whom `benchmark vision` does not show
(five talkers of GRID, six people of a group picture): `av-perception benchmark box-errors`
measures them anew. The spread holds, in squares, that of the errors about the box in a large
picture, and how far this lies from the middle of a face mesh of the same person: 0.018 of the
width across, 0.024 down.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from av_perception.geometry.boxes import far_corners

# Another face whose box is this near [px of the network's input] lies in the same or in the next
# cells of the grid: across, the second part is then so many times as large (225 faces beside
# nearer ones, of the same eleven people).
CROWDED_PX = 6.0
CROWDED_FACTOR = 1.7
# Of a covered face, per square of the covered share and across and down: by how many times the
# second part grows, and what the spread gains. Boxes shrink to what shows, or take in what covers
# it. People stand side by side, so that it is the sides of faces that are covered (200 faces of
# these people).
COVERED_GRID = np.array([8.0, 3.0])
COVERED_SPREAD = np.array([0.28, 0.15])


@dataclass(frozen=True)
class BoxNoise:
    """The noise of a detector's boxes (see the module's text).

    Attributes
    ----------
    spread
        Across and down, as fractions of the width of the box.
    grid_px
        Across and down [px of the network's input].
    small_px
        Faces that are narrower [px of the network's input] have more of it; 0 where they do not.
    size_factor
        How much coarser the sizes of its boxes are than CenterFace's.
    """

    spread: tuple[float, float]
    grid_px: tuple[float, float]
    small_px: float = 0.0
    size_factor: float = 1.0

    def center_stds(
        self, boxes: np.ndarray, input_scales: np.ndarray, covered: np.ndarray | float = 0.0
    ) -> np.ndarray:
        """Compute the standard deviations of the middles of an image's boxes.

        Parameters
        ----------
        boxes
            (N, 4) left, top, width and height [px of the image].
        input_scales
            (N,) pixels of the image per pixel of the network's input, see FaceDetections.
        covered
            (N,) share in [0, 1] of each face that something nearer covers, or one for all.

        Returns
        -------
        np.ndarray
            (N, 2) across and down [px of the image].
        """
        widths = boxes[:, 2]
        scales = np.asarray(input_scales, float)
        small = np.maximum(1.0, self.small_px * scales / widths)
        square = np.broadcast_to(np.asarray(covered, float) ** 2, len(boxes))[:, None]
        factor = 1.0 + COVERED_GRID * square
        factor[_are_crowded(boxes, scales), 0] += CROWDED_FACTOR - 1.0
        grid = np.array(self.grid_px) * (scales * small)[:, None] * factor
        spread = np.hypot(self.spread, COVERED_SPREAD * square)
        return np.hypot(spread * widths[:, None], grid)


def _are_crowded(boxes: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """(N,) whether a wider box is within CROWDED_PX of the network's input of each."""
    low = boxes[:, :2]
    high = far_corners(boxes)
    gap = np.maximum(low[:, None] - high[None], low[None] - high[:, None]).max(axis=2)
    is_wider = boxes[None, :, 2] > boxes[:, None, 2]
    return (is_wider & (gap < CROWDED_PX * scales[:, None])).any(axis=1)


CENTERFACE = BoxNoise((0.028, 0.044), (0.26, 0.36), small_px=24.0)
YUNET = BoxNoise((0.028, 0.033), (0.36, 0.61))
BLAZEFACE = BoxNoise((0.04, 0.024), (1.0, 0.85), small_px=10.0, size_factor=1.3)
