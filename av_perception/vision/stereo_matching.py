# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The disparity of a face in a rectified stereo pair.

Each face's central part is searched for along its rows in the right image by normalized
cross-correlation (NCC) over the disparities that its size allows. A parabola through the peak
gives the sub-pixel disparity d, and peak height and curvature its variance:

    var(d) = (2 e / c + e^2 / (2 c^2)) / N + floor^2,   e = 1 - peak, c = curvature, N pixels.

A texture of variance S^2 and mean squared gradient G^2, seen twice with independent noise of
variance s^2, has e = s^2 / (S^2 + s^2) and c = G^2 / (S^2 + s^2). The first term is then the
Cramer-Rao bound of the shift, 2 s^2 / (N G^2); the second is what noise against noise adds to the
difference of the two neighbors of the peak.

A patch that does not correlate well as a whole, or that the head of a nearer person reaches into,
may show two surfaces, a face and what covers it (see `surfaces`). The face is the farther one: its
disparity is that of the cells which show it. Where they do not tell it, the face has none.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from av_perception.robot_head.profile import CameraGeometry
from av_perception.vision.covering import are_beside_nearer, heads_reach
from av_perception.vision.surfaces import (
    Cells,
    Surfaces,
    correlate_cells,
    two_surfaces,
)

MIN_PATCH_PX = 6  # a narrower or lower patch holds too little texture for a correlation
_LEAST_CURVATURE = 1e-6  # of the correlation at its peak: less is flat
_PEAK_ROUNDING = 1e-3  # by which a correlation may exceed 1
_WHOLE_CORRELATION = 0.95  # a patch that correlates better is one surface
_RELIEF_M = 0.06  # how much nearer one part of a face is than another
_LEAST_GAIN = 6.0  # [nat] of two surfaces against one
_LEAST_SHARE = 0.2  # of the patch that a face must show to have a disparity
_CELL_REACH = 3  # columns around a match in which the peaks of its cells are searched for
_COVERED_TOLERANCE = 1.5  # by which a covered face may be farther than the width of its box says
_COVERED_FLOOR = 3.0  # times the floor of the disparity: cells at the edge show both surfaces
_HEAD_REACH = 0.08  # share of the patch that a nearer head must reach into
# [px] least standard deviation of the disparity beside a nearer head, per lack of correlation:
# what of the head is in the patch draws the peak to itself (430 faces of eleven people: errors of
# 0.03 px (RMS) at a correlation of 0.99, of 0.25 at 0.92, 0.5 at 0.83 and 0.7 at 0.77).
_DRAWN_PX = 3.0


@dataclass(frozen=True)
class StereoMatchConfig:
    """How faces are searched for in the right image, and which matches can be trusted."""

    #: [m] nearest faces that are searched for, above 0
    min_range_m: float = 0.3
    #: [m] farthest faces that are searched for, above min_range_m
    max_range_m: float = 8.0
    #: factor above 1 by which the range may differ from what the width of the box says
    size_tolerance: float = 1.8
    #: width and height of the correlated patch, as fractions of the box, in (0, 1]: less than 1
    #: keeps the background out
    patch_fraction: tuple[float, float] = (0.7, 0.7)
    #: [px] rectification error that is tolerated, 0 to 10
    vertical_search_px: int = 1
    #: height of the peak, in (0, 1), below which a match is refused
    min_correlation: float = 0.7
    #: how far any other peak must lie below, in [0, 1)
    ambiguity_margin: float = 0.05
    #: [gray levels] least standard deviation of the patch, above 0
    min_contrast: float = 3.0
    #: [px] largest disagreement with the match searched for from right to left, above 0
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
    """Where the right image shows a face."""

    #: [px] x_left - x_right
    disparity: float
    #: [px^2] of the disparity
    variance: float
    #: height of the peak, at most 1
    correlation: float


@dataclass(frozen=True)
class FaceMatch:
    """What the right image says of a face."""

    #: None when no match can be trusted
    disparity: DisparityMatch | None
    #: share in [0, 1] of the face's middle that something nearer covers
    covered: float = 0.0


@dataclass(frozen=True)
class _Patch:
    """A rectangle of the left image and the disparities that it may and should have [px]."""

    x: int
    y: int
    width: int
    height: int
    lowest: int
    highest: int
    expected: float


class StereoMatcher:
    """Finds faces of the left image again in the right one.

    Parameters
    ----------
    config
        Of the search.
    camera
        Geometry of the rectified pair; its baseline must not be 0.
    face_width_m
        [m] what the width of the detector's box measures on people.
    """

    def __init__(self, config: StereoMatchConfig, camera: CameraGeometry, face_width_m: float):
        if camera.baseline <= 0:
            raise ValueError('stereo matching needs a baseline')
        self._config = config
        self._camera = camera
        self._face_width_m = face_width_m

    def match_all(self, left: np.ndarray, right: np.ndarray, boxes: np.ndarray) -> list[FaceMatch]:
        """Measure the disparities of the faces of an image, some of which may cover others.

        Parameters
        ----------
        left, right
            (height, width) uint8, rectified.
        boxes
            (N, 4) left, top, width and height [px] in the left image.

        Returns
        -------
        list of FaceMatch
            One for each box.
        """
        matches = [self.match_face(left, right, box) for box in boxes]
        reach = heads_reach(boxes, self._config.patch_fraction)
        beside = heads_reach(boxes, (1.0, 1.0))
        for far, near in np.argwhere(beside > 0):
            cover = matches[near].disparity
            if cover is None or boxes[near, 2] <= boxes[far, 2]:
                continue
            own = matches[far].disparity
            if own is None or own.disparity > cover.disparity - self._relief(cover.disparity):
                if reach[far, near] < _HEAD_REACH:
                    continue
                # It lies on the nearer head, or on none.
                found = self.match_face(left, right, boxes[far], cover.disparity)
                matches[far] = FaceMatch(found.disparity, max(found.covered, matches[far].covered))
            covered = max(matches[far].covered, float(beside[far, near]))
            matches[far] = FaceMatch(matches[far].disparity, covered)
        return [
            _beside_a_head(match) if is_beside else match
            for match, is_beside in zip(matches, are_beside_nearer(boxes))
        ]

    def match(self, left: np.ndarray, right: np.ndarray, box: np.ndarray) -> DisparityMatch | None:
        """Measure the disparity of a face alone; arguments as of `match_face`."""
        return self.match_face(left, right, box).disparity

    def match_face(
        self,
        left: np.ndarray,
        right: np.ndarray,
        box: np.ndarray,
        cover: float | None = None,
    ) -> FaceMatch:
        """Measure the disparity of a face and how much of it something nearer covers.

        Parameters
        ----------
        left, right
            (height, width) uint8, rectified.
        box
            (4,) left, top, width and height [px] in the left image; it may cross the border.
        cover
            Disparity of what covers the face [px], where it is known: then the face lies behind.

        Returns
        -------
        FaceMatch
            Without a disparity when no match can be trusted.
        """
        patch = self._choose_patch(box)
        if patch is None:
            return FaceMatch(None)
        template = left[patch.y : patch.y + patch.height, patch.x : patch.x + patch.width]
        if cv2.meanStdDev(template)[1].item() < self._config.min_contrast:
            return FaceMatch(None)
        return self._match_patch(left, right, template, patch, cover)

    def _match_patch(
        self,
        left: np.ndarray,
        right: np.ndarray,
        template: np.ndarray,
        patch: _Patch,
        cover: float | None,
    ) -> FaceMatch:
        """Match the patch of the left image that is the template; see `match_face`."""
        # Correlate at all disparities that the size of the face allows.
        first, last = patch.x - patch.highest, patch.x - patch.lowest
        correlation = self._correlate(right, template, patch.y, first, last)
        row, column = (int(i) for i in np.unravel_index(np.argmax(correlation), correlation.shape))
        # The template's own rows need not be the rows of the best match: a rectification error of
        # a row or so is tolerated.
        shift = row - min(self._config.vertical_search_px, patch.y)
        rows = right[patch.y + shift : patch.y + shift + patch.height, :]
        cells = None
        if correlation[row, column] < _WHOLE_CORRELATION or cover is not None:
            cells = correlate_cells(template, rows[:, first : last + patch.width])
            found = self._match_behind(cells, patch, cover)
            if found is not None or cover is not None:
                return found or FaceMatch(None)
        matched = rows[:, first + column :][:, : patch.width]
        trusted = self._is_trustworthy(correlation[row], column, patch.width)
        if not trusted or not self._is_consistent(left, matched, patch, shift):
            return FaceMatch(None)
        offset, variance = self._refine(correlation[row, column - 1 : column + 2], template.size)
        if cells is not None:
            variance += cells.spread(column + offset, _CELL_REACH, cells.pixels > 0)
        disparity = patch.highest - column - offset
        return FaceMatch(DisparityMatch(disparity, variance, float(correlation[row, column])))

    def _match_behind(self, cells: Cells, patch: _Patch, cover: float | None) -> FaceMatch | None:
        """Match the farther of two surfaces; None where the patch shows one alone."""
        relief = self._relief(patch.expected)
        near = None if cover is None else round(patch.highest - cover)
        farthest = int(patch.highest - patch.expected / _COVERED_TOLERANCE)
        if near is not None and not 0 <= near < farthest:
            return None
        surfaces = two_surfaces(cells.evidence()[:, : max(farthest, 1)], relief, near)
        if surfaces is None or surfaces.gain < _LEAST_GAIN:
            return None
        covered = 1.0 - float(cells.pixels[surfaces.shows_far].sum() / cells.pixels.sum())
        if 1.0 - covered < _LEAST_SHARE:
            return FaceMatch(None, covered)
        return FaceMatch(self._match_cells(cells, surfaces, patch), covered)

    def _match_cells(
        self, cells: Cells, surfaces: Surfaces, patch: _Patch
    ) -> DisparityMatch | None:
        """Measure the disparity of the cells that show the farther surface."""
        pixels = np.where(surfaces.shows_far, cells.pixels, 0)
        correlation = pixels @ cells.correlation / pixels.sum()
        reach = self._relief(patch.expected)
        start = max(surfaces.far - reach, 0)
        column = start + int(np.argmax(correlation[start : surfaces.far + reach + 1]))
        width = int(patch.width * pixels.sum() / cells.pixels.sum())
        if not self._is_trustworthy(correlation, column, width):
            return None
        offset, variance = self._refine(correlation[column - 1 : column + 2], int(pixels.sum()))
        variance += (_COVERED_FLOOR * self._config.disparity_floor_px) ** 2
        variance += cells.spread(column + offset, _CELL_REACH, surfaces.shows_far)
        disparity = patch.highest - column - offset
        return DisparityMatch(disparity, variance, float(correlation[column]))

    def _relief(self, disparity: float) -> int:
        """Columns by which the disparities of one face's parts may differ."""
        depth_m = self._camera.focal[0] * self._camera.baseline / max(disparity, 1.0)
        return 1 + int(disparity * _RELIEF_M / depth_m)

    def _refine(self, values: np.ndarray, num_pixels: int) -> tuple[float, float]:
        """Fit a parabola through the peak.

        Parameters
        ----------
        values
            (3,) correlation before, at and behind the peak.
        num_pixels
            N of the patch.

        Returns
        -------
        offset, variance
            [px] of the parabola's peak against the sample's, and [px^2] of the disparity by the
            module's equation.
        """
        before, peak, after = values
        curvature = 2 * peak - before - after
        offset = (after - before) / (2 * curvature)
        # The height between the samples: the loss at the nearest whole pixel is no noise.
        loss = max(1 - peak - (after - before) * offset / 4, 0.0)
        ratio = loss / curvature
        variance = (2 * ratio + ratio**2 / 2) / num_pixels + self._config.disparity_floor_px**2
        return float(offset), float(variance)

    def _choose_patch(self, box: np.ndarray) -> _Patch | None:
        """Cut the central part out of the box that both images can show; None without any."""
        camera = self._camera
        center = box[:2] + box[2:] / 2
        size = box[2:] * self._config.patch_fraction
        x, y = np.maximum(np.round(center - size / 2), 0).astype(int)
        far_corner = np.minimum(np.round(center + size / 2), [camera.width, camera.height])
        x_end, y_end = far_corner.astype(int)
        lowest, highest = self._disparity_range(box[2])
        # The right image cuts off what lies left of x = disparity: give up to half of the patch's
        # width for it, then disparities.
        x = max(x, min(highest, x + (x_end - x) // 2))
        highest = min(highest, x)
        if x_end - x < MIN_PATCH_PX or y_end - y < MIN_PATCH_PX or highest - lowest < 2:
            return None
        expected = camera.baseline * float(box[2]) / self._face_width_m
        lowest, highest = max(lowest, 0), int(highest)
        return _Patch(int(x), int(y), int(x_end - x), int(y_end - y), lowest, highest, expected)

    def _disparity_range(self, width_px: float) -> tuple[int, int]:
        """Lowest and highest disparity [px] of a face whose box is so wide, and one more each."""
        config, camera = self._config, self._camera
        expected = camera.baseline * width_px / self._face_width_m
        lowest = max(camera.disparity(config.max_range_m), expected / config.size_tolerance)
        highest = min(camera.disparity(config.min_range_m), expected * config.size_tolerance)
        return int(np.floor(lowest)) - 1, int(np.ceil(highest)) + 1

    def _correlate(
        self, image: np.ndarray, template: np.ndarray, y: int, first: int, last: int
    ) -> np.ndarray:
        """NCC of the template at columns first..last and rows y - v..y + v inside the image.

        Returns (rows, last - first + 1).
        """
        margin = self._config.vertical_search_px
        rows = image[max(y - margin, 0) : y + template.shape[0] + margin]
        band = rows[:, first : last + template.shape[1]]
        correlation = cv2.matchTemplate(band, template, cv2.TM_CCOEFF_NORMED)
        # A flat stretch has no correlation: OpenCV gives 0, 1 or not a number there, depending on
        # its release.
        if not np.isfinite(correlation).all():
            correlation = np.nan_to_num(correlation, nan=0.0, posinf=0.0, neginf=0.0)
        return correlation

    def _is_trustworthy(self, correlation: np.ndarray, column: int, patch_width: int) -> bool:
        """Whether the peak is high enough, inside the searched range, and alone."""
        peak = correlation[column]
        if not 0 < column < len(correlation) - 1:
            return False
        if not self._config.min_correlation <= peak <= 1 + _PEAK_ROUNDING:
            return False
        if 2 * peak - correlation[column - 1] - correlation[column + 1] <= _LEAST_CURVATURE:
            return False
        reach = max(2, patch_width // 4)
        before = correlation[: max(column - reach, 0)]
        behind = correlation[column + reach + 1 :]
        others = np.concatenate([before, behind])
        return others.size == 0 or others.max() < peak - self._config.ambiguity_margin

    def _is_consistent(
        self, left: np.ndarray, matched: np.ndarray, patch: _Patch, shift: int
    ) -> bool:
        """Whether the part of the right image, searched for in the left, leads to the patch."""
        reach = max(3, (patch.highest - patch.lowest) // 2)
        first = max(patch.x - reach, 0)
        last = min(patch.x + reach, left.shape[1] - patch.width)
        correlation = self._correlate(left, matched, patch.y + shift, first, last)
        column = int(np.argmax(correlation.max(axis=0)))
        return abs(first + column - patch.x) <= self._config.consistency_px


def _beside_a_head(match: FaceMatch) -> FaceMatch:
    """Be less certain of a disparity that a nearer head beside the face may have drawn to it."""
    if match.disparity is None:
        return match
    drawn = _DRAWN_PX * max(1.0 - match.disparity.correlation, 0.0)
    variance = max(match.disparity.variance, drawn**2)
    return replace(match, disparity=replace(match.disparity, variance=variance))
