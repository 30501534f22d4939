# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Live enhancement of the voices of several people, each on its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from av_perception.dvae.speech_prior import load_prior
from av_perception.enhancement.prior import RATE
from av_perception.enhancement.prior_stream import PriorStream
from av_perception.enhancement.stream import OFF, RVAE, VAE, Makers, StreamEnhancer
from av_perception.geometry.time import NANOSECONDS
from av_perception.interfaces import AudioChunk


def live_modes() -> Makers:
    """Modes beside those that need no weights, by name."""
    return {
        VAE: lambda start: PriorStream(_prior(VAE)),
        RVAE: lambda start: PriorStream(_prior(RVAE)),
    }


@cache
def _prior(name: str):
    """One prior for all voices: it is only read."""
    return load_prior(name)


@dataclass
class _Voice:
    """One person's: the enhancer, where its input begins to be expected, where its output is."""

    enhancer: StreamEnhancer
    next_in: int
    next_out: int


class PersonEnhancers:
    """Chunks of all voices in, the same voices out, later and clearer. Samples keep their index.

    A voice that breaks off goes on where it comes back; before, all of it that was waiting comes
    out.

    Parameters
    ----------
    mode
        One of `stream.MODES`.
    makers_of
        Gives modes that take the place of `live_modes` for a voice, by its id and the stamp [ns]
        of its first sample.
    """

    def __init__(
        self,
        mode: str = OFF,
        makers_of: Callable[[int, int], Makers] = lambda key, start_ns: {},
    ):
        self._mode = OFF
        self._makers_of = makers_of
        self._voices: dict[int, _Voice] = {}
        self.switch(mode)

    def switch(self, mode: str) -> None:
        """Go over to another mode, in all voices at once, without a click.

        Raises
        ------
        ValueError
            When there is no such mode.
        UserError
            When the weights that it needs are not there; nothing changes then.
        """
        if mode in live_modes():
            _prior(mode)
        StreamEnhancer(live_modes(), mode)
        for voice in self._voices.values():
            voice.enhancer.switch(mode)
        self._mode = mode

    def push(self, key: int, chunk: AudioChunk, ended: bool = False) -> list[AudioChunk]:
        """Take a chunk of a voice.

        Parameters
        ----------
        key
            Whose it is.
        chunk
            (N, 1) at 16 kHz, or (N, 2): beside the voice, the sound of the microphone that masks
            took it out of, which tells what is noise (`mask_noise`); one of the two for all of a
            voice.
        ended
            Whether the voice ends with it.

        Returns
        -------
        list of AudioChunk
            (M, 1) float32, those that became complete, oldest first; a chunk for each stretch
            without a gap. The last may be empty when the voice ended.
        """
        done: list[AudioChunk] = []
        voice = self._voices.get(key)
        if voice is not None and voice.next_in != chunk.first_sample:
            done.append(self._given(voice, voice.enhancer.finish(), chunk))
            voice = None
        if voice is None:
            makers = {**live_modes(), **self._makers_of(key, chunk.stamp_ns)}
            enhancer = StreamEnhancer(makers, self._mode)
            voice = _Voice(enhancer, chunk.first_sample, chunk.first_sample)
            self._voices[key] = voice
        voice.next_in = chunk.first_sample + len(chunk.samples)
        found = voice.enhancer.push(_finite(_columns(chunk.samples)))
        if ended:
            found = np.concatenate([found, voice.enhancer.finish()])
            del self._voices[key]
        done.append(self._given(voice, found, chunk))
        return [piece for piece in done if len(piece.samples)] or (done[-1:] if ended else [])

    def _given(self, voice: _Voice, samples: np.ndarray, like: AudioChunk) -> AudioChunk:
        """Make a chunk of what came out, with the time at which it was captured."""
        first = voice.next_out
        voice.next_out += len(samples)
        earlier_ns = round((like.first_sample - first) * NANOSECONDS / RATE)
        return replace(
            like,
            stamp_ns=like.stamp_ns - earlier_ns,
            first_sample=first,
            samples=samples[:, None].astype(np.float32),
        )


def _columns(samples: np.ndarray) -> np.ndarray:
    """(N,) of a voice alone, (N, 2) with its microphone."""
    return samples[:, 0] if samples.shape[1] == 1 else samples


def _finite(samples: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(samples), samples, 0.0)
