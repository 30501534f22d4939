# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What a reader may do with a file that a stranger made, and who watches that it does no more.

It reads the file or raises UserError in one line, within some seconds and some memory, and opens
nothing but the file's own folder, this package and Python's.
"""

from __future__ import annotations

import contextlib
import os
import resource
import sys
import sysconfig
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
GIBIBYTE = 1 << 30
SLOW_S = 10.0  # of processor time, for one small file
MEMORY = GIBIBYTE  # for one small file
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGES = ('remove', 'rename', 'mkdir', 'rmdir', 'symlink', 'link', 'truncate', 'chmod', 'chown')
CHANGES = frozenset(f'os.{name}' for name in _CHANGES)
# Nothing that is read may start a program, unpickle, or speak to another machine.
FORBIDDEN = frozenset(
    (
        'os.system',
        'os.exec',
        'os.posix_spawn',
        'os.fork',
        'subprocess.Popen',
        'pickle.find_class',
        'socket.connect',
        'socket.getaddrinfo',
        'urllib.Request',
    )
)


@dataclass(frozen=True)
class Finding:
    """What came out that should not.

    Attributes
    ----------
    key
        Equal for findings of one place in the code.
    text
        What happened, in one line.
    """

    key: str
    text: str


class PathWatch:
    """Refuses and notes what Python code opens, changes or starts outside a folder.

    Libraries in C open files unseen. A hook cannot be taken away again, so there is one for each
    process, which rests unless a file is read.
    """

    def __init__(self, folder: Path):
        self.problem = ''
        self._folder = os.path.realpath(folder)
        self._content = b''
        self._is_watching = False
        paths = sysconfig.get_paths()
        roots = (sys.prefix, sys.base_prefix, ROOT, *paths.values(), *filter(None, sys.path))
        self._readable = tuple({os.path.realpath(root) for root in roots} | {'/proc', '/sys'})
        sys.addaudithook(self._hear)

    def begin(self, content: bytes) -> None:
        """Watch from now on; a path that the content names in full may be read."""
        self.problem = ''
        self._content = content
        self._is_watching = True

    def end(self) -> str:
        """Rest; give what was done that must not, '' for nothing."""
        self._is_watching = False
        return self.problem

    def _hear(self, event: str, arguments: tuple) -> None:
        if not self._is_watching:
            return
        problem = ''
        if event in FORBIDDEN:
            problem = f'{event}{arguments!r}'
        elif event in CHANGES:
            outside = [path for path in arguments[:2] if self._is_outside(path)]
            problem = f'{event} of {outside[0]}' if outside else ''
        elif event in ('open', 'sqlite3.connect'):
            writes = event == 'open' and bool((arguments[2] or 0) & _WRITES)
            path = _path_of(arguments[0])
            if self._is_outside(path) and (writes or not self._may_read(path)):
                problem = f'{event} of {path}{" for writing" * writes}'
        if problem:
            self.problem = self.problem or ' '.join(problem.split())[:300]
            raise PermissionError(f'refused by the fuzzer: {problem}')

    def _is_outside(self, path) -> bool:
        if not isinstance(path, str | bytes | os.PathLike):
            return False  # a file descriptor
        try:
            real = os.path.realpath(os.fsdecode(path))
        except ValueError:  # a null byte: nothing is opened
            return False
        return real != self._folder and not real.startswith(self._folder + os.sep)

    def _may_read(self, path) -> bool:
        """Whether it is Python's or ours, or stands in full in the file itself."""
        named = os.fsencode(path)
        if os.path.isabs(named) and named in self._content:
            return True
        real = os.path.realpath(os.fsdecode(path))
        return any(real == root or real.startswith(root + os.sep) for root in self._readable)


def _path_of(opened):
    """Give the path of what is opened, also of SQLite's `file:` addresses."""
    if isinstance(opened, str) and opened.startswith('file:'):
        return opened.removeprefix('file:').split('?')[0]
    return '/proc/self' if opened == ':memory:' else opened


class ReaderJudge:
    """Lets a reader read, and says what it did that it must not.

    Parameters
    ----------
    folder
        In which the files lie, temporary ones too; everything else is outside.
    slow_s
        Processor time that a file may take [s].
    memory
        That reading a file may take at its peak [bytes].
    """

    def __init__(self, folder: Path, slow_s: float = SLOW_S, memory: int = MEMORY):
        self._slow_s = slow_s
        self._memory = memory
        self._folder = str(folder)
        self._watch = PathWatch(folder)

    def judge(self, read: Callable[[Path], object], path: Path) -> Finding | None:
        """Read a file. Gives what came out that should not."""
        content = path.read_bytes()
        resident = _resident()
        peak = _peak()
        start_s = time.process_time()
        kept_directory = tempfile.tempdir
        tempfile.tempdir = self._folder
        self._watch.begin(content)
        try:
            finding = _outcome(read, path)
        finally:
            opened = self._watch.end()
            tempfile.tempdir = kept_directory
        seconds = time.process_time() - start_s
        used = _peak() - resident if _peak() > peak else 0  # the system keeps the highest alone
        if opened:
            return Finding(f'path {opened.split()[0]}', f'it leads out of its folder: {opened}')
        if seconds > self._slow_s:
            return finding or Finding('slow', f'it took {seconds:.1f} s of processor time')
        if used > self._memory:
            return finding or Finding('memory', f'it took {used >> 20} MiB of memory')
        return finding


def settle_in(folder: Path) -> None:
    """Let relative names begin in a folder, and learned maps be cached there."""
    place = folder / 'place'
    place.mkdir(parents=True, exist_ok=True)
    os.chdir(place)
    os.environ['AV_PERCEPTION_CACHE'] = str(folder / 'cache')


def warm_up(read: Callable[[Path], object], path: Path) -> None:
    """Read a whole file unwatched: what is imported only then is no part of reading."""
    from av_perception.errors import UserError

    with contextlib.suppress(UserError):  # some need more than the file
        read(path)


def _resident() -> int:
    """Give the bytes of memory that this process has now."""
    with open('/proc/self/statm', 'rb') as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def _peak() -> int:
    """Give the bytes of memory that this process had at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _outcome(read: Callable[[Path], object], path: Path) -> Finding | None:
    """Read a file. Anything but success and one line of UserError is a finding."""
    from av_perception.errors import UserError

    try:
        read(path)
    except UserError as error:
        text = str(error)
        is_one_line = text.strip() and '\n' not in text
        return None if is_one_line else Finding(_place_of(error), repr(error)[:300])
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # the very thing we look for; a SystemExit is none of ours
        return Finding(_place_of(error), f'{repr(error)[:300]} ({_place_of(error)})')
    return None


def _place_of(error: BaseException) -> str:
    """Say of which type an error is, and which line raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    where = frames[-1] if frames else None
    return f'{type(error).__name__} at {where.filename}:{where.lineno}' if where else repr(error)
