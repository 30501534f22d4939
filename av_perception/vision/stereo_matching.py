# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The disparity of a face in a rectified stereo pair.

Each face's central part is searched for along its rows in the right image by normalised cross-correlation (NCC) over the disparities that
its size allows. A parabola through the peak gives the sub-pixel disparity d, and peak height and curvature its variance:

    var(d) = (2 e / c + e^2 / (2 c^2)) / N + floor^2,   e = 1 - peak, c = curvature, N pixels.

A texture of variance S^2 and mean squared gradient G^2, seen twice with independent noise of variance s^2, has e = s^2 / (S^2 + s^2) and
c = G^2 / (S^2 + s^2). The first term is then the Cramer-Rao bound of the shift, 2 s^2 / (N G^2); the second is what noise against noise
adds to the difference of the two neighbours of the peak.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from av_perception.robot_head.profile import CameraGeometry

MIN_PATCH_PX = 6  # a narrower or lower patch holds too little texture for a correlation


@dataclass(frozen=True)
class StereoMatchConfig:
    """min_range_m, max_range_m: of the faces searched for; size_tolerance: factor by which the range may differ from what the width of
    the box says; patch_fraction: width and height of the correlated patch, as fractions of the box (less than 1 keeps the background
    out); vertical_search_px: rectification error that is tolerated; min_correlation: peak below which a match is refused;
    ambiguity_margin: how far any other peak must lie below; min_contrast: standard deviation of the patch, in grey levels;
    consistency_px: largest disagreement of the match searched for from right to left; disparity_floor_px: standard deviation that
    remains without image noise: 0.02 to 0.04 of interpolation for flat rendered faces; give 0.2 where rectification is only that good.
    """

    min_range_m: float = 0.3
    max_range_m: float = 8.0
    size_tolerance: float = 1.8
    patch_fraction: tuple[float, float] = (0.7, 0.7)
    vertical_search_px: int = 1
    min_correlation: float = 0.7
    ambiguity_margin: float = 0.05
    min_contrast: float = 3.0
    consistency_px: float = 1.0
    #: Standard deviation of the disparity without image noise, in pixels: the epipolar error that
    #: the calibration reports.
    disparity_floor_px: float = 0.05

    def __post_init__(self):
        if not 0 < self.min_range_m < self.max_range_m:
            raise ValueError('ranges must satisfy 0 < min_range_m < max_range_m')
        if self.size_tolerance <= 1:
            raise ValueError('size_tolerance is a factor above 1')
        if not (0 < min(self.patch_fraction) and max(self.patch_fraction) <= 1):
            raise ValueError('patch_fraction must lie in (0, 1]')
        if not 0 < self.min_correlation < 1 or not 0 <= self.ambiguity_margin < 1:
            raise ValueError('min_correlation and ambiguity_margin must lie between 0 and 1')
        if not 0 <= self.vertical_search_px <= 10:
            raise ValueError('vertical_search_px must lie in 0..10')
        if min(self.min_contrast, self.consistency_px, self.disparity_floor_px) <= 0:
            raise ValueError(
                'min_contrast, consistency_px and disparity_floor_px must be positive'
            )


@dataclass(frozen=True)
class DisparityMatch:
    """disparity: x_left - x_right [px]; variance [px^2]; correlation: height of the peak, at most 1."""

    disparity: float
    variance: float
    correlation: float


@dataclass(frozen=True)
class _Patch:
    """A rectangle of the left image and the disparities to search: integers lowest..highest."""

    x: int
    y: int
    width: int
    height: int
    lowest: int
    highest: int


class StereoMatcher:
    """Finds faces of the left image again in the right one. Units: pixels; images: (height, width) uint8, rectified."""

    def __init__(self, config: StereoMatchConfig, camera: CameraGeometry, face_width_m: float):
        if camera.baseline <= 0:
            raise ValueError('stereo matching needs a baseline')
        self._config = config
        self._camera = camera
        self._face_width_m = face_width_m

    def match(self, left: np.ndarray, right: np.ndarray, box: np.ndarray) -> DisparityMatch | None:
        """Disparity of the face in `box` (x, y, width, height; may cross the border); None when no match can be trusted."""
        patch = self._choose_patch(box)
        if patch is None:
            return None
        template = left[patch.y : patch.y + patch.height, patch.x : patch.x + patch.width]
        if cv2.meanStdDev(template)[1].item() < self._config.min_contrast:
            return None
        correlation = self._correlate(
            right, template, patch.y, patch.x - patch.highest, patch.x - patch.lowest
        )
        row, column = np.unravel_index(np.argmax(correlation), correlation.shape)
        peak = correlation[row, column]
        if not self._is_trustworthy(correlation[row], column, patch.width):
            return None
        # The template's own rows need not be the rows of the best match: a rectification error of a row or so is tolerated.
        shift = row - min(self._config.vertical_search_px, patch.y)
        found = right[patch.y + shift : patch.y + shift + patch.height, :]
        found = found[:, patch.x - patch.highest + column :][:, : patch.width]
        if not self._is_consistent(left, found, patch, shift):
            return None
        before, after = correlation[row, column - 1], correlation[row, column + 1]
        curvature = 2 * peak - before - after
        offset = (after - before) / (2 * curvature)
        # The height between the samples: the loss at the nearest whole pixel is no noise.
        ratio = max(1 - peak - (after - before) * offset / 4, 0.0) / curvature
        variance = (2 * ratio + ratio**2 / 2) / template.size + self._config.disparity_floor_px**2
        return DisparityMatch(float(patch.highest - column - offset), float(variance), float(peak))

    def _choose_patch(self, box: np.ndarray) -> _Patch | None:
        """The central part of the box that both images can show, and the disparities its size allows."""
        config, camera = self._config, self._camera
        center, size = box[:2] + box[2:] / 2, box[2:] * config.patch_fraction
        x, y = np.maximum(np.round(center - size / 2), 0).astype(int)
        x_end, y_end = np.minimum(
            np.round(center + size / 2), [camera.width, camera.height]
        ).astype(int)
        expected = camera.baseline * box[2] / self._face_width_m
        lowest = (
            int(
                np.floor(
                    max(camera.disparity(config.max_range_m), expected / config.size_tolerance)
                )
            )
            - 1
        )
        highest = (
            int(
                np.ceil(
                    min(camera.disparity(config.min_range_m), expected * config.size_tolerance)
                )
            )
            + 1
        )
        # The right image cuts off what lies left of x = disparity: give up to half of the patch's width for it, then disparities.
        x = max(x, min(highest, x + (x_end - x) // 2))
        highest = min(highest, x)
        if x_end - x < MIN_PATCH_PX or y_end - y < MIN_PATCH_PX or highest - lowest < 2:
            return None
        return _Patch(int(x), int(y), int(x_end - x), int(y_end - y), max(lowest, 0), highest)

    def _correlate(
        self, image: np.ndarray, template: np.ndarray, y: int, first: int, last: int
    ) -> np.ndarray:
        """NCC of the template at columns first..last and rows y - v..y + v that lie inside the image: (rows, last - first + 1)."""
        margin = self._config.vertical_search_px
        band = image[
            max(y - margin, 0) : y + template.shape[0] + margin, first : last + template.shape[1]
        ]
        # A flat stretch has no correlation: OpenCV gives 0, 1 or not a number there, depending on its release.
        return np.nan_to_num(
            cv2.matchTemplate(band, template, cv2.TM_CCOEFF_NORMED),
            nan=0.0,
            posinf=0.0,
            neginf=0.0,
        )

    def _is_trustworthy(self, correlation: np.ndarray, column: int, patch_width: int) -> bool:
        """Whether the peak is high enough, inside the searched range, and alone."""
        peak = correlation[column]
        if (
            not 0 < column < len(correlation) - 1
            or not self._config.min_correlation <= peak <= 1 + 1e-3
        ):
            return False
        if 2 * peak - correlation[column - 1] - correlation[column + 1] <= 1e-6:
            return False
        reach = max(2, patch_width // 4)
        others = np.concatenate(
            [correlation[: max(column - reach, 0)], correlation[column + reach + 1 :]]
        )
        return others.size == 0 or others.max() < peak - self._config.ambiguity_margin

    def _is_consistent(
        self, left: np.ndarray, found: np.ndarray, patch: _Patch, shift: int
    ) -> bool:
        """Whether the part found in the right image, searched for in the left, leads back to where it came from."""
        reach = max(3, (patch.highest - patch.lowest) // 2)
        first, last = max(patch.x - reach, 0), min(patch.x + reach, left.shape[1] - patch.width)
        correlation = self._correlate(left, found, patch.y + shift, first, last)
        column = int(np.argmax(correlation.max(axis=0)))
        return abs(first + column - patch.x) <= self._config.consistency_px
