# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A bag through the suite offline, without DDS and as fast as the machine can.

The same bag gives the same tracks, bit for bit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sensor_msgs.msg import CompressedImage, Image

from av_perception.errors import UserError
from av_perception.geometry.time import seconds
from av_perception.interfaces import MouthFrame
from av_perception.pipelines.full import OfflinePipeline
from av_perception.robot_head import load_head
from av_perception.ros.bags.bag_file import (
    FACES,
    IMAGE_TOPICS,
    PICTURES,
    SOUND,
    TypeStore,
    UnreadableRest,
    foreign_definition,
    graph_inputs,
    open_bag,
    read_messages,
)
from av_perception.ros.bags.bag_player import deserialized
from av_perception.ros.bags.bag_remaps import unread_problem
from av_perception.ros.bags.older_messages import updated, updater
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
from av_perception.separation.stream_synthesis import VoiceChunk

DEFAULT_FRAME_RATE = 25.0  # [Hz], of a head without a camera
SHORTEST_S = 1e-9  # of a bag with one message
# Names of the inputs that the offline path computes from.
TAKEN = (*SOUND, *FACES, *IMAGE_TOPICS)


class BagRecording:
    """What a pipeline wants to know of a recording, of a bag: its head and what it holds.

    Attributes
    ----------
    num_frames : int
        1 when there are images, else 0: how many is not known.
    start_ns : int
        Time of its first message [ns].
    duration_s : float
        From its first to its last message [s].
    """

    has_sound = True
    truth = None

    def __init__(self, path: Path, head: str, remaps: Sequence[str] = ()):
        """Look into the bag.

        Parameters
        ----------
        path : Path
            Bag folder, or a single .mcap or .db3 file.
        head : str
            Name or path of a head profile: bags do not know their head.
        remaps : sequence of str
            FROM:=TO of topics that were recorded under other names.

        Raises
        ------
        UserError
            For a bag without inputs, or an unknown head.
        """
        self.path = path
        self.head_name = head
        self.head = load_head(head)
        self.inputs = graph_inputs(path, remaps)
        self.num_frames = int('left/image_raw' in self.inputs.given)
        camera = self.head.camera
        microphones = self.head.microphones
        self.frame_rate = camera.frame_rate if camera else DEFAULT_FRAME_RATE
        self.num_channels = len(microphones.coordinates) if microphones else 0
        self.sample_rate = microphones.sample_rate if microphones else 0
        if self.num_frames and camera is None:
            raise UserError(
                f"the bag {path} holds images, the head '{head}' has no camera: name the head it "
                'was recorded with'
            )
        reader = open_bag(path)
        try:
            self.start_ns = reader.start_time
            self.duration_s = seconds(reader.duration)
            self._check_definitions(reader.connections)
        finally:
            reader.close()

    @property
    def problem(self) -> str:
        """Topics that are not read, though they could be what is missing; '' for none."""
        given = self.inputs.given
        return unread_problem(
            self.inputs.types,
            PICTURES,
            self.head.camera is not None and not given & {'left/image_raw', *FACES},
            self.head.microphones is not None and not given & set(SOUND),
        )

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
        """Read the inputs of the suite in the order of the bag.

        Yields
        ------
        tuple
            (time of recording [ns], name relative to the suite's namespace, type, bytes).

        Raises
        ------
        UnreadableRest
            Where the bag cannot be read any further.
        """
        reader = open_bag(self.path)
        try:
            wanted = [c for c in reader.connections if c.topic in self.inputs.topics]
            store = TypeStore()
            taken = [c for c in wanted if self.inputs.topics[c.topic] in TAKEN]
            updates = {c.topic: updater(c, store) for c in taken}
            for connection, stamp_ns, data in read_messages(reader, wanted):
                update = updates.get(connection.topic)
                data = data if update is None else updated(update, data)
                yield stamp_ns, self.inputs.topics[connection.topic], connection.msgtype, data
        finally:
            reader.close()


class BagRunner:
    """Feeds a bag to a pipeline."""

    def __init__(self, recording: BagRecording, pipeline: OfflinePipeline):
        """Prepare to feed a recording to a pipeline that is made for it."""
        self._recording = recording
        self._pipeline = pipeline
        self._message_counters: Counter[str] = Counter()
        # What takes the messages of a name; those of other names are left out.
        self._takers: dict[str, Callable[[Any], None]] = {
            'audio': self._hear,
            'audio_features': lambda m: pipeline.take_audio(audio_features_from_msg(m)),
            'visual_features': lambda m: pipeline.take_visual(visual_features_from_msg(m)),
        }
        pairs = StampPairs(
            self._see_pair, lambda: self._count('images without a partner of the same stamp')
        )
        left = [name for name in IMAGE_TOPICS if name.startswith('left')]
        right = [name for name in IMAGE_TOPICS if name.startswith('right')]
        if self._is_stereo(right):
            self._takers |= dict.fromkeys(left, pairs.first)
            self._takers |= dict.fromkeys(right, pairs.second)
        else:
            self._takers |= dict.fromkeys(left, self._see_alone)

    def _is_stereo(self, right_topics: list[str]) -> bool:
        camera = self._recording.head.camera
        has_right = not set(right_topics).isdisjoint(self._recording.inputs.topics.values())
        return bool(self._recording.num_frames and camera and camera.baseline and has_right)

    def separate(self, take_voices: Callable[[list[VoiceChunk]], None]) -> None:
        """See `OfflinePipeline.separate`."""
        self._pipeline.separate(take_voices)

    def watch_mouths(self, take_mouths: Callable[[MouthFrame], None]) -> None:
        """See `OfflinePipeline.watch_mouths`."""
        self._pipeline.watch_mouths(take_mouths)

    @property
    def counters(self) -> Counter:
        """Everything dropped or repaired, here and in the pipeline."""
        return self._message_counters + self._pipeline.counters

    @property
    def problems(self) -> list[str]:
        """See `OfflinePipeline.problems`."""
        return self._pipeline.problems

    def run(self, progress: Callable[[float], None] = lambda fraction: None) -> list:
        """Feed the whole bag.

        Parameters
        ----------
        progress : callable
            Called with the fraction that is done.

        Returns
        -------
        list
            All frames in order, with the stamps of the bag.
        """
        results: list = []
        duration_s = max(self._recording.duration_s, SHORTEST_S)
        try:
            for stamp_ns, name, kind, data in self._recording.messages():
                self._feed(name, kind, data)
                results += self._pipeline.poll(stamp_ns)
                progress(seconds(stamp_ns - self._recording.start_ns) / duration_s)
        except UnreadableRest as error:  # what came before it is good
            self._count(str(error))
        progress(1.0)
        return results + self._pipeline.flush()

    def _feed(self, name: str, kind: str, data: bytes) -> None:
        """Hand one serialized message on; what is none, or holds nothing of use, is counted."""
        take = self._takers.get(name)
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

    def _count(self, event: str) -> None:
        self._message_counters[event] += 1


def _decoded(message: Image | CompressedImage) -> np.ndarray:
    if isinstance(message, Image):
        return image_from_msg(message)
    return image_from_compressed_msg(message)
