# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Verbs on many recordings, spread over the workers of a Dask cluster (extra `cluster`).

All machines are to see the same files at the same place: each worker reads the recordings and
writes what comes of them itself, and only tasks and figures go over the network.
"""

from __future__ import annotations

import argparse
import logging
import os
import re
import socket
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from av_perception import __version__
from av_perception.cli.job_process import answer_of_text, text_of
from av_perception.errors import UserError

CONNECT_S = 10.0
# Of anything else Dask makes a cluster of this machine, or ends in tracebacks of threads.
_ADDRESS = re.compile(r'([a-z]+://)?[\w.\[\]:%-]+:\d+', re.ASCII)
# By number: the options of the verb for one recording, and the files that it reads.
Tasks = Mapping[int, tuple[argparse.Namespace, Sequence[Path]]]
SAME_FILES = '--cluster needs files that all its workers see at the same place'


def check_cluster(address: str | None, jobs: int) -> None:
    """Refuse what does not go together with --cluster; None is not asked for.

    Raises
    ------
    UserError
        For --jobs, for what is no address, or where Dask is not installed.
    """
    if address is None:
        return
    if jobs != 1:
        raise UserError('--jobs is for this machine: how many a worker does at once is its own')
    if not _ADDRESS.fullmatch(address):
        raise UserError(
            f'--cluster needs the address of a scheduler, tcp://HOST:8786: {address!r}'
        )
    try:
        import distributed  # noqa: F401
    except ImportError as error:
        raise UserError("--cluster needs Dask: pip install 'av_perception[cluster]'") from error


def work_on_cluster(address: str, tasks: Tasks, on_answer: Callable[[int, dict], None]) -> None:
    """Have tasks done by the workers of a cluster, as they have time.

    Parameters
    ----------
    address
        Of the scheduler, as in tcp://host:8786.
    tasks
        What is to be done.
    on_answer
        Called with the number of a task and what came of it, see `answer_of`.

    Raises
    ------
    UserError
        Nothing answers there, or a worker sees other files or has another version.
    """
    if not tasks:
        return
    from distributed import as_completed

    folder = Path.cwd()
    files = {number: _seen(inputs) for number, (_, inputs) in tasks.items()}
    with _client(address) as client:
        _check_workers(
            client, address, str(folder), [paths[0] for paths in files.values() if paths]
        )
        futures = {
            client.submit(work, text_of(options, folder), files[number], pure=False): number
            for number, (options, _) in tasks.items()
        }
        try:
            for future in as_completed(list(futures), loop=client.loop):
                on_answer(futures[future], _answer(future))
        except BaseException:
            client.cancel(list(futures))  # a worker ends the process of one that is not wanted
            raise


def _seen(inputs: Sequence[Path]) -> list[str]:
    """Give the full paths of files; those that are not here either are left to their reader."""
    return [os.path.abspath(file) for file in inputs if file.exists()]


def work(text: str, files: Sequence[str]) -> dict:
    """On a worker: do a task in a process of its own; see `answer_of`.

    Parameters
    ----------
    text
        The task, by `text_of`.
    files
        What it reads, as the machine that sent it sees them.
    """
    unseen = [file for file in files if not os.path.exists(file)]
    if unseen:
        return {'error': f'{socket.gethostname()} does not see {unseen[0]}: {SAME_FILES}'}
    return answer_of_text(text, _is_wanted)


def look(folder: str, files: Sequence[str]) -> dict:
    """On a worker: tell its version, and the first of these files that it does not see."""
    unseen = [path for path in (folder, *files) if not os.path.exists(path)]
    return {'version': __version__, 'host': socket.gethostname(), 'unseen': unseen[:1]}


def _is_wanted() -> bool:
    """Tell on a worker whether anybody still waits for the task of this thread."""
    from distributed.worker import get_worker, thread_state

    key = getattr(thread_state, 'key', '')
    task = get_worker().state.tasks.get(key)
    return task is not None and task.state == 'executing'


@contextmanager
def _client(address: str) -> Iterator[Any]:
    """Connect to a scheduler, without its library's own words on what goes wrong."""
    from distributed import Client

    logging.getLogger('distributed').setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # of versions of libraries that are not ours
            client = Client(address, timeout=CONNECT_S, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise UserError(
            f'no Dask scheduler answers at {address}: is it running (dask scheduler), '
            'and is the address right?'
        ) from error
    with client:
        yield client


def _check_workers(client: Any, address: str, folder: str, files: Sequence[str]) -> None:
    """Refuse a cluster whose workers cannot do the work, in one line that says why."""
    found = client.run(look, folder, files, on_error='return')
    if not found:
        raise UserError(f'the cluster at {address} has no workers: start some (dask worker ...)')
    for worker, answer in found.items():
        if isinstance(answer, BaseException):
            raise UserError(
                f'the worker {worker} cannot run av_perception ({answer}): '
                f'install version {__version__} there'
            )
        if answer['version'] != __version__:
            raise UserError(
                f'the worker {worker} has version {answer["version"]} of av_perception, '
                f'here is {__version__}: install the same'
            )
        if answer['unseen']:
            raise UserError(
                f'the worker {worker} on {answer["host"]} does not see {answer["unseen"][0]}: '
                f'{SAME_FILES}'
            )


def _answer(future: Any) -> dict:
    """Give what came of a task; a worker that died, or a scheduler, is told as its error."""
    from distributed import KilledWorker

    try:
        return future.result()
    except KilledWorker:
        return {'error': 'the workers that tried it died: is there enough memory on them?'}
    except Exception as error:  # of the library's many kinds
        words = ' '.join(str(error).split())
        return {'error': f'the cluster lost it ({type(error).__name__}): {words[:200]}'}
