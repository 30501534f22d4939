# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A verb on one recording, in a process of its own: what it gives, and how it may end.

The process is a child by multiprocessing on this machine, and one that gets its task as a line of
text where a cluster's worker starts it: workers may have no such children.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from av_perception.errors import describe
from av_perception.ros.bringup.environment import limit_threads
from av_perception.ros.privacy import keep_private

POLL_S = 0.5
PACKAGE = 'av_perception.'


def send_answer(sender: Connection, options: argparse.Namespace) -> None:
    """In a child by multiprocessing: run the verb on one recording and send what came out."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the starter, which ends us
    threading.Thread(target=_end_with_starter, daemon=True).start()
    sender.send(answer_of(options))
    sender.close()


def answer_of(options: argparse.Namespace) -> dict:
    """Run the verb, and keep what it says to itself.

    Parameters
    ----------
    options
        Of the verb, for one recording; `run` is what is called.

    Returns
    -------
    dict
        problems, cpu_s; error where it failed, figures where it has some.
    """
    words = io.StringIO()
    started = time.process_time()
    answer: dict = {}
    with tempfile.TemporaryDirectory() as folder:
        options.json = Path(folder) / 'figures.json'
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(words):
            try:
                status = options.run(options)
                if status:
                    answer['error'] = _last_line(words.getvalue()) or f'exit status {status}'
            except Exception as error:  # whatever it is, the other recordings go on
                answer['error'] = describe(error)
        if options.json.is_file():
            answer['figures'] = json.loads(options.json.read_text(encoding='utf-8'))
    lines = words.getvalue().splitlines()
    told = [line.removeprefix('problem: ') for line in lines if line.startswith('problem: ')]
    answer['problems'] = told
    answer['cpu_s'] = round(time.process_time() - started, 2)
    return answer


def error_of_end(code: int | None) -> str:
    """Say how a process ended that gave no answer; code: its exit status."""
    if code and code < 0:
        return f'its process was ended by signal {-code}: is there enough memory? fewer --jobs?'
    return f'its process ended with status {code}: run it alone to see why'


# ---- tasks as text


def text_of(options: argparse.Namespace, folder: Path) -> str:
    """Write the options of a verb, and the folder in which it runs, as one line."""
    own = {key: _plain(value) for key, value in vars(options).items() if key != 'run'}
    run = f'{options.run.__module__}:{options.run.__qualname__}'
    return json.dumps({'run': run, 'folder': str(folder), 'options': own})


def options_of(text: str) -> tuple[argparse.Namespace, str]:
    """Read what `text_of` wrote: the options, and the folder."""
    task = json.loads(text)
    module, name = task['run'].split(':')
    if not module.startswith(PACKAGE):
        raise ValueError(f'{module} is no module of {PACKAGE}')
    own = {key: _rich(value) for key, value in task['options'].items()}
    run = getattr(importlib.import_module(module), name)
    return argparse.Namespace(**own, run=run), task['folder']


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return {'path': str(value)}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


def _rich(value: Any) -> Any:
    if isinstance(value, dict):
        return Path(value['path'])
    return [_rich(one) for one in value] if isinstance(value, list) else value


def answer_of_text(text: str, is_wanted: Callable[[], bool] = lambda: True) -> dict:
    """Have a task done in a child of this process.

    Parameters
    ----------
    text
        What `text_of` wrote.
    is_wanted
        Asked now and then; the child is ended when it says no.

    Returns
    -------
    dict
        As of `answer_of`.
    """
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / 'answer.json'
        child = _child(path)
        assert child.stdin is not None
        try:
            with contextlib.suppress(BrokenPipeError):  # it has ended: how is told below
                child.stdin.write(f'{text}\n')
                child.stdin.flush()
            while _is_alive(child) and is_wanted():
                pass
        finally:
            child.kill()
            child.wait()
            with contextlib.suppress(BrokenPipeError):
                child.stdin.close()
        if path.is_file():
            return json.loads(path.read_text(encoding='utf-8'))
        return {'error': error_of_end(child.returncode)}


def _child(path: Path) -> subprocess.Popen:
    """Start a process that waits for a task, and writes the answer to a file."""
    environment = dict(os.environ)
    limit_threads(environment)
    return subprocess.Popen(
        [sys.executable, '-m', __name__, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment,
        text=True,
    )


def _is_alive(child: subprocess.Popen) -> bool:
    """Wait a little for a child to end."""
    try:
        child.wait(POLL_S)
    except subprocess.TimeoutExpired:
        return True
    return False


def _end_with_starter() -> None:
    starter = parent_process()
    if starter is not None:
        wait([starter.sentinel])
        os._exit(2)


def _end_with_input() -> None:
    """End with the process that holds the other end of standard input."""
    sys.stdin.read()
    os._exit(2)


def _last_line(text: str) -> str:
    return next((line for line in reversed(text.splitlines()) if line.strip()), '')


def main() -> None:
    """Do the task that comes as the first line of standard input; write the answer to a file."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    keep_private()
    options, folder = options_of(sys.stdin.readline())
    threading.Thread(target=_end_with_input, daemon=True).start()
    # Not earlier: Python would look for modules in a folder of data.
    os.chdir(folder)
    path = Path(sys.argv[1])
    part = path.with_suffix('.part')
    part.write_text(json.dumps(answer_of(options)), encoding='utf-8')
    part.replace(path)


if __name__ == '__main__':
    main()
