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
COVERED_SIZE = 0.6  # relative standard deviation of a covered face's size, per covered share


@dataclass(frozen=True)
class TriangulationConfig:
    """What faces measure on people.

    The sizes are scaled by an interpupillary distance of 63 mm (CenterFace and YuNet, eight faces,
    19 to 84 pixels wide: 0.135 m and 65.5 mm +- 5 %). How well boxes tell where the head is,
    depends on the detector: see `box_noise`.
    """

    #: [m] width of the detector's box, 0.01 to 1
    face_width_m: float = 0.135
    #: [m] the longer of the two landmark distances, 0.01 to 1
    landmark_span_m: float = 0.0655
    #: relative standard deviation of a size, in (0, 1): 8 % between people, children among them,
    #: and 6 % of the detector, whatever is around the head
    size_spread: float = 0.10
    #: From the visible face to the center of the head along the ray, in meters.
    head_depth_offset_m: float = 0.08
    #: [m] standard deviation of that between people, not negative: 4 % of the length of a head
    head_depth_spread_m: float = 0.008

    def __post_init__(self):
        if not 0.01 <= self.face_width_m <= 1:
            raise ValueError(f'face_width_m must lie in 0.01..1 m, not {self.face_width_m}')
        if not 0.01 <= self.landmark_span_m <= 1:
            raise ValueError(f'landmark_span_m must lie in 0.01..1 m, not {self.landmark_span_m}')
        if not 0 < self.size_spread < 1:
            raise ValueError(f'size_spread must lie between 0 and 1, not {self.size_spread}')
        if self.head_depth_spread_m < 0:
            raise ValueError(
                f'head_depth_spread_m must not be negative, not {self.head_depth_spread_m}'
            )
        if not 0 <= self.head_depth_offset_m <= 0.5:
            raise ValueError(
                f'head_depth_offset_m must lie in 0..0.5 m, not {self.head_depth_offset_m}'
            )


def locate_head(
    box: np.ndarray,
    landmarks: np.ndarray,
    match: DisparityMatch | None,
    camera: CameraGeometry,
    config: TriangulationConfig,
    center_std_px: np.ndarray,
    size_factor: float = 1.0,
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
    center_std_px, size_factor, covered
        (2,) standard deviation of the box's center across and down, and how coarse sizes are,
        see BoxNoise; share in [0, 1] of the face that something nearer covers.

    Returns
    -------
    position, covariance : np.ndarray
        (3,) [m] head center in the left camera's optical frame, and (3, 3) [m^2].
    """
    factor = CUT_OFF_FACTOR if is_cut_off(box, camera) else 1.0
    if match is None:
        spread = factor * size_factor * config.size_spread
        inverse_depth, variance = _inverse_depth_from_size(box, landmarks, camera, config, spread)
        variance += (COVERED_SIZE * covered * inverse_depth) ** 2
    else:
        inverse_depth, variance = _inverse_depth_from_disparity(match, camera)
    center_variance = (factor * center_std_px) ** 2
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
    spread: float,
) -> tuple[float, float]:
    """Mean and variance of the surface's inverse depth [1/m] (see the module's text).

    spread: relative standard deviation of a size.
    """
    eyes = landmarks[:2]
    mouth = landmarks[3:].mean(axis=0)
    between_eyes = np.linalg.norm(eyes[0] - eyes[1])
    eyes_to_mouth = np.linalg.norm(eyes.mean(axis=0) - mouth)
    by_width = box[2] / config.face_width_m / camera.focal[0]
    by_span = max(between_eyes, eyes_to_mouth) / config.landmark_span_m / camera.focal[0]
    mean = (by_width + by_span) / 2
    return mean, (spread * mean) ** 2 + ((by_width - by_span) / 2) ** 2


def _triangulate(
    center: np.ndarray,
    center_variance: np.ndarray,
    inverse_depth: float,
    inverse_depth_variance: float,
    camera: CameraGeometry,
    config: TriangulationConfig,
) -> tuple[np.ndarray, np.ndarray]:
    """Position (3,) [m] and covariance (3, 3) [m^2] (see the module's text).

    From the pixel (2,) of the center, the surface's inverse depth [1/m], and their variances,
    (2,) [px^2] and [1/m^2].
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
    variances = [*center_variance, inverse_depth_variance, offset_variance]
    return depth * ray, (jacobian * variances) @ jacobian.T
