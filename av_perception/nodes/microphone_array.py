# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Node `microphone_array`: samples of all microphones on `audio`.

They come from a sound card, a file or a simulated scene.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from av_perception_msgs.msg import AudioChunk as AudioChunkMsg

from av_perception.audio.capture import AudioFile, SoundCard
from av_perception.errors import UserError
from av_perception.interfaces import AudioChunk
from av_perception.recording import Recording
from av_perception.recording.timing import sample_stamp_ns
from av_perception.robot_head import load_head
from av_perception.ros import qos
from av_perception.ros.conversions import audio_chunk_to_msg
from av_perception.ros.node import PerceptionNode
from av_perception.ros.parameters import PUBLISH_TF, Parameter
from av_perception.ros.playback import HEAD, PLAYBACK, open_recording, start_ns
from av_perception.ros.process import run_node
from av_perception.ros.static_pose import StaticPose
from av_perception.ros.worker import Pacer, Worker

LONGEST_HOLD_UP_S = 2.0  # no sound is lost while this process waits for the processor so long
SampledFile = AudioFile | Recording


class MicrophoneArrayNode(PerceptionNode):
    """Publishes AudioChunk messages stamped with the capture time of their first sample."""

    NAME = 'microphone_array'
    TELLS_TIME = True
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
            8.0,
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

    _source: SoundCard | SampledFile | None = None
    _running: Worker | Pacer | None = None

    def configure(self) -> None:
        """Open the source, and refuse one whose channels do not fit the head."""
        head = load_head(self.value('head'))
        if head.microphones is None:
            raise UserError(
                f"head '{head.name}' has no microphones: choose another head or leave "
                'microphone_array out'
            )
        self._base_frame = head.base_frame
        self._array = head.microphones
        self._source = self._open_source()
        try:
            self._pick(np.zeros((1, self._source.num_channels), np.float32))
        except UserError as error:
            raise UserError(f'{self._describe()} has {error}') from error
        chunk_s = 1e-3 * self.value('chunk_ms')
        self._chunk_size = max(1, round(chunk_s * self._source.sample_rate))
        self._publisher = self.publisher(AudioChunkMsg, 'audio', qos.audio(chunk_s))
        self._pose = StaticPose(self)

    def activate(self) -> None:
        """Start to capture, or to play."""
        array = self._array
        self._pose.send(array.base_from_array, self._base_frame, array.frame)
        if isinstance(self._source, SoundCard):
            worker = Worker(
                self._publish,
                lambda: self.diagnostics.count('chunks dropped'),
                self._fail,
                depth=max(
                    1, round(LONGEST_HOLD_UP_S * self._source.sample_rate / self._chunk_size)
                ),
            )
            self._running = worker
            self._source.start(
                self._chunk_size,
                self.now_ns,
                worker.put,
                self.diagnostics.count,
                self._fail,
                1e-3 * self.value('latency_ms'),
            )
        elif self._source is not None:
            chunks = self._chunks(self._source)
            self._running = Pacer(chunks, self.now_ns, self._finish, self._fail)

    def deactivate(self) -> None:
        """Stop to capture or to play."""
        if isinstance(self._source, SoundCard):
            self._source.stop()
        if self._running is not None:
            self._running.stop()
            self._running = None

    def _open_source(self) -> SoundCard | SampledFile:
        if self.value('source') == 'device':
            rate = self.value('sample_rate') or self._array.sample_rate
            return SoundCard(self.value('device'), self._array.num_device_channels, rate)
        if self.value('source') == 'file' and Path(self.value('recording')).is_file():
            return AudioFile(self.value('recording'))
        return open_recording(self)

    def _describe(self) -> str:
        names = {
            'device': 'the sound card',
            'file': self.value('recording'),
            'simulated': 'the scene',
        }
        return names[self.value('source')]

    def _chunks(self, source: SampledFile) -> Iterator[tuple[int, Callable[[], None]]]:
        """Yield (due [ns], publish) of each chunk: it is due when its last sample was captured."""
        size = self._chunk_size
        origin_ns = start_ns(self)
        for first, samples in _pieces(source, size):
            stamp_ns = origin_ns + sample_stamp_ns(source, first)
            due_ns = origin_ns + sample_stamp_ns(source, first + len(samples))
            chunk = AudioChunk(stamp_ns, source.sample_rate, first, samples)
            yield due_ns, partial(self._publish, chunk)

    def _pick(self, samples: np.ndarray) -> np.ndarray:
        """Keep the microphones' channels."""
        if self.value('source') == 'device':
            return self._array.pick(samples)
        return self._array.pick_recorded(samples)

    def _publish(self, chunk: AudioChunk) -> None:
        chunk = replace(chunk, samples=self._pick(chunk.samples))
        self._publisher.publish(audio_chunk_to_msg(chunk, self._array.frame))

    def _finish(self) -> None:
        self.get_logger().info('the recording has ended')

    def _fail(self, error: Exception) -> None:
        self.get_logger().error(f'sound stopped: {error}')
        self.failure = str(error)


def _pieces(source: SampledFile, size: int) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (first sample, samples) of every chunk; the file is read a second at a time.

    The last one holds what is left: without it the last image would wait for its sound in vain.
    """
    block = size * max(1, source.sample_rate // size)
    for start in range(0, source.num_samples, block):
        samples = np.asarray(source.read_audio(start, block), np.float32)
        for offset in range(0, len(samples), size):
            yield start + offset, samples[offset : offset + size]


def main() -> None:
    """Run the process."""
    sys.exit(run_node(MicrophoneArrayNode))


if __name__ == '__main__':
    main()
