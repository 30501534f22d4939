# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Sound of a head in, blocks of direction bins out, for all who judge them.

Who births by sound, who speaks: they get the same blocks and the same likelihood.
"""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict

from av_perception.audio.direction_bins import (
    BinBlock,
    DirectionBins,
    DirectionBinsConfig,
    DirectionLikelihood,
)
from av_perception.audio.quiet_sound import TOO_QUIET, QuietSound
from av_perception.audio.steering import GeometricSteering, Steering
from av_perception.audio.voice_activity import VoiceDetector
from av_perception.geometry.time import seconds
from av_perception.interfaces import AudioChunk
from av_perception.robot_head.profile import MicrophoneArray

_DEFAULT = DirectionBinsConfig()
_REMEMBERED = 256  # chunks whose blocks are kept for those who listen more slowly: 2 s
_START_ANEW_S = 1.0  # a stamp so far back begins another stream
TOO_LATE = 'sounds that come after later ones were heard'


def direction_likelihood(
    array: MicrophoneArray,
    config: DirectionBinsConfig = _DEFAULT,
    steering: Steering | None = None,
) -> DirectionLikelihood:
    """Make the likelihood of directions for the bins of an array.

    Parameters
    ----------
    array
        Microphones of the head.
    config
        Tells the frequencies of the bins.
    steering
        How sound arrives; None takes the geometry of the head.

    Raises
    ------
    UserError
        When the array has fewer than 2 or more than 16 microphones.
    """
    return DirectionLikelihood(steering or GeometricSteering(array), config.frequencies)


class BinStream:
    """Turns chunks into blocks; another sample rate (another device) starts it afresh.

    `counters` tells what was wrong with the sound.

    Parameters
    ----------
    likelihood
        Of `direction_likelihood`.
    sample_rate
        Of the chunks to come [Hz].
    config
        The same as that of the likelihood.
    voice
        Hears voice; None makes one.
    """

    def __init__(
        self,
        likelihood: DirectionLikelihood,
        sample_rate: int,
        config: DirectionBinsConfig = _DEFAULT,
        voice: VoiceDetector | None = None,
    ):
        self._config = config
        self.likelihood = likelihood
        self._voice = voice
        self._earlier: Counter[str] = Counter()
        self._quiet = QuietSound()
        self._start(sample_rate)

    def _start(self, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self._bins = DirectionBins(self._config, self.likelihood, sample_rate, self._voice)

    @property
    def next_end_s(self) -> float:
        """From the stamp of a block to the last sample of the next one [s]."""
        return self._config.next_end_s

    @property
    def counters(self) -> Counter[str]:
        """What was wrong so far, by reason."""
        if not self._earlier:  # asked for with every chunk: a sum of counters takes long
            return self._bins.counters.copy()
        return self._earlier + self._bins.counters

    def change_rate(self, sample_rate: int) -> None:
        """Start afresh with sound of another rate [Hz]."""
        self._earlier = self.counters
        self._start(sample_rate)

    def push(self, chunk: AudioChunk) -> list[BinBlock]:
        """Return the blocks that a chunk completes, oldest first."""
        if self._quiet.push(chunk.samples, chunk.sample_rate):
            self._earlier[TOO_QUIET] += 1
        return self._bins.push(chunk)

    def reason_of(self, counter: str) -> str:
        """Say why a counter grew, where more is known than its name."""
        return self._quiet.reason if counter == TOO_QUIET else ''


class SharedBinStream(BinStream):
    """The bins of one sound for several listeners: what the first one hears is computed once.

    Each pushes every chunk, from any thread, and gets its blocks. A chunk before the newest that
    nobody has pushed cannot be heard any more: it gives nothing and is counted.
    """

    def __init__(
        self,
        likelihood: DirectionLikelihood,
        sample_rate: int,
        config: DirectionBinsConfig = _DEFAULT,
        voice: VoiceDetector | None = None,
    ):
        self._lock = threading.RLock()
        # Of the last chunks, by stamp [ns] and first sample.
        self._blocks: OrderedDict[tuple[int, int], list[BinBlock]] = OrderedDict()
        super().__init__(likelihood, sample_rate, config, voice)

    @property
    def counters(self) -> Counter[str]:
        """What was wrong so far, by reason; alike for all listeners."""
        with self._lock:
            return super().counters

    def change_rate(self, sample_rate: int) -> None:
        """Do nothing: `push` sees to it, as slower listeners may still push sound of before."""

    def push(self, chunk: AudioChunk) -> list[BinBlock]:
        """Return the blocks that a chunk completes, whoever pushed it first."""
        key = (chunk.stamp_ns, chunk.first_sample)
        with self._lock:
            if key in self._blocks:
                return self._blocks[key]
            if self._is_too_late(chunk):
                self._earlier[TOO_LATE] += 1
                return []
            if chunk.sample_rate != self.sample_rate:
                super().change_rate(chunk.sample_rate)
            self._blocks[key] = super().push(chunk)
            while len(self._blocks) > _REMEMBERED:
                self._blocks.popitem(last=False)
            return self._blocks[key]

    def heard(self, stamp_ns: int, first_sample: int) -> list[BinBlock] | None:
        """Return the blocks of a chunk that somebody has pushed, None for any other.

        Parameters
        ----------
        stamp_ns, first_sample
            Of the chunk.
        """
        with self._lock:
            return self._blocks.get((stamp_ns, first_sample))

    def _is_too_late(self, chunk: AudioChunk) -> bool:
        """Tell whether later sound of the same stream was heard; far back begins another one."""
        if not self._blocks:
            return False
        newest_ns, newest_sample = next(reversed(self._blocks))
        if seconds(chunk.stamp_ns - newest_ns) < -_START_ANEW_S:
            self._blocks.clear()
            return False
        return chunk.stamp_ns < newest_ns and chunk.first_sample < newest_sample
