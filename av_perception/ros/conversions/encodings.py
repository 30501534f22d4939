# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The encodings of sensor_msgs/Image that camera drivers publish, to BGR."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class Encoding:
    """How the pixels of an encoding lie in memory, and what makes them BGR."""

    #: Values of a pixel in a row.
    channels: int
    #: (rows, W, channels) uint8 to (H, W, 3), or gray (H, W, 1)
    to_bgr: Callable[[np.ndarray], np.ndarray]
    #: Of a value, 8 or 16.
    bits: int = 8
    #: Rows in memory for each two rows of the image.
    rows_of_two: int = 2
    #: Width and height are even.
    is_even: bool = False


def _unchanged(pixels: np.ndarray) -> np.ndarray:
    return pixels


def _without_alpha(pixels: np.ndarray) -> np.ndarray:
    return pixels[..., :3]


def _reversed(pixels: np.ndarray) -> np.ndarray:
    return pixels[..., 2::-1]


def _by_opencv(code: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda pixels: cv2.cvtColor(np.ascontiguousarray(pixels), code)


# OpenCV names a Bayer pattern by the second row's second and third pixel.
_BAYER = {
    'rggb': cv2.COLOR_BayerBG2BGR,
    'bggr': cv2.COLOR_BayerRG2BGR,
    'gbrg': cv2.COLOR_BayerGR2BGR,
    'grbg': cv2.COLOR_BayerGB2BGR,
}


def _plain(bits: int) -> dict[str, Encoding]:
    """Describe the encodings of one value for each color of a pixel."""
    kind = f'{bits}UC'
    return {
        f'mono{bits}': Encoding(1, _unchanged, bits),
        f'{kind}1': Encoding(1, _unchanged, bits),
        f'{kind}3': Encoding(3, _unchanged, bits),
        f'{kind}4': Encoding(4, _without_alpha, bits),
        f'bgr{bits}': Encoding(3, _unchanged, bits),
        f'rgb{bits}': Encoding(3, _reversed, bits),
        f'bgra{bits}': Encoding(4, _without_alpha, bits),
        f'rgba{bits}': Encoding(4, _reversed, bits),
        **{
            f'bayer_{pattern}{bits}': Encoding(1, _by_opencv(code), bits, is_even=True)
            for pattern, code in _BAYER.items()
        },
    }


_UYVY = Encoding(2, _by_opencv(cv2.COLOR_YUV2BGR_UYVY), is_even=True)
_YUYV = Encoding(2, _by_opencv(cv2.COLOR_YUV2BGR_YUY2), is_even=True)
ENCODINGS = {
    **_plain(8),
    **_plain(16),
    'yuv422': _UYVY,
    'uyvy': _UYVY,
    'yuv422_yuy2': _YUYV,
    'yuyv': _YUYV,
    'nv12': Encoding(1, _by_opencv(cv2.COLOR_YUV2BGR_NV12), rows_of_two=3, is_even=True),
    'nv21': Encoding(1, _by_opencv(cv2.COLOR_YUV2BGR_NV21), rows_of_two=3, is_even=True),
}


def decode(
    data: np.ndarray, size: tuple[int, int], step: int, encoding: str, is_bigendian: bool
) -> np.ndarray:
    """Decode an image.

    Parameters
    ----------
    data, step
        Its bytes; rows may be padded at their end, and have `step` bytes with that.
    size, encoding
        Height and width [px]; as sensor_msgs names it.
    is_bigendian
        Of values of 16 bits.

    Returns
    -------
    ndarray
        (H, W, 3) uint8 BGR; a view of `data` where that has this very layout.

    Raises
    ------
    ValueError
        For an unknown encoding, or a size that does not fit the data or the encoding.
    """
    known = ENCODINGS.get(encoding)
    if known is None:
        raise ValueError(f'encoding {encoding!r} is not one of {", ".join(ENCODINGS)}')
    rows = _rows(data, size, step, encoding)
    if known.bits == 16:
        # The high byte: what a display of eight bits shows.
        rows = rows[:, (0 if is_bigendian else 1) :: 2]
    try:
        pixels = known.to_bgr(rows.reshape(len(rows), size[1], known.channels))
    except cv2.error as error:  # a pattern needs some pixels
        raise ValueError(f'{size[1]}x{size[0]} pixels of {encoding}: {error.err}') from error
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    return np.ascontiguousarray(np.broadcast_to(pixels, (*size, 3)))


def _rows(data: np.ndarray, size: tuple[int, int], step: int, encoding: str) -> np.ndarray:
    """Give the rows in memory without their padding. Raises ValueError where they do not fit."""
    known = ENCODINGS[encoding]
    height, width = size
    if not height or not width:
        raise ValueError(f'an image of {width}x{height} pixels')
    if known.is_even and (height % 2 or width % 2):
        raise ValueError(f'{encoding} needs an even size, not {width}x{height}')
    row_bytes = known.channels * width * known.bits // 8
    num_rows = height * known.rows_of_two // 2
    if step < row_bytes or data.size < step * num_rows:
        raise ValueError(f'{data.size} bytes are too few for {width}x{height} {encoding}')
    return data[: step * num_rows].reshape(num_rows, step)[:, :row_bytes]
