# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Node `visualizer`: `tracks` and `speaking_status` as rviz `markers` and drawn over the left image on `overlay/image_raw`."""

from __future__ import annotations

import sys

from av_perception_msgs.msg import SpeakingStatusArray, TrackArray
from sensor_msgs.msg import Image
from visualization_msgs.msg import MarkerArray

from av_perception.geometry.transform_tree import TransformUnavailable
from av_perception.robot_head import load_head
from av_perception.ros import qos
from av_perception.ros.compat import make_stamp_pairs
from av_perception.ros.conversions import (
    image_to_msg,
    ns_from_time,
    speaking_frame_from_msg,
    track_frame_from_msg,
)
from av_perception.ros.image_memory import ImageMemory
from av_perception.ros.markers import people_markers
from av_perception.ros.node import PerceptionNode, run_node
from av_perception.ros.parameters import Parameter
from av_perception.ros.playback import HEAD
from av_perception.ros.transforms import REFERENCE_FRAME, HeadPoses
from av_perception.vision.rectification import rectifiers_of
from av_perception.visualization.overlay import draw_overlay
from av_perception.visualization.people import people_to_draw

WATCH_PERIOD_S = 0.5


class VisualizerNode(PerceptionNode):
    """Joins tracks and speaking status by stamp, and lays them over the very image they come from."""

    NAME = 'visualizer'
    PARAMETERS = (
        HEAD,
        REFERENCE_FRAME,
        Parameter('overlay', True, 'Publish the left image with the people drawn on it.'),
        Parameter(
            'reliable_images',
            True,
            'Subscribe to images reliably; false for camera drivers that publish best effort.',
        ),
    )

    def configure(self) -> None:
        self._head = load_head(self.value('head'))
        self._camera = self._head.camera
        self._markers = self.publisher(MarkerArray, 'markers', qos.FEATURES)
        self._draws = self.value('overlay') and self._camera is not None
        self._overlay = (
            self.publisher(Image, 'overlay/image_raw', qos.IMAGES_OUT) if self._draws else None
        )
        self._images = ImageMemory(rectifiers_of(self._camera)[0].rectify) if self._draws else None
        self._listens = False

    def activate(self) -> None:
        self._poses = HeadPoses(self, self._head, self.value('reference_frame'))
        pairs = make_stamp_pairs(
            self._show, lambda: self.diagnostics.count('tracks without speaking status')
        )
        self.subscribe(TrackArray, 'tracks', pairs.first, qos.FEATURES)
        self.subscribe(SpeakingStatusArray, 'speaking_status', pairs.second, qos.FEATURES)
        if self._draws:
            self.every(WATCH_PERIOD_S, self._watch_demand)

    def _watch_demand(self) -> None:
        """Listen to the images, 23 MB a second, only from when somebody looks at the overlay."""
        if not self._listens and self._overlay.get_subscription_count():
            self._listens = True
            self.subscribe(
                Image,
                'left/image_raw',
                self._images.keep,
                qos.images_in(self.value('reliable_images')),
            )

    def deactivate(self) -> None:
        self._listens = False

    def _show(self, tracks: TrackArray, statuses: SpeakingStatusArray) -> None:
        watched = self._markers.get_subscription_count()
        image = self._images.take(ns_from_time(tracks.header.stamp)) if self._listens else None
        if not watched and image is None:  # most of the time nobody looks
            return
        frame, speaking = track_frame_from_msg(tracks), speaking_frame_from_msg(statuses)
        try:
            poses = self._poses.near(frame.stamp_ns, tracks.header.frame_id)
        except TransformUnavailable as missing:
            return self.diagnostics.count('frames not shown: no transform', str(missing))
        if watched:
            ears = poses.reference_from_array or poses.reference_from_base
            self._markers.publish(
                people_markers(frame, speaking, tracks.header.frame_id, origin=ears.translation)
            )
        if image is not None:
            drawn = draw_overlay(
                image[0],
                people_to_draw(frame, speaking, self._camera, poses.reference_from_optical),
            )
            self._overlay.publish(image_to_msg(drawn, frame.stamp_ns, image[1]))


def main() -> None:
    """Entry point of the process."""
    sys.exit(run_node(VisualizerNode))


if __name__ == '__main__':
    main()
