# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Short-time Fourier transform of all bins, and its inverse, whole recordings and streams alike.

Frame p covers the samples p * hop .. p * hop + size of the padded signal: `size - hop` zeros come
first, so that the first sample lies in as many windows as every other one. Synthesis adds up
windowed frames; without changes between the two the signal comes back to rounding, its first and
last samples included. Source: Griffin and Lim 1984 (see `windows`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from av_perception.spectral import windows

_SHAPES = {'hann': windows.hann, 'sqrt_hann': windows.sqrt_hann, 'sine': windows.sine}


@dataclass(frozen=True)
class ShortTimeFourier:
    """One choice of windows.

    size: of the window [samples], even; hop: from one frame to the next [samples]; shape: of the
    analysis window, 'hann', 'sqrt_hann' or 'sine'.
    """

    size: int = 1024
    hop: int = 256
    shape: str = 'sqrt_hann'

    def __post_init__(self):
        if self.size < 4 or self.size % 2:
            raise ValueError(f'size must be an even number of at least 4 samples, not {self.size}')
        if not 1 <= self.hop <= self.size:
            raise ValueError(f'hop must lie in 1..size, not {self.hop}')
        if self.shape not in _SHAPES:
            raise ValueError(f'shape must be one of {", ".join(_SHAPES)}, not {self.shape!r}')

    @property
    def num_bins(self) -> int:
        """All of a real signal: from the constant to half the sample rate, both included."""
        return self.size // 2 + 1

    @property
    def lead(self) -> int:
        """Zeros before the first sample, and how many samples synthesis lags behind analysis."""
        return self.size - self.hop

    @cached_property
    def analysis_window(self) -> np.ndarray:
        """(size,)."""
        return _SHAPES[self.shape](self.size)

    @cached_property
    def synthesis_window(self) -> np.ndarray:
        """(size,). Raises ValueError when these windows cannot be undone."""
        return windows.synthesis_window(self.analysis_window, self.hop)

    def frequencies(self, sample_rate: float) -> np.ndarray:
        """(num_bins,) center frequencies [Hz]."""
        return np.arange(self.num_bins) * sample_rate / self.size

    def num_frames(self, num_samples: int) -> int:
        """How many frames a recording has: every sample is in all windows that can reach it."""
        return -(-(self.lead + num_samples) // self.hop) if num_samples else 0

    def forward(self, samples: np.ndarray) -> np.ndarray:
        """Spectra of a whole recording.

        Parameters
        ----------
        samples
            (N, ...) one channel or several.

        Returns
        -------
        np.ndarray
            (num_frames(N), num_bins, ...) complex.
        """
        count = self.num_frames(len(samples))
        if not count:
            return np.zeros((0, self.num_bins, *samples.shape[1:]), complex)
        rest = (count - 1) * self.hop + self.size - self.lead - len(samples)
        padding = [(self.lead, rest)] + [(0, 0)] * (samples.ndim - 1)
        return spectra_of(np.pad(samples, padding), self.analysis_window, self.hop)

    def inverse(self, spectra: np.ndarray, num_samples: int) -> np.ndarray:
        """Undo `forward`: the recording that a whole transform came from.

        Parameters
        ----------
        spectra
            (num_frames(N), num_bins, ...) complex.
        num_samples
            N.

        Returns
        -------
        np.ndarray
            (N, ...) samples.

        Raises
        ------
        ValueError
            When there are not as many frames as N samples have.
        """
        if len(spectra) != self.num_frames(num_samples):
            raise ValueError(
                f'{num_samples} samples have {self.num_frames(num_samples)} frames, '
                f'not {len(spectra)}'
            )
        added = overlap_add(spectra, self.synthesis_window, self.hop)
        return added[self.lead : self.lead + num_samples]


def spectra_of(samples: np.ndarray, window: np.ndarray, hop: int) -> np.ndarray:
    """Spectra (frames, size // 2 + 1, ...) of all whole windows in samples (N, ...), N >= size."""
    # Time is the last axis, along which transforms are fastest.
    axes = range(samples.ndim)
    channels = np.ascontiguousarray(samples.transpose(*axes[1:], 0))
    # A view; NumPy's own sliding windows take longer to set up than these transforms take.
    count = (len(samples) - len(window)) // hop + 1
    step = channels.strides[-1]
    frames = np.ndarray(
        (*channels.shape[:-1], count, len(window)),
        channels.dtype,
        channels,
        strides=(*channels.strides[:-1], hop * step, step),
    )
    spectra = np.fft.rfft(frames * window)
    return spectra.transpose(samples.ndim - 1, samples.ndim, *axes[:-1])


def overlap_add(spectra: np.ndarray, window: np.ndarray, hop: int) -> np.ndarray:
    """Add up the windowed frames of spectra (P, bins, ...), each a hop after the one before.

    Returns (P - 1 + ceil(size / hop)) * hop samples; those after the end of the last window are
    zero.
    """
    frames = np.fft.irfft(spectra, len(window), axis=1)
    frames = frames * window.reshape(-1, *[1] * (spectra.ndim - 2))
    pieces = -(-len(window) // hop)
    padded = np.zeros((len(frames), pieces * hop, *frames.shape[2:]), frames.dtype)
    padded[:, : len(window)] = frames
    total = np.zeros((len(frames) - 1 + pieces, hop, *frames.shape[2:]), frames.dtype)
    for piece in range(pieces):
        total[piece : piece + len(frames)] += padded[:, piece * hop : (piece + 1) * hop]
    return total.reshape(-1, *frames.shape[2:])


class StreamingAnalysis:
    """Spectra of a stream, cut anyhow, in the order of its frames.

    channels: of the stream; lead: zeros before its first sample, as `ShortTimeFourier.lead` for a
    stream that is to be put together again, 0 for frames that begin with the stream; dtype: of the
    window, that of samples may widen it; group: frames are given so many at a time, which spares
    calls where nothing can be done with fewer.
    """

    def __init__(
        self,
        window: np.ndarray,
        hop: int,
        channels: int,
        lead: int = 0,
        dtype: type[np.floating] = np.float64,
        group: int = 1,
    ):
        self._window = window.astype(dtype)
        self._hop = hop
        self._group = group
        self._pending = np.zeros((lead, channels), dtype)

    def push(self, samples: np.ndarray) -> np.ndarray:
        """Take (samples, channels); returns (frames, bins, channels) of what became complete."""
        self._pending = np.concatenate([self._pending, samples])
        count = max(0, (len(self._pending) - len(self._window)) // self._hop + 1)
        count -= count % self._group
        if count == 0:
            bins = len(self._window) // 2 + 1
            return np.zeros((0, bins, self._pending.shape[1]), complex)
        whole = self._pending[: (count - 1) * self._hop + len(self._window)]
        spectra = spectra_of(whole, self._window, self._hop)
        self._pending = self._pending[count * self._hop :]
        return spectra

    def finish(self) -> np.ndarray:
        """End the stream: the frames that hold its last samples, filled up with zeros."""
        held = len(self._pending)
        count = -(-held // self._hop)
        missing = max(0, (count - 1) * self._hop + len(self._window) - held) if held else 0
        return self.push(np.zeros((missing, self._pending.shape[1]), self._pending.dtype))


class StreamingSynthesis:
    """Samples of a stream of frames by overlap-add.

    Sample n is that of the stream that `StreamingAnalysis` took with the lead of the transform.
    """

    def __init__(self, transform: ShortTimeFourier, channels: int):
        self._transform = transform
        self._window = transform.synthesis_window
        self._skip = transform.lead
        self._tail = np.zeros((0, channels))

    def push(self, spectra: np.ndarray) -> np.ndarray:
        """Take (frames, bins, channels); returns (samples, channels) that are complete."""
        if not len(spectra):
            return np.zeros((0, self._tail.shape[1]))
        added = overlap_add(spectra, self._window, self._transform.hop)
        added[: len(self._tail)] += self._tail
        done = len(spectra) * self._transform.hop
        self._tail = added[done:]
        skipped = min(self._skip, done)
        self._skip -= skipped
        return added[skipped:done]
