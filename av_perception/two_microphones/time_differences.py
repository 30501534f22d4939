# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Differences of arrival time between two microphones: GCC-PHAT with sub-sample resolution, one per analysis frame.

    R(tau) = mean over loud bins of cos(omega tau + arg(X_1 X_2^*)),   tau = t_1 - t_2

is the generalised cross-correlation with phase transform (Knapp and Carter 1976). It is evaluated only at the delays the pair can have,
eight per sample, and its peak is refined by a parabola. Positive tau: sound reaches the second microphone first.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass

import numpy as np

from av_perception.audio.input_stream import InputStream
from av_perception.audio.sub_bands import NoiseFloor
from av_perception.audio.voice_activity import SAMPLE_RATE, VoiceActivity
from av_perception.errors import UserError
from av_perception.interfaces import AudioChunk
from av_perception.spectral.stft import StftConfig, StreamingStft

_NEIGHBORHOOD = 8  # bins: the power of a single one is too random to have a least value


@dataclass(frozen=True)
class TimeDifferenceConfig:
    """stft: 40 ms windows every 20 ms; band_hz: the frequencies used; steps_per_sample: delays at which the correlation is evaluated.

    A bin counts when the power of its neighbourhood exceeds the noise floor there, the least power of noise_window_s, by min_snr_db; a frame
    when min_bins (a share of the band) count, the peak exceeds min_peak (1: one source and nothing else) and the voice activity min_voice
    (voice_activity false: any sound will do). frames_per_block: frames per output; window_s: how far back the differences in an output reach.
    """

    stft: StftConfig = StftConfig(window=640, hop=320)
    band_hz: tuple[float, float] = (300.0, 7000.0)
    steps_per_sample: int = 8
    min_snr_db: float = 6.0
    min_bins: float = 0.1
    #: Height of the correlation below which a frame of sound is not used: it has no dominant
    #: source.
    min_peak: float = 0.3
    voice_activity: bool = True
    #: Voice activity below which sound is ignored; 0 uses any sound.
    min_voice: float = 0.5
    noise_window_s: float = 2.0
    frames_per_block: int = 2
    #: How far back sound counts, in seconds.
    window_s: float = 0.4

    def __post_init__(self):
        low, high = self.band_hz
        if (
            not 0 <= low < high <= self.stft.sample_rate / 2
            or not ((self.stft.frequencies >= low) & (self.stft.frequencies <= high)).any()
        ):
            raise ValueError(
                f'band_hz must rise within 0..{self.stft.sample_rate / 2:.0f} Hz and hold a frequency of the STFT'
            )
        if (
            min(self.steps_per_sample, self.frames_per_block) < 1
            or min(self.window_s, self.noise_window_s) <= 0
        ):
            raise ValueError(
                'steps_per_sample and frames_per_block must be at least 1, window_s and noise_window_s positive'
            )
        if not (0 < self.min_bins <= 1 and 0 <= self.min_peak < 1 and 0 <= self.min_voice <= 1):
            raise ValueError(
                'min_bins must lie in (0, 1], min_peak in [0, 1), min_voice in [0, 1]'
            )
        if self.voice_activity and self.stft.sample_rate != SAMPLE_RATE:
            raise ValueError(f'voice activity needs a sample_rate of {SAMPLE_RATE} Hz')

    @property
    def block_s(self) -> float:
        """Time between two outputs [s]."""
        return self.frames_per_block * self.stft.hop / self.stft.sample_rate


@dataclass(frozen=True)
class TimeDifferences:
    """The differences [s] of the frames that counted in the last `window_s`, and the capture time of each frame's centre.

    stamp_ns: until when the sound is known, the end of the newest frame: an image is paired with what had been heard when it was taken, and
    waits for nothing later; values: (M,); stamps_ns: (M,) rising, so that a consumer may look at less than the window.
    """

    stamp_ns: int
    values: np.ndarray
    stamps_ns: np.ndarray


class TimeDifferenceExtractor:
    """Streaming; one TimeDifferences per block of frames.

    pair: the two channels; max_delay_s: largest difference the pair can have (distance over speed of sound). `counters` tells what was
    wrong with the sound; gaps are treated as in InputStream. Raises UserError for a pair the sound
    does not have and when a chunk has other channels or another rate.
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
        self._input = InputStream(
            num_channels, sample_rate, config.stft.sample_rate, self.counters
        )
        self._voice = VoiceActivity() if config.voice_activity else None
        self._correlation = PhaseCorrelation(config, max_delay_s)
        self._restart()

    @property
    def sample_rate(self) -> int:
        """Of the sound that comes in [Hz]."""
        return self._input.input_rate

    def change_rate(self, sample_rate: int) -> None:
        """Start afresh with sound of another rate (another device); the detector is kept."""
        self._input = InputStream(
            self._num_channels, sample_rate, self.config.stft.sample_rate, self.counters
        )
        self._restart()

    def _restart(self) -> None:
        config = self.config
        self._stft = StreamingStft(config.stft, 2)
        num_blocks = max(
            1, round(config.noise_window_s * config.stft.sample_rate / config.stft.hop)
        )
        self._edges = np.arange(0, config.stft.num_bins, _NEIGHBORHOOD)
        self._sizes = np.diff(self._edges, append=config.stft.num_bins)
        self._floor = NoiseFloor(
            len(self._edges), num_blocks, 0.375 * config.stft.window
        )  # sum of the squared Hann window
        self._frames = np.zeros((0, config.stft.num_bins, 2), complex)
        self._start = 0
        self._recent: deque[tuple[int, float]] = deque()
        if self._voice:
            self._voice.reset()

    def push(self, chunk: AudioChunk) -> list[TimeDifferences]:
        """The blocks that `chunk` completes, oldest first."""
        samples, restarted = self._input.push(chunk)
        if restarted:
            self._restart()
        step = (
            self.config.frames_per_block * self.config.stft.hop
        )  # a long chunk in pieces, to spare memory
        return [
            block
            for start in range(0, len(samples), step)
            for block in self._advance(samples[start : start + step, self._pair])
        ]

    def _advance(self, samples: np.ndarray) -> list[TimeDifferences]:
        if self._voice:
            self._voice.push(samples.mean(axis=1))
        self._frames = np.concatenate([self._frames, self._stft.push(samples)])
        blocks, size = [], self.config.frames_per_block
        while len(self._frames) >= size:
            blocks.append(self._block(self._frames[:size]))
            self._frames = self._frames[size:]
            self._start += size * self.config.stft.hop
        return blocks

    def _block(self, frames: np.ndarray) -> TimeDifferences:
        config, stft = self.config, self.config.stft
        values, peaks = self._correlation.peak(frames, self._loud(frames))
        starts = self._start + stft.hop * np.arange(len(frames))
        stamps = [self._input.stamp_ns(start + stft.window / 2) for start in starts]
        counts = (peaks > config.min_peak) & self._voiced(
            int(starts[0]), int(starts[-1]) + stft.window
        )
        self._recent.extend(
            (stamp, value) for stamp, value, count in zip(stamps, values.tolist(), counts) if count
        )
        while self._recent and stamps[-1] - self._recent[0][0] > 1e9 * config.window_s:
            self._recent.popleft()
        recent = (
            np.array([value for _, value in self._recent]),
            np.array([stamp for stamp, _ in self._recent], np.int64),
        )
        return TimeDifferences(self._input.stamp_ns(starts[-1] + stft.window), *recent)

    def _loud(self, frames: np.ndarray) -> np.ndarray:
        """(frames, bins) whether each bin is in a neighbourhood that exceeds its noise floor."""
        power = (frames.real**2 + frames.imag**2).mean(axis=2)
        power = np.add.reduceat(power, self._edges, axis=1) / self._sizes
        floor = np.stack(
            [self._floor.update(frame) for frame in power]
        )  # the floor follows time: frame by frame
        return np.repeat(power > 10 ** (0.1 * self.config.min_snr_db) * floor, self._sizes, axis=1)

    def _voiced(self, start: int, end: int) -> bool:
        return self._voice is None or self._voice.probability(start, end) >= self.config.min_voice


class PhaseCorrelation:
    """GCC-PHAT of spectra of two channels at the delays up to max_delay_s."""

    def __init__(self, config: TimeDifferenceConfig, max_delay_s: float):
        frequencies = config.stft.frequencies
        self._used = (frequencies >= config.band_hz[0]) & (frequencies <= config.band_hz[1])
        self._min_bins = config.min_bins * self._used.sum()
        self._step = 1.0 / (config.steps_per_sample * config.stft.sample_rate)
        self._max_delay_s = max_delay_s
        count = (
            int(np.ceil(max_delay_s / self._step)) + 1
        )  # one more on each side: a peak has two neighbours
        self._delays = np.arange(-count, count + 1) * self._step
        angle = 2 * np.pi * frequencies[self._used, None] * self._delays
        self._basis = np.concatenate([np.cos(angle), -np.sin(angle)])

    def peak(self, spectra: np.ndarray, loud: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(frames, bins, 2) spectra and (frames, bins) which bins count -> the delay [s] of the highest peak and its height in [-1, 1],
        (frames,) each; -1 where too few bins count or no delay inside the range is a peak."""
        cross = spectra[:, self._used, 0] * spectra[:, self._used, 1].conj()
        size = np.abs(cross)
        loud = loud[:, self._used] & (size > 0)
        phase = np.divide(cross, size, out=np.zeros_like(cross), where=loud)
        count = loud.sum(axis=1)
        correlation = (
            np.concatenate([phase.real, phase.imag], axis=1)
            @ self._basis
            / np.maximum(count, 1)[:, None]
        )
        inner = correlation[:, 1:-1]
        best = inner.argmax(axis=1)
        rows = np.arange(len(inner))
        before, height, after = (
            correlation[rows, best],
            inner[rows, best],
            correlation[rows, best + 2],
        )
        is_peak = (height >= before) & (height >= after) & (count >= self._min_bins)
        curvature = before - 2 * height + after
        shift = np.where(
            curvature < 0, 0.5 * (before - after) / np.where(curvature < 0, curvature, -1.0), 0.0
        )
        delay = self._delays[best + 1] + np.clip(shift, -0.5, 0.5) * self._step
        return np.clip(delay, -self._max_delay_s, self._max_delay_s), np.where(
            is_peak, height, -1.0
        )
