# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The topic `audio` into a front end, alike for every node that listens."""

from __future__ import annotations

from collections.abc import Callable

from av_perception_msgs.msg import AudioChunk

from av_perception.audio.input_stream import WRONG_INDEX
from av_perception.robot_head.profile import MicrophoneArray
from av_perception.ros import qos
from av_perception.ros.conversions import audio_chunk_from_msg, microphones_of
from av_perception.ros.diagnostics import publisher_names

BACKLOG_S = 0.5  # older sound is of no use to who decides now, and makes all that follows late


class SoundInput:
    """Hands chunks to a front end and what it finds to the node.

    The stream itself says its sample rate; a change of it (another device) starts afresh. What
    waits in the queue and is more than BACKLOG_S behind the newest is left out.
    """

    def __init__(self, node, array: MicrophoneArray, front_end):
        """Take over what the node has built.

        Parameters
        ----------
        node
            The PerceptionNode that listens.
        array
            Its microphones.
        front_end
            AudioFrontEnd or TimeDifferenceExtractor: `push`, `change_rate`, `sample_rate` and
            `counters`.
        """
        self._node = node
        self._array = array
        self._front_end = front_end
        self._index_fault = ''

    def listen(self, chunk_s: float, take: Callable[[list], None]) -> None:
        """Subscribe, while the node is active; take(list) gets what each chunk completed."""
        self._take = take
        self._node.subscribe(
            AudioChunk, 'audio', self._receive, qos.audio(chunk_s), backlog_s=BACKLOG_S
        )

    def _receive(self, message: AudioChunk) -> None:
        chunk = microphones_of(audio_chunk_from_msg(message), self._array, 'the audio topic')
        known_rate = self._front_end.sample_rate
        if chunk.sample_rate != known_rate:
            self._front_end.change_rate(chunk.sample_rate)
            self._node.diagnostics.count(
                'changes of sample rate', f'{known_rate} Hz to {chunk.sample_rate} Hz'
            )
        self._take(self._front_end.push(chunk))
        self._node.diagnostics.absorb('sound', self._front_end.counters, self._reason)

    def _reason(self, counter: str) -> str:
        """Why a counter of the front end grew, and who can mend it."""
        if counter != WRONG_INDEX:
            return ''
        if not self._index_fault:  # once: the graph is slow to ask
            names = publisher_names(self._node, self._node.resolve_topic_name('audio'))
            self._index_fault = f'stamps are used; published by {names}'
        return self._index_fault
