# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Node `tracker`: `visual_features`, `audio_features` and `audio` to people on `tracks` and /tf.

Their ids are stable. The sound itself tells who is only heard; without it the features do.
"""

from __future__ import annotations

import sys
from collections import deque

from av_perception_msgs.msg import AudioFeatures as AudioFeaturesMsg
from av_perception_msgs.msg import TrackArray
from av_perception_msgs.msg import VisualFeatures as VisualFeaturesMsg

from av_perception.audio.direction_bins import BinBlock
from av_perception.geometry.time import nanoseconds
from av_perception.geometry.transform_tree import TransformUnavailable
from av_perception.interfaces import AudioFeatures, VisualFeatures
from av_perception.robot_head import HeadProfile, load_head
from av_perception.robot_head.sensor_poses import SensorPoses
from av_perception.ros import qos
from av_perception.ros.compat import TransformBroadcaster
from av_perception.ros.conversions import (
    audio_features_from_msg,
    track_frame_to_msg,
    visual_features_from_msg,
)
from av_perception.ros.ego_motion import MAX_TURN_RATE, left_out, listen_to_motion
from av_perception.ros.frame_clock import FrameClock
from av_perception.ros.id_memory import IdMemory
from av_perception.ros.node import PerceptionNode
from av_perception.ros.parameters import Parameter
from av_perception.ros.people_services import offer_people_services
from av_perception.ros.person_frames import PERSON_FRAMES, person_transforms
from av_perception.ros.playback import HEAD
from av_perception.ros.process import run_node
from av_perception.ros.settings import (
    TRACKER_PARAMETERS,
    assembler_config,
    chosen_map,
    tracker_config,
)
from av_perception.ros.sound_input import BACKLOG_S, CHUNK_MS, SoundInput, shared_bins
from av_perception.ros.transforms import REFERENCE_FRAME, HeadPoses
from av_perception.synchronization.block_queue import BlockQueue
from av_perception.synchronization.clock_steps import ClockSteps
from av_perception.synchronization.ego_motion import EgoMotion
from av_perception.synchronization.frame_assembler import FrameAssembler
from av_perception.synchronization.own_motors import OwnMotors
from av_perception.synchronization.turning_faces import TurningFaces
from av_perception.tracking.tracker import Tracker
from av_perception.tracking.tracker_config import BINS

# Features drive the tracker; polling ends the waiting for those and for transforms.
POLL_PERIOD_S = 0.2
TF_POLL_PERIOD_S = 0.02
LATE_TRANSFORMS = "they come late, or their publisher's clock is behind"
Features = tuple[int, VisualFeatures | None, AudioFeatures | None]  # of one frame, with its stamp


class TrackerNode(PerceptionNode):
    """Pairs the features by stamp, steps the tracker once per image, and publishes its people."""

    NAME = 'tracker'
    PARAMETERS = (
        HEAD,
        CHUNK_MS,
        Parameter(
            'acoustic_map',
            '',
            'File of a learnt acoustic map; empty learns one from the geometry of the head (free '
            'field).',
        ),
        *PERSON_FRAMES,
        REFERENCE_FRAME,
        Parameter(
            'tf_wait',
            0.05,
            'With reference_frame: how long an image waits for its transforms, in seconds.',
            0.0,
            1.0,
        ),
        Parameter(
            'tf_max_age',
            0.1,
            'With reference_frame: how old transforms may be that stand in for missing ones, in '
            'seconds; older ones drop the image.',
            0.0,
            5.0,
        ),
        MAX_TURN_RATE,
        *TRACKER_PARAMETERS,
    )

    _ids: IdMemory | None = None

    def configure(self) -> None:
        """Build the tracker, and what pairs its inputs."""
        self._head = head = load_head(self.value('head'))
        known: tuple[Tracker, ClockSteps] | None = self.take_inherited()
        self._tracker, self._clock_steps = known or (
            Tracker(tracker_config(self.value), head, chosen_map(self.value, head)),
            ClockSteps(),
        )
        self._frame_clock = FrameClock(self, self._clock_steps)
        name = self.get_fully_qualified_name()
        self._ids = self._ids or IdMemory(name, self.context.get_domain_id())
        self._tracker.ids.continue_after(self._ids.highest)
        self._pairing = assembler_config(self.value, head)
        self._assembler = FrameAssembler(self._pairing)
        self._blocks = BlockQueue()
        self._sound = self._sound_input(head)
        self._motion = EgoMotion(self.value('max_turn_rate'))
        self._motors = OwnMotors(self._motion)
        self._turning_faces = TurningFaces()
        self._publisher = self.publisher(TrackArray, 'tracks', qos.FEATURES)
        self._transforms = TransformBroadcaster(self) if self.value('publish_tf') else None
        offer_people_services(self, lambda: self._tracker)

    def core(self) -> tuple[Tracker, ClockSteps]:
        """Give the people, and what the clock did."""
        return self._tracker, self._clock_steps

    def activate(self) -> None:
        """Listen to the features, and to what tells of the head's pose and motion."""
        self._poses = HeadPoses(
            self, self._head, self.value('reference_frame'), self.value('tf_max_age')
        )
        if self._head.camera is not None:
            self.subscribe(
                VisualFeaturesMsg,
                'visual_features',
                self._on_visual,
                qos.FEATURES,
                backlog_s=BACKLOG_S,
            )
        if self._head.can_hear_directions:
            self.subscribe(
                AudioFeaturesMsg,
                'audio_features',
                self._on_audio,
                qos.FEATURES,
                backlog_s=BACKLOG_S,
            )
            listen_to_motion(self, self._motion, self._head.head_joints)
        # With the time of their arrival [ns]: frames whose transforms may still come.
        self._waiting: deque[tuple[int, Features]] = deque()
        if self._poses.moves:
            self.every(TF_POLL_PERIOD_S, self._poll)
        else:
            self.when_idle(POLL_PERIOD_S, self._poll)
        if self._sound is not None:
            self._sound.listen(1e-3 * self.value('chunk_ms'), self._on_sound)

    def _sound_input(self, head: HeadProfile) -> SoundInput | None:
        """Make what turns `audio` into bins of direction, None where they are not wanted."""
        is_wanted = head.can_hear_directions and self.value('sound_births') == BINS
        if head.microphones is None or not is_wanted:
            return None
        return SoundInput(self, head.microphones, shared_bins(self, head.microphones))

    def _on_sound(self, blocks: list[BinBlock]) -> None:
        if blocks:
            self._blocks.push(blocks)
            self._step()

    def _on_visual(self, message: VisualFeaturesMsg) -> None:
        self._assembler.push_visual(visual_features_from_msg(message), self.now_ns())
        self._step()

    def _on_audio(self, message: AudioFeaturesMsg) -> None:
        self._assembler.push_audio(audio_features_from_msg(message), self.now_ns())
        self._step()

    def _poll(self) -> None:
        if self._assembler.is_waiting or self._waiting:
            self._step()

    def _step(self) -> None:
        now_ns = self.now_ns()
        self._waiting.extend((now_ns, frame) for frame in self._assembler.poll(now_ns))
        while self._waiting and self._track(*self._waiting[0]):
            self._waiting.popleft()
        pairing = self._assembler
        self.diagnostics.absorb('pairing', pairing.counters, lambda k: pairing.reasons.get(k, ''))
        self.diagnostics.absorb('tracker', self._tracker.counters)

    def _track(self, arrived_ns: int, features: Features) -> bool:
        """Step with one frame; False: its transforms may still come."""
        stamp_ns, visual, audio = features
        if self._may_wait_for_bins(arrived_ns, stamp_ns) or self._frame_clock.must_wait(stamp_ns):
            return False
        try:
            poses = self._poses.at(stamp_ns)
        except TransformUnavailable as late:
            if late.may_come and self._may_wait(arrived_ns, self.value('tf_wait')):
                return False
            if (older := self._older_poses(stamp_ns)) is None:
                return True
            poses = older
        if self._poses.moves and poses.reference_from_array is not None:
            self._motion.note_pose(stamp_ns, poses.reference_from_array)
        blocks = self._blocks.take(stamp_ns)
        audio, blocks, is_drowned = self._motors.removed_from_frame(stamp_ns, audio, blocks)
        if is_drowned:
            self.diagnostics.count(left_out(self._motion, stamp_ns))
        visual = self._turning_faces.take(visual, poses.reference_from_optical)
        if self._frame_clock.was_set(stamp_ns):
            self.diagnostics.count('steps of the clock', self._clock_steps.reason)
        smooth_ns = stamp_ns - self._clock_steps.total_ns
        frame = self._tracker.step(smooth_ns, visual, audio, poses, blocks)
        frame = self._clock_steps.restore(frame)
        if self._ids is not None:
            self._ids.keep(self._tracker.ids.last)
        self._publisher.publish(track_frame_to_msg(frame, self._poses.frame))
        if self._transforms is not None and self._transforms.is_heard:
            prefix = self.value('person_frame_prefix')
            self._transforms.send(person_transforms(frame, self._poses.frame, prefix))
        return True

    def _may_wait_for_bins(self, arrived_ns: int, stamp_ns: int) -> bool:
        """Tell whether bins of a frame are still to come; never where no sound is heard."""
        is_complete = self._blocks.is_deaf(stamp_ns) or self._blocks.is_decided(stamp_ns)
        return not is_complete and self._may_wait(arrived_ns, self._pairing.audio_wait_s)

    def _may_wait(self, arrived_ns: int, longest_s: float) -> bool:
        """Tell whether a frame may wait any longer."""
        return 0 <= self.now_ns() - arrived_ns < nanoseconds(longest_s)  # < 0: clock set back

    def _older_poses(self, stamp_ns: int) -> SensorPoses | None:
        """Give poses that stand in for missing ones; None drops the image."""
        try:
            poses = self._poses.near(stamp_ns)
        except TransformUnavailable as missing:
            self.diagnostics.count('images dropped: no transform', str(missing))
            return None
        self.diagnostics.count('transforms older than their image', LATE_TRANSFORMS)
        return poses

    def destroy_node(self) -> None:
        """End in order: the next tracker may count from 1, unless it takes this one's place."""
        if self._ids is not None and not self.has_successor:
            self._ids.forget()
        super().destroy_node()


def main() -> None:
    """Run the process."""
    sys.exit(run_node(TrackerNode))


if __name__ == '__main__':
    main()
