# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Instantaneous observations of direction: single time-frequency bins, whitened by diffuse noise.

A bin x of M microphones follows a complex angular central Gaussian (Tyler 1987; Kent 1997), of
which only the direction y / |y| of the whitened bin counts: y = L^-1 x, L L^H = Gamma, Gamma the
diffuse coherence plus a share of the microphones' own noise. Sound from a direction with steering
vector d has the scatter matrix B = Gamma + s d d^H, diffuse sound has Gamma. With g = L^-1 d the
log ratio of both densities is, by Sherman and Morrison,

    -log(1 + s |g|^2) - M log(1 - s |g^H y|^2 / ((1 + s |g|^2) |y|^2)).

A bin is kept while its energy rises above the noise floor and does not decay: what decays is
reverberation.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

import numpy as np

from av_perception.audio.input_stream import InputStream
from av_perception.audio.steering import PartialSteering, Steering
from av_perception.audio.sub_bands import NoiseFloor, rising_frames
from av_perception.audio.voice_activity import SAMPLE_RATE, VoiceActivity, VoiceDetector
from av_perception.errors import UserError
from av_perception.interfaces import AudioChunk
from av_perception.spectral.stft import FrameBlocks, StftConfig, StreamingStft

# float32 cannot tell a perfectly aligned bin from none of it left.
_LEAST_LEFT = np.float32(1e-6)
_FRAMES_PER_LOGARITHM = 6  # _LEAST_LEFT to this power is still a normal float32


@dataclass(frozen=True)
class DirectionBinsConfig(FrameBlocks):
    """How bins are made and which are kept."""

    #: 32 ms Hann windows every 8 ms: shorter ones blur voices, longer ones delay.
    stft: StftConfig = field(default_factory=lambda: StftConfig(window=512, hop=128))
    #: Frames per block, at least 1 (5 of 8 ms make 40 ms).
    frames_per_block: int = 5
    #: Lower end of the band in which bins tell directions [Hz].
    lowest_hz: float = 100.0
    #: Upper end of that band, at most half the sample rate [Hz].
    highest_hz: float = 4500.0
    #: Power above the noise floor from which a bin is kept [dB].
    min_snr_db: float = 6.0
    #: Time over which the noise floor is the least power [s].
    noise_window_s: float = 2.0
    #: A bin is kept where its power exceeds this share of what it was before, at least 0.
    onset_ratio: float = 1.0
    #: What it was before fades by this factor a frame, 0..1 (1: the loudest so far counts).
    onset_fade: float = 0.7
    #: Whether the voice detector runs.
    voice_activity: bool = True
    #: A microphone this far below the mean power of the loudest one counts as dead [dB].
    dead_channel_db: float = 50.0

    def __post_init__(self):
        if self.frames_per_block < 1:
            raise ValueError(f'frames_per_block must be at least 1, not {self.frames_per_block}')
        if not 0 < self.lowest_hz < self.highest_hz <= 0.5 * self.stft.sample_rate:
            raise ValueError('lowest_hz and highest_hz must be rising, up to half the sample rate')
        if not 0 <= self.onset_fade <= 1 or self.onset_ratio < 0:
            raise ValueError('onset_fade must lie in 0..1, onset_ratio must not be negative')
        if self.noise_window_s <= 0 or self.dead_channel_db <= 0:
            raise ValueError('noise_window_s and dead_channel_db must be positive')
        if self.voice_activity and self.stft.sample_rate != SAMPLE_RATE:
            raise ValueError(f'voice activity needs a sample_rate of {SAMPLE_RATE} Hz')

    @property
    def used(self) -> np.ndarray:
        """(F,) indices of the spectrum's bins in the band."""
        frequencies = self.stft.frequencies
        return np.flatnonzero((frequencies >= self.lowest_hz) & (frequencies <= self.highest_hz))

    @property
    def frequencies(self) -> np.ndarray:
        """(F,) frequencies of the bins in the band [Hz]."""
        return self.stft.frequencies[self.used]


@dataclass(frozen=True)
class BinBlock:
    """The kept bins of one block; R rows of spectral bins in which some of the T frames counts.

    stamp_ns: center of the block's samples; voice_activity: probability in [0, 1], None without a
    voice detector; bins: (R,) rising indices into the band's frequencies; unit: (R, T, M)
    complex64 whitened bins of unit length; kept: (R, T) bool; power: (R,) mean power of the kept
    bins at the microphones; live: which of the head's microphones were heard, M of them (there are
    no bins where fewer than two were); is_blank: all samples are 0, no word of the room.
    """

    stamp_ns: int
    voice_activity: float | None
    bins: np.ndarray
    unit: np.ndarray
    kept: np.ndarray
    power: np.ndarray
    live: tuple[bool, ...]
    is_blank: bool = False

    def __len__(self) -> int:
        return len(self.bins)

    def emptied(self) -> BinBlock:
        """Return the block without bins and voice, where its sound is of no use."""
        return replace(
            self,
            voice_activity=None,
            bins=self.bins[:0],
            unit=self.unit[:0],
            kept=self.kept[:0],
            power=self.power[:0],
        )


class DirectionLikelihood:
    """Log likelihood ratios of directions to diffuse sound, for the bins of one array.

    Raises UserError for a head with fewer than 2 or more than 16 microphones.
    """

    def __init__(
        self,
        steering: Steering,
        frequencies: np.ndarray,
        direct_to_diffuse: float = 2.0,
        own_noise: float = 0.05,
    ):
        """Whiten by diffuse sound and the microphones' own noise.

        Parameters
        ----------
        steering
            How sound arrives from a direction.
        frequencies
            (F,) of the bins [Hz].
        direct_to_diffuse
            s, power of the direct sound over that of what is diffuse.
        own_noise
            Power of the microphones' uncorrelated noise over that of what is diffuse.

        """
        if direct_to_diffuse <= 0 or own_noise <= 0:
            raise ValueError('direct_to_diffuse and own_noise must be positive')
        if not 2 <= steering.num_microphones <= 16:
            raise UserError(
                'direction hearing needs 2 to 16 microphones, the head has '
                f'{steering.num_microphones}: use another head profile'
            )
        self.frequencies = np.asarray(frequencies, float)
        self.num_microphones = steering.num_microphones
        self._steering = steering
        self._strength = direct_to_diffuse
        self._own_noise = own_noise
        self._partial: dict[tuple[bool, ...], DirectionLikelihood] = {}
        coherence = steering.diffuse_coherence(self.frequencies)
        noise = coherence + own_noise * np.eye(self.num_microphones)
        self.whitening = np.linalg.inv(np.linalg.cholesky(noise)).astype(np.complex64)

    @property
    def steering(self) -> Steering:
        """How sound arrives from a direction."""
        return self._steering

    def heard_by(self, live: tuple[bool, ...]) -> DirectionLikelihood:
        """Return the likelihood for those microphones that are not dead."""
        if all(live):
            return self
        if live not in self._partial:
            steering = PartialSteering(self._steering, live)
            self._partial[live] = DirectionLikelihood(
                steering, self.frequencies, self._strength, self._own_noise
            )
        return self._partial[live]

    def whitened_steering(
        self, directions: np.ndarray, bins: np.ndarray | slice = slice(None)
    ) -> np.ndarray:
        """(F, M, N) g = L^-1 d of unit vectors (N, 3), scaled so that `ratios` needs no more.

        Columns are g* sqrt(s / (1 + s |g|^2)); of length q: 1 + s |g|^2 = 1 / (1 - q^2). `bins`
        names those of the F frequencies that are wanted.
        """
        if self._steering.is_cheap:
            vectors = self._steering.vectors(directions, self.frequencies[bins])  # (N, F, M)
        else:
            vectors = self._steering.vectors(directions, self.frequencies)[:, bins]
        white = self.whitening[bins] @ vectors.transpose(1, 2, 0)  # (F, M, N)
        square = white.real**2 + white.imag**2  # abs would take a root of it first
        square = self._strength * square.sum(axis=1, keepdims=True)
        return (white.conj() * np.sqrt(self._strength / (1 + square))).astype(np.complex64)

    def ratios(
        self, block: BinBlock, scaled: np.ndarray, of_length: np.ndarray | None = None
    ) -> np.ndarray:
        """(R, N) log ratio of every row of a block, mean over its kept frames.

        Parameters
        ----------
        block
            R rows of whitened bins.
        scaled
            (F, M, N) from `whitened_steering`, of many directions that stay.
        of_length
            (F, N) `log_of_length(scaled)`, for who keeps it; None computes it.
        """
        if not len(block):
            return np.zeros((0, scaled.shape[2]), np.float32)
        # What is not kept becomes 0, of which everything is left: log 1 adds nothing.
        product = (block.unit * block.kept[..., None]) @ scaled[block.bins]  # (R, T, N)
        squares = product.view(product.real.dtype)
        np.square(squares, out=squares)
        left = squares[..., ::2] + squares[..., 1::2]
        np.subtract(1, left, out=left)
        np.maximum(left, _LEAST_LEFT, out=left)
        # One logarithm for as many frames as a product of floats can hold.
        step = _FRAMES_PER_LOGARITHM
        parts = [left[:, t : t + step] for t in range(0, left.shape[1], step)]
        misfit = sum(np.log(part.prod(axis=1)) for part in parts)
        weight = self.num_microphones / block.kept.sum(axis=1, keepdims=True)
        if of_length is None:
            of_length = log_of_length(scaled)
        return of_length[block.bins] - weight.astype(np.float32) * misfit

    def ratios_towards(self, block: BinBlock, directions: np.ndarray) -> np.ndarray:
        """Return `ratios` for unit vectors (N, 3), few of them, steered at the kept bins alone."""
        if not len(block) or not len(directions):
            return np.zeros((len(block), len(directions)), np.float32)
        return self.ratios_of_rows(block, self.whitened_steering(directions, block.bins))

    def ratios_of_rows(self, block: BinBlock, own: np.ndarray) -> np.ndarray:
        """Return `ratios` for the steering (R, M, N) of the block's rows alone."""
        if not len(block) or not own.shape[2]:
            return np.zeros((len(block), own.shape[2]), np.float32)
        product = block.unit @ own  # (R, T, N)
        aligned = product.real**2 + product.imag**2
        misfit = np.log(np.maximum(1 - aligned, _LEAST_LEFT))
        share = block.kept / block.kept.sum(axis=1, keepdims=True)
        mean = np.einsum('rt,rtn->rn', share.astype(np.float32), misfit)
        return log_of_length(own) - self.num_microphones * mean


def log_of_length(scaled: np.ndarray) -> np.ndarray:
    """(F, N) -log(1 + s |g|^2) of columns (F, M, N) of `DirectionLikelihood.whitened_steering`."""
    square = np.sum(scaled.real**2 + scaled.imag**2, axis=1)  # s|g|^2/(1+s|g|^2)
    return np.log(np.maximum(1 - square, _LEAST_LEFT))


class DirectionBins:
    """Sound of all microphones in, one block of whitened bins every 40 ms out.

    A jump in `first_sample` or a stamp that runs backward starts afresh. `counters` tells what was
    wrong with the sound. Raises UserError for a chunk with other channels or another rate.
    """

    def __init__(
        self,
        config: DirectionBinsConfig,
        likelihood: DirectionLikelihood,
        sample_rate: int,
        voice: VoiceDetector | None = None,
    ):
        """Begin a stream.

        Parameters
        ----------
        config
            See `DirectionBinsConfig`.
        likelihood
            For `config.frequencies`.
        sample_rate
            Of the chunks to come [Hz].
        voice
            Hears voice where the configuration asks for it; None makes one.
        """
        if len(likelihood.frequencies) != len(config.used):
            raise ValueError('the likelihood was made for other frequencies than the bins have')
        self.config = config
        self.counters: Counter[str] = Counter()
        self._num_channels = likelihood.num_microphones
        self._likelihood = likelihood
        # The band is all bins from its first to its last: a slice copies faster than indices.
        self._band = slice(config.used[0], config.used[-1] + 1)
        self._num_bins = len(config.used)
        self._input = InputStream(
            self._num_channels, sample_rate, config.stft.sample_rate, self.counters
        )
        self._voice: VoiceDetector | None = None
        if config.voice_activity:
            self._voice = voice or VoiceActivity()
        self._restart()

    def push(self, chunk: AudioChunk) -> list[BinBlock]:
        """Blocks that the chunk completes, oldest first."""
        samples, restarted = self._input.push(chunk)
        if restarted:
            self._restart()
        if self._voice:
            self._voice.push(samples, chunk)
        step = self.config.frames_per_block * self.config.stft.hop  # long chunks in pieces
        blocks: list[BinBlock] = []
        for start in range(0, len(samples), step):
            blocks += self._advance(samples[start : start + step])
        return blocks

    def _restart(self) -> None:
        config = self.config
        self._stft = StreamingStft(config.stft, self._num_channels, config.frames_per_block)
        num_blocks = max(1, round(config.noise_window_s / config.block_s))
        self._floor = NoiseFloor(self._num_bins, num_blocks, config.stft.window)
        self._before = np.zeros(self._num_bins)
        self._block_start = 0
        if self._voice:
            self._voice.reset()

    def _advance(self, samples: np.ndarray) -> list[BinBlock]:
        spectra = self._stft.push(samples)
        size = self.config.frames_per_block
        blocks = []
        for start in range(0, len(spectra), size):  # whole blocks come
            frames = spectra[start : start + size, self._band].astype(np.complex64)
            blocks.append(self._block(frames))
            self._block_start += size * self.config.stft.hop
        return blocks

    def _block(self, frames: np.ndarray) -> BinBlock:
        """frames: (T, F, M)."""
        by_channel = frames.real**2 + frames.imag**2
        live = self._live(by_channel)
        is_blank = not by_channel.any() and not frames.any()
        heard = by_channel
        if live.any() and not live.all():  # what is dead is no quieter room
            heard = by_channel[..., live]
        power = np.mean(heard, axis=2)  # (T, F)
        floor = self._floor.update(power.mean(axis=0))
        rising, self._before = rising_frames(
            power, self._before, self.config.onset_ratio, self.config.onset_fade
        )
        kept = (power > 10 ** (0.1 * self.config.min_snr_db) * floor) & rising
        if live.sum() < 2:
            kept[:] = False
            live[:] = True
        rows = np.flatnonzero(kept.any(axis=0))
        kept = kept[:, rows].T
        whitening = self._likelihood.heard_by(tuple(live.tolist())).whitening[rows]
        used = frames[:, rows] if live.all() else frames[:, rows][..., live]
        white = used.transpose(1, 0, 2) @ whitening.swapaxes(1, 2)
        length = np.linalg.norm(white, axis=2, keepdims=True)
        unit = white / np.maximum(length, np.finfo(np.float32).tiny)
        mean_power = (power[:, rows].T * kept).sum(axis=1) / np.maximum(kept.sum(axis=1), 1)
        return BinBlock(
            self._stamp_ns(),
            self._voice_probability(),
            rows,
            unit,
            kept,
            mean_power,
            tuple(live.tolist()),
            is_blank,
        )

    def _live(self, by_channel: np.ndarray) -> np.ndarray:
        """(M,) bool of powers (T, F, M); counts the blocks in which some of them are silent."""
        power = np.mean(by_channel, axis=(0, 1))
        live = power > 10 ** (-0.1 * self.config.dead_channel_db) * power.max()
        if live.any() and not live.all():
            self.counters['blocks with a dead microphone'] += 1
        return live

    def _stamp_ns(self) -> int:
        return self._input.stamp_ns(self._block_start + self.config.block_length / 2)

    def _voice_probability(self) -> float | None:
        if self._voice is None:
            return None
        end = self._block_start + self.config.block_length
        return self._voice.probability(self._block_start, end)
