# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Verbs on many recordings: a process for each, several at once, and a table of what came out.

Each process runs the verb on one recording just as its user would, so that files are the same and
nothing that happens to one, be it out of memory, ends the others.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from av_perception import __version__
from av_perception.cli.cluster import Tasks, check_cluster, work_on_cluster
from av_perception.cli.job_process import error_of_end, send_answer
from av_perception.cli.output import wide_console, write_json
from av_perception.errors import UserError
from av_perception.recording.collection import Found, state_of_files

DONE = 'done'
LEFT = 'left as it was'
FAILED = 'failed'
MAX_JOBS = 64
# What tells nothing of the result, or is the recording's own and stands in its state of files.
_NO_SETTINGS = (
    'run',
    'verb',
    'jobs',
    'cluster',
    'resume',
    'json',
    'recording',
    'recordings',
    'output',
)

# The header of a column of the table, and its cell out of the figures of one recording.
Columns = Mapping[str, Callable[[dict], str]]


@dataclass(frozen=True)
class Job:
    """One recording to work on."""

    #: in the table
    name: str
    #: of the verb, for this recording alone
    options: argparse.Namespace
    #: what decides whether it must be done again
    inputs: Sequence[Path]
    #: what is written: a file or a folder; None where there is nothing to resume
    output: Path | None = None

    @property
    def record(self) -> Path | None:
        """Where it stands of which inputs and with which settings the output was made."""
        return self.output and self.output.with_name(f'{self.output.name}.run.json')


def add_many_arguments(parser: argparse.ArgumentParser, resumable: bool = True) -> None:
    """Declare how many recordings are worked on."""
    parser.add_argument(
        '--jobs',
        type=int,
        default=1,
        metavar='N',
        help='of several recordings, work on N at once, each in a process (default 1)',
    )
    parser.add_argument(
        '--cluster',
        metavar='ADDRESS',
        help='of several recordings, have them worked on by a Dask cluster (tcp://HOST:8786) '
        'whose workers see the same files (pip install "av_perception[cluster]")',
    )
    if resumable:
        parser.add_argument(
            '--resume',
            action='store_true',
            help='leave recordings whose output is of this version, these settings and files '
            'that have not changed since',
        )


def run_one_or_many(
    options: argparse.Namespace,
    found: list[Found],
    run_one: Callable[[argparse.Namespace], int],
    run_many_of: Callable[[list[Found], argparse.Namespace], int],
) -> int:
    """Run a verb on one recording, or on several where they, or all of a folder, are asked for.

    Parameters
    ----------
    options
        Of the verb; `recordings` are the paths that were named.
    found
        The recordings that lie there.
    run_one
        Takes the options, with the one path in `recording`.
    run_many_of
        Takes what was found, and the options.

    Returns
    -------
    int
        Exit status.
    """
    paths = options.recordings
    is_as_named = [one.path for one in found] == list(paths)
    if len(paths) > 1 or getattr(options, 'resume', False) or not is_as_named:
        return run_many_of(found, options)
    options.recording = paths[0]
    return run_one(options)


def name_within(option: str, name: Path | None) -> Path | None:
    """Check the name of what is written for each recording, in a folder of its own.

    Raises
    ------
    UserError
        It leads out of that folder.
    """
    if name is not None and (name.is_absolute() or '..' in name.parts or not name.parts):
        raise UserError(
            f'{option} {name}: of several recordings, say a name; it is used in the folder of each'
        )
    return name


def check_folder_of_several(path: Path | None) -> None:
    """Refuse the name of a file, and a file, where the output of several recordings goes.

    Raises
    ------
    UserError
        It would not be a folder.
    """
    if path is None or path.is_dir():
        return
    if path.exists() or path.suffix.lower() in ('.csv', '.wav', '.flac'):
        raise UserError(f'-o {path}: of several recordings, name a folder, not a file')


def run_many(jobs: Sequence[Job], options: argparse.Namespace, columns: Columns) -> int:
    """Run the verb on every recording, show a table and write --json.

    Parameters
    ----------
    jobs
        The recordings.
    options
        As they were given: jobs, cluster, json, and resume where the verb can.
    columns
        Of the table, between the state and the note.

    Returns
    -------
    int
        Exit status: 0, or 1 if any failed.
    """
    if not 1 <= options.jobs <= MAX_JOBS:
        raise UserError(f'--jobs must lie in 1..{MAX_JOBS}, not {options.jobs}')
    cluster = getattr(options, 'cluster', None)
    check_cluster(cluster, options.jobs)
    _refuse_equal_outputs(jobs)
    settings = {key: str(v) for key, v in vars(options).items() if key not in _NO_SETTINGS}
    entries: dict[int, dict] = {}
    if getattr(options, 'resume', False):
        earlier = {index: _earlier(job, settings) for index, job in enumerate(jobs)}
        entries = {index: entry for index, entry in earlier.items() if entry is not None}
    work = partial(_work_here, at_once=options.jobs)
    if cluster is not None:
        work = partial(_work_far, jobs, cluster)
    _work(jobs, work, settings, entries)
    ordered = [entries[index] for index in range(len(jobs))]
    _show(ordered, columns)
    if options.json:
        write_json(options.json, {'version': __version__, 'recordings': ordered})
    return int(any(entry['state'] == FAILED for entry in ordered))


def _refuse_equal_outputs(jobs: Sequence[Job]) -> None:
    written: dict[Path, str] = {}
    for job in jobs:
        if job.output is None:
            continue
        other = written.setdefault(job.output.resolve(), job.name)
        if other != job.name:
            raise UserError(
                f'{other} and {job.name} would both be written to {job.output}: '
                'name a folder for the output with -o'
            )


def _work(
    jobs: Sequence[Job], work: Callable[..., None], settings: dict, entries: dict[int, dict]
) -> None:
    """Work on those that have no entry yet, with a progress bar; fills entries."""
    from rich.progress import Progress

    waiting = {index: job for index, job in enumerate(jobs) if index not in entries}
    states = {index: state_of_files(job.inputs) for index, job in waiting.items()}
    with Progress(transient=True, disable=not sys.stdout.isatty()) as bar:
        task = bar.add_task('recordings', total=len(jobs), completed=len(entries))

        def on_answer(index: int, answer: dict) -> None:
            entries[index] = _ended(jobs[index], answer)
            _keep_record(jobs[index], entries[index], settings, states[index])
            bar.update(task, advance=1, description=jobs[index].name)

        tasks = {index: (job.options, job.inputs) for index, job in waiting.items()}
        work(tasks, on_answer=on_answer)


def _ended(job: Job, answer: dict) -> dict:
    """Make the entry of a recording that was worked on."""
    return _entry(job, FAILED if answer.get('error') else DONE, answer)


def _work_far(
    jobs: Sequence[Job], address: str, tasks: Tasks, on_answer: Callable[[int, dict], None]
) -> None:
    """Do tasks on a cluster; what is not to be seen here was not written to a shared place."""

    def on_far_answer(index: int, answer: dict) -> None:
        output = jobs[index].output
        if output is not None and not output.exists() and not answer.get('error'):
            answer = {**answer, 'error': f'{output} was made, but is not to be seen from here'}
        on_answer(index, answer)

    work_on_cluster(address, tasks, on_far_answer)


def _work_here(tasks: Tasks, at_once: int, on_answer: Callable[[int, dict], None]) -> None:
    """Do tasks in processes of this machine."""
    waiting = list(tasks)
    running: dict[Connection, tuple[int, Any]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                index = waiting.pop(0)
                receiver, process = _start(tasks[index][0])
                running[receiver] = (index, process)
            ready = wait(list(running))
            for receiver in [one for one in running if one in ready]:
                index, process = running.pop(receiver)
                on_answer(index, _answer(receiver, process))
    finally:
        for _, process in running.values():
            process.terminate()
        for _, process in running.values():
            process.join()


def _start(options: argparse.Namespace) -> tuple[Connection, Any]:
    context = multiprocessing.get_context('spawn')  # fork would copy the threads' locks
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=send_answer, args=(sender, options), daemon=True)
    process.start()
    sender.close()  # so that the receiver ends with the process
    return receiver, process


def _answer(receiver: Connection, process) -> dict:
    """Take the answer of a process, or say how it ended without."""
    try:
        return receiver.recv()
    except EOFError:
        process.join()
        return {'error': error_of_end(process.exitcode)}
    finally:
        receiver.close()
        process.join()


def _entry(job: Job, state: str, answer: dict) -> dict:
    return {
        'recording': job.name,
        'state': state,
        'error': answer.get('error', ''),
        'problems': answer.get('problems', []),
        'output': job.output and str(job.output),
        'cpu_s': answer.get('cpu_s'),
        'figures': answer.get('figures', {}),
    }


def _earlier(job: Job, settings: dict) -> dict | None:
    """Give the entry of an earlier run whose output still holds; None if there is none."""
    if job.record is None or job.output is None or not job.output.exists():
        return None
    try:
        record = json.loads(job.record.read_text(encoding='utf-8'))
    except (OSError, ValueError):  # none, or cut short
        return None
    made_of = {'version': __version__, 'settings': settings, 'inputs': state_of_files(job.inputs)}
    if not isinstance(record, dict) or any(record.get(k) != v for k, v in made_of.items()):
        return None
    entry = record.get('entry')
    if not isinstance(entry, dict) or not isinstance(entry.get('figures'), dict):
        return None
    return _entry(job, LEFT, {**entry, 'error': ''})


def _keep_record(job: Job, entry: dict, settings: dict, state: dict) -> None:
    """Write down what a result was made of, whole or not at all; of a failure nothing stays."""
    if job.record is None:
        return
    if entry['state'] == FAILED:
        job.record.unlink(missing_ok=True)
        return
    record = {'version': __version__, 'settings': settings, 'inputs': state, 'entry': entry}
    temporary = job.record.with_name(f'{job.record.name}.part')
    try:
        write_json(temporary, record)
        temporary.replace(job.record)
    except (UserError, OSError) as error:
        entry['problems'] = [*entry['problems'], f'--resume will not know of it: {error}']


def _show(entries: list[dict], columns: Columns) -> None:
    from rich.markup import escape
    from rich.table import Table

    colors = {DONE: 'green', LEFT: 'dim', FAILED: 'red'}
    table = Table('recording', 'state', *columns, r'cpu \[s]', 'note')
    for entry in entries:
        figures = entry['figures']
        cells = [cell(figures) if figures else '' for cell in columns.values()]
        spent = '' if entry['cpu_s'] is None else f'{entry["cpu_s"]:.1f}'
        note = entry['error'] or '; '.join(entry['problems'])
        state = f'[{colors[entry["state"]]}]{entry["state"]}[/]'
        table.add_row(escape(entry['recording']), state, *cells, spent, escape(note))
    console = wide_console()
    console.print(table)
    states = [entry['state'] for entry in entries]
    counts = [f'{states.count(state)} {state}' for state in (DONE, LEFT, FAILED)]
    console.print(f'{len(states)} recordings: {", ".join(counts)}', highlight=False)
