# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Images of cameras, raw and compressed."""

from __future__ import annotations

import array

import cv2
import numpy as np
from sensor_msgs.msg import CompressedImage, Image

from av_perception.files import check_image
from av_perception.ros.conversions.encodings import decode
from av_perception.ros.conversions.headers import driver_stamp_ns, header

# Start and end of a JPEG image, and what begins the last of its data; none can occur in it.
JPEG_START = b'\xff\xd8'
JPEG_SCAN = b'\xff\xda'
JPEG_END = b'\xff\xd9'


def image_stamp_ns(message: Image | CompressedImage) -> int:
    """Read the stamp of an image [ns].

    Raises
    ------
    ValueError
        When the driver gives none, or none that can be.
    """
    return driver_stamp_ns(message.header, 'images')


def image_to_msg(image: np.ndarray, stamp_ns: int, frame_id: str) -> Image:
    """Convert a (H, W, 3) uint8 BGR image to its message."""
    data = array.array('B')
    # An ndarray is a buffer; NumPy tells type checkers so from Python 3.12 on.
    data.frombytes(memoryview(np.ascontiguousarray(image)).cast('B'))  # type: ignore[arg-type]
    height, width = image.shape[:2]
    return Image(
        header=header(stamp_ns, frame_id),
        height=height,
        width=width,
        encoding='bgr8',
        step=3 * width,
        data=data,
    )


def image_from_msg(message: Image) -> np.ndarray:
    """Convert a message to an image.

    Returns
    -------
    ndarray
        (H, W, 3) uint8 BGR; a view of the message, and read-only, where that has this very layout.

    Raises
    ------
    ValueError
        For an unknown encoding, or a size that does not fit the data or the encoding.
    """
    data = np.frombuffer(message.data, np.uint8)
    size = (message.height, message.width)
    return decode(data, size, message.step, message.encoding, bool(message.is_bigendian))


def image_from_compressed_msg(message: CompressedImage) -> np.ndarray:
    """Convert a message to a (H, W, 3) uint8 BGR image.

    Raises
    ------
    ValueError
        For data that is cut short or no image, or claims a size that no camera has.
    """
    data = np.frombuffer(message.data, np.uint8)
    if _is_torn(data.tobytes()):
        raise ValueError(f'the JPEG image is torn after {data.size} bytes')
    check_image(data.tobytes())
    try:
        image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    except cv2.error:  # of a size that no image has
        image = None
    if image is None:
        raise ValueError(f'{data.size} bytes of format {message.format!r} are no image')
    return image


def _is_torn(data: bytes) -> bool:
    """Tell a JPEG image whose end is missing: it would decode, gray from there on.

    Whatever a camera fills its buffer up with behind the end (zeros, often thousands) is no
    damage; an end before the last scan is that of a thumbnail.
    """
    return data.startswith(JPEG_START) and data.rfind(JPEG_END) < data.rfind(JPEG_SCAN)
