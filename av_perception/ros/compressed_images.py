# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Images as JPEG for other machines: the camera's side, and the word that they have come.

Topics are those of image_transport (`left/image_raw/compressed`). Whoever takes pairs says on
`images_received` which have come; while somebody does, no more are sent than the network carries.
"""

from __future__ import annotations

import array
import threading
from collections.abc import Sequence

import cv2
import numpy as np
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Header

from av_perception.geometry.time import seconds
from av_perception.ros import qos
from av_perception.ros.conversions import header, ns_from_time
from av_perception.ros.node import PerceptionNode
from av_perception.ros.parameters import Parameter
from av_perception.synchronization.image_flow import ImageFlow

JPEG_QUALITY = Parameter(
    'jpeg_quality',
    80,
    'Of the compressed images, in percent: lower is smaller, and depth and looks suffer a little.',
    10,
    100,
    live=True,
)
RECEIVED = 'images_received'
FORMAT = 'bgr8; jpeg compressed bgr8'  # as compressed_image_transport writes it
LEFT_OUT = 'compressed images left out'


def compressed_image_to_msg(
    image: np.ndarray, stamp_ns: int, frame_id: str, quality: int
) -> CompressedImage:
    """Convert a (H, W, 3) uint8 BGR image to its message, a JPEG of a quality in percent."""
    encoded = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    data = array.array('B')
    data.frombytes(encoded.tobytes())
    return CompressedImage(header=header(stamp_ns, frame_id), format=FORMAT, data=data)


class CompressedOutput:
    """Publishes what a camera sees, compressed, while somebody listens.

    No more pairs are under way than arrive soon: those that the network would keep waiting are
    left out and counted.
    """

    def __init__(self, node: PerceptionNode, sides: Sequence[str]):
        """Make the publishers of a node with the parameter jpeg_quality, which is configured."""
        self._node = node
        self._publishers = [
            node.publisher(CompressedImage, f'{side}/image_raw/compressed', qos.IMAGES_OUT)
            for side in sides
        ]
        self._lock = threading.Lock()  # images and the word of them come in two threads
        self._flow = ImageFlow()

    def listen(self) -> None:
        """Listen to what has come, while the node is active."""
        self._flow = ImageFlow()
        self._node.subscribe(Header, RECEIVED, self._on_received, qos.RECEIPTS, timeout_s=None)

    def publish(self, images: Sequence[np.ndarray | None], stamp_ns: int, frame_id: str) -> None:
        """Publish the image of each side that somebody listens to."""
        wanted = [
            (publisher, image)
            for publisher, image in zip(self._publishers, images)
            if image is not None and publisher.get_subscription_count()
        ]
        if not wanted or not self._goes(stamp_ns):
            return
        quality = self._node.value('jpeg_quality')
        for publisher, image in wanted:
            publisher.publish(compressed_image_to_msg(image, stamp_ns, frame_id, quality))

    def _goes(self, stamp_ns: int) -> bool:
        """Whether a pair goes; all do where nobody says what has come."""
        if not self._node.count_publishers(self._node.resolve_topic_name(RECEIVED)):
            return True
        now_s = seconds(self._node.now_ns())
        with self._lock:
            if self._flow.may_send(stamp_ns, now_s):
                return True
            self._node.diagnostics.count(LEFT_OUT, self._flow.reason(now_s))
        return False

    def _on_received(self, message: Header) -> None:
        with self._lock:
            self._flow.received(ns_from_time(message.stamp), seconds(self._node.now_ns()))


class Receipts:
    """Says which images have come."""

    def __init__(self, node: PerceptionNode):
        """Make the publisher of a node, which is configured."""
        self._publisher = node.publisher(Header, RECEIVED, qos.RECEIPTS)

    def confirm(self, image: CompressedImage) -> None:
        """Say that an image, or the pair that it belongs to, has come."""
        self._publisher.publish(image.header)
