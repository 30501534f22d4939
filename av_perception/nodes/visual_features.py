"""Node `visual_features`: image pairs to faces with 3-D positions on `visual_features`."""

from __future__ import annotations

import sys

import cv2
from av_perception_msgs.msg import VisualFeatures
from sensor_msgs.msg import Image

from av_perception.errors import UserError
from av_perception.heads import load_head
from av_perception.ros import qos
from av_perception.ros.compat import ExactStampPairs
from av_perception.ros.conversions import image_from_msg, ns_from_time, visual_features_to_msg
from av_perception.ros.node import PerceptionNode, run_node
from av_perception.ros.parameters import Parameter
from av_perception.ros.playback import HEAD
from av_perception.ros.settings import VISION_PARAMETERS, vision_config
from av_perception.ros.worker import Worker
from av_perception.vision.frontend import VisualFrontEnd


class VisualFeaturesNode(PerceptionNode):
    """Pairs left and right image by stamp and runs the visual front end in a worker thread."""

    NAME = 'visual_features'
    PARAMETERS = (
        HEAD,
        Parameter('reliable_images', True, 'Subscribe to images reliably; false for camera drivers that publish best effort.'),
        Parameter('mono', False, 'Use the left image only, even when the head has two cameras.'),
        Parameter('opencv_threads', 1, 'Threads of OpenCV in this node.', 1, 16),
        *VISION_PARAMETERS,
    )

    def configure(self) -> None:
        cv2.setNumThreads(self.value('opencv_threads'))
        camera = load_head(self.value('head')).camera
        if camera is None:
            raise UserError(f"head '{self.value('head')}' has no camera: leave visual_features out")
        self._stereo = camera.baseline > 0 and not self.value('mono')
        self._front_end = VisualFrontEnd(vision_config(self.value), camera)
        self._front_end.warm_up()
        self._frame_id = camera.frame
        self._last_stamp_ns = 0
        self._publisher = self.publisher(VisualFeatures, 'visual_features', qos.FEATURES)

    def activate(self) -> None:
        self._worker = Worker(self._process, lambda: self.diagnostics.count('image pairs dropped: too slow for the camera'), self._refuse)
        image_qos = qos.images_in(self.value('reliable_images'))
        if self._stereo:
            pairs = ExactStampPairs(lambda left, right: self._worker.put((left, right)),
                                    lambda: self.diagnostics.count('images dropped: no partner with the same stamp'))
            self.subscribe(Image, 'left/image_raw', pairs.first, image_qos)
            self.subscribe(Image, 'right/image_raw', pairs.second, image_qos)
        else:
            self.subscribe(Image, 'left/image_raw', lambda left: self._worker.put((left, None)), image_qos)

    def deactivate(self) -> None:
        if getattr(self, '_worker', None) is not None:
            self._worker.stop()
            self._worker = None

    def _process(self, pair: tuple[Image, Image | None]) -> None:
        left, right = pair
        stamp_ns = ns_from_time(left.header.stamp)
        jump_s = 1e-9 * (stamp_ns - self._last_stamp_ns)
        if -1.0 < jump_s <= 0.0:   # further back is a new start: a looped bag
            raise ValueError(f'its stamp jumps back by {-jump_s:.3f} s')
        self._last_stamp_ns = stamp_ns
        features = self._front_end.process(stamp_ns, image_from_msg(left), None if right is None else image_from_msg(right))
        self._publisher.publish(visual_features_to_msg(features, self._frame_id))
        self.diagnostics.absorb('vision', {'faces without disparity': self._front_end.counters['without_disparity']})

    def _refuse(self, error: Exception) -> None:
        self.diagnostics.count('image pairs refused', str(error))


def main() -> None:
    """Entry point of the process."""
    sys.exit(run_node(VisualFeaturesNode))


if __name__ == '__main__':
    main()
