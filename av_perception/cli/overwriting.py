# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""No verb may write over what it reads: a recording cannot be made again."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from av_perception.errors import UserError

OUTPUTS = ('output', 'json', 'plot', 'noise', 'gaze', 'timeline', 'mot', 'rttm')
# What recordings and bags are made of, by the names of files without their endings...
_PARTS = ('recording', 'audio', 'left', 'right', 'truth', 'head', 'metadata')
_BAGS = ('.mcap', '.db3')  # ... and by endings


def check_overwrites(options: argparse.Namespace) -> None:
    """Check that no file that is to be written is one of those that are read.

    Parameters
    ----------
    options
        Of any verb: what it writes is called as in OUTPUTS, all other paths and words may be read.

    Raises
    ------
    UserError
        A file would be lost.
    """
    named = vars(options)
    inputs = [path for name in named if name not in OUTPUTS for path in _paths(named[name])]
    for name in OUTPUTS:
        for path in _paths(named.get(name)):
            if any(_is_read(path, own) for own in inputs):
                raise UserError(f'{path} is read and would be written over: name another file')


def _paths(value: object) -> Iterator[Path]:
    """Give the existing files and folders that the value of an option names."""
    for one in value if isinstance(value, list) else [value]:
        if not isinstance(one, (str, Path)) or not str(one):
            continue
        try:
            if Path(one).exists():
                yield Path(one)
        except (OSError, ValueError):  # a name too long, or of no file
            continue


def _is_read(path: Path, own: Path) -> bool:
    """Whether an existing file is `own`, or a part of the recording that `own` is."""
    if path.is_dir():
        return False
    if own.is_dir() and path.resolve().parent == own.resolve():
        return path.stem.lower() in _PARTS or path.suffix.lower() in _BAGS
    return path.samefile(own)
