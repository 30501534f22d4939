# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What verbs write: JSON files, checked before the work and written after it, and wide tables."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

from av_perception.errors import UserError

WIDE = 120  # columns of a benchmark's table


def wide_console(columns: int = WIDE):
    """A console for wide tables; where nobody watches (a file, a pipe) it has room for them."""
    from rich.console import Console

    console = Console()
    return console if console.is_terminal else Console(width=max(columns, console.width))


def check_writable(path: str | Path | None, made_folder: str | Path | None = None) -> None:
    """Raises UserError when `path` can hold no file; touches nothing. None passes.

    made_folder: a folder that the verb makes itself before it writes; a file right in it passes.
    """
    if path is None:
        return
    path = Path(path)
    folder = path.absolute().parent
    if (
        made_folder is not None
        and Path(made_folder).resolve() == folder.resolve()
        and not path.is_dir()
    ):
        return
    if not folder.is_dir():
        raise UserError(f'cannot write {path}: there is no folder {folder}, make it first')
    if path.is_dir():
        raise UserError(f'cannot write {path}: it is a folder, name a file')
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise UserError(f'cannot write {path}: no permission, choose another place')


def write_json(path: str | Path, figures) -> None:
    """Write figures (dicts, lists, numbers, words); NaN and infinities, which JSON has not, become null. Raises UserError."""
    text = json.dumps(_finite(figures), indent=2, allow_nan=False) + '\n'
    try:
        Path(path).write_text(text, encoding='utf-8')
    except OSError as error:
        raise UserError(f'cannot write {path}: {error.strerror or error}') from error


def _finite(value):
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
