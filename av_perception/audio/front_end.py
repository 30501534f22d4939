# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The audio front end: sound of all microphones in, DP-RTF feature vectors per sub-band every 40 ms out (Ban et al. 2021, section 6)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from av_perception.audio.dp_rtf import CrossRelationRls, DpRtfConfig, relative_transfer
from av_perception.audio.input_stream import InputStream
from av_perception.audio.sub_bands import (
    NoiseFloor,
    SubbandConfig,
    subband_flags,
    subband_mean,
    subband_vectors,
)
from av_perception.audio.voice_activity import SAMPLE_RATE, VoiceActivity
from av_perception.errors import UserError
from av_perception.interfaces import AudioChunk, AudioFeatures
from av_perception.spectral.stft import StftConfig, StreamingStft


@dataclass(frozen=True)
class AudioFrontEndConfig:
    """frames_per_block: STFT frames per output (5 frames of 8 ms make 40 ms); voice_activity: run the detector, else report 1.

    dead_channel_db: a microphone this far below the loudest one counts as dead.
    """

    stft: StftConfig = field(default_factory=StftConfig)
    transfer: DpRtfConfig = field(default_factory=DpRtfConfig)
    subbands: SubbandConfig = field(default_factory=SubbandConfig)
    frames_per_block: int = 5
    voice_activity: bool = True
    dead_channel_db: float = 50.0

    def __post_init__(self):
        if self.frames_per_block < 1:
            raise ValueError(f'frames_per_block must be at least 1, not {self.frames_per_block}')
        if self.subbands.count * self.subbands.width > self.stft.num_bins:
            raise ValueError(
                f'{self.subbands.count} sub-bands of {self.subbands.width} bins do not fit into {self.stft.num_bins} bins'
            )
        if self.voice_activity and self.stft.sample_rate != SAMPLE_RATE:
            raise ValueError(f'voice activity needs a sample_rate of {SAMPLE_RATE} Hz')
        if self.dead_channel_db <= 0:
            raise ValueError('dead_channel_db must be positive')

    @property
    def block_s(self) -> float:
        """Time between two outputs [s]."""
        return self.frames_per_block * self.stft.hop / self.stft.sample_rate


class AudioFrontEnd:
    """Streaming; one AudioFeatures per block, stamped with the centre of the block's samples.

    A short gap is passed over, a long one or a stamp that runs backward starts the recursion
    afresh; the voice detector's network is kept. `counters` tells what was wrong with the sound.
    Raises UserError when built for fewer than 2 or more than 16 microphones and when a chunk has other channels or another rate.
    """

    def __init__(self, config: AudioFrontEndConfig, num_channels: int, sample_rate: int):
        if not 2 <= num_channels <= 16:
            raise UserError(
                f'direction hearing needs 2 to 16 microphones, the sound has {num_channels}: use another device or recording'
            )
        self.config = config
        self.num_subbands = config.subbands.count
        self.feature_size = 2 * config.subbands.width * (num_channels - 1)
        self.counters: Counter[str] = Counter()
        self._num_channels = num_channels
        self._input = InputStream(
            num_channels, sample_rate, config.stft.sample_rate, self.counters
        )
        self._voice = VoiceActivity() if config.voice_activity else None
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
        hop_s = config.stft.hop / config.stft.sample_rate
        self._stft = StreamingStft(config.stft, self._num_channels)
        self._rls = CrossRelationRls(
            config.transfer, config.stft.num_bins, self._num_channels, hop_s
        )
        num_blocks = max(1, round(config.subbands.noise_window_s / config.block_s))
        self._floor = NoiseFloor(
            config.stft.num_bins, num_blocks, 0.375 * config.stft.window
        )  # sum of the squared Hann window
        self._frames = np.zeros((0, config.stft.num_bins, self._num_channels), complex)
        self._block_start = 0
        if self._voice:
            self._voice.reset()

    def push(self, chunk: AudioChunk) -> list[AudioFeatures]:
        """Features of the blocks that `chunk` completes, oldest first."""
        samples, restarted = self._input.push(chunk)
        if restarted:
            self._restart()
        step = (
            self.config.frames_per_block * self.config.stft.hop
        )  # a long chunk in pieces, to spare memory
        return [
            features
            for start in range(0, len(samples), step)
            for features in self._advance(samples[start : start + step])
        ]

    def _advance(self, samples: np.ndarray) -> list[AudioFeatures]:
        if self._voice:
            self._voice.push(samples.mean(axis=1))
        self._frames = np.concatenate([self._frames, self._stft.push(samples)])
        features, size = [], self.config.frames_per_block
        while len(self._frames) >= size:
            features.append(self._block(self._frames[:size]))
            self._frames = self._frames[size:]
            self._block_start += size * self.config.stft.hop
        return features

    def _block(self, frames: np.ndarray) -> AudioFeatures:
        subbands, stft = self.config.subbands, self.config.stft
        live = self._live_channels(frames)
        power = (
            np.mean(np.abs(frames[:, :, live]) ** 2, axis=(0, 2))
            if live.any()
            else np.zeros(stft.num_bins)
        )
        self._rls.update(frames)
        usable = power > 10 ** (0.1 * subbands.min_snr_db) * self._floor.update(power)
        transfer = np.zeros((stft.num_bins, self._num_channels - 1), complex)
        if usable.any():
            first_taps, residual = self._rls.solve(usable)
            transfer[usable] = relative_transfer(first_taps)
            usable[usable] = residual < subbands.max_residual
        present = usable[:, None] & live[None, 1:] & live[0]
        enough = subband_mean(usable & live[0], subbands) * subbands.width >= subbands.min_bins
        length = (self.config.frames_per_block - 1) * stft.hop + stft.window
        voice = (
            self._voice.probability(self._block_start, self._block_start + length)
            if self._voice
            else 1.0
        )
        return AudioFeatures(
            stamp_ns=self._input.stamp_ns(self._block_start + length / 2),
            voice_activity=voice,
            vectors=subband_vectors(transfer, subbands),
            present=subband_flags(present, subbands),
            energy=subband_mean(power, subbands),
            valid=enough & (live.sum() >= 2),
        )

    def _live_channels(self, frames: np.ndarray) -> np.ndarray:
        """(channels,) bool; counts the blocks in which a microphone is silent while others are not."""
        power = np.mean(np.abs(frames) ** 2, axis=(0, 1))
        live = power > 10 ** (-0.1 * self.config.dead_channel_db) * power.max()
        if live.any() and not live.all():
            self.counters['blocks with a dead microphone'] += 1
        return live


def extract_features(
    front_end: AudioFrontEnd,
    read: Callable[[int, int], np.ndarray],
    num_samples: int,
    sample_rate: int,
    chunk_s: float = 0.1,
) -> Iterable[AudioFeatures]:
    """Features of a whole recording; read(start, count) gives (count, channels) samples. Time starts at 0 ns."""
    count = max(1, round(chunk_s * sample_rate))
    for start in range(0, num_samples, count):
        samples = read(start, min(count, num_samples - start))
        yield from front_end.push(
            AudioChunk(round(start * 1e9 / sample_rate), sample_rate, start, samples)
        )
