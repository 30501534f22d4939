# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Files that strangers made: read in bounds, whatever their headers claim and names they hold."""

from __future__ import annotations

import hashlib
import math
import os
import struct
from pathlib import Path

from av_perception.errors import UserError

MEBIBYTE = 1 << 20
MAX_TEXT_BYTES = 256 * MEBIBYTE  # of a table
MAX_IMAGE_BYTES = 256 * MEBIBYTE
MAX_PIXELS = 1 << 26  # of an image: 8192 x 8192
MAX_PNG_CHUNKS = 1 << 20
_PNG_START = b'\x89PNG\r\n\x1a\n'
_JPEG_START = b'\xff\xd8'
# Markers of JPEG that begin a frame, and so tell the size of the image.
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def read_within(path: str | Path, limit: int) -> bytes:
    """Read a file that has at most `limit` bytes, be it a device that never ends.

    Raises
    ------
    OSError
        When it cannot be read.
    ValueError
        When it is larger.
    """
    with open(path, 'rb') as file:
        content = bytearray()  # in pieces: read(limit) would allocate all of it at once
        while piece := file.read(MEBIBYTE):
            content += piece
            if len(content) > limit:
                raise ValueError(f'it is larger than {limit // MEBIBYTE} MiB')
    return bytes(content)


def has_hash(content: bytes, sha256: str) -> bool:
    """Tell whether content is what its SHA-256 says; '' says nothing."""
    return not sha256 or hashlib.sha256(content).hexdigest() == sha256


def is_inside(name: str) -> bool:
    """Tell whether a relative name stays in its folder: it is not absolute and does not climb."""
    parts = os.path.normpath(name).split(os.sep)
    return '\0' not in name and not os.path.isabs(name) and parts[0] != '..'


def is_file(path: str | Path) -> bool:
    """Tell whether a path, of any text, leads to a file that we may look for."""
    try:
        return Path(path).is_file()
    except (OSError, ValueError):  # too long a name, a folder that is closed to us
        return False


def opencv_name(path: str | Path) -> str:
    """Write a path as OpenCV takes it: its bytes as UTF-8, whatever the locale.

    OpenCV ends the process over any other one.

    Raises
    ------
    UserError
        For a name that is no UTF-8.
    """
    try:
        return os.fsencode(path).decode()
    except UnicodeDecodeError as error:
        raise UserError(
            f'the name {os.fsencode(path)!r} is no UTF-8, which OpenCV needs: rename it'
        ) from error


def check_image(content: bytes) -> None:
    """Raise ValueError for a PNG or JPEG image that claims more pixels than `MAX_PIXELS`.

    Or, of PNG, a chunk of more bytes than `MAX_IMAGE_BYTES`. Decoders allocate what the header
    and the chunks claim, however few bytes follow.
    """
    width, height = _png_size(content) or _jpeg_size(content) or (0, 0)
    if width * height > MAX_PIXELS:
        raise ValueError(f'it claims {width}x{height} pixels, more than any camera has')
    if content.startswith(_PNG_START):
        _check_chunks(content)


def _check_chunks(content: bytes) -> None:
    """Raise ValueError for chunks of PNG that are too large or too many."""
    place = len(_PNG_START)
    for _ in range(MAX_PNG_CHUNKS):
        if place + 8 > len(content):
            return
        (length,) = struct.unpack_from('>I', content, place)
        if length > MAX_IMAGE_BYTES:
            raise ValueError(f'it claims {length} bytes at once, more than all pixels can take')
        place += length + 12  # with its length, name and checksum
    raise ValueError('its pixels are in more chunks than any image has')


def _png_size(content: bytes) -> tuple[int, int] | None:
    if not content.startswith(_PNG_START) or len(content) < 24:
        return None
    width, height = struct.unpack_from('>II', content, 16)
    return width, height


def _jpeg_size(content: bytes) -> tuple[int, int] | None:
    """Find the largest size that the segments before the first scan tell."""
    if not content.startswith(_JPEG_START):
        return None
    largest = None
    place = 2
    while place + 9 <= len(content) and content[place] == 0xFF:
        marker = content[place + 1]
        if marker == 0xFF:  # padding
            place += 1
            continue
        if marker in (0xDA, 0xD9):  # the scan, the end
            break
        (length,) = struct.unpack_from('>H', content, place + 2)
        if marker in _JPEG_FRAMES:
            height, width = struct.unpack_from('>HH', content, place + 5)
            largest = max(largest or (0, 0), (width, height), key=math.prod)
        place += 2 + max(length, 2)
    return largest
