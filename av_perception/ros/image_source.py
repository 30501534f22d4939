# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Where a node takes images from: raw, or compressed as image_transport names them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CompressedImage, Image

from av_perception.ros import qos
from av_perception.ros.conversions import image_from_compressed_msg, image_from_msg
from av_perception.ros.tunable_node import TunableNode


@dataclass(frozen=True)
class ImageSource:
    """How to subscribe to images, and how to read them."""

    #: Class of the messages.
    kind: type
    #: Behind the name of the topic: '' or '/compressed'.
    suffix: str
    #: Of the subscription.
    profile: QoSProfile
    #: Turns a message into an image, (H, W, 3) uint8 BGR; raises ValueError for what is none.
    decode: Callable[[Any], np.ndarray]

    def topic(self, side: str) -> str:
        """Name the topic of a side, left or right."""
        return f'{side}/image_raw{self.suffix}'


def image_source(node: TunableNode) -> ImageSource:
    """Read it from a node's parameters compressed and reliable_images."""
    profile = qos.images_in(node.value('reliable_images'))
    if node.value('compressed'):
        return ImageSource(CompressedImage, '/compressed', profile, image_from_compressed_msg)
    return ImageSource(Image, '', profile, image_from_msg)
