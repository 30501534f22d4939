# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What the nodes that hear with two microphones share.

Sound in, time differences out, paired with what is seen.
"""

from __future__ import annotations

from typing import Any, Protocol

from av_perception.errors import UserError
from av_perception.robot_head import CameraGeometry, HeadProfile, load_head
from av_perception.ros.ego_motion import MAX_TURN_RATE, left_out, listen_to_motion
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
from av_perception.ros.sound_input import CHUNK_MS, SoundInput
from av_perception.synchronization.ego_motion import EgoMotion
from av_perception.synchronization.frame_assembler import FrameAssembler
from av_perception.two_microphones.microphone_pair import MicrophonePair
from av_perception.two_microphones.time_differences import TimeDifferenceExtractor, TimeDifferences

# Sound and images drive the node; polling only ends the waiting when both have stopped.
POLL_PERIOD_S = 0.1


class Stamped(Protocol):
    """What one image showed."""

    @property
    def stamp_ns(self) -> int:
        """The stamp of the image [ns]."""


class MicrophonePairNode(PerceptionNode):
    """Subscribes to `audio`.

    Subclasses hand what they see to `see` and implement `process_frame`.
    """

    PARAMETERS: tuple[Parameter, ...] = (
        HEAD,
        CHUNK_MS,
        MAX_TURN_RATE,
        *TIME_DIFFERENCE_PARAMETERS,
        *PAIRING_PARAMETERS,
    )

    def configure(self) -> None:
        """Build what turns sound into time differences and pairs them with images."""
        head = load_head(self.value('head'))
        microphones = head.microphones
        if microphones is None or not head.can_hear_directions:
            raise UserError(
                f"head '{self.value('head')}' has not two microphones: leave {self.NAME} out"
            )
        self.head = head
        channels = microphone_pair(self.value, head)
        self.pair = MicrophonePair.of_array(microphones, channels)
        extractor = TimeDifferenceExtractor(
            time_difference_config(self.value),
            channels,
            self.pair.max_itd,
            len(microphones.coordinates),
            microphones.sample_rate,
        )
        self._input = SoundInput(self, microphones, extractor)
        self._assembler = FrameAssembler(assembler_config(self.value, head))
        self._motion = EgoMotion(self.value('max_turn_rate'), self.value('window'))

    def activate(self) -> None:
        """Listen to the sound, and to what tells of the head's motion."""
        self._input.listen(1e-3 * self.value('chunk_ms'), self._hear)
        self.watch_clock_of('audio')
        listen_to_motion(self, self._motion, self.head.head_joints)
        self.every(POLL_PERIOD_S, self._step)

    def process_frame(self, stamp_ns: int, visual: Any, sound: TimeDifferences | None) -> None:
        """Work on one frame.

        Parameters
        ----------
        stamp_ns : int
            Of the image, or of the sound where there is none [ns].
        visual
            What was handed to `see`; None without an image.
        sound : TimeDifferences or None
            The sound of its time.
        """
        raise NotImplementedError

    def see(self, visual: Stamped) -> None:
        """Take what one image showed."""
        # It pairs whatever has a stamp.
        self._assembler.push_visual(visual, self.now_ns())  # type: ignore[arg-type]
        self._step()

    def _hear(self, blocks: list[TimeDifferences]) -> None:
        for block in blocks:
            # It pairs whatever has a stamp.
            self._assembler.push_audio(block, self.now_ns())  # type: ignore[arg-type]
        self._step()

    def _step(self) -> None:
        for stamp_ns, visual, sound in self._assembler.poll(self.now_ns()):
            if sound is not None and self._motion.is_ego_noise(stamp_ns):
                self.diagnostics.count(left_out(self._motion, stamp_ns))
                sound = None
            # What was pushed comes back.
            self.process_frame(stamp_ns, visual, sound)  # type: ignore[arg-type]
        self.diagnostics.absorb('pairing', self._assembler.counters)


def require_camera(head: HeadProfile, name: str) -> CameraGeometry:
    """Give the camera of a head. Raises UserError for a head without one."""
    if head.camera is None:
        raise UserError(f"head '{head.name}' has no camera: {name} needs faces")
    return head.camera
