# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Node `tracker`: `visual_features` and `audio_features` to people with stable ids on `tracks` and /tf."""

from __future__ import annotations

import sys
from collections import deque

from av_perception_msgs.msg import AudioFeatures, TrackArray, VisualFeatures

from av_perception.audio.acoustic_map import AcousticMap
from av_perception.audio.front_end import AudioFrontEndConfig
from av_perception.audio.map_learning import AcousticMapConfig, checked_map, head_map
from av_perception.geometry.rigid_transform import RigidTransform
from av_perception.geometry.transform_tree import TransformUnavailable
from av_perception.interfaces import LifeState, TrackFrame
from av_perception.robot_head import load_head
from av_perception.ros import qos
from av_perception.ros.compat import TransformBroadcaster
from av_perception.ros.conversions import (
    audio_features_from_msg,
    track_frame_to_msg,
    transform_to_msg,
    visual_features_from_msg,
)
from av_perception.ros.ego_motion import MAX_TURN_RATE, listen_to_motion
from av_perception.ros.node import PerceptionNode, run_node
from av_perception.ros.parameters import Parameter
from av_perception.ros.playback import HEAD
from av_perception.ros.settings import TRACKER_PARAMETERS, assembler_config, tracker_config
from av_perception.ros.transforms import REFERENCE_FRAME, HeadPoses
from av_perception.synchronization.ego_motion import EgoMotion
from av_perception.synchronization.frame_assembler import FrameAssembler
from av_perception.tracking.tracker import Tracker

POLL_PERIOD_S = 0.02  # features drive the tracker; polling only ends the waiting for sound or transforms that do not come
MOTION_WINDOW_S = 0.2


class TrackerNode(PerceptionNode):
    """Pairs the features by stamp, steps the tracker once per image, and publishes its people."""

    NAME = 'tracker'
    PARAMETERS = (
        HEAD,
        Parameter(
            'acoustic_map',
            '',
            'File of a learnt acoustic map; empty learns one from the geometry of the head (free field).',
        ),
        Parameter(
            'publish_tf', True, 'Publish a frame person_<id> on /tf for every active person.'
        ),
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
            'With reference_frame: how old transforms may be that stand in for missing ones, in seconds; older ones drop the image.',
            0.0,
            5.0,
        ),
        MAX_TURN_RATE,
        *TRACKER_PARAMETERS,
    )

    def configure(self) -> None:
        head = load_head(self.value('head'))
        self._tracker = Tracker(tracker_config(self.value), head, self._acoustic_map(head))
        self._assembler = FrameAssembler(assembler_config(self.value, head))
        self._head, self._motion = head, EgoMotion(self.value('max_turn_rate'), MOTION_WINDOW_S)
        self._hears, self._sees = head.can_hear_directions, head.camera is not None
        self._publisher = self.publisher(TrackArray, 'tracks', qos.FEATURES)
        self._transforms = TransformBroadcaster(self) if self.value('publish_tf') else None

    def activate(self) -> None:
        self._poses = HeadPoses(
            self, self._head, self.value('reference_frame'), self.value('tf_max_age')
        )
        if self._sees:
            self.subscribe(VisualFeatures, 'visual_features', self._on_visual, qos.FEATURES)
        if self._hears:
            self.subscribe(AudioFeatures, 'audio_features', self._on_audio, qos.FEATURES)
            listen_to_motion(self, self._motion, self._head.head_joints)
        self._waiting: deque = (
            deque()
        )  # frames with the time of their arrival, for their transforms
        self._poll = self.every(POLL_PERIOD_S, self._step)

    def _acoustic_map(self, head) -> AcousticMap | None:
        if not head.can_hear_directions:
            return None
        if not self.value('acoustic_map'):
            return head_map(head.microphones, AcousticMapConfig(), AudioFrontEndConfig())
        return checked_map(self.value('acoustic_map'), head.microphones, AudioFrontEndConfig())

    def _on_visual(self, message: VisualFeatures) -> None:
        self._assembler.push_visual(visual_features_from_msg(message), self._now_ns())
        self._step()

    def _on_audio(self, message: AudioFeatures) -> None:
        self._assembler.push_audio(audio_features_from_msg(message), self._now_ns())
        self._step()

    def _step(self) -> None:
        now_ns = self._now_ns()
        self._waiting.extend((now_ns, frame) for frame in self._assembler.poll(now_ns))
        while self._waiting and self._track(*self._waiting[0]):
            self._waiting.popleft()
        self._poll_while(self._assembler.is_waiting or self._waiting)
        self.diagnostics.absorb('pairing', self._assembler.counters)
        self.diagnostics.absorb('tracker', self._tracker.counters)

    def _track(self, arrived_ns: int, features: tuple) -> bool:
        """One frame of features; False: its transforms may still come."""
        stamp_ns, visual, audio = features
        try:
            poses = self._poses.at(stamp_ns)
        except TransformUnavailable as late:
            if late.may_come and 0 <= self._now_ns() - arrived_ns < 1e9 * self.value(
                'tf_wait'
            ):  # below 0 the clock was set back
                return False
            try:
                poses = self._poses.near(stamp_ns)
                self.diagnostics.count('transforms older than their image')
            except TransformUnavailable as missing:
                self.diagnostics.count('images dropped: no transform', str(missing))
                return True
        if self._poses.moves and poses.reference_from_array is not None:
            self._motion.note_pose(stamp_ns, poses.reference_from_array)
        if audio is not None and self._motion.is_ego_noise(stamp_ns):
            self.diagnostics.count('sounds left out: the head turns')
            audio = None
        frame = self._tracker.step(stamp_ns, visual, audio, poses)
        self._publisher.publish(track_frame_to_msg(frame, self._poses.frame))
        self._send_transforms(frame)
        return True

    def _poll_while(self, waiting: bool) -> None:
        """Let the timer run only while something waits: every waking costs as much as half a step of the tracker."""
        if waiting and self._poll.is_canceled():
            self._poll.reset()
        elif not waiting and not self._poll.is_canceled():
            self._poll.cancel()

    def _send_transforms(self, frame: TrackFrame) -> None:
        if self._transforms is None:
            return
        people = [t for t in frame.tracks if t.state == LifeState.ACTIVE]
        self._transforms.send(
            [
                transform_to_msg(
                    RigidTransform(translation=t.mean[:3]),
                    self._poses.frame,
                    f'person_{t.id}',
                    frame.stamp_ns,
                )
                for t in people
            ]
        )

    def _now_ns(self) -> int:
        return self.get_clock().now().nanoseconds


def main() -> None:
    """Entry point of the process."""
    sys.exit(run_node(TrackerNode))


if __name__ == '__main__':
    main()
