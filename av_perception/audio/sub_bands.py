# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Sub-bands of neighbouring frequency bins, their feature vectors, and the gate that says which bins carry information."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_QUANTIZATION_POWER = 1 / (12 * 32768.0**2)  # of 16-bit sound: nothing below it is a signal


@dataclass(frozen=True)
class SubbandConfig:
    """count: K sub-bands of `width` bins; min_bins: usable bins that make a sub-band valid.

    A bin is usable when its power exceeds the noise floor by min_snr_db and when at most max_residual of the cross-relations' power
    stays unexplained (one dominant source). noise_window_s: the floor is the least power of that time.
    """

    count: int = 16
    width: int = 8
    min_snr_db: float = 6.0
    max_residual: float = 0.4
    noise_window_s: float = 2.0
    min_bins: int = 4

    def __post_init__(self):
        if self.count < 1 or self.width < 1:
            raise ValueError('count and width must be at least 1')
        if not 1 <= self.min_bins <= self.width:
            raise ValueError(f'min_bins must lie in 1..width, not {self.min_bins}')
        if not 0 < self.max_residual <= 1:
            raise ValueError(f'max_residual must lie in (0, 1], not {self.max_residual}')
        if self.noise_window_s <= 0:
            raise ValueError(f'noise_window_s must be positive, not {self.noise_window_s}')


def subband_vectors(values: np.ndarray, config: SubbandConfig) -> np.ndarray:
    """Stack per-bin complex features (..., bins, channels) to vectors (..., K, G): all real parts, then all imaginary parts."""
    used = values[..., : config.count * config.width, :]
    grouped = used.reshape(*used.shape[:-2], config.count, config.width * used.shape[-1])
    return np.concatenate([grouped.real, grouped.imag], axis=-1)


def subband_flags(flags: np.ndarray, config: SubbandConfig) -> np.ndarray:
    """Stack per-bin flags (..., bins, channels) to (..., K, G), in the order of `subband_vectors`."""
    used = flags[..., : config.count * config.width, :]
    grouped = used.reshape(*used.shape[:-2], config.count, config.width * used.shape[-1])
    return np.concatenate([grouped, grouped], axis=-1)


def subband_mean(values: np.ndarray, config: SubbandConfig) -> np.ndarray:
    """Mean over the bins of each sub-band: (bins,) -> (K,)."""
    return values[: config.count * config.width].reshape(config.count, config.width).mean(axis=1)


class NoiseFloor:
    """Tracks each bin's noise power as the minimum of its smoothed power over a sliding time (Martin 2001)."""

    _SMOOTHING = 0.3  # little: the pauses within speech last a few blocks
    _MINIMUM_BIAS = (
        2.3  # the least of 50 lightly smoothed powers lies about 3.6 dB below their mean
    )

    def __init__(self, num_bins: int, num_blocks: int, window_energy: float):
        self._least = _QUANTIZATION_POWER * window_energy
        self._smoothed = None
        self._recent = np.full((num_blocks, num_bins), np.inf)
        self._next = 0

    def update(self, power: np.ndarray) -> np.ndarray:
        """Take the (bins,) power of one block; returns the (bins,) noise power."""
        previous = power if self._smoothed is None else self._smoothed
        self._smoothed = self._SMOOTHING * previous + (1 - self._SMOOTHING) * power
        self._recent[self._next] = self._smoothed
        self._next = (self._next + 1) % len(self._recent)
        return np.maximum(self._MINIMUM_BIAS * self._recent.min(axis=0), self._least)
