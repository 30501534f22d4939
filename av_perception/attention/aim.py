# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Where to look for a person, and how the neck must turn for it."""

from __future__ import annotations

import numpy as np

from av_perception.geometry.rigid_transform import angles_from_direction, direction_from_angles
from av_perception.interfaces import TrackEstimate

_NEAREST_M = 1e-3


def is_aimable(track: TrackEstimate, origin: np.ndarray) -> bool:
    """Tell whether there is a direction from the head to a track."""
    offset = track.mean[:3] - origin
    return bool(np.isfinite(offset).all() and np.linalg.norm(offset) > _NEAREST_M)


def direction_to(point: np.ndarray, origin: np.ndarray) -> np.ndarray:
    """Return the (3,) unit vector from the head to a point."""
    offset = point - origin
    return offset / np.linalg.norm(offset)


def angle_between(first: np.ndarray, second: np.ndarray) -> float:
    """Return the angle [rad] between two unit vectors (3,)."""
    return float(np.arctan2(np.linalg.norm(np.cross(first, second)), first @ second))


def point_to_look_at(
    track: TrackEstimate, origin: np.ndarray, elevation_sd_rad: float
) -> np.ndarray:
    """Return the person's head, its elevation drawn to the horizon as far as it is not known.

    The elevation e has the variance v of the track and the prior N(0, p) of people's heads:

        e' = e p / (p + v).

    Of who is seen v is tiny; of who is only heard by microphones in a plane it is large, and the
    head would nod at every word.

    Parameters
    ----------
    track
        Whom; `is_aimable`.
    origin
        (3,) [m] the robot's head in the frame of the tracks, whose z points up.
    elevation_sd_rad
        Standard deviation [rad] of the prior.

    Returns
    -------
    np.ndarray
        (3,) [m] in the frame of the tracks, as far away as the track.
    """
    offset = track.mean[:3] - origin
    azimuth, elevation = angles_from_direction(offset)
    distance = float(np.linalg.norm(offset))
    # The gradient of the elevation is a unit vector across the ray, upwards, over the distance.
    upwards = direction_from_angles(azimuth, elevation + np.pi / 2) / distance
    variance = float(upwards @ track.covariance[:3, :3] @ upwards)
    if not np.isfinite(variance) or variance < 0:
        variance = np.inf
    prior = elevation_sd_rad**2
    shrunk = 0.0 if np.isinf(variance) else float(elevation) * prior / (prior + variance)
    return origin + distance * direction_from_angles(azimuth, shrunk)


def neck_angles(point: np.ndarray) -> tuple[float, float]:
    """Return how a neck must turn so that the head's x axis points somewhere.

    Parameters
    ----------
    point
        (3,) [m] in the frame that the neck turns in (x forward, y left, z up), whose origin is
        where the axes of pan and tilt meet.

    Returns
    -------
    tuple
        pan (to the left) and tilt (downwards) [rad], as in `Rz(pan) Ry(tilt)`.
    """
    azimuth, elevation = angles_from_direction(point)
    return float(azimuth), -float(elevation)
