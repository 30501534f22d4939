# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""From masked spectra of people to their streams: overlap-add, begin and end of each.

Windows overlap, so whatever a mask does from one frame to the next, streams change as smoothly as
windows rise and fall: who is born, leaves or gets another id is faded over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from av_perception.diarization.joint_activity import Activity
from av_perception.geometry.time import NANOSECONDS
from av_perception.interfaces import AudioChunk
from av_perception.separation.frame_groups import FADE, SAMPLE_RATE, FrameGroup
from av_perception.spectral.transform import ShortTimeFourier, overlap_add


@dataclass(frozen=True)
class VoiceChunk:
    """Consecutive samples of one person's stream.

    Attributes
    ----------
    id
        Of the track.
    chunk
        (N, 1) at 16 kHz; `first_sample` counts alike in all streams.
    speaking, probability
        Of the person, at the end of the chunk.
    ended
        Whether the stream ends with it: the track is gone.
    microphone
        (N, 1) the same samples before the masks, for who wants to know what those took away; None
        where there are no masks.
    """

    id: int
    chunk: AudioChunk
    speaking: bool
    probability: float
    ended: bool = False
    microphone: np.ndarray | None = None

    @property
    def with_microphone(self) -> AudioChunk:
        """The chunk with the microphone as second channel, (N, 2), where there is one."""
        if self.microphone is None:
            return self.chunk
        return replace(self.chunk, samples=np.hstack([self.chunk.samples, self.microphone]))

    def is_followed_by(self, other: VoiceChunk) -> bool:
        """Tell whether another piece goes on where this one ends."""
        end = self.chunk.first_sample + len(self.chunk.samples)
        return not self.ended and end == other.chunk.first_sample

    @classmethod
    def of_run(cls, pieces: list[VoiceChunk]) -> VoiceChunk:
        """Join pieces that follow each other."""
        samples = np.concatenate([piece.chunk.samples for piece in pieces])
        around = [piece.microphone for piece in pieces if piece.microphone is not None]
        return replace(
            pieces[-1],
            chunk=replace(pieces[0].chunk, samples=samples),
            microphone=np.concatenate(around) if around else None,
        )


@dataclass
class _Stream:
    """One person's: tails of the overlap-add, what it holds before it begins, and its state.

    Columns of samples are the voice and its microphone.
    """

    tail: np.ndarray
    before: list[AudioChunk]
    started: bool = False
    groups_without: int = 0


class StreamSynthesis:
    """Streams of people who come and go.

    Parameters
    ----------
    transform
        Of the spectra.
    pre_roll_s
        How much of the sound before it was known that a person speaks begins the stream [s].
    """

    def __init__(self, transform: ShortTimeFourier, pre_roll_s: float):
        self._hop = transform.hop
        self._window = transform.synthesis_window.astype(np.float32)
        self._pre_roll = round(pre_roll_s * SAMPLE_RATE)
        self._streams: dict[int, _Stream] = {}

    def has_stream(self, key: int) -> bool:
        """Whether the stream of a person has begun and has not ended."""
        return key in self._streams and self._streams[key].started

    def push(
        self,
        group: FrameGroup,
        voices: Mapping[int, np.ndarray],
        activity: Mapping[int, Activity],
        microphones: Mapping[int, np.ndarray] | None = None,
    ) -> list[VoiceChunk]:
        """Take the frames of a group.

        Parameters
        ----------
        group
            Tells times and fades.
        voices
            (T, F) masked spectra of everybody tracked, by id.
        activity
            By id; who is not in it is silent.
        microphones
            (T, F) spectra before the masks, by id; None: silence.

        Returns
        -------
        list of VoiceChunk
            What is complete of every stream that has begun, by id.
        """
        for key in voices.keys() - self._streams.keys():
            tail = np.zeros((len(self._window) - self._hop, 2), np.float32)
            self._streams[key] = _Stream(tail, [])
        if not self._streams:
            return []
        gain = group.gain[:, None]
        complete = self._complete(group, voices, microphones or {})
        pieces = []
        for column, (key, stream) in enumerate(list(self._streams.items())):
            samples = complete[group.skip : group.skip + len(gain), :, column] * gain
            stream.groups_without = 0 if key in voices else stream.groups_without + 1
            piece = AudioChunk(group.stamp_ns, SAMPLE_RATE, group.first_sample, samples)
            pieces += self._emitted(key, stream, _after_silence(piece, group.silence), activity)
        return pieces

    def _complete(
        self,
        group: FrameGroup,
        voices: Mapping[int, np.ndarray],
        microphones: Mapping[int, np.ndarray],
    ) -> np.ndarray:
        """(T * hop, 2, J) samples that overlap-add completes, of each stream's two columns."""
        silent = np.zeros_like(group.spectra[:, :, 0])
        both = [
            [spectra.get(key, silent) for key in self._streams]
            for spectra in (voices, microphones)
        ]
        spectra = np.moveaxis(np.array(both), (0, 1), (2, 3))  # (T, F, 2, J)
        added = overlap_add(spectra, self._window, self._hop)
        tails = np.stack([stream.tail for stream in self._streams.values()], axis=-1)
        added[: len(tails)] += tails
        done = len(group.spectra) * self._hop
        for column, stream in enumerate(self._streams.values()):
            stream.tail = added[done:, :, column].copy()
        return added[:done]

    def _emitted(
        self, key: int, stream: _Stream, piece: AudioChunk, activity: Mapping[int, Activity]
    ) -> list[VoiceChunk]:
        """Give the piece of a stream, where it has begun."""
        state = activity.get(key)
        speaking = state is not None and state.speaking
        probability = 0.0 if state is None else state.probability
        # The tail of the last frame takes two groups more.
        ended = stream.groups_without * 2 * self._hop >= len(self._window)
        if ended:
            del self._streams[key]
        if not stream.started:
            self._hold(stream.before, piece)
            stream.started = speaking and not ended
            if not stream.started:
                return []
            piece = _faded_in(stream.before)
            stream.before = []
        if not len(piece.samples) and not ended:
            return []
        voice = replace(piece, samples=piece.samples[:, :1])
        return [VoiceChunk(key, voice, speaking, probability, ended, piece.samples[:, 1:])]

    def _hold(self, held: list[AudioChunk], piece: AudioChunk) -> None:
        """Add a piece to those before the begin, and drop what is too long ago."""
        if held and held[-1].first_sample + len(held[-1].samples) != piece.first_sample:
            held.clear()
        held.append(piece)
        while len(held) > 1 and sum(len(p.samples) for p in held[1:]) >= self._pre_roll:
            held.pop(0)


def _faded_in(held: list[AudioChunk]) -> AudioChunk:
    """Join pieces that follow each other; they begin softly."""
    samples = np.concatenate([piece.samples for piece in held])
    rise = np.minimum((np.arange(len(samples)) + 0.5) / FADE, 1.0)
    return replace(held[0], samples=samples * rise[:, None].astype(np.float32))


def _after_silence(piece: AudioChunk, silence: int) -> AudioChunk:
    """Put so many samples of silence before a piece."""
    if not silence:
        return piece
    zeros = np.zeros((silence, piece.samples.shape[1]), np.float32)
    return replace(
        piece,
        stamp_ns=piece.stamp_ns - round(silence * NANOSECONDS / SAMPLE_RATE),
        first_sample=piece.first_sample - silence,
        samples=np.concatenate([zeros, piece.samples]),
    )
