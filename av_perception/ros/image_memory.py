# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The last images, found again by their stamp when what was computed from them arrives."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
from sensor_msgs.msg import CompressedImage, Image

from av_perception.ros.conversions import image_from_msg, ns_from_time

IMAGES_KEPT = 15  # 0.6 s at 25 Hz: longer than an image needs through the graph


class ImageMemory:
    """Keeps image messages until they are asked for or too many newer ones came."""

    def __init__(
        self,
        rectify: Callable[[np.ndarray], np.ndarray] = lambda image: image,
        decode: Callable[[Any], np.ndarray] = image_from_msg,
    ):
        """rectify: makes the rectified of a raw image, (H, W, 3); decode: reads a message."""
        self._rectify = rectify
        self._decode = decode
        self._messages: OrderedDict[int, Any] = OrderedDict()

    def keep(self, message: Image | CompressedImage) -> None:
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
        message = self.take(stamp_ns)
        if message is None:
            return None
        return self.decoded(message), message.header.frame_id

    def take(self, stamp_ns: int) -> Any:
        """Give the message of a stamp, once; None when it is not there."""
        return self._messages.pop(stamp_ns, None)

    def decoded(self, message: Image | CompressedImage) -> np.ndarray:
        """Give the rectified image (H, W, 3) uint8 BGR of a message. Raises ValueError."""
        return self._rectify(self._decode(message))
