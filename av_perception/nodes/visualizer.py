# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Node `visualizer`: `tracks` and `speaking_status` for people to look at.

As rviz `markers`, and drawn over the left image on `overlay/image_raw`.
"""

from __future__ import annotations

import sys

import numpy as np
from av_perception_msgs.msg import Attention as AttentionMsg
from av_perception_msgs.msg import HeadPoseArray, SpeakingStatusArray, TrackArray
from rclpy.publisher import Publisher
from rclpy.subscription import Subscription
from sensor_msgs.msg import Image
from visualization_msgs.msg import MarkerArray

from av_perception.geometry.time import seconds
from av_perception.geometry.transform_tree import TransformUnavailable
from av_perception.interfaces import Attention, HeadPoseFrame, SpeakingFrame, TrackFrame
from av_perception.robot_head import CameraGeometry, load_head
from av_perception.robot_head.sensor_poses import SensorPoses
from av_perception.ros import qos
from av_perception.ros.compat import make_stamp_pairs
from av_perception.ros.conversions import (
    attention_from_msg,
    image_to_msg,
    ns_from_time,
    speaking_frame_from_msg,
    track_frame_from_msg,
)
from av_perception.ros.head_pose_memory import HeadPoseMemory
from av_perception.ros.image_memory import ImageMemory
from av_perception.ros.image_source import ImageSource, image_source
from av_perception.ros.local_topics import LocalPublisher
from av_perception.ros.markers import attention_marker, people_markers
from av_perception.ros.node import PerceptionNode
from av_perception.ros.parameters import COMPRESSED, RELIABLE_IMAGES, Parameter
from av_perception.ros.playback import HEAD
from av_perception.ros.process import run_node
from av_perception.ros.transforms import REFERENCE_FRAME, HeadPoses
from av_perception.vision.rectification import rectifiers_of
from av_perception.visualization.overlay import draw_overlay
from av_perception.visualization.people import people_to_draw

WATCH_PERIOD_S = 0.5
ATTENTION_MAX_AGE_S = 0.5  # it follows the tracks that it is about


class VisualizerNode(PerceptionNode):
    """Joins tracks and speaking status by stamp, and lays them over the image they come from."""

    NAME = 'visualizer'
    PARAMETERS = (
        HEAD,
        REFERENCE_FRAME,
        Parameter('overlay', True, 'Publish the left image with the people drawn on it.'),
        Parameter(
            'head_poses',
            True,
            'Show how heads are turned, where the node head_pose runs (head_pose:=true).',
        ),
        COMPRESSED,
        RELIABLE_IMAGES,
    )

    def configure(self) -> None:
        """Make the outputs: markers, and the overlay where there is a camera."""
        self._head = load_head(self.value('head'))
        self._markers = self.publisher(MarkerArray, 'markers', qos.FEATURES)
        self._overlay: _Overlay | None = None
        if self.value('overlay') and self._head.camera is not None:
            publisher = self.publisher(Image, 'overlay/image_raw', qos.IMAGES_OUT)
            source = image_source(self)
            self._overlay = _Overlay(self._head.camera, publisher, source)
        self._listens = False

    def activate(self) -> None:
        """Listen to the people; to images when somebody looks."""
        self._poses = HeadPoses(self, self._head, self.value('reference_frame'))
        pairs = make_stamp_pairs(
            self._show, lambda: self.diagnostics.count('tracks without speaking status')
        )
        self.subscribe(TrackArray, 'tracks', pairs.first, qos.FEATURES)
        self.subscribe(SpeakingStatusArray, 'speaking_status', pairs.second, qos.FEATURES)
        self._attention: Attention | None = None
        self.subscribe(AttentionMsg, 'attention', self._on_attention, qos.FEATURES, timeout_s=None)
        self._heads = HeadPoseMemory()
        self._ear: Subscription | None = None
        self.every(WATCH_PERIOD_S, self._watch_demand)

    def deactivate(self) -> None:
        """Forget that images are listened to."""
        self._listens = False

    def _watch_demand(self) -> None:
        """Listen to the images, 23 MB a second, only from when somebody looks at the overlay.

        To head poses, which are computed on demand, only while somebody looks at anything.
        """
        overlay = self._overlay
        looks = overlay is not None and overlay.is_watched()
        if overlay is not None and looks and not self._listens:
            self._listens = True
            source = overlay.source
            topic = source.topic('left')
            self.subscribe(source.kind, topic, overlay.images.keep, source.profile)
        wanted = self.value('head_poses') and (looks or self._markers.get_subscription_count())
        if wanted and self._ear is None:
            self._ear = self.subscribe(
                HeadPoseArray, 'head_poses', self._heads.keep, qos.FEATURES, timeout_s=None
            )
        elif self._ear is not None and not wanted:
            self.unsubscribe(self._ear)
            self._ear = None

    def _on_attention(self, message: AttentionMsg) -> None:
        self._attention = attention_from_msg(message)

    def _attention_at(self, stamp_ns: int) -> Attention | None:
        """Give the newest attention unless it is old."""
        attention = self._attention
        if attention is None or attention.target is None:
            return None
        age_s = abs(seconds(stamp_ns - attention.stamp_ns))
        return attention if age_s <= ATTENTION_MAX_AGE_S else None

    def _show(self, tracks: TrackArray, statuses: SpeakingStatusArray) -> None:
        watched = self._markers.get_subscription_count()
        image = None
        if self._overlay is not None and self._listens:
            image = self._overlay.images.take_image(ns_from_time(tracks.header.stamp))
        if not watched and image is None:  # most of the time nobody looks
            return
        frame = track_frame_from_msg(tracks)
        speaking = speaking_frame_from_msg(statuses)
        frame_id = tracks.header.frame_id
        try:
            poses = self._poses.near(frame.stamp_ns, frame_id)
        except TransformUnavailable as missing:
            self.diagnostics.count('frames not shown: no transform', str(missing))
            return
        attention = self._attention_at(frame.stamp_ns)
        heads = self._heads.near(frame.stamp_ns, frame_id)
        if watched:
            ears = poses.reference_from_array or poses.reference_from_base
            markers = people_markers(
                frame, speaking, frame_id, origin=ears.translation, heads=heads
            )
            if attention is not None:
                head = poses.reference_from_base.translation
                markers.markers.append(attention_marker(attention, frame_id, head))
            self._markers.publish(markers)
        if self._overlay is not None and image is not None:
            looked_at = None if attention is None else attention.id
            self._overlay.publish(image, frame, speaking, poses, looked_at, heads)


class _Overlay:
    """The left images and where they go with the people drawn on them."""

    def __init__(
        self, camera: CameraGeometry, publisher: Publisher | LocalPublisher, source: ImageSource
    ):
        self._camera = camera
        self._publisher = publisher
        self.source = source
        self.images = ImageMemory(rectifiers_of(camera)[0].rectify, source.decode)

    def is_watched(self) -> bool:
        return bool(self._publisher.get_subscription_count())

    def publish(
        self,
        image: tuple[np.ndarray, str],
        frame: TrackFrame,
        speaking: SpeakingFrame,
        poses: SensorPoses,
        looked_at: int | None,
        heads: HeadPoseFrame | None,
    ) -> None:
        """Draw on an image and its frame; see `ImageMemory.take_image`."""
        pixels, frame_id = image
        camera_pose = poses.reference_from_optical
        people = people_to_draw(frame, speaking, self._camera, camera_pose, looked_at, heads)
        drawn = draw_overlay(pixels, people)
        self._publisher.publish(image_to_msg(drawn, frame.stamp_ns, frame_id))


def main() -> None:
    """Run the process."""
    sys.exit(run_node(VisualizerNode))


if __name__ == '__main__':
    main()
