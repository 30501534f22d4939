# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Node `voices`: `audio` and `tracks` to a stream of sound for each person, `voices/person_<id>`.

It finds out who speaks by itself, on the sound that it separates: statuses that come from
elsewhere would be later than the sound. It waits for tracks no longer than `track_wait`.
"""

from __future__ import annotations

import sys
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from av_perception_msgs import msg as av
from av_perception_msgs.msg import AudioChunk as AudioChunkMsg
from av_perception_msgs.msg import TrackArray
from rclpy.publisher import Publisher

from av_perception.audio_visual.seen_stream import VISUAL_MODES
from av_perception.enhancement.person_enhancers import PersonEnhancers
from av_perception.enhancement.stream import MODES, OFF
from av_perception.errors import UserError
from av_perception.geometry.rigid_transform import RigidTransform
from av_perception.geometry.transform_tree import TransformUnavailable
from av_perception.interfaces import AudioChunk, MouthFrame, TrackFrame
from av_perception.lips.lip_model import load_lips
from av_perception.lips.seen_voices import SeenVoices
from av_perception.robot_head import HeadProfile, load_head
from av_perception.ros import qos
from av_perception.ros.conversions import (
    audio_chunk_to_msg,
    mouth_frame_from_msg,
    track_frame_from_msg,
)
from av_perception.ros.node import PerceptionNode
from av_perception.ros.parameters import Parameter
from av_perception.ros.person_frames import PERSON_FRAME_PREFIX
from av_perception.ros.playback import HEAD
from av_perception.ros.process import run_node
from av_perception.ros.settings import VOICE_PARAMETERS, person_streams_config
from av_perception.ros.sound_input import CHUNK_MS, SoundInput, shared_bins
from av_perception.ros.transforms import REFERENCE_FRAME, HeadPoses
from av_perception.separation.person_streams import PersonStreams
from av_perception.separation.stream_synthesis import VoiceChunk

POLL_PERIOD_S = 0.01  # while sound waits for tracks that are late
ENHANCE = Parameter(
    'enhance',
    OFF,
    'What makes each voice clearer: nothing (off), the classic gain (lsa, 32 ms later) or a prior '
    'of speech (vae, 112 ms later; rvae, 128 ms later).',
    choices=MODES,
    live=True,
)
VISUAL = Parameter(
    'visual',
    OFF,
    'How lips help with enhance vae: not at all (off), as the prior of the latents (cvae), as a '
    'second encoder (min_vae), or as the prior where a switch believes them (swvae). It needs '
    'lips:=true of visual_features, and lips_file.',
    choices=VISUAL_MODES,
)
LIPS_FILE = Parameter(
    'lips_file', '', 'What `av-perception train lips` made of recordings of yours; none ships.'
)
MOUTHS_KEPT = 15  # images whose tracks are still to come


class VoicesNode(PerceptionNode):
    """Separates the sound of the tracked people; stamps are capture times, ids the tracks'."""

    NAME = 'voices'
    PARAMETERS = (
        HEAD,
        REFERENCE_FRAME,
        PERSON_FRAME_PREFIX,
        CHUNK_MS,
        *VOICE_PARAMETERS,
        ENHANCE,
        VISUAL,
        LIPS_FILE,
    )

    _streams: PersonStreams
    _head: HeadProfile
    _enhancers: PersonEnhancers | None = None

    def configure(self) -> None:
        """Build the separation."""
        self._head = load_head(self.value('head'))
        microphones = self._head.microphones
        if microphones is None or not self._head.can_hear_directions:
            raise UserError(
                f"head '{self._head.name}' hears no directions, so voices cannot be told apart: "
                'start the suite without voices'
            )
        config = person_streams_config(self.value)
        bins = shared_bins(self, microphones)
        self._streams = PersonStreams(microphones, microphones.sample_rate, config, bins=bins)
        self._sound = SoundInput(self, microphones, _Ears(self, self._streams))
        self._outputs: dict[int, Publisher] = {}
        self._lips: SeenVoices | None = None
        self._mouths: deque[MouthFrame] = deque(maxlen=MOUTHS_KEPT)
        if self.value('visual') == OFF:
            self._enhancers = PersonEnhancers(self.value('enhance'))
        else:
            model = load_lips(Path(self.value('lips_file')).expanduser())
            self._lips = SeenVoices(model, self.value('visual'))
            self._enhancers = PersonEnhancers(self.value('enhance'), self._lips.makers)

    def tune(self, value: Callable[[str], Any]) -> None:
        """Go over to another enhancement."""
        if self._enhancers is not None:  # else it is not configured: `configure` will read it
            self._enhancers.switch(value('enhance'))

    def activate(self) -> None:
        """Listen to sound and tracks."""
        self._streams.flush()  # what was left when the node was deactivated
        self._tracked: set[int] = set()
        self._poses = HeadPoses(self, self._head, self.value('reference_frame'))
        self._poll = self.every(POLL_PERIOD_S, self._on_time)
        self._sound.listen(1e-3 * self.value('chunk_ms'), self._publish)
        self._tracks = self.subscribe(TrackArray, 'tracks', self._on_tracks, qos.FEATURES)
        if self._lips is not None:
            self._crops = self.subscribe(
                av.MouthCrops, 'mouth_crops', self._on_mouths, qos.FEATURES
            )

    def deactivate(self) -> None:
        """Take down the streams."""
        while self._outputs:
            self.destroy_publisher(self._outputs.popitem()[1])

    def _on_mouths(self, message: av.MouthCrops) -> None:
        self._mouths.append(mouth_frame_from_msg(message))

    def _read_lips(self, frame: TrackFrame) -> None:
        """Look at the mouths of the image that the tracks are of."""
        if self._lips is None:
            return
        self.handle_waiting(self._crops)  # they were sent before the tracks
        for mouths in [one for one in self._mouths if one.stamp_ns == frame.stamp_ns]:
            self._lips.see(frame, mouths)
        beliefs = self._lips.beliefs.items()
        told = ', '.join(f'person {key}: {belief:.2f}' for key, belief in beliefs)
        self.diagnostics.reports['how far lips count'] = told or 'nobody speaks'

    def _on_tracks(self, message: TrackArray) -> None:
        frame = track_frame_from_msg(message)
        self._read_lips(frame)
        # Their topics are there before they speak, so that nobody misses their first words.
        self._tracked = {track.id for track in frame.tracks}
        for key in sorted(self._tracked - self._outputs.keys()):
            self._publisher_of(key)
        pose = self._reference_from_array(frame.stamp_ns, message.header.frame_id)
        self._publish(self._streams.follow(frame, pose, self.now_ns()))

    def take_tracks(self) -> None:
        """Take the tracks that have come: those are not late for which nobody had time."""
        self.handle_waiting(self._tracks)

    def _on_time(self) -> None:
        self.take_tracks()
        self._publish(self._streams.poll(self.now_ns()))

    def _publish(self, pieces: list[VoiceChunk]) -> None:
        for piece in self._enhanced(pieces):
            person = f'{self.value("person_frame_prefix")}person_{piece.id}'
            message = audio_chunk_to_msg(piece.chunk, person)
            self._publisher_of(piece.id).publish(message)
        ended = {piece.id for piece in pieces if piece.ended}
        for key in self._outputs.keys() - self._tracked:
            # Who never spoke has no stream that could end.
            if key in ended or not self._streams.has_stream(key):
                self.destroy_publisher(self._outputs.pop(key))
        self._poll_while(self._streams.is_waiting)
        self.diagnostics.absorb('voices', self._streams.track_counters)

    def _enhanced(self, pieces: list[VoiceChunk]) -> Iterator[VoiceChunk]:
        for piece in pieces:
            assert self._enhancers is not None  # since configure
            chunks = self._enhancers.push(piece.id, piece.with_microphone, piece.ended)
            for index, chunk in enumerate(chunks, 1):
                yield replace(piece, chunk=chunk, ended=piece.ended and index == len(chunks))

    def _publisher_of(self, key: int) -> Publisher:
        if key not in self._outputs:
            profile = qos.voice(1e-3 * self.value('chunk_ms'))
            topic = f'voices/person_{key}'
            self._outputs[key] = self.create_publisher(AudioChunkMsg, topic, profile)
        return self._outputs[key]

    def _reference_from_array(self, stamp_ns: int, frame_id: str) -> RigidTransform | None:
        try:
            return self._poses.near(stamp_ns, frame_id).reference_from_array
        except TransformUnavailable as missing:
            self.diagnostics.count('tracks without transform of the array', str(missing))
            return None

    def _poll_while(self, waiting: bool) -> None:
        """Let the timer run only while something waits."""
        if waiting and self._poll.is_canceled():
            self._poll.reset()
        elif not waiting and not self._poll.is_canceled():
            self._poll.cancel()


class _Ears:
    """The streams as a front end of the sound: chunks arrive now."""

    def __init__(self, node: VoicesNode, streams: PersonStreams):
        self._node = node
        self._streams = streams

    @property
    def sample_rate(self) -> int:
        """Of the stream [Hz]."""
        return self._streams.sample_rate

    @property
    def next_end_s(self) -> None:
        """Every chunk is wanted at once."""

    @property
    def counters(self) -> Counter[str]:
        """What was wrong with the sound."""
        return self._streams.counters

    def change_rate(self, sample_rate: int) -> None:
        """Start afresh with another device."""
        self._streams.change_rate(sample_rate)

    def push(self, chunk: AudioChunk) -> list[VoiceChunk]:
        """Take a chunk; gives what it completed."""
        self._node.take_tracks()
        return self._streams.push(chunk, self._node.now_ns())


def main() -> None:
    """Run the process."""
    sys.exit(run_node(VoicesNode))


if __name__ == '__main__':
    main()
