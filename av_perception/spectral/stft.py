# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Streaming short-time Fourier transform of all microphones."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class StftConfig:
    """sample_rate [Hz]; window and hop [samples]. The defaults are those of Ban et al. 2021: 16 ms Hann, 8 ms hop at 16 kHz."""

    sample_rate: int = 16000
    window: int = 256
    hop: int = 128

    def __post_init__(self):
        if self.sample_rate <= 0:
            raise ValueError(f'sample_rate must be positive, not {self.sample_rate}')
        if self.window < 4 or self.window % 2:
            raise ValueError(
                f'window must be an even number of at least 4 samples, not {self.window}'
            )
        if not 1 <= self.hop <= self.window:
            raise ValueError(f'hop must lie in 1..window, not {self.hop}')

    @property
    def num_bins(self) -> int:
        """Bins kept: all but the constant."""
        return self.window // 2

    @cached_property
    def frequencies(self) -> np.ndarray:
        """(num_bins,) centre frequency [Hz] of every kept bin."""
        return np.arange(1, self.num_bins + 1) * self.sample_rate / self.window


class StreamingStft:
    """Cuts a stream into overlapping Hann windows; frame p covers the samples p * hop .. p * hop + window of the stream."""

    def __init__(self, config: StftConfig, num_channels: int):
        self._config = config
        self._window = np.hanning(config.window + 1)[:-1, None].astype(np.float32)
        self._pending = np.zeros((0, num_channels), np.float32)

    def push(self, samples: np.ndarray) -> np.ndarray:
        """(samples, channels) -> (frames, bins, channels) complex spectra of the frames that became complete."""
        window, hop = self._config.window, self._config.hop
        self._pending = np.concatenate([self._pending, samples])
        num_frames = max(0, (len(self._pending) - window) // hop + 1)
        if num_frames == 0:
            return np.zeros((0, self._config.num_bins, self._pending.shape[1]), complex)
        frames = np.lib.stride_tricks.sliding_window_view(self._pending, window, axis=0)[::hop][
            :num_frames
        ]
        spectra = np.fft.rfft(frames.transpose(0, 2, 1) * self._window, axis=1)[:, 1:]
        self._pending = self._pending[num_frames * hop :]
        return spectra
