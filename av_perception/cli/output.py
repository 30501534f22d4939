# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What verbs write: JSON files, checked before the work and written after it, and wide tables."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING

from av_perception.errors import UserError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from rich.console import Console
    from rich.progress import Progress

WIDE = 120  # columns of a benchmark's table
PICTURE_ENDINGS = ('.png', '.svg', '.pdf')


def wide_console(columns: int = WIDE) -> Console:
    """Make a console for wide tables.

    Parameters
    ----------
    columns
        Where nobody watches (a file, a pipe) it is at least so wide.

    Returns
    -------
    Console
        As wide as the terminal, where there is one.
    """
    from rich.console import Console

    console = Console()
    return console if console.is_terminal else Console(width=max(columns, console.width))


def staged_progress() -> Progress:
    """Make a display of stages, each with a bar and a `text` of its own."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn('{task.description:<12}'),
        BarColumn(),
        TextColumn('{task.percentage:>3.0f}%'),
        TimeRemainingColumn(),
        TextColumn('{task.fields[text]}'),
    )


class TrialBar:
    """A bar of trials that take long, and a line for each. Use as a context manager."""

    def __init__(self, console: Console, num_trials: int):
        """Begin with what comes before the first trial: the scene is rendered."""
        from rich.progress import Progress

        self._bar = Progress(console=console, transient=True)
        self._task = self._bar.add_task('render the scene', total=num_trials)

    def __enter__(self) -> TrialBar:
        self._bar.start()
        return self

    def __exit__(self, *_) -> None:
        self._bar.stop()

    def begin(self, name: str) -> None:
        """Show what is tried."""
        self._bar.update(self._task, description=name)

    def end(self, name: str, complaints: Sequence[str], fine: str) -> None:
        """Advance; complaints are always told, `fine` where nobody sees the bar."""
        self._bar.advance(self._task)
        console = self._bar.console
        for complaint in complaints:
            console.print(f'{name}: {complaint}', style='red')
        if not complaints and not console.is_terminal:
            console.print(f'{name}: {fine}')


def add_sound_arguments(parser: argparse.ArgumentParser, several: bool = False) -> None:
    """Declare the sound of an array, or several, and the head it belongs to."""
    known = 'multichannel WAV or FLAC file, or a recording folder'
    if several:
        parser.add_argument(
            'recordings',
            type=Path,
            nargs='+',
            metavar='RECORDING',
            help=f'{known}; several, or a folder of recording folders',
        )
    else:
        parser.add_argument('recording', type=Path, metavar='RECORDING', help=known)
    parser.add_argument(
        '--head', help='name or file of the head profile; a recording folder knows its own'
    )


def check_writable(path: str | Path | None, made_folder: str | Path | None = None) -> None:
    """Check that a file can be written; touch nothing.

    Parameters
    ----------
    path
        Of the file; None passes.
    made_folder
        A folder that the verb makes itself before it writes; a file right in it passes.

    Raises
    ------
    UserError
        `path` can hold no file.
    """
    if path is None:
        return
    path = Path(path)
    folder = path.absolute().parent
    is_made = made_folder is not None and Path(made_folder).resolve() == folder.resolve()
    if is_made and not path.is_dir():
        return
    if not folder.is_dir():
        raise UserError(f'cannot write {path}: there is no folder {folder}, make it first')
    if path.is_dir():
        raise UserError(f'cannot write {path}: it is a folder, name a file')
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise UserError(f'cannot write {path}: no permission, choose another place')


def check_picture(path: str | Path | None, made_folder: str | Path | None = None) -> None:
    """Check that a picture can be written, of a kind that its name tells; touch nothing.

    Parameters
    ----------
    path
        Of the picture; None passes.
    made_folder
        As in `check_writable`.

    Raises
    ------
    UserError
        `path` can hold no file, or no known picture ends like it.
    """
    check_writable(path, made_folder)
    if path is not None and Path(path).suffix.lower() not in PICTURE_ENDINGS:
        raise UserError(f'cannot draw {path}: name it .png, .svg or .pdf')


def make_folder(path: Path) -> None:
    """Make a folder, and those above it.

    Raises
    ------
    UserError
        It cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f'cannot write to {path}: {error.strerror or error}') from error


def write_json(path: str | Path, figures) -> None:
    """Write figures.

    Parameters
    ----------
    path
        File to write.
    figures
        Dicts, lists, numbers, words; NaN and infinities, which JSON has not, become null.

    Raises
    ------
    UserError
        The file cannot be written.
    """
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
