# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Sound as other drivers deliver it: bytes in some format, stamps of some meaning.

What comes out are chunks of known time and index.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from av_perception.geometry.time import NANOSECONDS, nanoseconds
from av_perception.interfaces import AudioChunk
from av_perception.robot_head.plausibility import check_sample_rate

_FORMATS = {
    'S8': 'i1',
    'U8': 'u1',
    'S16LE': '<i2',
    'S16BE': '>i2',
    'S32LE': '<i4',
    'S32BE': '>i4',
    'F32LE': '<f4',
    'F32BE': '>f4',
    'F64LE': '<f8',
    'F64BE': '>f8',
}
FORMATS = (*_FORMATS, 'S24LE', 'S24BE')


def samples_from_bytes(data: bytes, sample_format: str) -> np.ndarray:
    """Decode raw bytes.

    Parameters
    ----------
    data
        Whole samples of all channels in turn.
    sample_format
        One of FORMATS.

    Returns
    -------
    np.ndarray
        (N,) float32 of full scale 1.

    Raises
    ------
    ValueError
        When the format is unknown or a sample is cut.
    """
    if sample_format not in FORMATS:
        raise ValueError(f"the sample format '{sample_format}' is not one of {', '.join(FORMATS)}")
    is_24_bit = sample_format.startswith('S24')
    width = 3 if is_24_bit else np.dtype(_FORMATS[sample_format]).itemsize
    if len(data) % width:
        raise ValueError(f'{len(data)} bytes are no whole number of {sample_format} samples')
    if not is_24_bit:
        return full_scale(np.frombuffer(data, _FORMATS[sample_format]))
    # The three bytes on top of a 32-bit number keep the sign.
    wide = np.zeros((len(data) // 3, 4), np.uint8)
    triples = np.frombuffer(data, np.uint8).reshape(-1, 3)
    wide[:, 1:] = triples if sample_format == 'S24LE' else triples[:, ::-1]
    return full_scale(wide.view('<i4')[:, 0])


def full_scale(samples: np.ndarray) -> np.ndarray:
    """Scale samples to 1.

    Parameters
    ----------
    samples
        (...) integers of any width (unsigned ones have their zero in the middle), or floats, which
        are scaled already.

    Returns
    -------
    np.ndarray
        (...) float32.
    """
    if samples.dtype.kind == 'f':
        return samples.astype(np.float32)
    half = 2.0 ** (8 * samples.dtype.itemsize - 1)
    offset = half if samples.dtype.kind == 'u' else 0.0
    return ((samples.astype(np.float64) - offset) / half).astype(np.float32)


@dataclass(frozen=True)
class DriverStreamConfig:
    """What a driver's stamps mean."""

    #: Time of a stamp: 'first' (capture of the first sample) or 'receipt' (the buffer was
    #: complete).
    stamps: str = 'first'
    #: Further delay that the stamp does not contain [s], 0..10.
    latency_s: float = 0.0
    #: A difference to the expected time beyond this is a gap or a jump, a smaller one jitter [s].
    gap_s: float = 0.15
    #: Share of the jitter by which a stamp of receipt corrects the sample clock, in (0, 1].
    correction: float = 0.02

    def __post_init__(self):
        if self.stamps not in ('first', 'receipt'):
            raise ValueError("stamps must be 'first' or 'receipt'")
        if not 0 <= self.latency_s <= 10 or self.gap_s <= 0 or not 0 < self.correction <= 1:
            raise ValueError(
                'latency_s must lie in 0..10, gap_s must be positive and correction in 0..1'
            )


class DriverStream:
    """Gives buffers a capture time and a running index.

    Stamps of receipt jitter by the transport; sound does not: a clock that counts samples follows
    them slowly. A gap becomes a jump of the index, so that what listens sees it. `counters`: gaps,
    stamps back, changes of sample rate.
    """

    def __init__(self, config: DriverStreamConfig | None = None):
        self._config = config or DriverStreamConfig()
        self.counters: Counter = Counter()
        self._expected_ns: float | None = None
        self._next_sample = 0
        self._rate = 0

    def push(self, stamp_ns: int, sample_rate: int, samples: np.ndarray) -> AudioChunk:
        """Take the next buffer.

        Parameters
        ----------
        stamp_ns
            The driver's stamp [ns].
        sample_rate
            [Hz].
        samples
            (N, channels).

        Returns
        -------
        AudioChunk
            The same samples with time and index.

        Raises
        ------
        ValueError
            When the rate is absurd or the buffer empty.
        """
        check_sample_rate(sample_rate, 'the sample rate')
        if not len(samples):
            raise ValueError('the buffer is empty')
        if sample_rate != self._rate:
            self.counters['changes of sample rate'] += self._rate != 0
            self._rate = sample_rate
            self._expected_ns = None
        duration_ns = NANOSECONDS * len(samples) / sample_rate
        delay_ns = duration_ns if self._config.stamps == 'receipt' else 0.0
        measured_ns = stamp_ns - nanoseconds(self._config.latency_s) - delay_ns
        start_ns = self._start_ns(measured_ns)
        chunk = AudioChunk(round(start_ns), sample_rate, self._next_sample, samples)
        self._expected_ns = start_ns + duration_ns
        self._next_sample += len(samples)
        return chunk

    def _start_ns(self, measured_ns: float) -> float:
        """Time of the first sample: measured, or expected and corrected."""
        if self._expected_ns is None:
            return measured_ns
        late_ns = measured_ns - self._expected_ns
        gap_ns = NANOSECONDS * self._config.gap_s
        if late_ns > gap_ns:
            self.counters['gaps'] += 1
            self._next_sample += round(1e-9 * late_ns * self._rate)
            return measured_ns
        if late_ns < -gap_ns:
            self.counters['stamps back'] += 1
            return measured_ns
        if self._config.stamps == 'first':
            return measured_ns
        return self._expected_ns + self._config.correction * late_ns
