# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Sound in chunks of any size in, spectra of two windows at a time out.

What is computed for a group depends on its samples alone, not on how they were cut into chunks.
A gap cuts the sound: it fades out before and in after it, so that nothing clicks. A short gap
becomes silence, so that time goes on; after a long one the index jumps.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from av_perception.audio.input_stream import InputStream
from av_perception.geometry.time import NANOSECONDS
from av_perception.interfaces import AudioChunk
from av_perception.spectral.transform import ShortTimeFourier, spectra_of

GROUP = 2  # frames: fewer cost more, more come later
FADE = 128  # samples before and after a cut
SAMPLE_RATE = 16000  # [Hz] of the frames
LONGEST_SILENCE_S = 0.5  # a longer gap is no silence, the stream begins anew after it


@dataclass(frozen=True)
class FrameGroup:
    """Frames that are separated together, and which samples overlap-add completes with them.

    Attributes
    ----------
    spectra
        (T, F, M) complex64.
    stamp_ns, center_ns, end_ns
        Capture times of the first sample that is complete, of the middle of the frames, and of
        their end.
    first_sample
        Index of the first sample that is complete; what lies before a gap keeps its distance.
    skip
        So many of the T * hop samples lie before the sound.
    gain
        (T * hop - skip,) float32, or fewer at the end of the sound: 1 but for fades.
    silence
        So many samples of silence come before, in place of a gap.
    anew
        Whether the stream begins anew with it.
    number
        Of the group since the last gap.
    """

    spectra: np.ndarray
    stamp_ns: int
    center_ns: int
    end_ns: int
    first_sample: int
    skip: int
    gain: np.ndarray
    silence: int = 0
    anew: bool = False
    number: int = 0


class FrameGroups:
    """Makes groups of a stream of chunks. `counters` tells what was wrong with the sound.

    Parameters
    ----------
    transform
        Its windows and hop.
    num_channels
        M of the chunks to come.
    sample_rate
        Of the chunks to come [Hz].
    """

    def __init__(self, transform: ShortTimeFourier, num_channels: int, sample_rate: int):
        self.counters: Counter[str] = Counter()
        self.sample_rate = sample_rate
        self._transform = transform
        self._window = transform.analysis_window.astype(np.float32)
        self._step = GROUP * transform.hop
        self._needed = self._step - transform.hop + transform.size
        self._num_channels = num_channels
        self._input = InputStream(num_channels, sample_rate, SAMPLE_RATE, self.counters)
        self._received = 0  # samples from the input since it started afresh
        self._pending: np.ndarray = np.zeros((0, num_channels), np.float32)
        self._begin(first_sample=0, silence=0, anew=True, fades=False)

    def push(self, chunk: AudioChunk) -> list[FrameGroup]:
        """Take a chunk.

        Returns
        -------
        list of FrameGroup
            What it completes, oldest first.

        Raises
        ------
        UserError
            When the chunk has other channels or another rate.
        """
        has_sound = self._received > 0
        samples, restarted = self._input.push(chunk)
        gap_s = self._input.gap_s
        groups: list[FrameGroup] = []
        if has_sound and (restarted or gap_s > 0):
            groups = self._cut()
            missing = max(1, round(gap_s * SAMPLE_RATE))
            is_long = restarted or gap_s > LONGEST_SILENCE_S
            end = self._first_sample + self._total
            self._received = 0 if restarted else self._received
            self._begin(end + missing, 0 if is_long else missing, is_long, fades=True)
        self._pending = np.concatenate([self._pending, samples])
        self._received += len(samples)
        self._total += len(samples)
        while len(self._pending) >= self._needed:
            groups.append(self._group(self._total, is_last=False))
        return groups

    def flush(self) -> list[FrameGroup]:
        """End the sound: give what its last samples complete."""
        return self._cut() if self._total else []

    def _begin(self, first_sample: int, silence: int, anew: bool, fades: bool) -> None:
        """Begin a stretch of sound without gaps."""
        self._first_sample = first_sample
        self._silence = silence
        self._is_new = anew
        self._fades = fades
        self._offset = self._received  # of the stretch in the input
        self._position = -self._transform.lead  # of the next group's first sample
        self._total = 0
        self._end_ns: int | None = None  # of the last group
        zeros = (self._transform.lead, self._num_channels)
        self._pending = np.zeros(zeros, np.float32)

    def _cut(self) -> list[FrameGroup]:
        """Give what the last samples of the stretch complete, fading out."""
        total = self._total
        groups = []
        while self._position < total:
            missing = max(0, self._needed - len(self._pending))
            zeros = np.zeros((missing, self._num_channels), np.float32)
            self._pending = np.concatenate([self._pending, zeros])
            groups.append(self._group(total, is_last=True))
        return groups

    def _group(self, total: int, is_last: bool) -> FrameGroup:
        spectra = spectra_of(self._pending[: self._needed], self._window, self._transform.hop)
        self._pending = self._pending[self._step :]
        first = max(self._position, 0)  # may lie behind the group, which is then empty
        before = first - self._position
        place = np.arange(first, self._position + self._step)
        gain = np.ones(len(place))
        if self._fades:
            gain = np.minimum(gain, (place + 0.5) / FADE)
        if is_last:
            place = place[place < total]
            gain = np.minimum(gain[: len(place)], (total - place - 0.5) / FADE)
        end_ns = self._time_of_end(is_last)
        group = FrameGroup(
            spectra.astype(np.complex64),
            end_ns - _duration_ns(self._needed - before),
            end_ns - _duration_ns(self._needed / 2),
            end_ns,
            self._first_sample + first,
            min(before, self._step),
            gain.astype(np.float32),
            self._silence,
            self._is_new,
            (self._position + self._transform.lead) // self._step,
        )
        self._silence = 0
        self._is_new = False
        self._position += self._step
        return group

    def _time_of_end(self, is_last: bool) -> int:
        """When the last sample of the next group was captured; the input may be gone already."""
        if is_last and self._end_ns is not None:
            self._end_ns += _duration_ns(self._step)
        else:
            self._end_ns = self._input.stamp_ns(self._offset + self._position + self._needed)
        return self._end_ns


def _duration_ns(num_samples: float) -> int:
    return round(num_samples * NANOSECONDS / SAMPLE_RATE)
