# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Files that strangers made: read in bounds, whatever their headers claim and names they hold."""

from __future__ import annotations

import io
import json
import math
import os
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

MEBIBYTE = 1 << 20
MAX_TEXT_BYTES = 256 * MEBIBYTE  # of a table
MAX_ARRAY_BYTES = 1024 * MEBIBYTE  # of all arrays of a file, decompressed
MAX_IMAGE_BYTES = 256 * MEBIBYTE
MAX_PIXELS = 1 << 26  # of an image: 8192 x 8192
_DEFLATES_TO = 1100  # times its size, at most; what claims more is no true header
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


def read_npz(path: str | Path, limit: int = MAX_ARRAY_BYTES) -> dict[str, np.ndarray]:
    """Read the arrays of a `.npz` file. Raises OSError and ValueError, see `arrays_of`."""
    return arrays_of(read_within(path, limit), limit)


def arrays_of(content: bytes, limit: int = MAX_ARRAY_BYTES) -> dict[str, np.ndarray]:
    """Take the arrays out of the content of a `.npz` file, none of them pickled.

    Nothing is allocated for what a header claims and the file does not hold.

    Parameters
    ----------
    content
        Of the file.
    limit
        Bytes of all arrays together.

    Returns
    -------
    dict
        The array of every name in the file.

    Raises
    ------
    ValueError
        In one line, when it is no such file, damaged, or larger than the limit.
    """
    if not zipfile.is_zipfile(io.BytesIO(content)):
        raise ValueError('it is no npz file')
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            _check_sizes(members, limit)
            return {
                member.filename.removesuffix('.npy'): _array_of(archive.read(member))
                for member in members
            }
    except Exception as error:  # the parsers of the archive and its headers raise a dozen types
        reason = ' '.join(str(error).split()) or type(error).__name__
        raise ValueError(f'it is damaged or no npz file of plain arrays: {reason}') from error


def _check_sizes(members: list[zipfile.ZipInfo], limit: int) -> None:
    """Raise ValueError for members that are larger than the limit or than they can be."""
    for member in members:
        if member.file_size > _DEFLATES_TO * member.compress_size:
            raise ValueError(f'{member.filename} claims more bytes than it can hold')
    if sum(member.file_size for member in members) > limit:
        raise ValueError(f'its arrays are larger than {limit // MEBIBYTE} MiB')


def _array_of(content: bytes) -> np.ndarray:
    """Make the array of the content of a `.npy` file. Raises ValueError and others."""
    file = io.BytesIO(content)
    if np.lib.format.read_magic(file) == (1, 0):
        shape, is_fortran, kind = np.lib.format.read_array_header_1_0(file)
    else:
        file.seek(len(np.lib.format.MAGIC_PREFIX) + 2)
        shape, is_fortran, kind = np.lib.format.read_array_header_2_0(file)
    if kind.hasobject:
        raise ValueError('it holds pickled objects')
    start = file.tell()
    count = math.prod(shape)
    is_whole = min(shape, default=0) >= 0 and count * kind.itemsize == len(content) - start
    if not is_whole or (count > 1 and not kind.itemsize):
        raise ValueError(f'an array claims the shape {shape}, which its bytes do not fill')
    if not count or not kind.itemsize:
        return np.zeros(shape, kind)
    flat = np.frombuffer(content, kind, count, start)
    return flat.reshape(shape, order='F' if is_fortran else 'C').copy()


def json_of(array: np.ndarray) -> Any:
    """Parse JSON whose bytes are an array of a `.npz` file. Raises ValueError."""
    try:
        return json.loads(np.asarray(array, np.uint8).tobytes())
    except RecursionError as error:
        raise ValueError('its JSON is nested too deeply') from error


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


def check_image(content: bytes) -> None:
    """Raise ValueError for a PNG or JPEG image that claims more pixels than `MAX_PIXELS`.

    Decoders allocate what the header claims, however few bytes follow.
    """
    width, height = _png_size(content) or _jpeg_size(content) or (0, 0)
    if width * height > MAX_PIXELS:
        raise ValueError(f'it claims {width}x{height} pixels, more than any camera has')


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
