# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Node `av_events`: visual points and `audio` to audio-visual events.

They go to `av_events` and `av_event_markers`. An event is a TrackArray's track: its position and
covariance, `heard` when it sounds, `audio_responsibility` its share of the sound. The visual
points are the faces of `visual_features`, or any PointCloud2 on `points` in the frame of the left
camera or of the head's base.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np
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
from av_perception.ros.pair_node import MicrophonePairNode, require_camera
from av_perception.ros.parameters import Parameter
from av_perception.ros.process import run_node
from av_perception.ros.settings import EVENT_PARAMETERS, event_config
from av_perception.two_microphones.event_detector import EventDetector
from av_perception.two_microphones.time_differences import TimeDifferences


@dataclass(frozen=True)
class Cloud:
    """The points of one cloud."""

    #: Of the cloud [ns].
    stamp_ns: int
    #: (N, 3) in the head's base frame [m].
    points: np.ndarray


class AvEventsNode(MicrophonePairNode):
    """A sliding window over points and time differences; one set of events per image or cloud."""

    NAME = 'av_events'
    PARAMETERS = (
        *MicrophonePairNode.PARAMETERS,
        Parameter(
            'input',
            'faces',
            'What the visual points are: faces of visual_features, or a cloud on the topic '
            'points.',
            choices=('faces', 'points'),
        ),
        *EVENT_PARAMETERS,
    )

    def configure(self) -> None:
        """Build the detector."""
        super().configure()
        self._sees_faces = self.value('input') == 'faces'
        base_from_points = RigidTransform()
        if self._sees_faces:
            base_from_points = require_camera(self.head, self.NAME).base_from_optical
        self._detector = EventDetector(event_config(self.value), self.pair, base_from_points)
        self._events = self.publisher(TrackArray, 'av_events', qos.FEATURES)
        self._markers = self.publisher(MarkerArray, 'av_event_markers', qos.FEATURES)

    def activate(self) -> None:
        """Listen to the visual points, and to the sound."""
        if self._sees_faces:
            self.subscribe(VisualFeatures, 'visual_features', self._on_faces, qos.FEATURES)
        else:
            self.subscribe(PointCloud2, 'points', self._on_points, qos.FEATURES)
        super().activate()

    def _on_faces(self, message: VisualFeatures) -> None:
        self.see(visual_features_from_msg(message))

    def _on_points(self, message: PointCloud2) -> None:
        points = points_from_msg(message)
        frame = message.header.frame_id
        camera = self.head.camera
        if camera is not None and frame == camera.frame:
            points = camera.base_from_optical.apply(points)
        elif frame != self.head.base_frame:
            raise ValueError(
                f'the cloud is in the frame {frame!r}, not in that of the left camera nor in '
                f"'{self.head.base_frame}'"
            )
        self.see(Cloud(ns_from_time(message.header.stamp), points))

    def process_frame(self, stamp_ns: int, visual, sound: TimeDifferences | None) -> None:
        """Publish the events of one frame."""
        if self._sees_faces:
            events = self._detector.step(stamp_ns, visual, sound)
        else:
            points = None if visual is None else visual.points
            events = self._detector.step_points(stamp_ns, points, sound)
        base_frame = self.head.base_frame
        self._events.publish(track_frame_to_msg(events, base_frame))
        self._markers.publish(people_markers(events, _activity(events), base_frame, 'event'))
        self.diagnostics.absorb('events', self._detector.counters)


def _activity(events: TrackFrame) -> SpeakingFrame:
    """Give the activity flags as the markers take them."""
    statuses = tuple(
        SpeakingStatus(event.id, event.heard, event.audio_responsibility, event.last_heard_ns)
        for event in events.tracks
    )
    return SpeakingFrame(events.stamp_ns, statuses)


def main() -> None:
    """Run the process."""
    sys.exit(run_node(AvEventsNode))


if __name__ == '__main__':
    main()
