# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Node `attention`: `tracks`, `speaking_status` and `head_pose` to whom to look at.

On `look_at`, a point for the robot's own controller, and on `attention`, with id and reason. It
moves nothing itself.
"""

from __future__ import annotations

import sys

import numpy as np
from av_perception_msgs.msg import Attention as AttentionMsg
from av_perception_msgs.msg import HeadPoseArray, SpeakingStatusArray, TrackArray
from geometry_msgs.msg import PointStamped

from av_perception.attention.policy import AttentionPolicy
from av_perception.geometry.time import seconds
from av_perception.geometry.transform_tree import TransformUnavailable
from av_perception.interfaces import HeadPoseFrame
from av_perception.robot_head import load_head
from av_perception.ros import qos
from av_perception.ros.compat import make_stamp_pairs
from av_perception.ros.conversions import (
    attention_to_msg,
    head_pose_frame_from_msg,
    look_at_to_msg,
    speaking_frame_from_msg,
    track_frame_from_msg,
)
from av_perception.ros.node import PerceptionNode
from av_perception.ros.parameters import Parameter, ReadParameter
from av_perception.ros.playback import HEAD
from av_perception.ros.process import run_node
from av_perception.ros.settings import ATTENTION_PARAMETERS, attention_config
from av_perception.ros.transforms import REFERENCE_FRAME, HeadPoses


class AttentionNode(PerceptionNode):
    """Joins tracks and speaking status by stamp; what it says has that stamp and frame."""

    NAME = 'attention'
    PARAMETERS = (
        HEAD,
        REFERENCE_FRAME,
        Parameter(
            'head_pose_max_age',
            0.5,
            'Who faces the robot counts for so many seconds; then nobody knows.',
            0.0,
            10.0,
        ),
        *ATTENTION_PARAMETERS,
    )

    _policy: AttentionPolicy | None = None

    def configure(self) -> None:
        """Build the policy."""
        self._head = load_head(self.value('head'))
        self._policy = AttentionPolicy(attention_config(self.value))
        self._look_at = self.publisher(PointStamped, 'look_at', qos.FEATURES)
        self._attention = self.publisher(AttentionMsg, 'attention', qos.FEATURES)

    def tune(self, value: ReadParameter) -> None:
        """Take over the parameters of the policy."""
        config = attention_config(value)
        if self._policy is not None:
            self._policy.config = config

    def activate(self) -> None:
        """Listen to the people, and to how their heads are turned where somebody says so."""
        self._poses = HeadPoses(self, self._head, self.value('reference_frame'))
        self._origin = np.zeros(3)
        self._facing: HeadPoseFrame | None = None
        pairs = make_stamp_pairs(
            self._on_people, lambda: self.diagnostics.count('tracks without speaking status')
        )
        self.subscribe(TrackArray, 'tracks', pairs.first, qos.FEATURES)
        self.subscribe(SpeakingStatusArray, 'speaking_status', pairs.second, qos.FEATURES)
        self.subscribe(
            HeadPoseArray, 'head_poses', self._on_head_pose, qos.FEATURES, timeout_s=None
        )

    def _on_head_pose(self, message: HeadPoseArray) -> None:
        self._facing = head_pose_frame_from_msg(message)

    def _on_people(self, tracks: TrackArray, statuses: SpeakingStatusArray) -> None:
        assert self._policy is not None  # since configure
        frame = track_frame_from_msg(tracks)
        frame_id = tracks.header.frame_id
        self._find_head(frame.stamp_ns, frame_id)
        attention = self._policy.step(
            frame,
            speaking_frame_from_msg(statuses),
            self._facing_at(frame.stamp_ns),
            self._origin,
        )
        if attention is None:
            self.diagnostics.count('tracks left out: older than those before')
            return
        self._attention.publish(attention_to_msg(attention, frame_id))
        look_at = look_at_to_msg(attention, frame_id)
        if look_at is not None:
            self._look_at.publish(look_at)

    def _find_head(self, stamp_ns: int, frame_id: str) -> None:
        """Note where the robot's head is; where nobody knows, it has not moved."""
        try:
            self._origin = self._poses.near(stamp_ns, frame_id).reference_from_base.translation
        except TransformUnavailable as missing:
            self.diagnostics.count('tracks without transform of the head', str(missing))

    def _facing_at(self, stamp_ns: int) -> dict[int, float]:
        """Probability by id that the face is turned to the robot, of whom that is known."""
        frame = self._facing
        max_age_s = self.value('head_pose_max_age')
        if frame is None or abs(seconds(stamp_ns - frame.stamp_ns)) > max_age_s:
            return {}
        return {head.id: head.facing_probability for head in frame.heads if head.known}


def main() -> None:
    """Run the process."""
    sys.exit(run_node(AttentionNode))


if __name__ == '__main__':
    main()
