# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Arrays in `.npz` files: nothing is unpickled, and headers are believed as far as bytes go."""

from __future__ import annotations

import io
import json
import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from av_perception.files import MEBIBYTE, has_hash, read_within

MAX_ARRAY_BYTES = 1024 * MEBIBYTE  # of all arrays of a file, decompressed
_DEFLATES_TO = 1100  # times its size, at most; what claims more is no true header


def read_npz(
    path: str | Path, limit: int = MAX_ARRAY_BYTES, sha256: str = ''
) -> dict[str, np.ndarray]:
    """Read the arrays of a `.npz` file, none of them pickled, after comparing its content.

    Parameters
    ----------
    path
        The file.
    limit
        Bytes of all arrays together.
    sha256
        Of its content; '' does not compare.

    Returns
    -------
    dict
        The array of every name in the file.

    Raises
    ------
    OSError
        When it cannot be read.
    ValueError
        In one line, when it has other content, or as `arrays_of`.
    """
    content = read_within(path, limit)
    if not has_hash(content, sha256):
        raise ValueError('its SHA-256 is not the expected one')
    return arrays_of(content, limit)


def arrays_of(content: bytes, limit: int = MAX_ARRAY_BYTES) -> dict[str, np.ndarray]:
    """Take the arrays out of the content of a `.npz` file, as `read_npz`.

    Nothing is allocated for what a header claims and the file does not hold. Raises ValueError in
    one line, when it is no such file, damaged, or larger than the limit.
    """
    if not _is_archive(content):
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


def _is_archive(content: bytes) -> bool:
    try:
        return zipfile.is_zipfile(io.BytesIO(content))
    except zipfile.BadZipFile:  # one that claims to go on in a second file
        return False


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
