"""From a face in the image to the position of the head, with a covariance.

The head centre lies on the ray through the centre (u, v) of the box, at the depth of the face surface plus `head_depth_offset_m` along the
ray. The inverse depth r of the surface is what is observed: r = d / (f B) from a disparity d, or r = w / (f W) from the width w of the
box and that of human faces, W. With ray q = ((u - cx) / fx, (v - cy) / fy, 1), depth z = 1 / r + offset / |q| and p = z q, the
covariance is J diag(var u, var v, var r) J' with the Jacobian J = [z e_x / fx, z e_y / fy, -q / r^2].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from av_perception.heads.profile import CameraGeometry
from av_perception.vision.stereo_matching import DisparityMatch

BORDER_PX = 2.0  # a box this near to the border of the image is taken as cut off
CUT_OFF_FACTOR = 2.0  # on the standard deviations of centre and width of a face that is cut off


@dataclass(frozen=True)
class TriangulationConfig:
    """face_width_m: width of a head that the detector's box spans. For CenterFace and YuNet it is 0.134 m (+- 0.004 m over eight
    photographs), scaled by an interpupillary distance of 63 mm: the breadth of the face between the cheekbones.

    face_width_spread: relative standard deviation of the range from the width (people, pose and detector together);
    center_spread, center_noise_px: the standard deviation of the box's centre against the head's has a part that grows with the box's
    width (fraction) and one of the detector's grid [px], added in quadrature: about 0.16 cells of 4 input pixels, scaled to the image;
    head_depth_offset_m: from the visible face surface to the head centre, along the ray; 0 when the surface itself is wanted.
    """

    face_width_m: float = 0.135
    face_width_spread: float = 0.15
    center_spread: float = 0.04
    center_noise_px: float = 1.0
    head_depth_offset_m: float = 0.08

    def __post_init__(self):
        if not 0.01 <= self.face_width_m <= 1:
            raise ValueError(f'face_width_m must lie in 0.01..1 m, not {self.face_width_m}')
        if not 0 < self.face_width_spread < 1 or not 0 < self.center_spread < 1:
            raise ValueError('face_width_spread and center_spread must lie between 0 and 1')
        if self.center_noise_px < 0:
            raise ValueError('center_noise_px must not be negative')
        if not 0 <= self.head_depth_offset_m <= 0.5:
            raise ValueError(f'head_depth_offset_m must lie in 0..0.5 m, not {self.head_depth_offset_m}')


def locate_head(box: np.ndarray, match: DisparityMatch | None, camera: CameraGeometry,
                config: TriangulationConfig) -> tuple[np.ndarray, np.ndarray]:
    """Position (3,) [m] and covariance (3, 3) [m^2] of the head centre in the left optical frame.

    box: (4,) x, y, width, height [px] of the left image; match: its disparity, None for the range from the box's width.
    """
    cut_off = box[0] <= BORDER_PX or box[0] + box[2] >= camera.width - BORDER_PX
    factor = CUT_OFF_FACTOR if cut_off else 1.0
    if match is None:
        inverse_depth = box[2] / (camera.focal[0] * config.face_width_m)
        variance = (factor * config.face_width_spread * inverse_depth) ** 2
    else:
        inverse_depth = match.disparity / (camera.focal[0] * camera.baseline)
        variance = match.variance / (camera.focal[0] * camera.baseline) ** 2
    center_variance = factor ** 2 * ((config.center_spread * box[2]) ** 2 + config.center_noise_px ** 2)
    return _triangulate(box[:2] + box[2:] / 2, center_variance, inverse_depth, variance, camera, config.head_depth_offset_m)


def _triangulate(center, center_variance, inverse_depth, inverse_depth_variance, camera: CameraGeometry, offset_m: float):
    """Position and covariance from the pixel (2,), the surface's inverse depth [1/m], and their variances (see the module's text)."""
    ray = np.append((center - np.array(camera.center)) / np.array(camera.focal), 1.0)
    depth = 1 / inverse_depth + offset_m / np.linalg.norm(ray)
    jacobian = np.zeros((3, 3))
    jacobian[0, 0] = depth / camera.focal[0]
    jacobian[1, 1] = depth / camera.focal[1]
    jacobian[:, 2] = -ray / inverse_depth ** 2
    covariance = (jacobian * [center_variance, center_variance, inverse_depth_variance]) @ jacobian.T
    return depth * ray, covariance
