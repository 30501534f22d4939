# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Publishers of images that keep room for them in the shared memory from which they are sent.

Where images find no place for good (`segment_watch.py`), the next one is sent with longer rows,
which an image of ROS may have. That message is so large that bytes are short for it, and Fast DDS
takes back the oldest of what nobody reads. Whether that one finds a place does not matter.
"""

from __future__ import annotations

import array
from collections.abc import Callable

import numpy as np
from rclpy.logging import get_logger
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image

from av_perception.ros.segment_watch import SegmentWatch

ROOM_MADE = 'made room in shared memory'
# Of an image; with its head it is still one message for Fast DDS (maxMessageSize of
# config/fastdds_shared_memory.xml), and one message alone makes room for its size.
LARGEST_BYTES = (8 << 20) - (64 << 10)


def padded(image: Image, num_bytes: int) -> Image:
    """Give the same image with rows so long that its data takes about so many bytes.

    Parameters
    ----------
    image
        Its rows may be padded already.
    num_bytes
        Never more than LARGEST_BYTES are made, and never fewer than there are.

    Returns
    -------
    Image
        Another message; the same where there is nothing to lengthen.
    """
    step = min(num_bytes, LARGEST_BYTES) // max(1, image.height)
    data = np.frombuffer(image.data, np.uint8)
    if step <= image.step or data.size != image.height * image.step:
        return image
    rows = np.zeros((image.height, step), np.uint8)
    rows[:, : image.step] = data.reshape(image.height, image.step)
    return Image(
        header=image.header,
        height=image.height,
        width=image.width,
        encoding=image.encoding,
        is_bigendian=image.is_bigendian,
        step=step,
        data=array.array('B', rows.tobytes()),
    )


class ImageRoom:
    """Looks after the room for the images that a node publishes, of all its topics together."""

    def __init__(self, count: Callable[[str, str], object], watch: SegmentWatch):
        """Look at the segments of this process.

        Parameters
        ----------
        count : callable
            Called with ROOM_MADE and the reason each time that room had to be made.
        watch : SegmentWatch
            Tells when.
        """
        self._count = count
        self._watch = watch
        self._has_complained = False

    @classmethod
    def of(cls, node: Node) -> ImageRoom:
        """Make one for a node that counts nothing: its log tells of it."""
        return cls(
            lambda event, reason: node.get_logger().info(f'{event}: {reason}'), SegmentWatch()
        )

    def publisher(
        self, node: Node, message_type: type, topic: str, qos: QoSProfile | int, **options
    ) -> Publisher:
        """Make a publisher by create_publisher of a node, which keeps room if it is of images."""
        if message_type is not Image:
            return node.create_publisher(message_type, topic, qos, **options)
        publisher = node.create_publisher(
            Image, topic, qos, publisher_class=ImagePublisher, **options
        )
        assert isinstance(publisher, ImagePublisher)
        publisher.room = self
        return publisher

    def fitted(self, image: Image) -> Image:
        """Give the message that is to be sent for an image."""
        lack = self._watch.lacking()
        if self._watch.complaint and not self._has_complained:
            self._has_complained = True
            get_logger('shared_memory').info(self._watch.complaint)
        if lack is None:
            return image
        self._count(ROOM_MADE, lack.reason)
        return padded(image, lack.num_bytes)


class ImagePublisher(Publisher):
    """Publishes images; room is kept for them."""

    room: ImageRoom | None = None

    def publish(self, msg: Image | bytes) -> None:
        """Send an image, or one that was serialized before."""
        if self.room is not None and isinstance(msg, Image):
            msg = self.room.fitted(msg)
        super().publish(msg)
