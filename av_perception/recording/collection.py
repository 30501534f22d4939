# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Many recordings: which are in a folder, and whether one has changed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from av_perception.errors import UserError
from av_perception.recording.consistency import SOUND_FILES
from av_perception.recording.images import VIDEOS

BAG_ENDINGS = ('.mcap', '.db3')
SOUND_ENDINGS = ('.wav', '.flac')
MAX_DEPTH = 4  # of folders in folders


@dataclass(frozen=True)
class Found:
    """One recording, bag or sound file; name: the way to it from the folder that was named."""

    name: str
    path: Path


def is_bag(path: Path) -> bool:
    """Tell whether this is a bag's file, or its folder, be it without metadata.yaml."""
    if path.suffix in BAG_ENDINGS or (path / 'metadata.yaml').is_file():
        return True
    has_recording = (path / 'recording.yaml').is_file()
    return (
        path.is_dir()
        and not has_recording
        and any(file.suffix in BAG_ENDINGS for file in path.iterdir())
    )


def is_recording(path: Path) -> bool:
    """Tell whether this is a recording's folder, be it damaged: it holds a part of one."""
    if not path.is_dir():
        return False
    parts = ('recording.yaml', *SOUND_FILES, *(f'left{ending}' for ending in VIDEOS))
    return any((path / part).is_file() for part in parts)


def find_recordings(paths: Iterable[Path]) -> list[Found]:
    """Find the recordings and bags in folders.

    Parameters
    ----------
    paths
        Recordings, bags, or folders of them; anything else stands for itself, for its reader to
        say what is wrong with it.

    Returns
    -------
    list of Found
        Each once; those of a folder by their names.

    Raises
    ------
    UserError
        Two have the same name, or a folder cannot be read.
    """
    return _find(paths, lambda path: is_recording(path) or is_bag(path))


def find_sounds(paths: Iterable[Path]) -> list[Found]:
    """Find WAV and FLAC files in folders; as `find_recordings`, and names have no ending."""
    found = _find(paths, lambda path: path.is_file() and path.suffix.lower() in SOUND_ENDINGS)
    named = [Found(one.name[: -len(one.path.suffix) or None], one.path) for one in found]
    _refuse_equal_names(named)
    return named


def _find(paths: Iterable[Path], is_one: Callable[[Path], bool]) -> list[Found]:
    found: dict[Path, Found] = {}
    for path in paths:
        inside = [] if is_one(path) or not path.is_dir() else list(_inside(path, is_one))
        if not inside:
            found.setdefault(path.resolve(), Found(path.resolve().name, path))
        for one in inside:
            found.setdefault(one.resolve(), Found(one.relative_to(path).as_posix(), one))
    _refuse_equal_names(list(found.values()))
    return list(found.values())


def _inside(folder: Path, is_one: Callable[[Path], bool], depth: int = 1) -> Iterator[Path]:
    """Those in a folder and its folders; not those within another, nor hidden ones."""
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise UserError(f'cannot look into {folder}: {error.strerror or error}') from error
    for path in entries:
        if path.name.startswith('.'):
            continue
        if is_one(path):
            yield path
        elif path.is_dir() and depth < MAX_DEPTH:
            yield from _inside(path, is_one, depth + 1)


def _refuse_equal_names(found: list[Found]) -> None:
    seen: dict[str, Path] = {}
    for one in found:
        if one.name in seen:
            raise UserError(
                f'{seen[one.name]} and {one.path} would both be called {one.name}: '
                'name the folder that holds both, or run them apart'
            )
        seen[one.name] = one.path


def own_folder(path: Path) -> Path:
    """Give the folder that a recording is, or in which a file is."""
    return path if path.is_dir() else path.parent


def input_files(path: Path) -> list[Path]:
    """List the files that a recording, a bag or a sound file is made of; not what is derived."""
    if not path.is_dir():
        return [path]
    if is_bag(path):
        return sorted(file for file in path.rglob('*') if file.suffix in (*BAG_ENDINGS, '.yaml'))
    own = [file for file in path.iterdir() if file.name in SOUND_FILES or file.suffix == '.yaml']
    for side in ('left', 'right'):
        own += [file for file in path.iterdir() if file.stem.lower() == side and file.is_file()]
        own += [file for file in (path / side).glob('*') if file.is_file()]
    return sorted(own)


def state_of_files(files: Iterable[Path]) -> dict[str, int]:
    """Sum up files so that a change of any shows: how many, bytes, time of the last change."""
    known = []
    for file in files:
        try:
            known.append(os.stat(file))
        except OSError:  # its reader says what is wrong with it
            continue
    return {
        'files': len(known),
        'bytes': sum(status.st_size for status in known),
        'changed_ns': max((status.st_mtime_ns for status in known), default=0),
    }
