# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Node `head_pose`: `tracks` and `left/image_raw` to how heads are turned, on `head_poses`.

It tells who faces the robot and who faces whom. It works only while somebody listens.
"""

from __future__ import annotations

import sys

import cv2
import numpy as np
from av_perception_msgs.msg import HeadPoseArray, TrackArray
from sensor_msgs.msg import Image

from av_perception.errors import UserError
from av_perception.geometry.transform_tree import TransformUnavailable
from av_perception.head_pose.estimator import HeadPoseEstimator
from av_perception.robot_head import load_head
from av_perception.robot_head.sensor_poses import SensorPoses
from av_perception.ros import qos
from av_perception.ros.conversions import (
    head_pose_frame_to_msg,
    ns_from_time,
    track_frame_from_msg,
)
from av_perception.ros.image_memory import ImageMemory
from av_perception.ros.image_source import image_source
from av_perception.ros.node import PerceptionNode
from av_perception.ros.parameters import (
    COMPRESSED,
    RELIABLE_IMAGES,
    Parameter,
    ReadParameter,
)
from av_perception.ros.playback import HEAD
from av_perception.ros.process import run_node
from av_perception.ros.settings import HEAD_POSE_PARAMETERS, head_pose_config
from av_perception.ros.transforms import REFERENCE_FRAME, HeadPoses
from av_perception.ros.worker import Worker
from av_perception.vision.rectification import rectifiers_of

WATCH_PERIOD_S = 0.5
WAITING = 2  # frames: more would be late


class HeadPoseNode(PerceptionNode):
    """Measures the faces of tracks in the images they come from, in a worker thread."""

    NAME = 'head_pose'
    PARAMETERS = (
        HEAD,
        REFERENCE_FRAME,
        Parameter(
            'every',
            2,
            'Every which frame of tracks is worked on: 2 of 25 in a second give 12.5.',
            1,
            25,
        ),
        COMPRESSED,
        RELIABLE_IMAGES,
        *HEAD_POSE_PARAMETERS,
    )

    _worker: Worker | None = None
    _estimator: HeadPoseEstimator | None = None

    def configure(self) -> None:
        """Load the network."""
        head = load_head(self.value('head'))
        if head.camera is None:
            raise UserError(f"head '{head.name}' has no camera: leave head_pose out")
        cv2.setNumThreads(1)
        self._head = head
        self._estimator = HeadPoseEstimator(head_pose_config(self.value), head.camera)
        self._rectify = rectifiers_of(head.camera)[0].rectify
        self._publisher = self.publisher(HeadPoseArray, 'head_poses', qos.FEATURES)

    def tune(self, value: ReadParameter) -> None:
        """Take over angles and thresholds."""
        config = head_pose_config(value)
        if self._estimator is not None:
            self._estimator.reconfigure(config)

    def activate(self) -> None:
        """Wait for somebody who listens."""
        self._listens = False
        self._worker = Worker(
            self._work,
            lambda: self.diagnostics.count('frames dropped: too slow for the camera'),
            self._refuse,
            WAITING,
        )
        self.every(WATCH_PERIOD_S, self._watch_demand)

    def deactivate(self) -> None:
        """End the worker."""
        if self._worker is not None:
            self._worker.stop()
            self._worker = None

    def _watch_demand(self) -> None:
        """Listen to tracks and images, 23 MB a second, only while somebody wants head poses."""
        wanted = bool(self._publisher.get_subscription_count())
        if wanted and not self._listens:
            self._start_listening()
        elif self._listens and not wanted:
            self.stop_listening()
        self._listens = wanted

    def _start_listening(self) -> None:
        self._num_frames = 0
        self._poses = HeadPoses(self, self._head, self.value('reference_frame'))
        source = image_source(self)
        self._images = ImageMemory(self._rectify, source.decode)
        self.subscribe(source.kind, source.topic('left'), self._images.keep, source.profile)
        self.subscribe(TrackArray, 'tracks', self._on_tracks, qos.FEATURES)

    def _on_tracks(self, message: TrackArray) -> None:
        self._num_frames += 1
        stamp_ns = ns_from_time(message.header.stamp)
        image = self._images.take(stamp_ns)
        if self._num_frames % self.value('every') or self._worker is None:
            return
        if image is None and any(track.has_box for track in message.tracks):
            self.diagnostics.count('tracks without their image')
        try:
            poses = self._poses.near(stamp_ns, message.header.frame_id)
        except TransformUnavailable as missing:
            self.diagnostics.count('tracks without transform of the camera', str(missing))
            return
        self._worker.put((message, image, poses))

    def _work(self, item: tuple[TrackArray, Image | None, SensorPoses]) -> None:
        """Work on one frame (in the worker's thread)."""
        message, image, poses = item
        pixels: np.ndarray | None = None
        if image is not None:
            pixels = self._images.decoded(image)
        camera = poses.reference_from_optical
        assert self._estimator is not None and camera is not None  # the head has a camera
        frame = self._estimator.step(track_frame_from_msg(message), pixels, camera)
        self._publisher.publish(head_pose_frame_to_msg(frame, message.header.frame_id))
        counters = dict(self._estimator.counters)
        counters.pop('faces measured', None)  # that is no fault
        self.diagnostics.absorb('head poses', counters)

    def _refuse(self, error: Exception) -> None:
        """Count an image or a track that cannot be used; a fault of ours ends the node."""
        if isinstance(error, (ValueError, UserError)):
            self.diagnostics.count('frames refused', str(error))
        else:
            self.fail(error)


def main() -> None:
    """Run the process."""
    sys.exit(run_node(HeadPoseNode))


if __name__ == '__main__':
    main()
