# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The last images, found again by their stamp when what was computed from them arrives."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import numpy as np
from sensor_msgs.msg import Image

from av_perception.ros.conversions import image_from_msg, ns_from_time

IMAGES_KEPT = 15  # 0.6 s at 25 Hz: longer than an image needs through the graph


class ImageMemory:
    """Keeps image messages until they are asked for or too many newer ones came."""

    def __init__(self, rectify: Callable[[np.ndarray], np.ndarray] = lambda image: image):
        """rectify: makes the rectified of a raw image, (H, W, 3)."""
        self._rectify = rectify
        self._messages: OrderedDict[int, Image] = OrderedDict()

    def keep(self, message: Image) -> None:
        """Remember an image."""
        self._messages[ns_from_time(message.header.stamp)] = message
        while len(self._messages) > IMAGES_KEPT:
            self._messages.popitem(last=False)

    def take_image(self, stamp_ns: int) -> tuple[np.ndarray, str] | None:
        """Give the image of a stamp, once.

        Returns
        -------
        tuple or None
            (rectified image (H, W, 3) uint8 BGR, its frame); None when it is not there.

        Raises
        ------
        ValueError
            When the message cannot be read.
        """
        message = self._messages.pop(stamp_ns, None)
        if message is None:
            return None
        return self._rectify(image_from_msg(message)), message.header.frame_id
