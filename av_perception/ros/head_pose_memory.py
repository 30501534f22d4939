# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The newest head poses, for nodes that tell of people: they come later and less often."""

from __future__ import annotations

from av_perception_msgs.msg import HeadPoseArray

from av_perception.geometry.time import seconds
from av_perception.interfaces import HeadPoseFrame
from av_perception.ros.conversions import head_pose_frame_from_msg

MAX_AGE_S = 0.3  # of head poses that are still taken for the present ones


class HeadPoseMemory:
    """Keeps the newest message of head poses."""

    def __init__(self) -> None:
        """Start with nothing known."""
        self._frame: HeadPoseFrame | None = None
        self._frame_id = ''

    def keep(self, message: HeadPoseArray) -> None:
        """Remember a message. Raises ValueError for one that cannot be read."""
        self._frame = head_pose_frame_from_msg(message)
        self._frame_id = message.header.frame_id

    def near(self, stamp_ns: int, frame_id: str) -> HeadPoseFrame | None:
        """Give the head poses of about a moment [ns] in a frame; None where there are none."""
        if self._frame is None or frame_id != self._frame_id:
            return None
        age_s = abs(seconds(stamp_ns - self._frame.stamp_ns))
        return self._frame if age_s <= MAX_AGE_S else None
