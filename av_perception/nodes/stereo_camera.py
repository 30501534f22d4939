# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Node `stereo_camera`: image pairs of one or two devices, video files or a simulated scene, as they come, with their calibration, on
`left/...` and `right/...`."""

from __future__ import annotations

import sys

from rclpy.lifecycle import State, TransitionCallbackReturn
from sensor_msgs.msg import CameraInfo, Image

from av_perception.errors import UserError
from av_perception.recording.timing import image_stamp_ns
from av_perception.robot_head import load_head
from av_perception.robot_head.camera_calibration import CameraCalibration
from av_perception.ros import qos
from av_perception.ros.compat import TransformBroadcaster
from av_perception.ros.conversions import (
    camera_info_to_msg,
    image_to_msg,
    time_from_ns,
    transform_to_msg,
)
from av_perception.ros.node import PerceptionNode, run_node
from av_perception.ros.parameters import PUBLISH_TF, Parameter
from av_perception.ros.playback import HEAD, PLAYBACK, open_recording, start_ns
from av_perception.ros.worker import Pacer
from av_perception.vision.capture import CameraDevices, VideoCaptures, VideoFiles


class StereoCameraNode(PerceptionNode):
    """Publishes left and right image with one stamp, and their CameraInfo, at the camera's rate."""

    NAME = 'stereo_camera'
    PARAMETERS = (
        HEAD,
        Parameter(
            'source',
            'device',
            'Where the images come from.',
            choices=('device', 'file', 'simulated'),
        ),
        Parameter(
            'left',
            '',
            'Left camera or only one: a device number or path with source device, a video file with source file.',
        ),
        Parameter('right', '', 'Right camera, likewise; empty with one camera.'),
        Parameter(
            'side_by_side',
            False,
            'The left device or file gives both images, the left one in its left half.',
        ),
        Parameter(
            'latency_ms',
            0.0,
            'Time from exposure to delivery of an image by the device, in milliseconds.',
            0.0,
            1000.0,
        ),
        PUBLISH_TF,
        *PLAYBACK,
    )

    def configure(self) -> None:
        self._head = load_head(self.value('head'))
        if self._head.camera is None:
            raise UserError(
                f"head '{self._head.name}' has no camera: choose another head or leave stereo_camera out"
            )
        self._source = self._open_source()
        sides = ('left', 'right') if self._source.has_right else ('left',)
        self._images = [
            self.publisher(Image, f'{side}/image_raw', qos.IMAGES_OUT) for side in sides
        ]
        self._infos = [
            self.publisher(CameraInfo, f'{side}/camera_info', qos.IMAGES_OUT) for side in sides
        ]
        self._info_messages = [
            camera_info_to_msg(self._calibration(side), 0, self._head.camera.frame)
            for side in sides
        ]
        self._static = (
            TransformBroadcaster(self, static=True) if self.value('publish_tf') else None
        )
        self._pacer = None

    def activate(self) -> None:
        if isinstance(self._source, VideoCaptures):
            self._source.open()
        camera = self._head.camera
        now = self.get_clock().now().nanoseconds
        if self._static is not None:
            self._static.send(
                [
                    transform_to_msg(
                        camera.base_from_optical, self._head.base_frame, camera.frame, now
                    )
                ]
            )
        self._pacer = Pacer(
            self._pairs(), lambda: self.get_clock().now().nanoseconds, self._finish, self._fail
        )

    def deactivate(self) -> None:
        if getattr(self, '_pacer', None) is not None:
            self._pacer.stop()
            self._pacer = None
        self._release()

    def on_cleanup(self, state: State) -> TransitionCallbackReturn:
        """Life-cycle transition: a node that was never active holds its devices until here."""
        self._release()
        return super().on_cleanup(state)

    def _release(self) -> None:
        if isinstance(getattr(self, '_source', None), VideoCaptures):
            self._source.close()

    def _calibration(self, side: str) -> CameraCalibration:
        """The raw camera's, from the head profile's files; without files the images come rectified."""
        camera, right = self._head.camera, side == 'right'
        files = camera.calibration[right : right + 1]
        if not files:
            return CameraCalibration.rectified(camera, right)
        return CameraCalibration.read(files[0], alone=len(camera.calibration) == 1)

    def _open_source(self):
        source, camera = self.value('source'), self._head.camera
        if source == 'device':
            return CameraDevices(
                self.value('left') or '0', self.value('right'), camera, self.value('side_by_side')
            )
        if source == 'file' and self.value('left'):
            return VideoFiles(
                self.value('left'), self.value('right'), camera, self.value('side_by_side')
            )
        recording = open_recording(self)
        if recording.num_frames == 0:
            raise UserError(
                'the recording has no images: leave stereo_camera out or choose another recording'
            )
        return recording

    def _pairs(self):
        """(due_ns, publish) for each pair; a device delivers a pair when it is there."""
        origin_ns = start_ns(self)
        if self.value('source') == 'device':
            latency_ns = round(1e6 * self.value('latency_ms'))
            for _, grabbed_ns, left, right in self._source.images(
                lambda: self.get_clock().now().nanoseconds
            ):
                yield (
                    grabbed_ns,
                    lambda pair=(grabbed_ns - latency_ns, left, right): self._publish(*pair),
                )
            return
        for index, _, left, right in self._source.images():
            stamp_ns = origin_ns + image_stamp_ns(self._source, index)
            yield stamp_ns, lambda pair=(stamp_ns, left, right): self._publish(*pair)

    def _publish(self, stamp_ns: int, left, right) -> None:
        for side, image in enumerate([left, right][: len(self._images)]):
            self._images[side].publish(image_to_msg(image, stamp_ns, self._head.camera.frame))
        for info, message in zip(self._infos, self._info_messages):
            message.header.stamp = time_from_ns(stamp_ns)
            info.publish(message)
        if isinstance(self._source, VideoCaptures):
            self.diagnostics.absorb(
                'camera',
                {f'images {name}': number for name, number in self._source.counters.items()},
            )

    def _finish(self) -> None:
        self.get_logger().info('the recording has ended')

    def _fail(self, error: Exception) -> None:
        self.get_logger().error(f'images stopped: {error}')
        self.failure = str(error)


def main() -> None:
    """Entry point of the process."""
    sys.exit(run_node(StereoCameraNode))


if __name__ == '__main__':
    main()
