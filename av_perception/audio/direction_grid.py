# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The directions among which sound is searched: rings of azimuths at some elevations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from av_perception.audio.map_learning import AcousticMapConfig
from av_perception.geometry.rigid_transform import (
    angles_from_direction,
    direction_from_angles,
    wrap_angle,
)
from av_perception.robot_head.profile import MicrophoneArray

_LEVEL_M = 0.005  # microphones that differ less in height cannot tell above from below


@dataclass(frozen=True)
class DirectionGrid:
    """directions: (D, 3) in the array frame; azimuth: (D,) [rad] in the head's base frame."""

    directions: np.ndarray
    azimuth: np.ndarray
    array: MicrophoneArray

    def __len__(self) -> int:
        return len(self.directions)

    def azimuth_of(self, directions: np.ndarray) -> np.ndarray:
        """(...,) azimuth [rad] in the base frame of (..., 3) directions in the array frame."""
        in_base = self.array.base_from_array.rotate(directions)
        return np.arctan2(in_base[..., 1], in_base[..., 0])

    def near(self, directions: np.ndarray, limit_deg: float) -> np.ndarray:
        """(N, D) bool: whose azimuth is within limit_deg of that of (N, 3) directions.

        Of azimuth alone: arrays on heads hear it far better than elevation.
        """
        difference = wrap_angle(
            self.azimuth_of(np.reshape(directions, (-1, 3)))[:, None] - self.azimuth
        )
        return np.abs(difference) <= np.radians(limit_deg) + 1e-9


def direction_grid(
    array: MicrophoneArray,
    step_deg: float = 5.0,
    elevations_deg: tuple[float, ...] = (-25.0, 0.0, 25.0, 50.0),
) -> DirectionGrid:
    """Make the grid that suits an array: where it hears front and back alike, the front.

    A level array gets no ring below: it hears above and below alike. Microphones on a line get the
    horizon alone.

    Parameters
    ----------
    array
        The microphones.
    step_deg
        Between neighbors of a ring on the horizon, wider above and below [deg azimuth].
    elevations_deg
        One ring for each [deg].
    """
    (first, last), elevation_range = AcousticMapConfig().ranges_deg(array)
    heights = array.base_from_array.rotate(array.positions)[:, 2]
    level = np.ptp(heights) < _LEVEL_M and not array.sphere
    line = np.ptp(elevation_range) <= 30
    rings = [0.0] if line else [e for e in elevations_deg if e >= 0 or not level]
    directions = []
    for elevation in np.radians(rings):
        count = max(3, round((last - first) / step_deg * np.cos(elevation)))
        whole = last - first >= 360
        azimuth = np.radians(np.linspace(first, last, count + (not whole), endpoint=not whole))
        directions.append(direction_from_angles(azimuth, elevation))
    in_base = np.concatenate(directions)
    return DirectionGrid(
        array.base_from_array.inverse().rotate(in_base), angles_from_direction(in_base)[0], array
    )
