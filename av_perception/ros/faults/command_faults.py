# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Ways in which the command that started the nodes may die: nobody outlives it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from av_perception.ros.bringup.environment import prepare_environment
from av_perception.ros.faults.fault import Fault, FaultResult
from av_perception.ros.privacy import free_domain

PATIENCE_S = 120.0  # of wall time, for nodes to start; they end within ten seconds
POLL_S = 0.1
HASTE_S = 0.05  # between two signals of who cannot wait
PROCESSES = Path('/proc')
_UP = ('up', 'simulated', '--source', 'device', '--microphones', 'others', '--camera', 'others')


def ended(number: int, ready: int, *options: str, times: int = 1) -> Callable[[Path], FaultResult]:
    """Make what starts `up`, ends it by a signal and looks for who is left.

    Parameters
    ----------
    number
        Of the signal.
    ready
        So many nodes are to have said that they are ready before; 0: in the middle of the start.
    options
        Of `up`.
    times
        How often the signal is sent, one right after the other.
    """

    def attempt(folder: Path) -> FaultResult:
        log = folder / 'up.log'
        problems = _end(number, ready, options, log, times)
        problems += ['traceback in the log'] if 'Traceback' in _text(log) else []
        return FaultResult(
            name='',
            what='',
            survived=not problems,
            recovery_frames=None,
            ids_kept=None,
            told='',
            is_told_of=False,
            problems=tuple(problems),
            is_end=True,
        )

    return attempt


def _end(number: int, ready: int, options: tuple[str, ...], log: Path, times: int) -> list[str]:
    """Start `up`, send it the signal, and say what is wrong afterwards."""
    environment = prepare_environment(dict(os.environ))
    environment['ROS_DOMAIN_ID'] = str(free_domain())
    words = [sys.executable, '-m', 'av_perception.cli.main', *_UP, *options]
    with open(log, 'wb') as file:
        up = subprocess.Popen(
            words,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            preexec_fn=_mind_hangups,
        )
    children: set[int] = set()
    is_clean = False
    try:
        _until(lambda: _text(log).count(': ready after') >= ready)
        _until(lambda: bool(_children_of(up.pid)))
        children = _children_of(up.pid)
        for _ in range(times):
            up.send_signal(number)
            time.sleep(HASTE_S)
        is_clean = _until(lambda: up.poll() is not None and not any(map(_is_alive, children)))
    finally:
        up.kill()
        for pid in filter(_is_alive, children):
            os.kill(pid, signal.SIGKILL)
    problems = [] if is_clean else ['the command or its nodes go on']
    return problems if children else [*problems, 'no node was started']


def _mind_hangups() -> None:
    """Undo what `nohup` has asked of us: it would be inherited."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def _text(log: Path) -> str:
    return log.read_text(errors='replace')


def _until(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE_S
    while not condition() and time.monotonic() < deadline:
        time.sleep(POLL_S)
    return condition()


def _children_of(pid: int) -> set[int]:
    """Find the processes that a process has started and that still run."""
    return {child for child in _all_processes() if _status(child)[1:2] == [str(pid)]}


def _all_processes() -> list[int]:
    return [int(folder.name) for folder in PROCESSES.glob('[0-9]*')]


def _status(pid: int) -> list[str]:
    """State, parent and more; nothing when it is gone."""
    try:
        return (PROCESSES / str(pid) / 'stat').read_text().rpartition(')')[2].split()
    except OSError:
        return []


def _is_alive(pid: int) -> bool:
    return _status(pid)[:1] not in ([], ['Z'])


def _command(name: str, what: str, attempt: Callable[[Path], FaultResult]) -> Fault:
    return Fault(name, what, attempt=attempt, setup='command')


COMMAND_FAULTS = (
    _command('up-killed', 'kill -9 of up', ended(signal.SIGKILL, 4)),
    _command('up-terminated', 'SIGTERM to up', ended(signal.SIGTERM, 4)),
    _command('up-interrupted', 'Ctrl-C', ended(signal.SIGINT, 4)),
    _command('up-interrupted-twice', 'Ctrl-C twice', ended(signal.SIGINT, 4, times=2)),
    _command('up-hung-up', 'its terminal is closed', ended(signal.SIGHUP, 4)),
    _command(
        'up-killed-at-start',
        'kill -9 of up in the middle of the start, a process each',
        ended(signal.SIGKILL, 0, '--processes'),
    ),
)
