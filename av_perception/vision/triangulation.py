# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""From a face in the image to the position of the head, with a covariance.

The head center lies on the ray through the center (u, v) of the box, at the depth of the face
surface plus `head_depth_offset_m` along the ray. The inverse depth r of the surface is what is
observed. From a disparity d, r = d / (f B). With one camera, from two sizes on the face and what
they measure on people: the width of the box, and the longer of the distances between the eyes and
from the eyes to the mouth. The two are of one length on frontal faces; turning the head shortens
the first, nodding the second. r is the mean of what both sizes say; half of their disagreement, as
a turned, tilted or half hidden head shows it, adds to its standard deviation.

With ray q = ((u - cx) / fx, (v - cy) / fy, 1), depth z = 1 / r + offset / |q| and p = z q, the
covariance is J diag(var u, var v, var r, var offset) J' with the Jacobian
J = [z e_x / fx, z e_y / fy, -q / r^2, q / |q|].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from av_perception.geometry.boxes import centers
from av_perception.robot_head.profile import CameraGeometry
from av_perception.vision.stereo_matching import DisparityMatch

BORDER_PX = 2.0  # a box this near to the border of the image is taken as cut off
CUT_OFF_FACTOR = 2.0  # on the standard deviations of center and width of a face that is cut off
# Standard deviations of a covered face's center, in widths of its box, and of its size, per
# covered share: boxes shrink to what shows, or take in what covers it.
COVERED_CENTER = 0.25
COVERED_SIZE = 0.6


@dataclass(frozen=True)
class TriangulationConfig:
    """What faces measure on people, and how well the detectors' boxes tell it.

    The sizes are scaled by an interpupillary distance of 63 mm (CenterFace and YuNet, eight faces,
    19 to 84 pixels wide: 0.135 m and 65.5 mm +- 5 %). The standard deviation of the box's center
    against the head's has a part that grows with the box's width (center_spread) and one of the
    detector's grid (center_noise_px), added in quadrature.
    """

    #: [m] width of the detector's box, 0.01 to 1
    face_width_m: float = 0.135
    #: [m] the longer of the two landmark distances, 0.01 to 1
    landmark_span_m: float = 0.0655
    #: relative standard deviation of a size, in (0, 1): 8 % between people, children among them,
    #: 5 % of the detector, and 7 % for what is around the head, on which CenterFace's boxes depend
    size_spread: float = 0.12
    #: standard deviation of the box's center as a fraction of the box's width, in (0, 1)
    center_spread: float = 0.027
    #: [px of the network's input] standard deviation of the box's center by the detector's grid,
    #: not negative
    center_noise_px: float = 0.49
    #: [px of the network's input] narrower faces are few cells of the grid wide, and
    #: center_noise_px grows as they shrink; not negative
    small_face_px: float = 14.0
    #: From the visible face to the center of the head along the ray, in meters.
    head_depth_offset_m: float = 0.08
    #: [m] standard deviation of that between people, not negative: 4 % of the length of a head
    head_depth_spread_m: float = 0.008

    def __post_init__(self):
        if not 0.01 <= self.face_width_m <= 1:
            raise ValueError(f'face_width_m must lie in 0.01..1 m, not {self.face_width_m}')
        if not 0.01 <= self.landmark_span_m <= 1:
            raise ValueError(f'landmark_span_m must lie in 0.01..1 m, not {self.landmark_span_m}')
        if not 0 < self.size_spread < 1 or not 0 < self.center_spread < 1:
            raise ValueError('size_spread and center_spread must lie between 0 and 1')
        if min(self.center_noise_px, self.small_face_px, self.head_depth_spread_m) < 0:
            raise ValueError(
                'center_noise_px, small_face_px and head_depth_spread_m must not be negative'
            )
        if not 0 <= self.head_depth_offset_m <= 0.5:
            raise ValueError(
                f'head_depth_offset_m must lie in 0..0.5 m, not {self.head_depth_offset_m}'
            )

    def center_std_px(self, width_px: float, input_scale: float) -> float:
        """Compute the standard deviation of a box's center.

        Parameters
        ----------
        width_px
            Of the box [px of the image].
        input_scale
            Pixels of the image per pixel of the network's input, see FaceDetections.

        Returns
        -------
        float
            [px of the image] on each axis.
        """
        grid = self.center_noise_px * input_scale
        grid *= max(1.0, self.small_face_px * input_scale / width_px)
        return float(np.hypot(self.center_spread * width_px, grid))


def locate_head(
    box: np.ndarray,
    landmarks: np.ndarray,
    match: DisparityMatch | None,
    camera: CameraGeometry,
    config: TriangulationConfig,
    input_scale: float = 1.0,
    noise_factor: float = 1.0,
    covered: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Locate the head of a face.

    Parameters
    ----------
    box
        (4,) left, top, width and height [px] in the left image.
    landmarks
        (5, 2) [px] in the left image, in the order of FaceDetections.
    match
        Disparity of the face; None for the range from its size.
    camera, config
        Geometry of the rectified camera or pair; what faces measure.
    input_scale, noise_factor, covered
        How coarse the detector's boxes are, see FaceDetections and FaceDetector; share in [0, 1]
        of the face that something nearer covers.

    Returns
    -------
    position, covariance : np.ndarray
        (3,) [m] head center in the left camera's optical frame, and (3, 3) [m^2].
    """
    factor = noise_factor * (CUT_OFF_FACTOR if is_cut_off(box, camera) else 1.0)
    if match is None:
        inverse_depth, variance = _inverse_depth_from_size(box, landmarks, camera, config, factor)
        variance += (COVERED_SIZE * covered * inverse_depth) ** 2
    else:
        inverse_depth, variance = _inverse_depth_from_disparity(match, camera)
    own_std = factor * config.center_std_px(box[2], input_scale)
    center_variance = own_std**2 + (COVERED_CENTER * covered * box[2]) ** 2
    return _triangulate(centers(box), center_variance, inverse_depth, variance, camera, config)


def is_cut_off(box: np.ndarray, camera: CameraGeometry) -> bool:
    """Whether the left or right border of the image cuts the box (4,) [px]."""
    return bool(box[0] <= BORDER_PX or box[0] + box[2] >= camera.width - BORDER_PX)


def _inverse_depth_from_disparity(
    match: DisparityMatch, camera: CameraGeometry
) -> tuple[float, float]:
    """Mean and variance of the surface's inverse depth [1/m]."""
    inverse_depth = match.disparity / (camera.focal[0] * camera.baseline)
    return inverse_depth, match.variance / (camera.focal[0] * camera.baseline) ** 2


def _inverse_depth_from_size(
    box: np.ndarray,
    landmarks: np.ndarray,
    camera: CameraGeometry,
    config: TriangulationConfig,
    factor: float,
) -> tuple[float, float]:
    """Mean and variance of the surface's inverse depth [1/m] (see the module's text)."""
    eyes = landmarks[:2]
    mouth = landmarks[3:].mean(axis=0)
    between_eyes = np.linalg.norm(eyes[0] - eyes[1])
    eyes_to_mouth = np.linalg.norm(eyes.mean(axis=0) - mouth)
    by_width = box[2] / config.face_width_m / camera.focal[0]
    by_span = max(between_eyes, eyes_to_mouth) / config.landmark_span_m / camera.focal[0]
    mean = (by_width + by_span) / 2
    return mean, (factor * config.size_spread * mean) ** 2 + ((by_width - by_span) / 2) ** 2


def _triangulate(
    center: np.ndarray,
    center_variance: float,
    inverse_depth: float,
    inverse_depth_variance: float,
    camera: CameraGeometry,
    config: TriangulationConfig,
) -> tuple[np.ndarray, np.ndarray]:
    """Position (3,) [m] and covariance (3, 3) [m^2] (see the module's text).

    From the pixel (2,) of the center, the surface's inverse depth [1/m], and their variances.
    """
    ray = np.append((center - np.array(camera.center)) / np.array(camera.focal), 1.0)
    length = np.linalg.norm(ray)
    depth = 1 / inverse_depth + config.head_depth_offset_m / length
    # J = [z e_x / fx, z e_y / fy, -q / r^2, q / |q|]
    jacobian = np.zeros((3, 4))
    jacobian[0, 0] = depth / camera.focal[0]
    jacobian[1, 1] = depth / camera.focal[1]
    jacobian[:, 2] = -ray / inverse_depth**2
    jacobian[:, 3] = ray / length
    offset_variance = config.head_depth_spread_m**2
    variances = [center_variance, center_variance, inverse_depth_variance, offset_variance]
    return depth * ray, (jacobian * variances) @ jacobian.T
