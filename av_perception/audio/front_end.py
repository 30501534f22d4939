# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The audio front end: sound of all microphones in, DP-RTF features per sub-band every 40 ms out.

Source: Ban et al. 2021, section 6.
"""

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
from av_perception.audio.voice_activity import SAMPLE_RATE, VoiceActivity, VoiceDetector
from av_perception.errors import UserError
from av_perception.geometry.time import NANOSECONDS
from av_perception.interfaces import AudioChunk, AudioFeatures
from av_perception.spectral.stft import FrameBlocks, StftConfig, StreamingStft

_LOUD = 0.05  # of full scale, root mean square
_NO_VOICE = 0.2  # probability of voice, below which there is none
_LONG_NOISE = 5  # blocks in a row


@dataclass(frozen=True)
class AudioFrontEndConfig(FrameBlocks):
    """The analysis of the sound."""

    #: Windows of the short-time Fourier transform.
    stft: StftConfig = field(default_factory=StftConfig)
    #: Relative transfer functions.
    transfer: DpRtfConfig = field(default_factory=DpRtfConfig)
    #: Sub-bands and their gate.
    subbands: SubbandConfig = field(default_factory=SubbandConfig)
    #: Frames of the STFT per output: 5 of 8 ms make 40 ms.
    frames_per_block: int = 5
    #: Whether the voice detector runs; else 1 is reported.
    voice_activity: bool = True
    #: A microphone this far below the loudest one counts as dead [dB].
    dead_channel_db: float = 50.0

    def __post_init__(self):
        if self.frames_per_block < 1:
            raise ValueError(f'frames_per_block must be at least 1, not {self.frames_per_block}')
        if self.subbands.count * self.subbands.width > self.stft.num_bins:
            raise ValueError(
                f'{self.subbands.count} sub-bands of {self.subbands.width} bins do not fit into '
                f'{self.stft.num_bins} bins'
            )
        if self.voice_activity and self.stft.sample_rate != SAMPLE_RATE:
            raise ValueError(f'voice activity needs a sample_rate of {SAMPLE_RATE} Hz')
        if self.dead_channel_db <= 0:
            raise ValueError('dead_channel_db must be positive')


class AudioFrontEnd:
    """Features of a stream; one AudioFeatures per block, stamped with the center of its samples.

    A short gap is passed over, a long one or a stamp that runs backward starts the recursion
    afresh; the voice detector's network is kept. `counters` tells what was wrong with the sound.
    Raises UserError when built for fewer than 2 or more than 16 microphones and when a chunk has
    other channels or another rate.
    """

    def __init__(
        self,
        config: AudioFrontEndConfig,
        num_channels: int,
        sample_rate: int,
        voice: VoiceDetector | None = None,
    ):
        """voice: hears voice where the configuration asks for it; None makes one."""
        if not 2 <= num_channels <= 16:
            raise UserError(
                f'direction hearing needs 2 to 16 microphones, the sound has {num_channels}: '
                'use another device or recording'
            )
        self.config = config
        self.num_subbands = config.subbands.count
        self.feature_size = 2 * config.subbands.width * (num_channels - 1)
        self.counters: Counter[str] = Counter()
        self._num_channels = num_channels
        output_rate = config.stft.sample_rate
        self._input = InputStream(num_channels, sample_rate, output_rate, self.counters)
        self._voice: VoiceDetector | None = None
        if config.voice_activity:
            self._voice = voice or VoiceActivity()
        self._restart()

    @property
    def sample_rate(self) -> int:
        """Of the sound that comes in [Hz]."""
        return self._input.input_rate

    @property
    def next_end_s(self) -> float:
        """From the stamp of an output to the last sample of the next one [s]."""
        return self.config.next_end_s

    def change_rate(self, sample_rate: int) -> None:
        """Start afresh with sound of another rate (another device); the detector is kept."""
        self._input = self._input.at_rate(sample_rate)
        self._restart()

    def _restart(self) -> None:
        config = self.config
        num_bins = config.stft.num_bins
        hop_s = config.stft.hop / config.stft.sample_rate
        num_blocks = max(1, round(config.subbands.noise_window_s / config.block_s))
        self._stft = StreamingStft(config.stft, self._num_channels, config.frames_per_block)
        self._rls = CrossRelationRls(config.transfer, num_bins, self._num_channels, hop_s)
        self._floor = NoiseFloor(num_bins, num_blocks, config.stft.window)
        self._block_start = 0  # [samples] since the restart
        self._num_loud = 0  # blocks in a row that are loud and no voice
        if self._voice:
            self._voice.reset()

    def push(self, chunk: AudioChunk) -> list[AudioFeatures]:
        """Take the next chunk.

        Parameters
        ----------
        chunk
            As captured.

        Returns
        -------
        list
            Features of the blocks that it completes, oldest first.

        Raises
        ------
        UserError
            When the chunk has other channels or another rate.
        """
        samples, restarted = self._input.push(chunk)
        if restarted:
            self._restart()
        if self._voice:
            self._voice.push(samples, chunk)
        # A long chunk is taken in pieces, to spare memory.
        step = self.config.frames_per_block * self.config.stft.hop
        features = []
        for start in range(0, len(samples), step):
            features += self._advance(samples[start : start + step])
        return features

    def _advance(self, samples: np.ndarray) -> list[AudioFeatures]:
        spectra = self._stft.push(samples)
        size = self.config.frames_per_block
        features = []
        for start in range(0, len(spectra), size):  # whole blocks come
            features.append(self._block_features(spectra[start : start + size]))
            self._block_start += size * self.config.stft.hop
        if self._voice is not None and features:
            self._count_loud_noise(float(np.sqrt(np.mean(samples**2))), features)
        return features

    def _count_loud_noise(self, level: float, features: list[AudioFeatures]) -> None:
        """Count blocks of a level [full scale] in which no voice can be heard; claps are short."""
        for block in features:
            is_noise = level > _LOUD and block.voice_activity < _NO_VOICE
            self._num_loud = self._num_loud + 1 if is_noise else 0
            self.counters['blocks of loud noise'] += self._num_loud >= _LONG_NOISE

    def _block_features(self, spectra: np.ndarray) -> AudioFeatures:
        subbands = self.config.subbands
        stft = self.config.stft
        by_channel = np.mean(spectra.real**2 + spectra.imag**2, axis=0)  # (bins, channels)
        live = self._live_channels(by_channel)
        power = np.zeros(stft.num_bins)
        if live.any():
            power = by_channel[:, live].mean(axis=1)
        transfer, usable = self._transfer(spectra, power)
        present = usable[:, None] & live[None, 1:] & live[0]
        num_usable = subband_mean(usable & live[0], subbands) * subbands.width
        length = self.config.block_length
        return AudioFeatures(
            stamp_ns=self._input.stamp_ns(self._block_start + length / 2),
            voice_activity=self._voice_probability(length),
            vectors=subband_vectors(transfer, subbands),
            present=subband_flags(present, subbands),
            energy=subband_mean(power, subbands),
            valid=(num_usable >= subbands.min_bins) & (live.sum() >= 2),
        )

    def _transfer(self, spectra: np.ndarray, power: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(bins, channels - 1) DP-RTF of the usable bins, else 0, and (bins,) which those are.

        power: (bins,) of the block.
        """
        subbands = self.config.subbands
        self._rls.update(spectra)
        usable = power > 10 ** (0.1 * subbands.min_snr_db) * self._floor.update(power)
        transfer = np.zeros((len(power), self._num_channels - 1), complex)
        if usable.any():
            first_taps, residual = self._rls.solve(usable)
            transfer[usable] = relative_transfer(first_taps)
            usable[usable] = residual < subbands.max_residual
        return transfer, usable

    def _voice_probability(self, length: int) -> float:
        """Of the block, `length` samples long."""
        if self._voice is None:
            return 1.0
        return self._voice.probability(self._block_start, self._block_start + length)

    def _live_channels(self, by_channel: np.ndarray) -> np.ndarray:
        """(channels,) bool; counts the blocks in which some microphones alone are silent.

        by_channel: (bins, channels) power.
        """
        power = by_channel.mean(axis=0)
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
    """Features of a whole recording.

    Parameters
    ----------
    front_end
        Fresh.
    read
        read(start, count) gives (count, channels) samples.
    num_samples
        Of the recording.
    sample_rate
        Of the recording [Hz].
    chunk_s
        How much is read at once [s].

    Yields
    ------
    AudioFeatures
        One per block; time starts at 0 ns.
    """
    count = max(1, round(chunk_s * sample_rate))
    for start in range(0, num_samples, count):
        samples = read(start, min(count, num_samples - start))
        stamp_ns = round(start * NANOSECONDS / sample_rate)
        yield from front_end.push(AudioChunk(stamp_ns, sample_rate, start, samples))
