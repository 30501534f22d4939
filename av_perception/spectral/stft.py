# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The streaming short-time Fourier transform of the audio front ends."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from av_perception.spectral.transform import StreamingAnalysis
from av_perception.spectral.windows import hann


@dataclass(frozen=True)
class StftConfig:
    """Hann windows and their hop; the defaults are those of Ban et al. 2021."""

    #: Sample rate of the analysis [Hz], positive.
    sample_rate: int = 16000
    #: Length of a window [samples], an even number of at least 4.
    window: int = 256
    #: From one window to the next [samples], 1..window.
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
        """Number of bins that are kept: all but the constant."""
        return self.window // 2

    @cached_property
    def frequencies(self) -> np.ndarray:
        """(num_bins,) center frequency [Hz] of every kept bin."""
        return np.arange(1, self.num_bins + 1) * self.sample_rate / self.window


class FrameBlocks:
    """How a front end's configuration cuts a stream into blocks of frames."""

    stft: StftConfig
    frames_per_block: int

    @property
    def block_s(self) -> float:
        """Time between two blocks [s]."""
        return self.frames_per_block * self.stft.hop / self.stft.sample_rate

    @property
    def block_length(self) -> int:
        """Number of samples that a block spans."""
        return (self.frames_per_block - 1) * self.stft.hop + self.stft.window

    @property
    def next_end_s(self) -> float:
        """From the center of a block to the last sample of the next one [s]."""
        return self.block_s + self.block_length / 2 / self.stft.sample_rate


class StreamingStft:
    """Spectra of a stream without the constant bin, which says nothing about sound.

    Frame p covers the samples p * hop .. p * hop + window of the stream. It is `StreamingAnalysis`
    with a Hann window of single precision; frames are given `group` at a time.
    """

    def __init__(self, config: StftConfig, num_channels: int, group: int = 1):
        self._analysis = StreamingAnalysis(
            hann(config.window), config.hop, num_channels, dtype=np.float32, group=group
        )

    def push(self, samples: np.ndarray) -> np.ndarray:
        """Take the next samples of the stream.

        Parameters
        ----------
        samples
            (N, channels), N of any size.

        Returns
        -------
        np.ndarray
            (frames, num_bins, channels) complex spectra of the frames that became complete.
        """
        return self._analysis.push(samples)[:, 1:]
