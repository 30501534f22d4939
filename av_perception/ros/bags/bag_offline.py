# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A bag through the suite offline, without DDS and as fast as the machine can: the same bag gives the same tracks, bit for bit."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from av_perception.errors import UserError
from av_perception.pipelines.full import OfflinePipeline
from av_perception.robot_head import load_head
from av_perception.ros.bags.bag_file import (
    FACES,
    IMAGE_TOPICS,
    SOUND,
    TypeStore,
    UnreadableRest,
    foreign_definition,
    graph_inputs,
    open_bag,
    read_messages,
)
from av_perception.ros.bags.bag_player import deserialized
from av_perception.ros.compat import StampPairs
from av_perception.ros.conversions import (
    audio_chunk_from_msg,
    audio_features_from_msg,
    image_from_compressed_msg,
    image_from_msg,
    image_stamp_ns,
    microphones_of,
    visual_features_from_msg,
)

# Names of the inputs that the offline path computes from.
TAKEN = (*SOUND, *FACES, *IMAGE_TOPICS)


class BagRecording:
    """What a pipeline wants to know of a recording, of a bag: its head and what it holds. Bags do not know their head."""

    truth = None

    def __init__(self, path: Path, head: str):
        """Raises UserError for a bag without inputs, or an unknown head."""
        self.path, self.head_name, self.head = path, head, load_head(head)
        self.inputs = graph_inputs(path)
        self.num_frames = int('left/image_raw' in self.inputs.given)
        self.frame_rate = self.head.camera.frame_rate if self.head.camera else 25.0
        self.num_channels = len(self.head.microphones.coordinates) if self.head.microphones else 0
        self.sample_rate = self.head.microphones.sample_rate if self.head.microphones else 0
        if self.num_frames and self.head.camera is None:
            raise UserError(
                f"the bag {path} holds images, the head '{head}' has no camera: name the head it was recorded with"
            )
        reader = open_bag(path)
        try:
            self.start_ns, self.duration_s = reader.start_time, 1e-9 * reader.duration
            self._check_definitions(reader.connections)
        finally:
            reader.close()

    def _check_definitions(self, connections) -> None:
        """Refuse sound, images or features that today's definitions would read wrongly."""
        store = TypeStore()
        for connection in connections:
            if self.inputs.topics.get(connection.topic) not in TAKEN:
                continue
            foreign = foreign_definition(connection, store)
            if foreign:
                raise UserError(
                    f'cannot use {connection.topic} of the bag {self.path}: {foreign}; record it '
                    'again, or track it with the version of the suite that recorded it'
                )

    def messages(self):
        """The inputs of the suite in the order of the bag.

        Yields (time of recording [ns], name relative to the suite's namespace, type, bytes).
        Raises UnreadableRest where the bag cannot be read any further.
        """
        reader = open_bag(self.path)
        try:
            wanted = [c for c in reader.connections if c.topic in self.inputs.topics]
            for connection, stamp_ns, data in read_messages(reader, wanted):
                yield stamp_ns, self.inputs.topics[connection.topic], connection.msgtype, data
        finally:
            reader.close()


class BagRunner:
    """Feeds a bag to a pipeline. `counters`: what was dropped."""

    def __init__(self, recording: BagRecording, pipeline: OfflinePipeline):
        self._recording, self._pipeline, self._messages_counters = recording, pipeline, Counter()
        self._pairs = StampPairs(
            self._see_pair, lambda: self._count('images without a partner of the same stamp')
        )
        right = any(name.startswith('right/image') for name in recording.inputs.topics.values())
        stereo = bool(recording.num_frames and recording.head.camera.baseline and right)
        self._take = {
            'audio': self._hear,
            'audio_features': lambda m: pipeline.take_audio(audio_features_from_msg(m)),
            'visual_features': lambda m: pipeline.take_visual(visual_features_from_msg(m)),
        }
        for name in IMAGE_TOPICS:
            left = name.startswith('left')
            self._take[name] = (
                (self._pairs.first if left else self._pairs.second)
                if stereo
                else self._see_alone
                if left
                else self._ignore
            )

    @property
    def counters(self) -> Counter:
        """Everything dropped or repaired, here and in the pipeline."""
        return self._messages_counters + self._pipeline.counters

    @property
    def problems(self) -> list[str]:
        """See `OfflinePipeline.problems`."""
        return self._pipeline.problems

    def run(self, progress=lambda fraction: None) -> list:
        """All frames in order, with the stamps of the bag. progress(fraction)."""
        results = []
        try:
            for stamp_ns, name, kind, data in self._recording.messages():
                self._feed(name, kind, data)
                results += self._pipeline.poll(stamp_ns)
                progress(
                    1e-9
                    * (stamp_ns - self._recording.start_ns)
                    / max(self._recording.duration_s, 1e-9)
                )
        except UnreadableRest as error:  # what came before it is good
            self._count(str(error))
        progress(1.0)
        return results + self._pipeline.flush()

    def _feed(self, name: str, kind: str, data: bytes) -> None:
        """Hand one serialized message on; what is none, or holds nothing of use, is counted."""
        take = self._take.get(name)
        if take is None:
            return
        try:
            take(deserialized(data, kind))
        except ValueError as error:
            self._count(f'messages dropped from {name}: {error}')

    def _hear(self, message) -> None:
        array = self._recording.head.microphones
        if array is None:
            raise UserError(
                f"the bag holds sound, the head '{self._recording.head_name}' has no "
                'microphones: name the head it was recorded with'
            )
        self._pipeline.hear(microphones_of(audio_chunk_from_msg(message), array, 'the bag'))

    def _see_alone(self, left) -> None:
        self._pipeline.see(image_stamp_ns(left), _decoded(left), None)

    def _see_pair(self, left, right) -> None:
        self._pipeline.see(image_stamp_ns(left), _decoded(left), _decoded(right))

    def _ignore(self, message) -> None:
        """Not for the offline path."""

    def _count(self, event: str) -> None:
        self._messages_counters[event] += 1


def _decoded(message):
    return (
        image_from_msg(message)
        if hasattr(message, 'encoding')
        else image_from_compressed_msg(message)
    )
