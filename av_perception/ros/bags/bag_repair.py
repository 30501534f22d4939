# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What is left of an MCAP file that was cut: all up to its last whole record.

A recorder that was killed, or a full disk, leaves a file without an end. Its records stand one
after another, each with its length, so that all whole ones can be read: messages, or whole chunks
of them.
"""

from __future__ import annotations

import shutil
import struct
from pathlib import Path

from av_perception.errors import UserError

MAGIC = b'\x89MCAP0\r\n'
# Each record: its kind, the length of what follows, and that.
_HEAD = struct.Struct('<BQ')
_HEADER = 0x01
_FOOTER = 0x02
_DATA_END = 0x0F
_LAST_KIND = 0x0F
_FIRST_PRIVATE = 0x80
# No checksum, no summary: readers go through the records then.
_END = _HEAD.pack(_DATA_END, 4) + bytes(4) + _HEAD.pack(_FOOTER, 20) + bytes(20) + MAGIC


def has_end(path: Path) -> bool:
    """Whether an MCAP file ends as it should: whatever is wrong with it, it was not cut."""
    with open(path, 'rb') as file:
        file.seek(max(0, path.stat().st_size - len(MAGIC)))
        return file.read() == MAGIC


def whole_bytes(path: Path) -> int:
    """Find how much of an MCAP file holds whole records of data.

    Parameters
    ----------
    path
        Of the file; it is not changed.

    Returns
    -------
    int
        Bytes up to the end of the last whole record; 0 where the beginning is none of MCAP.
    """
    size = path.stat().st_size
    with open(path, 'rb') as file:
        if file.read(len(MAGIC)) != MAGIC:
            return 0
        end = 0
        while True:
            start = file.tell()
            head = file.read(_HEAD.size)
            if len(head) < _HEAD.size:
                return end
            kind, length = _HEAD.unpack(head)
            is_known = 0 < kind <= _LAST_KIND or kind >= _FIRST_PRIVATE
            is_first = start == len(MAGIC)
            is_of_data = is_known and kind not in (_FOOTER, _DATA_END)
            if not is_of_data or is_first != (kind == _HEADER) or length > size - file.tell():
                return end
            end = file.seek(length, 1)


def copy_whole_part(path: Path, copy: Path) -> int:
    """Copy the whole records of a cut MCAP file, and end the copy as readers expect it.

    Returns
    -------
    int
        How many bytes at the end of the file were left out.

    Raises
    ------
    UserError
        Nothing of it is whole, or there is no room for the copy.
    """
    try:
        count = whole_bytes(path)
        if not count:
            raise UserError(f'nothing of {path} can be read: its beginning is missing or damaged')
        shutil.copyfile(path, copy)
        with open(copy, 'r+b') as file:
            file.truncate(count)
            file.seek(count)
            file.write(_END)
        return path.stat().st_size - count
    except OSError as error:
        raise UserError(
            f'no copy of the whole part of {path} can be made in {copy.parent}: '
            f'{error.strerror or error}'
        ) from error
