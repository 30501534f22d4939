# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Node `stereo_camera`: image pairs, with their calibration, on `left/...` and `right/...`.

They come as they are, and compressed, from one or two devices, video files or a simulated scene.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial

from rclpy.lifecycle import State, TransitionCallbackReturn
from sensor_msgs.msg import CameraInfo, Image

from av_perception.errors import UserError
from av_perception.recording import Recording
from av_perception.recording.timing import image_stamp_ns
from av_perception.robot_head import CameraGeometry, load_head
from av_perception.robot_head.camera_calibration import CameraCalibration
from av_perception.ros import qos
from av_perception.ros.compressed_images import JPEG_QUALITY, CompressedOutput
from av_perception.ros.conversions import camera_info_to_msg, image_to_msg
from av_perception.ros.node import PerceptionNode
from av_perception.ros.parameters import PUBLISH_TF, Parameter
from av_perception.ros.playback import HEAD, PLAYBACK, open_recording, start_ns
from av_perception.ros.process import run_node
from av_perception.ros.static_pose import StaticPose
from av_perception.ros.worker import Pacer
from av_perception.vision.capture import CameraDevices, VideoCaptures, VideoFiles


class StereoCameraNode(PerceptionNode):
    """Publishes left and right image with one stamp, and CameraInfo, at the camera's rate."""

    NAME = 'stereo_camera'
    TELLS_TIME = True
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
            'Left camera or only one: a device number or path with source device, a video file '
            'with source file.',
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
        JPEG_QUALITY,
        PUBLISH_TF,
        *PLAYBACK,
    )

    _source: CameraDevices | VideoFiles | Recording | None = None
    _pacer: Pacer | None = None

    def configure(self) -> None:
        """Open the source."""
        head = load_head(self.value('head'))
        if head.camera is None:
            raise UserError(
                f"head '{head.name}' has no camera: choose another head or leave stereo_camera out"
            )
        self._base_frame = head.base_frame
        self._camera = head.camera
        self._source = self._open_source(head.camera)
        sides = ('left', 'right') if self._source.has_right else ('left',)
        self._images = [
            self.publisher(Image, f'{side}/image_raw', qos.IMAGES_OUT) for side in sides
        ]
        self._infos = [
            self.publisher(CameraInfo, f'{side}/camera_info', qos.IMAGES_OUT) for side in sides
        ]
        self._compressed = CompressedOutput(self, sides)
        self._calibrations = [_calibration(head.camera, side) for side in sides]
        self._pose = StaticPose(self)

    def activate(self) -> None:
        """Start to deliver, or to play."""
        if isinstance(self._source, VideoCaptures):
            self._source.open()
        camera = self._camera
        self._pose.send(camera.base_from_optical, self._base_frame, camera.frame)
        self._compressed.listen()
        self._pacer = Pacer(self._pairs(), self.now_ns, self._finish, self._fail)

    def deactivate(self) -> None:
        """Stop to deliver; close the devices."""
        if self._pacer is not None:
            self._pacer.stop()
            self._pacer = None
        self._release()

    def on_cleanup(self, state: State) -> TransitionCallbackReturn:
        """Clean up: a node that was never active holds its devices until here."""
        self._release()
        return super().on_cleanup(state)

    def _release(self) -> None:
        if isinstance(self._source, VideoCaptures):
            self._source.close()

    def _open_source(self, camera: CameraGeometry) -> CameraDevices | VideoFiles | Recording:
        source = self.value('source')
        left = self.value('left')
        right = self.value('right')
        if source == 'device':
            return CameraDevices(left or '0', right, camera, self.value('side_by_side'))
        if source == 'file' and left:
            return VideoFiles(left, right, camera, self.value('side_by_side'))
        recording = open_recording(self)
        if recording.num_frames == 0:
            raise UserError(
                'the recording has no images: leave stereo_camera out or choose another recording'
            )
        return recording

    def _pairs(self) -> Iterator[tuple[int, Callable[[], None]]]:
        """Yield (due [ns], publish) for each pair; a device delivers a pair when it is there."""
        if isinstance(self._source, CameraDevices):
            latency_ns = round(1e6 * self.value('latency_ms'))
            for _, grabbed_ns, left, right in self._source.images(self.now_ns):
                yield grabbed_ns, partial(self._publish, grabbed_ns - latency_ns, left, right)
        elif isinstance(self._source, (VideoFiles, Recording)):
            origin_ns = start_ns(self)
            for index, _, left, right in self._source.images():
                stamp_ns = origin_ns + image_stamp_ns(self._source, index)
                yield stamp_ns, partial(self._publish, stamp_ns, left, right)

    def _publish(self, stamp_ns: int, left, right) -> None:
        frame = self._camera.frame
        for publisher, image in zip(self._images, (left, right)):
            if publisher.get_subscription_count():
                publisher.publish(image_to_msg(image, stamp_ns, frame))
        self._compressed.publish((left, right), stamp_ns, frame)
        for publisher, calibration in zip(self._infos, self._calibrations):
            if publisher.get_subscription_count():
                publisher.publish(camera_info_to_msg(calibration, stamp_ns, frame))
        if isinstance(self._source, VideoCaptures):
            counters = self._source.counters.items()
            self.diagnostics.absorb('camera', {f'images {name}': n for name, n in counters})

    def _finish(self) -> None:
        self.get_logger().info('the recording has ended')

    def _fail(self, error: Exception) -> None:
        self.get_logger().error(f'images stopped: {error}')
        self.failure = str(error)


def _calibration(camera: CameraGeometry, side: str) -> CameraCalibration:
    """Read the raw camera's from the head profile's files; without, images come rectified."""
    is_right = side == 'right'
    files = camera.calibration[is_right : is_right + 1]
    if not files:
        return CameraCalibration.rectified(camera, is_right)
    return CameraCalibration.read(files[0], alone=len(camera.calibration) == 1)


def main() -> None:
    """Run the process."""
    sys.exit(run_node(StereoCameraNode))


if __name__ == '__main__':
    main()
