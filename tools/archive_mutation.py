# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Damage inside the archives that `.npz` files are, with a checksum that fits.

Whatever else is done to an archive ends at its checksum, before any array is parsed.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable

import numpy as np

SHARE_OF_NAMES = 0.1  # of the changes; the others are to the content of a member


def with_changed_member(
    random: np.random.Generator, content: bytes, change: Callable[[bytes], bytes]
) -> bytes | None:
    """Change a member of an archive.

    Parameters
    ----------
    random
        Chooses the member.
    content
        Of the archive.
    change
        Gives the new content of a member, or its new name.

    Returns
    -------
    bytes or None
        The archive, its members not compressed; None where there is none to change.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = [[member.filename, archive.read(member)] for member in archive.infolist()]
    except Exception:  # it is no archive, or is damaged in one of a dozen ways
        return None
    if not members:
        return None
    changed = members[random.integers(0, len(members))]
    if random.random() < SHARE_OF_NAMES:
        changed[0] = change(changed[0].encode(errors='replace')).decode('latin-1')
    else:
        changed[1] = change(changed[1])
    file = io.BytesIO()
    with zipfile.ZipFile(file, 'w') as archive:
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name[:1000]), data)
    return file.getvalue()
