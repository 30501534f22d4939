# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Node `av_events`: visual points and `audio` to audio-visual events, `av_events` and `av_event_markers`.

An event is a TrackArray's track: its position and covariance, `heard` when it sounds, `audio_responsibility` its share of the sound. The visual
points are the faces of `visual_features`, or any PointCloud2 on `points` in the frame of the left camera or of the head's base.
"""

from __future__ import annotations

import sys
from types import SimpleNamespace

from av_perception_msgs.msg import TrackArray, VisualFeatures
from sensor_msgs.msg import PointCloud2
from visualization_msgs.msg import MarkerArray

from av_perception.geometry.rigid_transform import RigidTransform
from av_perception.interfaces import SpeakingFrame, SpeakingStatus, TrackFrame
from av_perception.ros import qos
from av_perception.ros.conversions import (
    ns_from_time,
    points_from_msg,
    track_frame_to_msg,
    visual_features_from_msg,
)
from av_perception.ros.markers import people_markers
from av_perception.ros.node import run_node
from av_perception.ros.pair_node import MicrophonePairNode, require_camera
from av_perception.ros.parameters import Parameter
from av_perception.ros.settings import EVENT_PARAMETERS, event_config
from av_perception.two_microphones.event_detector import EventDetector


class AvEventsNode(MicrophonePairNode):
    """A sliding window over points and time differences; one set of events per image or cloud."""

    NAME = 'av_events'
    PARAMETERS = (
        *MicrophonePairNode.PARAMETERS,
        Parameter(
            'input',
            'faces',
            'What the visual points are: faces of visual_features, or a cloud on the topic points.',
            choices=('faces', 'points'),
        ),
        *EVENT_PARAMETERS,
    )

    def configure(self) -> None:
        super().configure()
        self._sees_faces, base_from_points = self.value('input') == 'faces', RigidTransform()
        if self._sees_faces:
            require_camera(self.head, self.NAME)
            base_from_points = self.head.camera.base_from_optical
        self._detector = EventDetector(event_config(self.value), self.pair, base_from_points)
        self._events = self.publisher(TrackArray, 'av_events', qos.FEATURES)
        self._markers = self.publisher(MarkerArray, 'av_event_markers', qos.FEATURES)

    def activate(self) -> None:
        if self._sees_faces:
            self.subscribe(VisualFeatures, 'visual_features', self._on_faces, qos.FEATURES)
        else:
            self.subscribe(PointCloud2, 'points', self._on_points, qos.FEATURES)
        super().activate()

    def _on_faces(self, message: VisualFeatures) -> None:
        self.see(visual_features_from_msg(message))

    def _on_points(self, message: PointCloud2) -> None:
        points, frame = points_from_msg(message), message.header.frame_id
        if self.head.camera is not None and frame == self.head.camera.frame:
            points = self.head.camera.base_from_optical.apply(points)
        elif frame != self.head.base_frame:
            raise ValueError(
                f"the cloud is in the frame '{frame}', not in that of the left camera nor in '{self.head.base_frame}'"
            )
        self.see(SimpleNamespace(stamp_ns=ns_from_time(message.header.stamp), points=points))

    def process(self, stamp_ns, visual, sound) -> None:
        frame = (
            self._detector.step(stamp_ns, visual, sound)
            if self._sees_faces
            else self._detector.step_points(
                stamp_ns, None if visual is None else visual.points, sound
            )
        )
        self._events.publish(track_frame_to_msg(frame, self.head.base_frame))
        self._markers.publish(
            people_markers(frame, _activity(frame), self.head.base_frame, 'event')
        )
        self.diagnostics.absorb('events', self._detector.counters)


def _activity(frame: TrackFrame) -> SpeakingFrame:
    """The activity flags as the markers take them."""
    return SpeakingFrame(
        frame.stamp_ns,
        tuple(
            SpeakingStatus(t.id, t.heard, t.audio_responsibility, t.last_heard_ns)
            for t in frame.tracks
        ),
    )


def main() -> None:
    """Entry point of the process."""
    sys.exit(run_node(AvEventsNode))


if __name__ == '__main__':
    main()
