# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Checks a stream of sound chunks, keeps its time and brings it to the analysis' sample rate."""

from __future__ import annotations

import math
from collections import Counter, deque

import numpy as np

from av_perception.audio.resampling import StreamingResampler
from av_perception.errors import UserError
from av_perception.geometry.time import NANOSECONDS, seconds
from av_perception.interfaces import AudioChunk

_CLIPPED = 0.999
_ABSURD = 1e10  # integers of 32 bits that were stored as floats are smaller
_LONGEST_SPLICE_S = 0.5  # what is known of room and voice holds over a gap of this length
_CLOCK_JITTER_S = 0.15  # index and stamps that differ by more contradict each other
_STAMP_JITTER_S = 0.02  # by stamps alone: less is no gap, nor is less than half a chunk
_REMEMBERED = 256  # chunks whose stamps are kept
WRONG_INDEX = 'first_sample does not count samples'


class InputStream:
    """Chunks as captured in, float32 samples at `output_rate` out.

    After a short gap the stream goes on: its samples are joined, their stamps stay true. After a
    long one, or a stamp that runs backward, it starts afresh. Gaps are found by `first_sample`,
    and by the stamps where the two contradict each other (a driver that leaves the index at 0 or
    counts chunks in it).

    Counts in `counters`: gaps, backward stamps, chunks whose index is wrong, chunks dropped for
    NaN or infinity or absurdly large samples, chunks that came twice, clipped chunks, silent
    chunks.
    """

    def __init__(self, num_channels: int, input_rate: int, output_rate: int, counters: Counter):
        self.input_rate = input_rate
        self._num_channels = num_channels
        self._output_rate = output_rate
        self._counters = counters
        self._resampler: StreamingResampler | None = None
        if input_rate != output_rate:
            self._resampler = StreamingResampler(input_rate, output_rate, num_channels)
        # (samples since the last restart, stamp_ns) of the recent chunks
        self._anchors: deque[tuple[int, int]] = deque(maxlen=_REMEMBERED)
        self._received = 0
        self._next_sample: int | None = None
        self._last_stamp = 0
        self._last_end = 0
        self._last_samples = np.zeros((0, num_channels), np.float32)
        #: [s] of sound that is missing before the last chunk, 0 where it followed the one before
        self.gap_s = 0.0

    def at_rate(self, input_rate: int) -> InputStream:
        """Make one that starts afresh with sound of another rate (another device)."""
        return InputStream(self._num_channels, input_rate, self._output_rate, self._counters)

    def push(self, chunk: AudioChunk) -> tuple[np.ndarray, bool]:
        """Take the next chunk.

        Parameters
        ----------
        chunk
            As captured.

        Returns
        -------
        samples
            (N, channels) at the output rate.
        restarted
            Whether the stream started afresh before them.

        Raises
        ------
        UserError
            When the chunk has other channels or another rate.
        """
        samples = self._checked(chunk)
        peak = float(np.abs(samples).max(initial=0.0))  # NaN where a sample is
        useless = self._why_useless(chunk, samples, peak)
        if useless:
            self._counters[useless] += 1
            return np.zeros((0, self._num_channels), np.float32), False
        restarted = self._restart_if_broken(chunk)
        self._counters['clipped chunks'] += int(peak >= _CLIPPED)
        self._counters['silent chunks'] += int(len(samples) > 0 and peak == 0.0)
        self._anchors.append((self._received, chunk.stamp_ns))
        self._received += len(samples)
        self._next_sample = chunk.first_sample + len(samples)
        self._last_stamp = chunk.stamp_ns
        self._last_samples = samples
        self._last_end = chunk.stamp_ns + self._duration_ns(len(samples))
        if self._resampler is not None and len(samples):
            samples = self._resampler.push(samples)
        return samples, restarted

    def stamp_ns(self, output_sample: float) -> int:
        """Capture time of a sample; the resampler's output is free of delay.

        Parameters
        ----------
        output_sample
            Counted at the output rate since the last restart.

        Returns
        -------
        int
            [ns].
        """
        position = output_sample * self.input_rate / self._output_rate
        start, stamp = next(
            (anchor for anchor in reversed(self._anchors) if anchor[0] <= position),
            self._anchors[0],
        )
        return stamp + self._duration_ns(position - start)

    def _duration_ns(self, num_samples: float) -> int:
        """[ns] of samples at the input rate."""
        return round(num_samples * NANOSECONDS / self.input_rate)

    def _checked(self, chunk: AudioChunk) -> np.ndarray:
        samples = np.asarray(chunk.samples)
        if samples.ndim != 2 or samples.shape[1] != self._num_channels:
            raise UserError(
                f'the sound has the shape {samples.shape}, expected (samples, '
                f'{self._num_channels}): check the channel count'
            )
        if chunk.sample_rate != self.input_rate:
            raise UserError(
                f'the sound came at {chunk.sample_rate} Hz, expected {self.input_rate} Hz'
            )
        return np.ascontiguousarray(samples, np.float32)

    def _why_useless(self, chunk: AudioChunk, samples: np.ndarray, peak: float) -> str:
        """Give the counter of what makes a chunk useless, '' when it is of use."""
        if not math.isfinite(peak):
            return 'chunks dropped for NaN'
        if peak > _ABSURD:  # its power would overflow
            return 'chunks dropped for absurd samples'
        return 'chunks that came twice' if self._is_repeated(chunk, samples) else ''

    def _is_repeated(self, chunk: AudioChunk, samples: np.ndarray) -> bool:
        """Whether it is the last chunk once more. A stamp may stand still, sound does not."""
        if self._next_sample is None or chunk.stamp_ns != self._last_stamp:
            return False
        is_same_place = chunk.first_sample + len(samples) == self._next_sample
        return bool(is_same_place and len(samples) and np.array_equal(samples, self._last_samples))

    def _restart_if_broken(self, chunk: AudioChunk) -> bool:
        self.gap_s = 0.0
        if self._next_sample is None:
            return False
        is_backward = chunk.stamp_ns < self._last_stamp
        gap_s = self._gap_s(chunk, chunk.first_sample - self._next_sample)
        self.gap_s = gap_s
        self._counters['gaps in the sound'] += int(gap_s > 0)
        self._counters['backward audio stamps'] += int(is_backward)
        if gap_s <= _LONGEST_SPLICE_S and not is_backward:
            return False
        self._anchors.clear()
        self._received = 0
        if self._resampler is not None:
            self._resampler.clear()
        return True

    def _gap_s(self, chunk: AudioChunk, jump: int) -> float:
        """How much sound is missing before a chunk [s], 0 where it follows the last one.

        jump: of the index, in samples.
        """
        if jump == 0:
            return 0.0
        jump_s = jump / self.input_rate
        late_s = seconds(chunk.stamp_ns - self._last_end)
        is_stamped = chunk.stamp_ns != self._last_stamp
        if jump > 0 and (not is_stamped or abs(jump_s - late_s) <= _CLOCK_JITTER_S):
            return jump_s
        # The index goes back though time does not, or the two contradict each other: only the
        # stamps can say whether sound is missing (a driver that started again: it is).
        chunk_s = len(chunk.samples) / self.input_rate
        if late_s > max(_STAMP_JITTER_S, 0.5 * chunk_s):
            return late_s
        self._counters[WRONG_INDEX] += 1
        return 0.0
