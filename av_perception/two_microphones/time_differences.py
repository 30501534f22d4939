# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Differences of arrival time between two microphones: GCC-PHAT, one per analysis frame.

    R(tau) = mean over loud bins of cos(omega tau + arg(X_1 X_2^*)),   tau = t_1 - t_2

is the generalized cross-correlation with phase transform (Knapp and Carter 1976). It is evaluated
only at the delays the pair can have, eight per sample, and its peak is refined by a parabola.
Positive tau: sound reaches the second microphone first.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass

import numpy as np

from av_perception.audio.input_stream import InputStream
from av_perception.audio.sub_bands import NoiseFloor
from av_perception.audio.voice_activity import SAMPLE_RATE, VoiceActivity
from av_perception.errors import UserError
from av_perception.geometry.time import nanoseconds
from av_perception.interfaces import AudioChunk
from av_perception.spectral.stft import FrameBlocks, StftConfig, StreamingStft

_NEIGHBORHOOD = 8  # bins: the power of a single one is too random to have a least value


@dataclass(frozen=True)
class TimeDifferenceConfig(FrameBlocks):
    """The correlation, and which bins and frames count."""

    #: 40 ms windows every 20 ms.
    stft: StftConfig = StftConfig(window=640, hop=320)
    #: The frequencies used [Hz].
    band_hz: tuple[float, float] = (300.0, 7000.0)
    #: Delays per sample at which the correlation is evaluated.
    steps_per_sample: int = 8
    #: A bin counts when the power of its neighborhood exceeds the noise floor by so much [dB].
    min_snr_db: float = 6.0
    #: A frame counts when this share of the band's bins does, in (0, 1].
    min_bins: float = 0.1
    #: Height of the correlation below which a frame of sound is not used: it has no dominant
    #: source.
    min_peak: float = 0.3
    #: Whether a frame needs a voice; else any sound will do.
    voice_activity: bool = True
    #: Voice activity below which sound is ignored; 0 uses any sound.
    min_voice: float = 0.5
    #: The noise floor is the least power of this time [s].
    noise_window_s: float = 2.0
    #: Frames per output.
    frames_per_block: int = 2
    #: How far back sound counts, in seconds.
    window_s: float = 0.4

    def __post_init__(self):
        low, high = self.band_hz
        half_rate = self.stft.sample_rate / 2
        if not 0 <= low < high <= half_rate or not self.band.any():
            raise ValueError(
                f'band_hz must rise within 0..{half_rate:.0f} Hz and hold a frequency of the STFT'
            )
        counts = min(self.steps_per_sample, self.frames_per_block)
        if counts < 1 or min(self.window_s, self.noise_window_s) <= 0:
            raise ValueError(
                'steps_per_sample and frames_per_block must be at least 1, window_s and '
                'noise_window_s positive'
            )
        if not (0 < self.min_bins <= 1 and 0 <= self.min_peak < 1 and 0 <= self.min_voice <= 1):
            raise ValueError(
                'min_bins must lie in (0, 1], min_peak in [0, 1), min_voice in [0, 1]'
            )
        if self.voice_activity and self.stft.sample_rate != SAMPLE_RATE:
            raise ValueError(f'voice activity needs a sample_rate of {SAMPLE_RATE} Hz')

    @property
    def band(self) -> np.ndarray:
        """(bins,) bool, which bins of the STFT are used."""
        low, high = self.band_hz
        return (self.stft.frequencies >= low) & (self.stft.frequencies <= high)


@dataclass(frozen=True)
class TimeDifferences:
    """The differences of the frames that counted in the last `window_s`."""

    #: Until when the sound is known, the end of the newest frame [ns]: an image is paired with
    #: what had been heard when it was taken, and waits for nothing later.
    stamp_ns: int
    #: (M,) [s].
    values: np.ndarray
    #: (M,) capture time of each frame's center [ns], rising, so that a consumer may look at less
    #: than the window.
    stamps_ns: np.ndarray


class TimeDifferenceExtractor:
    """Time differences of a stream; one TimeDifferences per block of frames.

    pair: the two channels; max_delay_s: largest difference the pair can have (distance over speed
    of sound). `counters` tells what was wrong with the sound; gaps are treated as in InputStream.
    Raises UserError for a pair the sound does not have and when a chunk has other channels or
    another rate.
    """

    def __init__(
        self,
        config: TimeDifferenceConfig,
        pair: tuple[int, int],
        max_delay_s: float,
        num_channels: int,
        sample_rate: int,
    ):
        if len(set(pair)) != 2 or not 0 <= min(pair) < max(pair) < num_channels:
            raise UserError(
                f'the microphone pair {pair} is not two of the channels 0..{num_channels - 1}'
            )
        self.config = config
        self.counters: Counter[str] = Counter()
        self._pair = list(pair)
        self._num_channels = num_channels
        output_rate = config.stft.sample_rate
        self._input = InputStream(num_channels, sample_rate, output_rate, self.counters)
        self._voice = VoiceActivity() if config.voice_activity else None
        self._correlation = PhaseCorrelation(config, max_delay_s)
        self._restart()

    @property
    def sample_rate(self) -> int:
        """Of the sound that comes in [Hz]."""
        return self._input.input_rate

    @property
    def next_end_s(self) -> float:
        """From the stamp of an output, its end, to the last sample of the next one [s]."""
        return self.config.block_s

    def change_rate(self, sample_rate: int) -> None:
        """Start afresh with sound of another rate (another device); the detector is kept."""
        self._input = self._input.at_rate(sample_rate)
        self._restart()

    def _restart(self) -> None:
        config = self.config
        stft = config.stft
        self._stft = StreamingStft(stft, 2)
        num_frames = max(1, round(config.noise_window_s * stft.sample_rate / stft.hop))
        self._edges = np.arange(0, stft.num_bins, _NEIGHBORHOOD)
        self._sizes = np.diff(self._edges, append=stft.num_bins)
        self._floor = NoiseFloor(len(self._edges), num_frames, stft.window)
        self._spectra = np.zeros((0, stft.num_bins, 2), complex)
        self._start = 0  # [samples] of the next frame since the restart
        self._recent: deque[tuple[int, float]] = deque()  # (stamp_ns, difference) that count
        if self._voice:
            self._voice.reset()

    def push(self, chunk: AudioChunk) -> list[TimeDifferences]:
        """Take the next chunk.

        Parameters
        ----------
        chunk
            As captured.

        Returns
        -------
        list
            The blocks that it completes, oldest first.

        Raises
        ------
        UserError
            When the chunk has other channels or another rate.
        """
        samples, restarted = self._input.push(chunk)
        if restarted:
            self._restart()
        # A long chunk is taken in pieces, to spare memory.
        step = self.config.frames_per_block * self.config.stft.hop
        blocks = []
        for start in range(0, len(samples), step):
            blocks += self._advance(samples[start : start + step, self._pair])
        return blocks

    def _advance(self, samples: np.ndarray) -> list[TimeDifferences]:
        if self._voice:
            self._voice.push(samples)
        self._spectra = np.concatenate([self._spectra, self._stft.push(samples)])
        size = self.config.frames_per_block
        blocks = []
        while len(self._spectra) >= size:
            blocks.append(self._block(self._spectra[:size]))
            self._spectra = self._spectra[size:]
            self._start += size * self.config.stft.hop
        return blocks

    def _block(self, spectra: np.ndarray) -> TimeDifferences:
        stft = self.config.stft
        values, peaks = self._correlation.peak(spectra, self._loud(spectra))
        starts = self._start + stft.hop * np.arange(len(spectra))
        stamps = [self._input.stamp_ns(start + stft.window / 2) for start in starts]
        is_voice = self._has_voice(int(starts[0]), int(starts[-1]) + stft.window)
        counts = (peaks > self.config.min_peak) & is_voice
        for stamp, value, does_count in zip(stamps, values.tolist(), counts):
            if does_count:
                self._recent.append((stamp, value))
        oldest_ns = stamps[-1] - nanoseconds(self.config.window_s)
        while self._recent and self._recent[0][0] < oldest_ns:
            self._recent.popleft()
        return TimeDifferences(
            stamp_ns=self._input.stamp_ns(starts[-1] + stft.window),
            values=np.array([value for _, value in self._recent]),
            stamps_ns=np.array([stamp for stamp, _ in self._recent], np.int64),
        )

    def _loud(self, spectra: np.ndarray) -> np.ndarray:
        """(frames, bins) whether each bin is in a neighborhood that exceeds its noise floor."""
        power = (spectra.real**2 + spectra.imag**2).mean(axis=2)
        power = np.add.reduceat(power, self._edges, axis=1) / self._sizes
        # The floor follows time: frame by frame.
        floor = np.stack([self._floor.update(frame) for frame in power])
        return np.repeat(power > 10 ** (0.1 * self.config.min_snr_db) * floor, self._sizes, axis=1)

    def _has_voice(self, start: int, end: int) -> bool:
        """Whether a voice is heard between two samples, or none is needed."""
        return self._voice is None or self._voice.probability(start, end) >= self.config.min_voice


class PhaseCorrelation:
    """GCC-PHAT of spectra of two channels at the delays up to max_delay_s."""

    def __init__(self, config: TimeDifferenceConfig, max_delay_s: float):
        self._used = config.band
        self._min_bins = config.min_bins * self._used.sum()
        self._step = 1.0 / (config.steps_per_sample * config.stft.sample_rate)
        self._max_delay_s = max_delay_s
        # One more on each side: a peak has two neighbors.
        count = int(np.ceil(max_delay_s / self._step)) + 1
        self._delays = np.arange(-count, count + 1) * self._step
        angle = 2 * np.pi * config.stft.frequencies[self._used, None] * self._delays
        self._basis = np.concatenate([np.cos(angle), -np.sin(angle)])

    def peak(self, spectra: np.ndarray, loud: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Find the highest peak of every frame.

        Parameters
        ----------
        spectra
            (frames, bins, 2) complex.
        loud
            (frames, bins) which bins count.

        Returns
        -------
        delay
            (frames,) of the peak [s].
        height
            (frames,) in [-1, 1]; -1 where too few bins count or no delay inside the range is a
            peak.
        """
        correlation, count = self._correlation(spectra, loud)
        inner = correlation[:, 1:-1]
        best = inner.argmax(axis=1)
        rows = np.arange(len(inner))
        before = correlation[rows, best]
        height = inner[rows, best]
        after = correlation[rows, best + 2]
        is_peak = (height >= before) & (height >= after) & (count >= self._min_bins)
        # Vertex of the parabola through the peak and its neighbors
        curvature = before - 2 * height + after
        is_curved = curvature < 0
        divisor = np.where(is_curved, curvature, -1.0)
        shift = np.where(is_curved, 0.5 * (before - after) / divisor, 0.0)
        delay = self._delays[best + 1] + np.clip(shift, -0.5, 0.5) * self._step
        delay = np.clip(delay, -self._max_delay_s, self._max_delay_s)
        return delay, np.where(is_peak, height, -1.0)

    def _correlation(self, spectra: np.ndarray, loud: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """R (frames, delays), and (frames,) how many bins it is the mean of."""
        cross = spectra[:, self._used, 0] * spectra[:, self._used, 1].conj()
        magnitude = np.abs(cross)
        loud = loud[:, self._used] & (magnitude > 0)
        phasor = np.divide(cross, magnitude, out=np.zeros_like(cross), where=loud)
        count = loud.sum(axis=1)
        total = np.concatenate([phasor.real, phasor.imag], axis=1) @ self._basis
        return total / np.maximum(count, 1)[:, None], count
