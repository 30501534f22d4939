# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The topic `audio` into a front end, alike for every node that listens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from av_perception_msgs.msg import AudioChunk as AudioChunkMsg

from av_perception.audio.bin_stream import SharedBinStream, direction_likelihood
from av_perception.audio.input_stream import WRONG_INDEX
from av_perception.audio.voice_activity import SharedVoiceActivity, VoiceListener
from av_perception.geometry.time import nanoseconds
from av_perception.interfaces import AudioChunk
from av_perception.robot_head.profile import MicrophoneArray
from av_perception.ros import qos
from av_perception.ros.conversions import audio_chunk_from_msg, microphones_of, ns_from_time
from av_perception.ros.input_monitor import publisher_names
from av_perception.ros.parameters import Parameter

if TYPE_CHECKING:
    from av_perception.ros.node import PerceptionNode

MOST_HELD_S = 0.04  # of sound waits for the chunk that completes a block
JITTER_NS = 2_000_000  # of stamps: the sound may end later than the last block foretold
BACKLOG_S = 0.5  # older sound is of no use to who decides now, and makes all that follows late
CHUNK_MS = Parameter(
    'chunk_ms',
    8.0,
    'Expected length of a chunk of sound in milliseconds; sizes the queue.',
    1.0,
    100.0,
)


def shared_bins(node: PerceptionNode, array: MicrophoneArray) -> SharedBinStream:
    """Give what makes bins of direction of the topic `audio`, one for the nodes of a process."""

    def make() -> SharedBinStream:
        likelihood = direction_likelihood(array)
        return SharedBinStream(likelihood, array.sample_rate, voice=shared_voice(node))

    return node.shared(('bins', node.resolve_topic_name('audio'), array), make)


def shared_voice(node: PerceptionNode) -> VoiceListener:
    """Give what hears voice in the topic `audio`, computed once for the nodes of a process."""
    key = ('voice', node.resolve_topic_name('audio'))
    return node.shared(key, SharedVoiceActivity).listener()


class FrontEnd(Protocol):
    """AudioFrontEnd or TimeDifferenceExtractor."""

    @property
    def sample_rate(self) -> int:
        """Of the stream [Hz]."""

    @property
    def next_end_s(self) -> float | None:
        """From the stamp of a block to the last sample of the next one [s].

        None: it gives no blocks of one length, and wants every chunk at once.
        """

    @property
    def counters(self) -> Mapping[str, int]:
        """What was repaired."""

    def change_rate(self, sample_rate: int) -> None:
        """Start afresh with another device."""

    def push(self, chunk: AudioChunk) -> list:
        """Take a chunk; gives what it completed."""


class SoundInput:
    """Hands chunks to a front end and what it finds to the node.

    The stream itself says its sample rate; a change of it (another device) starts afresh. What
    waits in the queue and is more than BACKLOG_S behind the newest is left out.

    To wake a thread for a chunk that completes nothing takes longer than its analysis: chunks from
    this process wait for the one with which the next block ends.
    """

    def __init__(self, node: PerceptionNode, array: MicrophoneArray, front_end: FrontEnd):
        """Take over what the node has built.

        Parameters
        ----------
        node : PerceptionNode
            It listens.
        array : MicrophoneArray
            Its microphones.
        front_end : AudioFrontEnd or TimeDifferenceExtractor
            Where the chunks go.
        """
        self._node = node
        self._array = array
        self._front_end = front_end
        self._shared = front_end if isinstance(front_end, SharedBinStream) else None
        self._index_fault = ''
        self._take_blocks: Callable[[list[Any]], None] = lambda blocks: None
        self._next_end_ns: int | None = None
        self._held_s = 0.0  # of sound for which nobody was woken

    def listen(self, chunk_s: float, take_blocks: Callable[[list[Any]], None]) -> None:
        """Subscribe, while the node is active.

        Parameters
        ----------
        chunk_s : float
            Expected length of a chunk [s].
        take_blocks : callable
            Gets the list of what each chunk completed.
        """
        self._take_blocks = take_blocks
        subscription = self._node.subscribe(
            AudioChunkMsg, 'audio', self._receive, qos.audio(chunk_s), backlog_s=BACKLOG_S
        )
        if self._front_end.next_end_s is not None:
            self._node.wake_when(subscription, self._is_due)

    def _is_due(self, message: AudioChunkMsg) -> bool:
        """Whether a chunk completes a block, or cannot tell; asked by who publishes it."""
        samples_per_s = message.channels * message.sample_rate
        if self._next_end_ns is None or not samples_per_s or not len(message.samples):
            return True
        length_s = len(message.samples) / samples_per_s
        self._held_s += length_s
        end_ns = ns_from_time(message.header.stamp) + nanoseconds(length_s)
        # Stamps may stand still, or go back.
        if end_ns < self._next_end_ns - JITTER_NS and self._held_s < MOST_HELD_S:
            return False
        self._held_s = 0.0
        return True

    def _receive(self, message: AudioChunkMsg) -> None:
        if self._shared is not None:
            stamp_ns = ns_from_time(message.header.stamp)
            blocks = self._shared.heard(stamp_ns, message.first_sample)
            if blocks is not None:  # another node of the process has been faster
                self._hand_on(blocks)
                return
        chunk = microphones_of(audio_chunk_from_msg(message), self._array, 'the audio topic')
        known_rate = self._front_end.sample_rate
        if chunk.sample_rate != known_rate:
            self._front_end.change_rate(chunk.sample_rate)
            self._node.diagnostics.count(
                'changes of sample rate', f'{known_rate} Hz to {chunk.sample_rate} Hz'
            )
        self._hand_on(self._front_end.push(chunk))

    def _hand_on(self, blocks: list[Any]) -> None:
        next_end_s = self._front_end.next_end_s
        if blocks and next_end_s is not None:
            self._next_end_ns = blocks[-1].stamp_ns + nanoseconds(next_end_s)
        self._take_blocks(blocks)
        self._node.diagnostics.absorb('sound', self._front_end.counters, self._reason)

    def _reason(self, counter: str) -> str:
        """Say why a counter of the front end grew, and who can mend it."""
        if counter != WRONG_INDEX:
            return self._shared.reason_of(counter) if self._shared is not None else ''
        if not self._index_fault:  # once: the graph is slow to ask
            names = publisher_names(self._node, self._node.resolve_topic_name('audio'))
            self._index_fault = f'stamps are used; published by {names}'
        return self._index_fault
