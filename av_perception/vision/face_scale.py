# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Whether faces are as wide as people's at the depth that two cameras measure.

A wrong baseline, or images of one width with the calibration of another baseline, scales all
places, and nothing else shows it: directions stay right and tracks steady.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np

from av_perception.robot_head.profile import CameraGeometry
from av_perception.vision.stereo_matching import FaceMatch

LEAST_FACES = 50
REMEMBERED = 250
_EVERY = 25  # faces: so often their median is taken
LARGEST_RATIO = 1.35  # people's heads, and the boxes of detectors, differ by some 15 %


class FaceScale:
    """Remembers how wide faces were, over how wide they should have been.

    Parameters
    ----------
    camera
        The pair.
    face_width_m
        [m] of what the detector puts a box around.
    """

    def __init__(self, camera: CameraGeometry, face_width_m: float):
        self._camera = camera
        self._face_width_m = face_width_m
        self._ratios: deque[float] = deque(maxlen=REMEMBERED)
        self._num_noted = 0
        self._median = 1.0  # of the ratios, once there are enough

    def note(self, boxes: np.ndarray, matches: Sequence[FaceMatch]) -> None:
        """Take the boxes (N, 4) [px] of an image with their N matches."""
        fov_scale = self._camera.baseline / self._face_width_m
        for box, match in zip(boxes, matches, strict=True):
            if match.disparity is not None and not match.covered:
                self._append(float(box[2]) * fov_scale / match.disparity.disparity)

    def _append(self, ratio: float) -> None:
        self._ratios.append(ratio)
        self._num_noted += 1
        if self._num_noted >= LEAST_FACES and self._num_noted % _EVERY == 0:
            self._median = float(np.median(self._ratios))

    @property
    def problem(self) -> str:
        """A sentence when most faces are of no people's size, else ''."""
        ratio = self._median
        if 1 / LARGEST_RATIO <= ratio <= LARGEST_RATIO:
            return ''
        baseline = self._camera.baseline
        return (
            f'at the depth that the two cameras measure, faces are {ratio:.2f} times as wide as '
            f"people's: is the baseline of {baseline:.3g} m right? {baseline / ratio:.2g} m would "
            'fit; all distances are wrong by as much'
        )
