# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Steering vectors: what microphones hear of a far source, from geometry or measured responses.

Directions are unit vectors in the array frame. Vectors are normalized to the length sqrt(M) of a
free field's, so that direct sound weighs the same whatever says how it arrives; the phase that all
microphones share is arbitrary.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from av_perception.audio.acoustic_map import AcousticMap
from av_perception.audio.propagation import (
    FREE_FIELD,
    SPEED_OF_SOUND,
    array_response,
    geometric_model,
)
from av_perception.audio.responses import MeasuredTransfer
from av_perception.robot_head.profile import MicrophoneArray

_NUM_DIFFUSE = 400  # plane waves that make up the diffuse field around a sphere
_NUM_NEIGHBORS = 4  # measured directions between which a response is interpolated
_NUM_MAP_DIRECTIONS = 600


class Steering(Protocol):
    """Whatever can say how a sound from a direction arrives at the microphones."""

    @property
    def num_microphones(self) -> int:
        """M."""

    @property
    def is_cheap(self) -> bool:
        """Whether a few frequencies cost less than all, of which something is prepared."""

    def vectors(self, directions: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
        """(N, F, M) complex, of length sqrt(M): directions (N, 3), frequencies (F,) [Hz]."""

    def diffuse_coherence(self, frequencies: np.ndarray) -> np.ndarray:
        """(F, M, M) covariance of sound from everywhere, of trace M."""


class GeometricSteering:
    """Free field, or a rigid sphere where the head's profile names one."""

    def __init__(self, array: MicrophoneArray):
        self._array = array

    @property
    def num_microphones(self) -> int:
        """M."""
        return len(self._array.positions)

    @property
    def is_cheap(self) -> bool:
        """In the free field; around a sphere the orders of the given frequencies are kept."""
        return geometric_model(self._array) == FREE_FIELD

    def vectors(self, directions: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
        """(N, F, M) of unit vectors (N, 3) at frequencies (F,) [Hz]."""
        directions = np.atleast_2d(directions)
        heard = array_response(self._array, directions, np.asarray(frequencies, float))
        if geometric_model(self._array) == FREE_FIELD:
            return heard  # of that length already
        return normalized(heard)

    def diffuse_coherence(self, frequencies: np.ndarray) -> np.ndarray:
        """(F, M, M); in the free field sin(k r) / (k r)."""
        frequencies = np.asarray(frequencies, float)
        if geometric_model(self._array) == FREE_FIELD:
            positions = self._array.positions
            distance = np.linalg.norm(positions[:, None] - positions, axis=2)
            return np.sinc(2 * frequencies[:, None, None] * distance / SPEED_OF_SOUND) + 0j
        waves = array_response(self._array, sphere_grid(_NUM_DIFFUSE), frequencies)
        covariance = np.einsum('nfi,nfj->fij', waves, waves.conj(), optimize=True)
        trace = np.trace(covariance, axis1=1, axis2=2).real
        return covariance * (len(self._array.positions) / trace)[:, None, None]


class MeasuredSteering:
    """Responses known at some directions (a SOFA file, a recorded session, a learnt map).

    Between them what the geometry leaves unexplained is interpolated: phases turn fast with
    direction, their remainder hardly does. Sound from everywhere is taken from the geometry.
    """

    def __init__(
        self,
        array: MicrophoneArray,
        directions: np.ndarray,
        responses: np.ndarray,
        frequencies: np.ndarray,
    ):
        """responses: (D, F, M) complex at directions (D, 3) and rising frequencies (F,) [Hz]."""
        self._geometry = GeometricSteering(array)
        self._directions = directions
        self._frequencies = frequencies
        expected = self._geometry.vectors(directions, frequencies)
        remainder = normalized(responses) * np.exp(-1j * np.angle(expected))
        # The common phase is arbitrary: that of the first microphone becomes the geometry's.
        first = remainder[..., :1]
        self._remainder = remainder * np.exp(-1j * np.angle(first))

    @classmethod
    def of_transfer(
        cls, array: MicrophoneArray, measured: MeasuredTransfer, frequencies: np.ndarray
    ) -> MeasuredSteering:
        """From what `read_sofa` or `measure_session` gave at these frequencies (F,) [Hz].

        Frequencies at which some direction was not heard are left out.
        """
        whole = np.isfinite(measured.transfer).all(axis=(0, 2))
        responses = _responses(measured.transfer[:, whole])
        return cls(array, measured.directions, responses, np.asarray(frequencies)[whole])

    @classmethod
    def of_map(cls, array: MicrophoneArray, acoustic_map: AcousticMap) -> MeasuredSteering:
        """From a learnt acoustic map, where it was taught."""
        grid = sphere_grid(_NUM_MAP_DIRECTIONS)
        grid = grid[acoustic_map.covers(grid)]
        features = acoustic_map.expected_features(grid)  # (D, K, G)
        real, imaginary = np.split(features, 2, axis=-1)
        others = acoustic_map.num_microphones - 1
        transfer = (real + 1j * imaginary).reshape(len(grid), -1, others)
        width_hz = acoustic_map.sample_rate / acoustic_map.window
        frequencies = width_hz * np.arange(1, transfer.shape[1] + 1)
        return cls(array, grid, _responses(transfer), frequencies)

    @property
    def num_microphones(self) -> int:
        """M."""
        return self._geometry.num_microphones

    @property
    def is_cheap(self) -> bool:
        """As the geometry between whose responses it interpolates."""
        return self._geometry.is_cheap

    def vectors(self, directions: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
        """(N, F, M) of unit vectors (N, 3) at frequencies (F,) [Hz]."""
        directions = np.atleast_2d(directions)
        remainder = self._at_frequencies(self._at_directions(directions), frequencies)
        phase = np.exp(1j * np.angle(self._geometry.vectors(directions, frequencies)))
        return normalized(remainder * phase)

    def diffuse_coherence(self, frequencies: np.ndarray) -> np.ndarray:
        """(F, M, M) of the head's geometry."""
        return self._geometry.diffuse_coherence(frequencies)

    def _at_directions(self, directions: np.ndarray) -> np.ndarray:
        """(N, F, M): of the nearest measured directions, weighted by inverse distance."""
        distance = np.linalg.norm(directions[:, None] - self._directions, axis=2)
        count = min(_NUM_NEIGHBORS, len(self._directions))
        nearest = np.argsort(distance, axis=1)[:, :count]
        weight = 1 / (np.take_along_axis(distance, nearest, axis=1) + 1e-6)
        weight /= weight.sum(axis=1, keepdims=True)
        return np.einsum('nk,nkfm->nfm', weight, self._remainder[nearest], optimize=True)

    def _at_frequencies(self, values: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
        """(N, F, M) interpolated linearly, held beyond the measured band."""
        place = np.interp(frequencies, self._frequencies, np.arange(len(self._frequencies)))
        low = np.minimum(place.astype(int), max(len(self._frequencies) - 2, 0))
        high = np.minimum(low + 1, len(self._frequencies) - 1)
        fraction = (place - low)[:, None]
        return (1 - fraction) * values[:, low] + fraction * values[:, high]


class PartialSteering:
    """Some of the microphones of an array: the others are dead."""

    def __init__(self, whole: Steering, live: tuple[bool, ...]):
        self._whole = whole
        self._live = np.flatnonzero(live)

    @property
    def num_microphones(self) -> int:
        """M of the live ones."""
        return len(self._live)

    @property
    def is_cheap(self) -> bool:
        """As the whole array."""
        return self._whole.is_cheap

    def vectors(self, directions: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
        """(N, F, M) of unit vectors (N, 3) at frequencies (F,) [Hz]."""
        return normalized(self._whole.vectors(directions, frequencies)[..., self._live])

    def diffuse_coherence(self, frequencies: np.ndarray) -> np.ndarray:
        """(F, M, M), of trace M."""
        part = self._whole.diffuse_coherence(frequencies)[:, self._live][:, :, self._live]
        trace = np.trace(part, axis1=1, axis2=2).real
        return part * (self.num_microphones / trace)[:, None, None]


def normalized(vectors: np.ndarray) -> np.ndarray:
    """(..., M) scaled to the length sqrt(M)."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors * (np.sqrt(vectors.shape[-1]) / np.maximum(length, 1e-12))


def sphere_grid(count: int) -> np.ndarray:
    """(count, 3) unit vectors spread evenly over the sphere: a spiral of golden angles."""
    index = np.arange(count) + 0.5
    height = 1 - 2 * index / count
    azimuth = np.pi * (1 + 5**0.5) * index
    radius = np.sqrt(1 - height**2)
    return np.stack([radius * np.cos(azimuth), radius * np.sin(azimuth), height], axis=1)


def _responses(transfer: np.ndarray) -> np.ndarray:
    """(..., M) responses relative to the first microphone from bounded ones (..., M - 1).

    Undoes ct = c / sqrt(1 + |c|^2) of `relative_transfer`.
    """
    size = np.minimum(np.abs(transfer), 0.999)
    ratio = transfer * (np.minimum(size / np.maximum(np.abs(transfer), 1e-12), 1.0))
    ratio = ratio / np.sqrt(1 - size**2)
    return np.concatenate([np.ones((*ratio.shape[:-1], 1)), ratio], axis=-1)
