# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What the nodes that hear with two microphones share: sound in, time differences out, paired with what is seen."""

from __future__ import annotations

from av_perception.errors import UserError
from av_perception.robot_head import HeadProfile, load_head
from av_perception.ros.ego_motion import MAX_TURN_RATE, listen_to_motion
from av_perception.ros.node import PerceptionNode
from av_perception.ros.parameters import Parameter
from av_perception.ros.playback import HEAD
from av_perception.ros.settings import (
    PAIRING_PARAMETERS,
    TIME_DIFFERENCE_PARAMETERS,
    assembler_config,
    microphone_pair,
    time_difference_config,
)
from av_perception.ros.sound_input import SoundInput
from av_perception.synchronization.ego_motion import EgoMotion
from av_perception.synchronization.frame_assembler import FrameAssembler
from av_perception.two_microphones.microphone_pair import MicrophonePair
from av_perception.two_microphones.time_differences import TimeDifferenceExtractor, TimeDifferences

POLL_PERIOD_S = (
    0.1  # sound and images drive the node; polling only ends the waiting when both have stopped
)


class MicrophonePairNode(PerceptionNode):
    """Subscribes to `audio`; subclasses hand what they see to `see` and implement `process(stamp_ns, visual, sound)`."""

    PARAMETERS = (
        HEAD,
        Parameter(
            'chunk_ms',
            32.0,
            'Expected length of a chunk of sound in milliseconds; sizes the queue.',
            1.0,
            100.0,
        ),
        MAX_TURN_RATE,
        *TIME_DIFFERENCE_PARAMETERS,
        *PAIRING_PARAMETERS,
    )

    def configure(self) -> None:
        head = load_head(self.value('head'))
        if not head.can_hear_directions:
            raise UserError(
                f"head '{self.value('head')}' has not two microphones: leave {self.NAME} out"
            )
        self.head, self._channels = head, microphone_pair(self.value, head)
        if (
            not all(0 <= c < len(head.microphones.coordinates) for c in self._channels)
            or len(set(self._channels)) < 2
        ):
            raise UserError(
                f'first_microphone and second_microphone must be two of the channels 0..{len(head.microphones.coordinates) - 1}, '
                f'not {self._channels[0]} and {self._channels[1]}'
            )
        self.pair = MicrophonePair.of_array(head.microphones, self._channels)
        extractor = TimeDifferenceExtractor(
            time_difference_config(self.value),
            self._channels,
            self.pair.max_itd,
            len(head.microphones.coordinates),
            head.microphones.sample_rate,
        )
        self._input = SoundInput(self, head.microphones, extractor)
        self._assembler = FrameAssembler(assembler_config(self.value, head))
        self._motion = EgoMotion(self.value('max_turn_rate'), self.value('window'))

    def activate(self) -> None:
        self._input.listen(1e-3 * self.value('chunk_ms'), self._hear)
        listen_to_motion(self, self._motion, self.head.head_joints)
        self.every(POLL_PERIOD_S, self._step)

    def process(self, stamp_ns: int, visual, sound: TimeDifferences | None) -> None:
        """One frame: what was seen (None: no image) with the sound of its time."""
        raise NotImplementedError

    def see(self, visual) -> None:
        """Take what one image showed; it has a `stamp_ns`."""
        self._assembler.push_visual(visual, self._now_ns())
        self._step()

    def _hear(self, blocks: list[TimeDifferences]) -> None:
        for block in blocks:
            self._assembler.push_audio(block, self._now_ns())
        self._step()

    def _step(self) -> None:
        for stamp_ns, visual, sound in self._assembler.poll(self._now_ns()):
            if sound is not None and self._motion.is_ego_noise(stamp_ns):
                self.diagnostics.count('sounds left out: the head turns')
                sound = None
            self.process(stamp_ns, visual, sound)
        self.diagnostics.absorb('pairing', self._assembler.counters)

    def _now_ns(self) -> int:
        return self.get_clock().now().nanoseconds


def require_camera(head: HeadProfile, name: str) -> None:
    """Raises UserError for a head without a camera."""
    if head.camera is None:
        raise UserError(f"head '{head.name}' has no camera: {name} needs faces")
