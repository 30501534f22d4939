# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Who would be seen by a camera, and who stands behind somebody else."""

from __future__ import annotations

import numpy as np

from av_perception.robot_head.profile import CameraGeometry
from av_perception.tracking.state_space.interface import View

_HEAD_M = (0.11, 0.14)  # half width and half height
_TRUNK_M = 0.22  # half width; it begins below the head, and hides who is shorter
_LEAST_DEPTH_M = 0.2
_UNCERTAIN_M = 0.1  # across the ray, by which the borders are widened at most


def view_of(
    optical: np.ndarray, covariance: np.ndarray, in_view: np.ndarray, camera: CameraGeometry
) -> View:
    """Compare heads with the borders of the image, and with the heads and trunks before them.

    Parameters
    ----------
    optical, covariance
        (N, 3) heads [m] in the left optical frame, and (N, 3, 3) [m^2].
    in_view, camera
        (N,) bool, who hides others, as the rest is not certain enough; whose image it is.

    Returns
    -------
    View
        Where the place is uncertain, it may be a little worse than it is said to be.
    """
    depth = optical[:, 2]
    ahead = depth > _LEAST_DEPTH_M
    inverse = 1 / np.where(ahead, depth, 1.0)
    ray = optical[:, :2] * inverse[:, None]
    std = np.sqrt(np.maximum(covariance.diagonal(axis1=1, axis2=2), 0.0))
    uncertain = np.minimum(std[:, :2], _UNCERTAIN_M)
    margin = (uncertain + _HEAD_M) * inverse[:, None]
    low = -np.array(camera.center) / camera.focal
    high = low + np.array([camera.width, camera.height]) / camera.focal
    inside = ahead & ((ray - margin >= low) & (ray + margin <= high)).all(1)
    # Rows: who may be hidden; columns: who may hide them.
    distance = ray[:, None] - ray[None]
    is_before = (
        in_view & (depth[None] < (depth + std[:, 2])[:, None]) & ~np.eye(len(ray), dtype=bool)
    )
    below = distance[..., 1] > _HEAD_M[1] * inverse
    half_width = np.where(below, _TRUNK_M, _HEAD_M[0]) * inverse
    sideways = np.abs(distance[..., 0]) - half_width
    upward = -distance[..., 1] - _HEAD_M[1] * inverse
    # A head is covered when its center is, and free when all of it is.
    is_covered = is_before & (sideways < 0) & (upward < 0)
    is_touched = is_before & (sideways < margin[:, None, 0]) & (upward < margin[:, None, 1])
    return View(clear=inside & ~is_touched.any(1), hidden=ahead & is_covered.any(1))
