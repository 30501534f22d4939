# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Whose each time-frequency bin is: masks for the people whose directions are known.

Every bin has the log ratios l_n of the directions of all people to diffuse sound
(`audio/direction_bins.py`). Diffuse sound is left out: what reverberates is somebody's, too. With
the activity a_n of each person and a sharpness c the shares are

    r_n = exp(c l_n) / sum_m exp(c l_m),    mask_n = a_n (r_n smoothed over time),

so that masks add up to at most one. Bins of all frequencies are judged: where the directions are
known, those above the array's aliasing frequency tell them apart as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from av_perception.audio.direction_bins import DirectionLikelihood
from av_perception.audio.steering import Steering
from av_perception.numerics.softmax import softmax
from av_perception.spectral.transform import ShortTimeFourier

SAMPLE_RATE = 16000  # [Hz] of the sound that is separated


@dataclass(frozen=True)
class PersonMasksConfig:
    """How sharp, how smooth, and how much is left of who is silent."""

    #: Windows of 32 ms every 8 ms: shorter ones blur voices, longer ones delay.
    transform: ShortTimeFourier = field(
        default_factory=lambda: ShortTimeFourier(size=512, hop=128, shape='hann')
    )
    #: How far the likelihoods count, positive: 1 as they are, more divides more sharply.
    sharpness: float = 3.0
    #: Time over which shares are smoothed [s], not negative.
    smoothing_s: float = 0.016
    #: Least activity of a person, 0..1: what is left of who counts as silent.
    activity_floor: float = 0.1
    #: Below this frequency bins do not tell directions [Hz].
    lowest_hz: float = 100.0

    def __post_init__(self):
        if not self.sharpness > 0:
            raise ValueError(f'sharpness must be positive, not {self.sharpness}')
        if not self.smoothing_s >= 0:
            raise ValueError(f'smoothing_s must not be negative, but is {self.smoothing_s}')
        if not 0 <= self.activity_floor <= 1:
            raise ValueError(f'activity_floor must lie in 0..1, not {self.activity_floor}')
        if not 0 < self.lowest_hz < 0.25 * SAMPLE_RATE:
            raise ValueError(f'lowest_hz must lie in 0..4000 Hz, not {self.lowest_hz}')

    @property
    def used(self) -> np.ndarray:
        """(K,) indices of the bins that tell directions."""
        return np.flatnonzero(self.transform.frequencies(SAMPLE_RATE) >= self.lowest_hz)


class PersonMasks:
    """Recursive over the frames of one array.

    Raises UserError for a head with fewer than 2 or more than 16 microphones.

    Parameters
    ----------
    steering
        How sound arrives at the microphones.
    config
        See `PersonMasksConfig`.
    """

    def __init__(self, steering: Steering, config: PersonMasksConfig | None = None):
        self.config = config or PersonMasksConfig()
        self._used = self.config.used
        frequencies = self.config.transform.frequencies(SAMPLE_RATE)[self._used]
        self._likelihood = DirectionLikelihood(steering, frequencies)
        self._shares: dict[int, np.ndarray] = {}

    def reset(self) -> None:
        """Forget the past."""
        self._shares.clear()

    def update(
        self,
        spectra: np.ndarray,
        directions: Mapping[int, np.ndarray],
        activity: Mapping[int, float],
    ) -> np.ndarray:
        """Take the next frames, during which people hardly move.

        Parameters
        ----------
        spectra
            (T, F, M) of all bins of `config.transform`.
        directions
            Unit vector (3,) in the array frame of everybody who is tracked, by id.
        activity
            Probability that the person speaks, by id; whoever is not in it counts as silent.

        Returns
        -------
        np.ndarray
            (J, T, F) float32 masks of the people in the order of `directions`.
        """
        ids = tuple(directions)
        shape = (len(ids), *spectra.shape[:2])
        if not ids:
            self._shares.clear()
            return np.zeros(shape, np.float32)
        towards = np.array([directions[i] for i in ids], float)
        ratios = log_ratios(self._likelihood, spectra[:, self._used], towards)
        shares = np.moveaxis(softmax(self.config.sharpness * np.moveaxis(ratios, 0, -1)), -1, 0)
        smoothed = self._smoothed(ids, shares)
        least = self.config.activity_floor
        active = np.array([max(activity.get(i, 0.0), least) for i in ids], np.float32)
        masks = np.empty(shape, np.float32)
        masks[:, :, self._used] = active[:, None, None] * smoothed
        first = self._used[0]
        masks[:, :, :first] = masks[:, :, first : 2 * first].mean(axis=2, keepdims=True)
        return masks

    def _smoothed(self, ids: tuple[int, ...], shares: np.ndarray) -> np.ndarray:
        """(J, T, K) shares, each frame's averaged with those before by a decaying weight."""
        hop_s = self.config.transform.hop / SAMPLE_RATE
        smoothing_s = self.config.smoothing_s
        keep = np.exp(-hop_s / smoothing_s) if smoothing_s > 0 else 0.0
        nobody = np.zeros(shares.shape[2], np.float32)
        before = shares[:, 0]
        if any(i in self._shares for i in ids):
            before = np.stack([self._shares.get(i, nobody) for i in ids])
        result = np.empty_like(shares)
        for frame in range(shares.shape[1]):
            before = keep * before + (1 - keep) * shares[:, frame]
            result[:, frame] = before
        self._shares = dict(zip(ids, before, strict=True))
        return result


def log_ratios(
    likelihood: DirectionLikelihood, spectra: np.ndarray, directions: np.ndarray
) -> np.ndarray:
    """Log ratio of every direction to diffuse sound in every bin.

    Parameters
    ----------
    likelihood
        For the K frequencies of the spectra.
    spectra
        (T, K, M).
    directions
        (J, 3) unit vectors in the array frame.

    Returns
    -------
    np.ndarray
        (J, T, K) float32; 0 where a bin is silent.
    """
    scaled = likelihood.whitened_steering(directions)  # (K, M, J)
    white = likelihood.whitening @ spectra.transpose(1, 2, 0).astype(np.complex64)  # (K, M, T)
    square = np.sum(white.real**2 + white.imag**2, axis=1)  # (K, T)
    product = scaled.swapaxes(1, 2) @ white  # (K, J, T)
    aligned = product.real**2 + product.imag**2
    tiny = np.finfo(np.float32).tiny
    aligned = aligned / np.maximum(square, tiny)[:, None]
    length = np.sum(scaled.real**2 + scaled.imag**2, axis=1)  # (K, J)
    # (1e-6: float32 cannot tell a perfectly aligned bin from none of it left)
    constant = np.log(np.maximum(1 - length, 1e-6))[:, :, None]
    misfit = np.log(np.maximum(1 - aligned, 1e-6))
    ratios = constant - likelihood.num_microphones * misfit
    return np.where(square[:, None] > tiny, ratios, 0.0).transpose(1, 2, 0).astype(np.float32)
