# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Node `microphone_array`: samples of all microphones, from a sound card, a file or a simulated scene, on `audio`."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from av_perception_msgs.msg import AudioChunk as AudioChunkMsg

from av_perception.audio.capture import AudioFile, SoundCard
from av_perception.errors import UserError
from av_perception.interfaces import AudioChunk
from av_perception.recording.timing import sample_stamp_ns
from av_perception.robot_head import load_head
from av_perception.ros import qos
from av_perception.ros.compat import TransformBroadcaster
from av_perception.ros.conversions import audio_chunk_to_msg, transform_to_msg
from av_perception.ros.node import PerceptionNode, run_node
from av_perception.ros.parameters import PUBLISH_TF, Parameter
from av_perception.ros.playback import HEAD, PLAYBACK, open_recording, start_ns
from av_perception.ros.worker import Pacer, Worker


class MicrophoneArrayNode(PerceptionNode):
    """Publishes AudioChunk messages stamped with the capture time of their first sample."""

    NAME = 'microphone_array'
    PARAMETERS = (
        HEAD,
        Parameter(
            'source',
            'device',
            'Where the sound comes from.',
            choices=('device', 'file', 'simulated'),
        ),
        Parameter(
            'device',
            '',
            'Sound card: a name or a part of it, or its number; empty takes the default.',
        ),
        Parameter(
            'sample_rate',
            0,
            "Sample rate to open the sound card with, in Hz; 0 takes the head profile's.",
            0,
            192000,
        ),
        Parameter(
            'chunk_ms',
            32.0,
            'Length of a chunk in milliseconds: shorter ones cost more, longer ones come later.',
            8.0,
            32.0,
        ),
        Parameter(
            'latency_ms',
            0.0,
            'Known latency of the sound card that its driver does not report, in milliseconds.',
            0.0,
            1000.0,
        ),
        PUBLISH_TF,
        *PLAYBACK,
    )

    def configure(self) -> None:
        self._head = load_head(self.value('head'))
        if self._head.microphones is None:
            raise UserError(
                f"head '{self._head.name}' has no microphones: choose another head or leave microphone_array out"
            )
        self._source = self._open_source()
        try:
            self._pick(np.zeros((1, self._source.num_channels), np.float32))
        except UserError as error:
            raise UserError(f'{self._describe()} has {error}') from error
        self._chunk_size = max(1, round(1e-3 * self.value('chunk_ms') * self._source.sample_rate))
        self._publisher = self.publisher(
            AudioChunkMsg, 'audio', qos.audio(1e-3 * self.value('chunk_ms'))
        )
        self._static = (
            TransformBroadcaster(self, static=True) if self.value('publish_tf') else None
        )
        self._running = None

    def activate(self) -> None:
        array = self._head.microphones
        now = self.get_clock().now().nanoseconds
        if self._static is not None:
            self._static.send(
                [transform_to_msg(array.base_from_array, self._head.base_frame, array.frame, now)]
            )
        if self.value('source') == 'device':
            self._running = Worker(
                self._publish, lambda: self.diagnostics.count('chunks dropped'), self._fail
            )
            self._source.start(
                self._chunk_size,
                lambda: self.get_clock().now().nanoseconds,
                self._running.put,
                lambda event: self.diagnostics.count(event),
                self._fail,
                1e-3 * self.value('latency_ms'),
            )
        else:
            self._running = Pacer(
                self._chunks(),
                lambda: self.get_clock().now().nanoseconds,
                self._finish,
                self._fail,
            )

    def deactivate(self) -> None:
        if self.value('source') == 'device' and getattr(self, '_source', None) is not None:
            self._source.stop()
        if getattr(self, '_running', None) is not None:
            self._running.stop()
            self._running = None

    def _open_source(self):
        if self.value('source') == 'device':
            return SoundCard(
                self.value('device'),
                self._head.microphones.num_device_channels,
                self.value('sample_rate') or self._head.microphones.sample_rate,
            )
        if self.value('source') == 'file' and Path(self.value('recording')).is_file():
            return AudioFile(self.value('recording'))
        return open_recording(self)

    def _describe(self) -> str:
        return {
            'device': 'the sound card',
            'file': self.value('recording'),
            'simulated': 'the scene',
        }[self.value('source')]

    def _chunks(self):
        """(due_ns, publish) for each chunk: a chunk is due when its last sample was captured."""
        source, size = self._source, self._chunk_size
        origin_ns = start_ns(self)
        for first, samples in self._pieces(size):
            stamp_ns = origin_ns + sample_stamp_ns(source, first)
            chunk = AudioChunk(stamp_ns, source.sample_rate, first, samples)
            yield (
                origin_ns + sample_stamp_ns(source, first + size),
                lambda chunk=chunk: self._publish(chunk),
            )

    def _pieces(self, size: int):
        """(first sample, samples) of every whole chunk; the file is read a second at a time."""
        block = size * max(1, self._source.sample_rate // size)
        for start in range(0, self._source.num_samples, block):
            samples = np.asarray(self._source.read_audio(start, block), np.float32)
            for offset in range(0, len(samples) - size + 1, size):
                yield start + offset, samples[offset : offset + size]

    def _pick(self, samples: np.ndarray) -> np.ndarray:
        """The microphones' channels."""
        array = self._head.microphones
        is_device = self.value('source') == 'device'
        return array.pick(samples) if is_device else array.pick_recorded(samples)

    def _publish(self, chunk: AudioChunk) -> None:
        chunk = replace(chunk, samples=self._pick(chunk.samples))
        self._publisher.publish(audio_chunk_to_msg(chunk, self._head.microphones.frame))

    def _finish(self) -> None:
        self.get_logger().info('the recording has ended')

    def _fail(self, error: Exception) -> None:
        self.get_logger().error(f'sound stopped: {error}')
        self.failure = str(error)


def main() -> None:
    """Entry point of the process."""
    sys.exit(run_node(MicrophoneArrayNode))


if __name__ == '__main__':
    main()
