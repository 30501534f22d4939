# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Node `speaking_status`: `tracks` and `audio` to who is speaking on `speaking_status`.

With a probability and hysteresis.
"""

from __future__ import annotations

import sys
from collections import deque

from av_perception_msgs import msg as av
from av_perception_msgs.msg import SpeakingStatusArray, TrackArray

from av_perception.audio.direction_bins import BinBlock, DirectionLikelihood
from av_perception.diarization.speaking_estimator import (
    JOINT,
    VOICES_APART,
    VOICES_ELSEWHERE,
    SpeakingEstimator,
)
from av_perception.geometry.rigid_transform import RigidTransform
from av_perception.geometry.time import nanoseconds
from av_perception.geometry.transform_tree import TransformUnavailable
from av_perception.interfaces import TrackFrame
from av_perception.robot_head import HeadProfile, load_head
from av_perception.ros import qos
from av_perception.ros.conversions import (
    mouth_frame_from_msg,
    speaking_frame_to_msg,
    track_frame_from_msg,
)
from av_perception.ros.ego_motion import MAX_TURN_RATE, left_out, listen_to_motion
from av_perception.ros.node import PerceptionNode
from av_perception.ros.parameters import ReadParameter
from av_perception.ros.playback import HEAD
from av_perception.ros.process import run_node
from av_perception.ros.settings import (
    SPEAKING_METHOD_PARAMETERS,
    SPEAKING_PARAMETERS,
    speaking_estimator_config,
)
from av_perception.ros.sound_input import BACKLOG_S, CHUNK_MS, SoundInput, shared_bins
from av_perception.ros.transforms import REFERENCE_FRAME, HeadPoses
from av_perception.synchronization.ego_motion import EgoMotion
from av_perception.synchronization.own_motors import OwnMotors

# Tracks and sound drive the node; polling only ends the waiting where none come any more, and
# looks for transforms that have come.
POLL_PERIOD_S = 0.2
TF_POLL_PERIOD_S = 0.02
# The tracker has waited for the transforms of its tracks already.
TF_WAIT_S = 0.05
TF_MAX_AGE_S = 0.1


class SpeakingStatusNode(PerceptionNode):
    """Judges who of the tracked people speaks; stamps and ids are those of the tracks."""

    NAME = 'speaking_status'
    PARAMETERS = (
        HEAD,
        REFERENCE_FRAME,
        CHUNK_MS,
        MAX_TURN_RATE,
        *SPEAKING_METHOD_PARAMETERS,
        *SPEAKING_PARAMETERS,
    )

    _estimator: SpeakingEstimator | None = None
    _head: HeadProfile | None = None

    def configure(self) -> None:
        """Build the estimator."""
        head = load_head(self.value('head'))
        microphones = head.microphones
        config = speaking_estimator_config(self.value, head)
        self._head = head
        self._sound: SoundInput | None = None
        likelihood: DirectionLikelihood | None = None
        if config.method == JOINT and microphones is not None and head.can_hear_directions:
            bins = shared_bins(self, microphones)
            likelihood = bins.likelihood
            self._sound = SoundInput(self, microphones, bins)
        self._estimator = self.take_inherited() or SpeakingEstimator(config, likelihood)
        self._motion = EgoMotion(self.value('max_turn_rate'))
        self._motors = OwnMotors(self._motion)
        self._publisher = self.publisher(SpeakingStatusArray, 'speaking_status', qos.FEATURES)
        if self._estimator.method != config.method:
            self.get_logger().info(
                f"head '{head.name}' hears no directions: method {self._estimator.method}"
            )

    def core(self) -> SpeakingEstimator | None:
        """Give who was heard."""
        return self._estimator

    def tune(self, value: ReadParameter) -> None:
        """Take over thresholds, delays and look-ahead."""
        config = speaking_estimator_config(value, self._head)
        if self._estimator is not None:
            self._estimator.reconfigure(config)

    def activate(self) -> None:
        """Listen to the tracks, and to sound and motion where they count."""
        assert self._estimator is not None and self._head is not None  # since configure
        self._estimator.flush()  # what waited when the node was deactivated
        self._frame_id = ''
        # Tracks with the time of their arrival [ns], waiting for their transforms.
        self._waiting: deque[tuple[int, TrackFrame]] = deque()
        self._poses: HeadPoses | None = None
        if self._sound is not None:
            self._poses = HeadPoses(self, self._head, self.value('reference_frame'), TF_MAX_AGE_S)
            listen_to_motion(self, self._motion, self._head.head_joints)
            self._sound.listen(1e-3 * self.value('chunk_ms'), self._on_sound)
            if self.value('lips'):
                self.subscribe(av.MouthCrops, 'mouth_crops', self._on_mouths, qos.FEATURES)
        self.subscribe(TrackArray, 'tracks', self._on_tracks, qos.FEATURES, backlog_s=BACKLOG_S)
        waits_for_transforms = self._poses is not None and self._poses.moves
        if waits_for_transforms:
            self.every(TF_POLL_PERIOD_S, self._poll)
        else:
            self.when_idle(POLL_PERIOD_S, self._poll)

    def _on_tracks(self, message: TrackArray) -> None:
        self._frame_id = message.header.frame_id
        self._waiting.append((self.now_ns(), track_frame_from_msg(message)))
        self._step()

    def _on_mouths(self, message: av.MouthCrops) -> None:
        assert self._estimator is not None
        self._estimator.take_mouths(mouth_frame_from_msg(message))

    def _on_sound(self, blocks: list[BinBlock]) -> None:
        assert self._estimator is not None
        if not blocks:
            return
        heard = []
        for block in blocks:
            if self._motion.is_ego_noise(block.stamp_ns):
                self.diagnostics.count(left_out(self._motion, block.stamp_ns))
            heard.append(self._motors.removed_from(block))
        self._estimator.take_blocks(heard)
        self._step()

    def _poll(self) -> None:
        assert self._estimator is not None
        if self._waiting or self._estimator.is_waiting:
            self._step()

    def _step(self) -> None:
        assert self._estimator is not None
        while self._waiting and self._follow(*self._waiting[0]):
            self._waiting.popleft()
        for _, speaking in self._estimator.poll(self.now_ns()):
            self._publisher.publish(speaking_frame_to_msg(speaking, self._frame_id))
        self.diagnostics.absorb('speaking', self._estimator.counters, self._reason)
        if self.value('lips'):
            believed = ', '.join(str(key) for key in self._estimator.believed_lips)
            self.diagnostics.reports['people whose lips are believed'] = believed or 'none'

    def _reason(self, counter: str) -> str:
        """Say why a counter of the estimator grew."""
        assert self._estimator is not None
        reasons = {
            VOICES_ELSEWHERE: self._estimator.sound_problem,
            VOICES_APART: self._estimator.lag_problem,
        }
        return reasons.get(counter, '')

    def _follow(self, arrived_ns: int, frame: TrackFrame) -> bool:
        """Hand on tracks with the pose of the array; False: its transforms may still come."""
        assert self._estimator is not None
        reference_from_array: RigidTransform | None = None
        if self._poses is not None:
            try:
                poses = self._poses.at(frame.stamp_ns, self._frame_id)
                reference_from_array = poses.reference_from_array
            except TransformUnavailable as late:
                waited_ns = self.now_ns() - arrived_ns  # below 0 where the clock was set back
                if late.may_come and 0 <= waited_ns < nanoseconds(TF_WAIT_S):
                    return False
                reference_from_array = self._older_pose(frame.stamp_ns)
            if self._poses.moves and reference_from_array is not None:
                self._motion.note_pose(frame.stamp_ns, reference_from_array)
        self._estimator.follow(frame, reference_from_array, arrived_ns)
        return True

    def _older_pose(self, stamp_ns: int) -> RigidTransform | None:
        """Give a pose that stands in for a missing one; None where there is none."""
        assert self._poses is not None
        try:
            return self._poses.near(stamp_ns, self._frame_id).reference_from_array
        except TransformUnavailable as missing:
            self.diagnostics.count('tracks without transform of the array', str(missing))
            return None


def main() -> None:
    """Run the process."""
    sys.exit(run_node(SpeakingStatusNode))


if __name__ == '__main__':
    main()
