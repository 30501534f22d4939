# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The last images, found again by their stamp when what was computed from them arrives."""

from __future__ import annotations

from collections import OrderedDict

from av_perception.ros.conversions import image_from_msg, ns_from_time

IMAGES_KEPT = 15  # 0.6 s at 25 Hz: longer than an image needs through the graph


class ImageMemory:
    """Keeps image messages until they are asked for or too many newer ones came. rectify: from raw to rectified image."""

    def __init__(self, rectify=lambda image: image):
        self._rectify, self._images = rectify, OrderedDict()

    def keep(self, message) -> None:
        """Remember a sensor_msgs/Image."""
        self._images[ns_from_time(message.header.stamp)] = message
        while len(self._images) > IMAGES_KEPT:
            self._images.popitem(last=False)

    def take(self, stamp_ns: int):
        """(rectified (H, W, 3) image, frame) of a stamp, once; None when it is not there. Raises ValueError for one that cannot be read."""
        message = self._images.pop(stamp_ns, None)
        return (
            None
            if message is None
            else (self._rectify(image_from_msg(message)), message.header.frame_id)
        )
