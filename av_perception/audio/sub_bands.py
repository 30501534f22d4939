# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Sub-bands of neighboring bins, their feature vectors, and which bins carry information."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from av_perception.numerics.sliding_least import SlidingLeast

_QUANTIZATION_POWER = 1 / (12 * 32768.0**2)  # of 16-bit sound: nothing below it is a signal
_HANN_ENERGY = 0.375  # sum of the squared Hann window, per sample


@dataclass(frozen=True)
class SubbandConfig:
    """The sub-bands, and which of their bins are usable.

    A bin is usable when its power exceeds the noise floor and when the cross-relations explain
    most of it (one dominant source).
    """

    #: Number K of sub-bands.
    count: int = 16
    #: Bins of a sub-band.
    width: int = 8
    #: How far the power of a usable bin exceeds the noise floor [dB].
    min_snr_db: float = 6.0
    #: Largest share of the cross-relations' power that stays unexplained in a usable bin, (0, 1].
    max_residual: float = 0.4
    #: The noise floor is the least power of this time [s].
    noise_window_s: float = 2.0
    #: Usable bins that make a sub-band valid, 1..width.
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
    """Stack features per bin to vectors per sub-band.

    Parameters
    ----------
    values
        (..., bins, channels) complex.
    config
        The sub-bands.

    Returns
    -------
    np.ndarray
        (..., K, G): all real parts of a sub-band, then all imaginary parts.
    """
    grouped = _grouped(values, config)
    return np.concatenate([grouped.real, grouped.imag], axis=-1)


def subband_flags(flags: np.ndarray, config: SubbandConfig) -> np.ndarray:
    """Stack flags (..., bins, channels) to (..., K, G), in the order of `subband_vectors`."""
    grouped = _grouped(flags, config)
    return np.concatenate([grouped, grouped], axis=-1)


def subband_mean(values: np.ndarray, config: SubbandConfig) -> np.ndarray:
    """Mean over the bins of each sub-band, (bins,) -> (K,)."""
    return values[: config.count * config.width].reshape(config.count, config.width).mean(axis=1)


def _grouped(values: np.ndarray, config: SubbandConfig) -> np.ndarray:
    """(..., bins, channels) -> (..., K, width channels)."""
    used = values[..., : config.count * config.width, :]
    return used.reshape(*used.shape[:-2], config.count, config.width * used.shape[-1])


def rising_frames(
    power: np.ndarray, before: np.ndarray, ratio: float, fade: float
) -> tuple[np.ndarray, np.ndarray]:
    """Tell where energy does not decay.

    Parameters
    ----------
    power
        (T, F) of consecutive frames.
    before
        (F,) the fading peak of the frames before.
    ratio, fade
        Power must exceed this share of the peak, which fades by this factor a frame.

    Returns
    -------
    rising
        (T, F) bool.
    before
        (F,) for the frames to come.
    """
    rising = np.empty(power.shape, bool)
    for frame, now in enumerate(power):
        rising[frame] = now > ratio * before
        before = np.maximum(now, fade * before)
    return rising, before


class NoiseFloor:
    """Each bin's noise power: the minimum of its smoothed power over a sliding time.

    Sound without any signal (digital zeros, a constant, microphones that are switched off) says
    nothing of the room: the floor stays what it was, and the time stands still. What shares
    samples with it is weaker than the room and does not count either.

    Source: Martin, "Noise power spectral density estimation based on optimal smoothing and minimum
    statistics", IEEE Trans. Speech and Audio Processing 9(5), 2001. window: length of the Hann
    window of the spectra [samples].
    """

    _SMOOTHING = 0.3  # little: the pauses within speech last a few blocks
    # The least of 50 lightly smoothed powers lies about 3.6 dB below their mean.
    _MINIMUM_BIAS = 2.3
    _NO_SIGNAL = 0.1  # of the power of quantization: less is no microphone's noise

    def __init__(self, num_bins: int, num_blocks: int, window: int):
        self._least = _QUANTIZATION_POWER * (_HANN_ENERGY * window)
        self._recent = SlidingLeast(num_blocks, num_bins)
        self._smoothed: np.ndarray | None = None  # None: the last block had no signal
        self._follows_nothing = False

    def update(self, power: np.ndarray) -> np.ndarray:
        """Take the (bins,) power of one block; returns the (bins,) noise power."""
        if not self._has_signal(power):
            self._drop_signal()
        elif self._follows_nothing:
            self._follows_nothing = False
        else:
            previous = power if self._smoothed is None else self._smoothed
            self._smoothed = self._SMOOTHING * previous + (1 - self._SMOOTHING) * power
            self._recent.push(self._smoothed)
        lowest = self._recent.least
        if math.isinf(lowest[0]):  # nothing was measured so far: all of the block may be noise
            lowest = power
        return np.maximum(self._MINIMUM_BIAS * lowest, self._least)

    def _has_signal(self, power: np.ndarray) -> bool:
        """Tell whether a quarter of the bins is above nothing; a constant fills the lowest few."""
        upper = (3 * (len(power) - 1)) // 4
        return bool(np.partition(power, upper)[upper] >= self._NO_SIGNAL * self._least)

    def _drop_signal(self) -> None:
        """Forget the last block, of which a part was without signal already."""
        if self._smoothed is not None:
            self._recent.take_back()
        self._smoothed = None
        self._follows_nothing = True
