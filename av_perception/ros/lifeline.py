# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Processes that end with the one that started them, however that one ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

STOP_GRACE_S = 8.0  # from asking a process to stop to ending it by force
VARIABLE = 'AV_PERCEPTION_LIFELINE'  # in a child: <pid of its starter>:<descriptor>:<name>
PROCESSES = Path('/proc')


class Lifeline:
    """A pipe that nobody writes to: its children read the end of it once this process is gone.

    The system closes our end whatever ends us, kill -9 included, on every POSIX system. (Linux's
    PR_SET_PDEATHSIG is bound to the thread that started the child, and comes too late when the
    starter dies first.)
    """

    def __init__(self):
        self._pipe = os.pipe()  # neither end reaches a child unless it is handed over

    def start(
        self, name: str, command: list[str], environment: dict[str, str], **options
    ) -> subprocess.Popen:
        """Start a process that holds the reading end; options are those of Popen.

        It finds SIGINT blocked until it has handlers and calls `watch_starter`: Python,
        which imports for seconds first, would answer it with a traceback.
        """
        reading = self._pipe[0]
        environment = {**environment, VARIABLE: f'{os.getpid()}:{reading}:{name}'}
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # is inherited
        try:
            return subprocess.Popen(command, env=environment, pass_fds=(reading,), **options)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def close(self) -> None:
        """Let go of the children; they stop if they have not yet."""
        while self._pipe:
            os.close(self._pipe[-1])
            self._pipe = self._pipe[:-1]


def watch_starter(on_loss) -> None:
    """In a child of a Lifeline, call on_loss() from a thread when its starter is gone.

    SIGINT, which the child finds blocked, comes through from here on. The process is ended by
    force if it still runs STOP_GRACE_S after its starter. Does nothing in a process that no
    Lifeline has started, as under `ros2 launch` or in a shell.
    """
    mark = os.environ.pop(VARIABLE, None)  # our own children are not the starter's
    if mark is None:
        return
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    reading = int(mark.split(':')[1])
    try:
        os.set_inheritable(reading, False)
    except OSError:  # something between the starter and us has closed it: sudo, say
        return
    threading.Thread(target=_watch, args=(reading, on_loss), name='lifeline', daemon=True).start()


def _watch(reading: int, on_loss) -> None:
    os.read(reading, 1)
    on_loss()
    time.sleep(STOP_GRACE_S)
    os._exit(2)


def leftovers() -> dict[int, str]:
    """Name by pid of the children of a Lifeline whose starter is gone; none where no /proc is.

    A child whose starter lives has it as its parent, so no other graph that runs is among them.
    """
    found = {}
    for folder in PROCESSES.glob('[0-9]*'):
        try:
            variables = (folder / 'environ').read_bytes().split(b'\0')
            status = (folder / 'stat').read_text()
        except OSError:  # somebody else's, or just ended
            continue
        marks = [v for v in variables if v.startswith(VARIABLE.encode() + b'=')]
        if not marks:
            continue
        starter, _, name = marks[0].decode().partition('=')[2].split(':')
        parent = status.rpartition(')')[2].split()[1]  # behind the command's name and the state
        if parent != starter:
            found[int(folder.name)] = name
    return found


def name_leftovers(patience_s: float = STOP_GRACE_S + 2.0) -> None:
    """Say in one line which processes of an earlier start still run and how to end them.

    Those that are just ending get `patience_s` for it. Those that were halted (SIGSTOP) when their
    starter ended go on, and so find out.
    """
    deadline = time.monotonic() + patience_s
    while (found := leftovers()) and time.monotonic() < deadline:
        for pid in found:
            with suppress(OSError):  # ended meanwhile
                os.kill(pid, signal.SIGCONT)
        time.sleep(0.2)
    if found:
        names = ', '.join(f'{name} ({pid})' for pid, name in sorted(found.items()))
        pids = ' '.join(map(str, sorted(found)))
        print(
            f'av-perception: warning: of an earlier start there still run {names}: '
            f'end them with kill -9 {pids}',
            file=sys.stderr,
            flush=True,
        )
