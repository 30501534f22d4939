# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Node `web_view`: people from above, who speaks and the overlay, as a page for a browser.

For who has no rviz. It serves this machine alone unless `host` says otherwise, and works only
while a page is open.
"""

from __future__ import annotations

import sys

import cv2
from av_perception_msgs.msg import Attention as AttentionMsg
from av_perception_msgs.msg import HeadPoseArray, SpeakingStatusArray, TrackArray
from rclpy.subscription import Subscription
from sensor_msgs.msg import Image

from av_perception.geometry.rigid_transform import RigidTransform
from av_perception.geometry.time import nanoseconds, seconds
from av_perception.geometry.transform_tree import TransformUnavailable
from av_perception.interfaces import Attention
from av_perception.robot_head import load_head
from av_perception.ros import qos
from av_perception.ros.compat import make_stamp_pairs
from av_perception.ros.conversions import (
    attention_from_msg,
    image_from_msg,
    ns_from_time,
    speaking_frame_from_msg,
    track_frame_from_msg,
)
from av_perception.ros.head_pose_memory import HeadPoseMemory
from av_perception.ros.node import PerceptionNode
from av_perception.ros.parameters import RELIABLE_IMAGES, Parameter
from av_perception.ros.playback import HEAD
from av_perception.ros.process import run_node
from av_perception.ros.transforms import REFERENCE_FRAME, HeadPoses
from av_perception.web_view.people import page_state
from av_perception.web_view.server import LOCAL_HOSTS, PageServer

WATCH_PERIOD_S = 0.5
ATTENTION_MAX_AGE_S = 0.5  # it follows the tracks that it is about
JPEG_QUALITY = 75


class WebViewNode(PerceptionNode):
    """Joins tracks and speaking status by stamp and gives them to the pages that are open."""

    NAME = 'web_view'
    PARAMETERS = (
        HEAD,
        REFERENCE_FRAME,
        Parameter(
            'host',
            '127.0.0.1',
            'Address to listen on. 127.0.0.1: browsers of this machine alone; 0.0.0.0 lets '
            'everybody on the network see the people and the image.',
        ),
        Parameter('port', 8090, 'Port of the page; 0 takes a free one.', 0, 65535),
        Parameter(
            'image_rate',
            10.0,
            '[Hz] Images at most, of the overlay, while a page shows them.',
            0.5,
            30.0,
            live=True,
        ),
        RELIABLE_IMAGES,
    )

    _server: PageServer | None = None

    def activate(self) -> None:
        """Serve the page, and listen to the people."""
        head = load_head(self.value('head'))
        self._poses = HeadPoses(self, head, self.value('reference_frame'))
        self._origin = RigidTransform()
        self._heads = HeadPoseMemory()
        self._attention: Attention | None = None
        self._on_demand: list[Subscription] = []
        self._image_ear: Subscription | None = None
        self._next_image_ns = 0
        host = self.value('host')
        self._server = PageServer(host, self.value('port'))
        self.get_logger().info(f'open {self._server.address} in a browser')
        if host not in LOCAL_HOSTS:
            self.get_logger().warning(f'everybody who reaches {host} can see people and images')
        pairs = make_stamp_pairs(
            self._on_people, lambda: self.diagnostics.count('tracks without speaking status')
        )
        self.subscribe(TrackArray, 'tracks', pairs.first, qos.FEATURES)
        self.subscribe(SpeakingStatusArray, 'speaking_status', pairs.second, qos.FEATURES)
        self.every(WATCH_PERIOD_S, self._watch_demand)

    def deactivate(self) -> None:
        """Close the page."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def _watch_demand(self) -> None:
        """Listen to what is made on demand only while a page is open."""
        assert self._server is not None  # since activate
        if self._server.num_viewers and not self._on_demand:
            self._on_demand = [
                self.subscribe(
                    HeadPoseArray, 'head_poses', self._heads.keep, qos.FEATURES, timeout_s=None
                ),
                self.subscribe(
                    AttentionMsg, 'attention', self._on_attention, qos.FEATURES, timeout_s=None
                ),
            ]
        elif self._on_demand and not self._server.num_viewers:
            for ear in self._on_demand:
                self.unsubscribe(ear)
            self._on_demand = []
        if self._server.num_image_viewers and self._image_ear is None:
            image_qos = qos.images_in(self.value('reliable_images'))
            self._image_ear = self.subscribe(
                Image, 'overlay/image_raw', self._on_image, image_qos, timeout_s=None
            )
        elif self._image_ear is not None and not self._server.num_image_viewers:
            self.unsubscribe(self._image_ear)
            self._image_ear = None

    def _on_attention(self, message: AttentionMsg) -> None:
        self._attention = attention_from_msg(message)

    def _on_image(self, message: Image) -> None:
        assert self._server is not None  # since activate
        stamp_ns = ns_from_time(message.header.stamp)
        period_ns = nanoseconds(1.0 / self.value('image_rate'))
        # A clock that was set back would silence it for long.
        if self._next_image_ns - period_ns <= stamp_ns < self._next_image_ns:
            return
        self._next_image_ns = stamp_ns + period_ns
        quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
        self._server.show_image(
            cv2.imencode('.jpg', image_from_msg(message), quality)[1].tobytes()
        )

    def _on_people(self, tracks: TrackArray, statuses: SpeakingStatusArray) -> None:
        assert self._server is not None  # since activate
        if not self._server.num_viewers:
            return
        frame = track_frame_from_msg(tracks)
        frame_id = tracks.header.frame_id
        try:
            self._origin = self._poses.near(frame.stamp_ns, frame_id).reference_from_base
        except TransformUnavailable as missing:
            self.diagnostics.count('tracks without transform of the head', str(missing))
        attention = self._attention
        if attention is not None:
            age_s = abs(seconds(frame.stamp_ns - attention.stamp_ns))
            attention = attention if age_s <= ATTENTION_MAX_AGE_S else None
        speaking = speaking_frame_from_msg(statuses)
        heads = self._heads.near(frame.stamp_ns, frame_id)
        self._server.show(page_state(frame, speaking, self._origin, heads, attention))


def main() -> None:
    """Run the process."""
    sys.exit(run_node(WebViewNode))


if __name__ == '__main__':
    main()
