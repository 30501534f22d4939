# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Two microphones as an instrument: every point in space has one interaural time difference."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from av_perception.robot_head.profile import MicrophoneArray

_FORWARD = np.array([1.0, 0.0, 0.0])
_UP = np.array([0.0, 0.0, 1.0])


def speed_of_sound(celsius: float = 20.0) -> float:
    """Speed of sound in air [m/s]."""
    return 331.3 + 0.606 * celsius


@dataclass(frozen=True)
class MicrophonePair:
    """Two microphones in the frame of the points that they are asked about.

    `itd(f) = (|f - m_1| - |f - m_2|) / c`: positive when sound reaches the second microphone
    first.
    """

    #: (2, 3) m_1 and m_2 [m].
    positions: np.ndarray
    #: c [m/s].
    sound_speed: float = speed_of_sound()

    def __post_init__(self):
        is_finite = np.shape(self.positions) == (2, 3) and np.isfinite(self.positions).all()
        if not is_finite or not self.distance > 0:
            raise ValueError('a pair has two different, finite positions')
        if not self.sound_speed > 0:
            raise ValueError(f'sound_speed must be positive, not {self.sound_speed}')

    @classmethod
    def of_array(cls, array: MicrophoneArray, channels: tuple[int, int]) -> MicrophonePair:
        """Take two channels of an array, in the head's base frame."""
        return cls(array.base_from_array.apply(array.positions[list(channels)]))

    @cached_property
    def distance(self) -> float:
        """Between the microphones [m]."""
        return float(np.linalg.norm(np.subtract(*self.positions)))

    @property
    def max_itd(self) -> float:
        """Largest difference [s], for sound along the axis."""
        return self.distance / self.sound_speed

    def itd(self, points: np.ndarray) -> np.ndarray:
        """Differences (...,) [s] of points (..., 3) [m]."""
        first, second = (np.linalg.norm(points - m, axis=-1) for m in self.positions)
        return (first - second) / self.sound_speed

    def gradient(self, points: np.ndarray) -> np.ndarray:
        """Differentiate the difference at points (..., 3) [m]: (..., 3) [s/m].

        The part of a microphone that the point coincides with is zero.
        """
        first, second = (_unit(points - m) for m in self.positions)
        return (first - second) / self.sound_speed

    def variance(self, points: np.ndarray, covariances: np.ndarray) -> np.ndarray:
        """Variance of the differences of uncertain points, to first order.

        Parameters
        ----------
        points
            (..., 3) [m].
        covariances
            (..., 3, 3) [m^2].

        Returns
        -------
        np.ndarray
            (...,) [s^2].
        """
        gradient = self.gradient(points)
        return np.einsum('...i,...ij,...j->...', gradient, covariances, gradient)

    def bearing(self, itd: float) -> np.ndarray:
        """Direction of a distant source, `sin(theta) = c itd / d`.

        Of all the directions that give the difference it is the one in the plane of the
        microphones and of straight ahead (x).

        Parameters
        ----------
        itd
            [s].

        Returns
        -------
        np.ndarray
            (3,) unit vector.
        """
        axis = np.subtract(*self.positions) / self.distance
        ahead = _FORWARD - (_FORWARD @ axis) * axis
        if np.linalg.norm(ahead) < 1e-6:  # the microphones stand one behind the other
            ahead = np.cross(_UP, axis)
        sine = float(np.clip(itd / self.max_itd, -1.0, 1.0))
        return -sine * axis + np.sqrt(1 - sine**2) * ahead / np.linalg.norm(ahead)


def frontal_pair(array: MicrophoneArray) -> tuple[int, int]:
    """Choose the two channels that tell best between directions ahead.

    Parameters
    ----------
    array
        At least two microphones.

    Returns
    -------
    tuple
        The channels farthest apart from left to right, of equals the most alike otherwise.

    Raises
    ------
    ValueError
        When there is but one microphone.
    """
    if len(array.coordinates) < 2:
        raise ValueError('a pair needs two microphones')
    positions = array.base_from_array.rotate(array.positions)
    first, second = np.triu_indices(len(positions), 1)
    extent = np.round(np.abs(positions[first] - positions[second]), 4)
    best = np.lexsort((extent[:, 0] + extent[:, 2], -extent[:, 1]))[0]
    return int(first[best]), int(second[best])


def _unit(vectors: np.ndarray) -> np.ndarray:
    """(..., 3) of length one; zero stays zero."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
