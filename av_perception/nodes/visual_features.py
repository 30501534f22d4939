# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Node `visual_features`: image pairs to faces with 3-D positions on `visual_features`."""

from __future__ import annotations

import sys
from dataclasses import replace

import cv2
import numpy as np
from av_perception_msgs import msg as av
from rclpy.publisher import Publisher
from sensor_msgs.msg import CameraInfo

from av_perception.errors import UserError
from av_perception.geometry.time import seconds
from av_perception.interfaces import MouthFrame, VisualFeatures
from av_perception.lips.mouth_crop import crop_mouths
from av_perception.robot_head import CameraGeometry, load_head
from av_perception.robot_head.camera_calibration import CameraCalibration, rectified_geometry
from av_perception.ros import qos
from av_perception.ros.compressed_images import Receipts
from av_perception.ros.conversions import (
    calibration_from_msg,
    image_stamp_ns,
    mouth_frame_to_msg,
    visual_features_to_msg,
)
from av_perception.ros.image_pairs import ImagePair, listen_to_image_pairs
from av_perception.ros.image_source import image_source
from av_perception.ros.local_topics import LocalPublisher
from av_perception.ros.node import TOO_SLOW, PerceptionNode
from av_perception.ros.parameters import COMPRESSED, RELIABLE_IMAGES, Parameter
from av_perception.ros.playback import HEAD
from av_perception.ros.process import run_node
from av_perception.ros.settings import VISION_PARAMETERS, vision_config
from av_perception.ros.worker import Worker
from av_perception.vision.front_end import VisualFrontEnd, VisualFrontEndConfig

COUNTED = {
    'without_disparity': 'faces without disparity: hidden from one camera, or the pair is not '
    'rectified',
    'over_exposed': 'images over-exposed: lower the exposure',
    'noise': 'images of noise: is it dark, or do encoding and camera not fit?',
    'upside_down': 'faces upside down: is the camera mounted the right way up?',
    'too_many': f'faces left out: more than {VisualFrontEndConfig.max_faces} in one image',
}
SIMILAR = 0.03  # relative difference from the profile's calibration that is not worth a word
NEW_START_S = 1.0  # a stamp that jumps back further is a new start: a looped bag
HURRIES = 1  # image pairs that wait: from then on what can be left to later images is
QUEUE_BEHIND = 3  # image pairs that wait at most while the node is behind
LONGEST_QUEUE = 10  # image pairs, 0.4 s of 25 a second: so long a stall of the machine loses none


class VisualFeaturesNode(PerceptionNode):
    """Pairs left and right image by stamp and runs the visual front end in a worker thread."""

    NAME = 'visual_features'
    PARAMETERS = (
        HEAD,
        RELIABLE_IMAGES,
        COMPRESSED,
        Parameter(
            'sync_tolerance',
            0.0,
            'How far the stamps of left and right may be apart, in seconds; 0 for cameras that '
            'share a stamp.',
            0.0,
            0.1,
        ),
        Parameter(
            'calibration',
            'head',
            "Whose calibration holds: the head profile's, or that of left/camera_info and "
            'right/camera_info.',
            choices=('head', 'topic'),
        ),
        Parameter('mono', False, 'Use the left image only, even when the head has two cameras.'),
        Parameter(
            'lips',
            False,
            'Also cut out the mouths of faces, on the topic mouth_crops; it costs nothing while '
            'nobody listens.',
        ),
        Parameter('opencv_threads', 1, 'Threads of OpenCV in this node.', 1, 16),
        *VISION_PARAMETERS,
    )

    _worker: Worker | None = None
    _scale_problem = ''  # what was told of it last

    def configure(self) -> None:
        """Build the front end, unless its calibration is still to come."""
        cv2.setNumThreads(self.value('opencv_threads'))
        camera = load_head(self.value('head')).camera
        if camera is None:
            raise UserError(
                f"head '{self.value('head')}' has no camera: leave visual_features out"
            )
        self._camera = camera
        self._stereo = camera.baseline > 0 and not self.value('mono')
        self._source = image_source(self)
        self._receipts = Receipts(self) if self.value('compressed') else None
        self._calibrations: dict[str, CameraCalibration]
        self._front_end: VisualFrontEnd | None
        self._front_end, self._calibrations = self.take_inherited() or (None, {})
        if self._front_end is None and self.value('calibration') == 'head':
            self._make_front_end(camera)
        self._last_stamp_ns = 0
        self._publisher = self.publisher(av.VisualFeatures, 'visual_features', qos.FEATURES)
        self._mouths: Publisher | LocalPublisher | None = None
        if self.value('lips'):
            self._mouths = self.publisher(av.MouthCrops, 'mouth_crops', qos.FEATURES)

    def core(self) -> tuple[VisualFrontEnd | None, dict[str, CameraCalibration]]:
        """Give the front end with its networks, and the calibrations it was made for."""
        return self._front_end, self._calibrations

    def activate(self) -> None:
        """Listen to the images, and to their calibration where it is asked for."""
        worker = Worker(
            self._process,
            lambda: self.diagnostics.count(
                'image pairs dropped: too slow for the camera', TOO_SLOW
            ),
            self._refuse,
            depth=LONGEST_QUEUE,
            depth_behind=QUEUE_BEHIND,
        )
        self._worker = worker

        def take(pair: ImagePair) -> None:
            if self._receipts is not None:
                self._receipts.confirm(pair[0])
            worker.put(pair)

        listen_to_image_pairs(self, self._source, self._stereo, take)
        self.watch_clock_of(self._source.topic('left'))
        if self.value('calibration') == 'topic':
            image_qos = qos.images_in(self.value('reliable_images'))
            for side in ('left', 'right') if self._stereo else ('left',):

                def calibrate(message: CameraInfo, side: str = side) -> None:
                    self._calibrate(side, message)

                self.subscribe(CameraInfo, f'{side}/camera_info', calibrate, image_qos)

    def deactivate(self) -> None:
        """End the worker."""
        if self._worker is not None:
            self._worker.stop()
            self._worker = None

    def _make_front_end(
        self, camera: CameraGeometry, calibrations: tuple[CameraCalibration, ...] = ()
    ) -> None:
        front_end = VisualFrontEnd(vision_config(self.value), camera, calibrations=calibrations)
        for problem in front_end.calibration_problems:
            self.diagnostics.count('calibrations in doubt', problem)
        front_end.warm_up()
        if front_end.embedding_size:
            notice = f'faces are described by {front_end.embedding_size} numbers'
        else:
            notice = (
                'faces are not described: pip install "av_perception[appearance]" to tell people '
                'apart by their looks'
            )
        self.get_logger().info(notice)
        self._front_end = front_end

    def _calibrate(self, side: str, message: CameraInfo) -> None:
        """Take over the camera's own calibration when it is new.

        Raises ValueError for one that cannot be used.
        """
        calibration = calibration_from_msg(message, alone=not self._stereo)
        if calibration == self._calibrations.get(side) and self._front_end is not None:
            return
        self._calibrations[side] = calibration
        if len(self._calibrations) < 1 + self._stereo:
            return
        calibrations = tuple(self._calibrations[name] for name in sorted(self._calibrations))
        geometry = rectified_geometry(calibrations)
        self._compare_with_profile(geometry)
        self._make_front_end(replace(self._camera, calibration=(), **geometry), calibrations)

    def _compare_with_profile(self, geometry: dict) -> None:
        for name in ('focal', 'center', 'baseline') if self._stereo else ('focal', 'center'):
            measured = np.atleast_1d(geometry[name])
            expected = np.atleast_1d(getattr(self._camera, name))
            if not np.allclose(measured, expected, rtol=SIMILAR):
                self.diagnostics.count(
                    'calibrations that differ from the head profile',
                    f'{name} is {measured.round(4).tolist()}, the profile says '
                    f'{expected.tolist()}: correct the profile',
                )

    def _process(self, pair: ImagePair) -> None:
        left, right = pair
        front_end = self._front_end
        if front_end is None:
            raise ValueError('no calibration has come on camera_info')
        stamp_ns = image_stamp_ns(left)
        self._check_order(stamp_ns)
        left_image = self._source.decode(left)
        right_image = None if right is None else self._source.decode(right)
        hurry = self._worker is not None and self._worker.num_waiting >= HURRIES
        features = front_end.process(stamp_ns, left_image, right_image, hurry)
        self._publish_mouths(features)
        self._publisher.publish(visual_features_to_msg(features, self._camera.frame))
        counters = {text: front_end.counters[name] for name, text in COUNTED.items()}
        self.diagnostics.absorb('vision', counters)
        self._tell_scale(front_end.scale.problem)

    def _tell_scale(self, problem: str) -> None:
        """Count it once whenever faces begin to have another size than people's."""
        if problem and not self._scale_problem:
            self.diagnostics.count('calibrations in doubt', problem)
        self._scale_problem = problem

    def _publish_mouths(self, features: VisualFeatures) -> None:
        """Cut out mouths where somebody wants them; they go before the faces that tracks need."""
        if self._mouths is None or not self._mouths.get_subscription_count():
            return
        assert self._front_end is not None and self._front_end.left_image is not None
        crops = crop_mouths(self._front_end.left_image, features.faces)
        lost = len(features.faces) - len(crops)
        if lost:
            self.diagnostics.count(
                'faces without a mouth: their landmarks are no numbers', number=lost
            )
        frame = MouthFrame(features.stamp_ns, crops)
        self._mouths.publish(mouth_frame_to_msg(frame, self._camera.frame))

    def _check_order(self, stamp_ns: int) -> None:
        """Refuse an image whose stamp is not newer than the last one's."""
        jump_s = seconds(stamp_ns - self._last_stamp_ns)
        if jump_s == 0.0:
            raise ValueError(
                'its stamp is that of the image before: the driver does not stamp each image'
            )
        if -NEW_START_S < jump_s < 0.0:
            raise ValueError(f'late, its stamp jumps back by {-jump_s:.3f} s')
        self._last_stamp_ns = stamp_ns

    def _refuse(self, error: Exception) -> None:
        reason = str(error)
        if not isinstance(error, (ValueError, UserError)):
            reason = f'{type(error).__name__}: {error}'
        self.diagnostics.count('image pairs refused', reason)


def main() -> None:
    """Run the process."""
    sys.exit(run_node(VisualFeaturesNode))


if __name__ == '__main__':
    main()
