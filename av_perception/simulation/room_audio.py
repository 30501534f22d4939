# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The sound of moving talkers at the microphones: image source method, block by block.

The dry sound is cut into Hann blocks of 80 ms every 40 ms (they add up to one); each is convolved
with the room's response from where the talker is in the middle of the block (Allen and Berkley
1979, by pyroomacoustics). A response serves until the talker has moved 15 mm.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyroomacoustics
from scipy.signal import fftconvolve

from av_perception.simulation.scene import RoomConfig

BLOCK_S = 0.08
RESPONSE_STEP_M = 0.015
# Later images of a room of T60 0.3 s are 30 dB and more below the direct sound.
HIGHEST_ORDER = 15
_ORDERS_PER_S = 50.0  # of T60: those that count
SPEECH_LEVEL = 0.06  # root mean square of the sound at the microphones while somebody speaks
PEAK_LEVEL = 0.9


@dataclass(frozen=True)
class MovingSource:
    """A sound and where it comes from.

    Attributes
    ----------
    samples
        (N,) dry sound.
    positions
        (B, 3) [m] in the room, in the middle of block b (at b * 40 ms).
    """

    samples: np.ndarray
    positions: np.ndarray


def block_times(num_samples: int, sample_rate: int) -> np.ndarray:
    """Compute the middles (B,) [s] of the blocks that cover the sound."""
    hop = _hop(sample_rate)
    return np.arange(-(-num_samples // hop) + 1) * hop / sample_rate


def render_room(
    room: RoomConfig,
    microphones: np.ndarray,
    sources: list[MovingSource],
    sample_rate: int,
    progress: Callable[[float], None] = lambda fraction: None,
) -> np.ndarray:
    """Render the noise-free sound of all sources; the direct sound is dry / distance.

    Parameters
    ----------
    room
        Where it echoes.
    microphones
        (channels, 3) [m] in the room.
    sources
        With sounds of one length N.
    sample_rate
        [Hz]
    progress
        Called with the fraction that is done.

    Returns
    -------
    np.ndarray
        (N, channels)
    """
    mixture = np.zeros((len(microphones), len(sources[0].samples)))
    images = [mixture for _ in sources]
    _render(images, mixture, room, microphones, sources, sample_rate, progress)
    return mixture.T


def render_images(
    room: RoomConfig,
    microphones: np.ndarray,
    sources: list[MovingSource],
    sample_rate: int,
    progress: Callable[[float], None] = lambda fraction: None,
) -> tuple[np.ndarray, np.ndarray]:
    """Do as `render_room`, and keep apart what each source gives the microphones.

    Returns
    -------
    mixture
        (N, channels), bit for bit that of `render_room`.
    images
        (sources, N, channels), whose sum it is.
    """
    mixture = np.zeros((len(microphones), len(sources[0].samples)))
    images = np.zeros((len(sources), *mixture.shape))
    _render(list(images), mixture, room, microphones, sources, sample_rate, progress)
    return mixture.T, images.transpose(0, 2, 1)


@dataclass(frozen=True)
class FinishedSound:
    """The sound of the microphones, and what it is made of.

    Attributes
    ----------
    samples
        (N, channels) float32: `gain` times what the sources gave the microphones, and `noise`.
    gain
        One factor for all.
    noise
        (N, channels) of the microphones and of the room.
    """

    samples: np.ndarray
    gain: float
    noise: np.ndarray


def finish_sound(
    clean: np.ndarray,
    active: np.ndarray,
    snr_db: float,
    random: np.random.Generator,
    room_noise: np.ndarray | float = 0.0,
) -> FinishedSound:
    """Bring sound to SPEECH_LEVEL while somebody is active, with noise, not clipped.

    Parameters
    ----------
    clean
        (N, channels)
    active
        (N,) bool: somebody speaks.
    snr_db
        [dB] speech over the white noise of the microphones.
    random
        Source of that noise.
    room_noise
        (N, channels) of the room, for speech at SPEECH_LEVEL.
    """
    power = np.mean(clean[active] ** 2) if active.any() else np.mean(clean**2)
    gain = float(SPEECH_LEVEL / np.sqrt(power)) if power > 0 else 1.0
    noise = random.normal(0.0, SPEECH_LEVEL * 10 ** (-snr_db / 20), clean.shape) + room_noise
    noisy = clean * gain + noise
    limit = float(min(1.0, PEAK_LEVEL / np.abs(noisy).max()))
    return FinishedSound((noisy * limit).astype(np.float32), gain * limit, noise * limit)


def highest_order(t60: float) -> int:
    """Return the order of the last image that is heard in a room, which rings for t60 [s]."""
    return max(HIGHEST_ORDER, round(_ORDERS_PER_S * t60))


class _RoomSimulator:
    """Responses of one room from any source position to fixed microphones."""

    def __init__(self, room: RoomConfig, microphones: np.ndarray, sample_rate: int):
        absorption, order = room.absorption()
        self.sample_rate = sample_rate
        self._room = pyroomacoustics.ShoeBox(
            room.size,
            fs=sample_rate,
            materials=pyroomacoustics.Material(min(absorption, 1.0)),
            max_order=min(order, highest_order(room.t60)),
        )
        self._room.add_source(np.array(room.size) / 2)
        self._room.add_microphone_array(np.asarray(microphones, float).T)
        # Of the library's interpolation filter.
        self.delay = pyroomacoustics.constants.get('frac_delay_length') // 2

    def response(self, position: np.ndarray) -> np.ndarray:
        """Compute (channels, taps) from position (3,) [m]; tap `delay` is time zero."""
        self._room.sources[0].position[:] = position
        self._room.image_source_model()
        self._room.compute_rir()
        responses = [channel[0] for channel in self._room.rir]
        padded = np.zeros((len(responses), max(map(len, responses))))
        for row, response in zip(padded, responses):
            row[: len(response)] = response
        return padded


def _hop(sample_rate: int) -> int:
    """Count the samples from one block to the next."""
    return int(round(BLOCK_S / 2 * sample_rate))


def _render(
    images: Sequence[np.ndarray],
    mixture: np.ndarray,
    room: RoomConfig,
    microphones: np.ndarray,
    sources: list[MovingSource],
    sample_rate: int,
    progress: Callable[[float], None],
) -> None:
    """Add every source to the mixture (channels, N) and to its own image, where it has one."""
    simulator = _RoomSimulator(room, microphones, sample_rate)
    for index, (source, image) in enumerate(zip(sources, images)):
        targets = [mixture] if image is mixture else [mixture, image]
        for done in _add_source(targets, source, simulator):
            progress((index + done) / len(sources))


def _add_source(
    targets: list[np.ndarray],
    source: MovingSource,
    simulator: _RoomSimulator,
) -> Iterator[float]:
    """Add the sound of a source to targets (channels, N); yields the fraction that is done."""
    hop = _hop(simulator.sample_rate)
    dry = np.concatenate([np.zeros(hop), source.samples, np.zeros(2 * hop)])
    rise = 0.5 - 0.5 * np.cos(np.pi * (np.arange(hop) + 0.5) / hop)
    runs = _runs(source.positions, _sounding_blocks(dry, hop, len(source.positions)))
    for done, (first, last) in enumerate(runs, 1):
        window = np.concatenate([rise, np.ones((last - first) * hop), rise[::-1]])
        start = first * hop - hop  # in the sound; block b is centered on sample b * hop
        segment = dry[start + hop : start + hop + len(window)] * window
        wet = fftconvolve(segment[None], simulator.response(source.positions[first]), axes=1)
        for target in targets:
            _add_at(target, wet, start - simulator.delay)
        yield done / len(runs)


def _sounding_blocks(dry: np.ndarray, hop: int, num_blocks: int) -> np.ndarray:
    """(B,) bool: the block holds sound.

    Block b covers two hops of the padded sound from b * hop on.
    """
    filled = np.zeros((num_blocks + 1) * hop)
    filled[: min(len(dry), len(filled))] = dry[: len(filled)]
    loud = np.abs(filled).reshape(-1, hop).max(axis=1) > 0
    return loud[:-1] | loud[1:]


def _runs(positions: np.ndarray, sounding: np.ndarray) -> list[tuple[int, int]]:
    """First and last block of every run of sounding blocks that may share a response.

    It is that of the run's first block.
    """
    runs: list[tuple[int, int]] = []
    for block in np.flatnonzero(sounding).tolist():
        first, last = runs[-1] if runs else (block, -2)
        moved_m = np.linalg.norm(positions[block] - positions[first])
        if last == block - 1 and moved_m < RESPONSE_STEP_M:
            runs[-1] = (first, block)
        else:
            runs.append((block, block))
    return runs


def _add_at(target: np.ndarray, wet: np.ndarray, start: int) -> None:
    """Add (channels, samples) to the target from sample `start` on, which may lie before it."""
    skipped = max(0, -start)
    length = min(wet.shape[1] - skipped, target.shape[1] - max(start, 0))
    if length > 0:
        target[:, max(start, 0) : max(start, 0) + length] += wet[:, skipped : skipped + length]
