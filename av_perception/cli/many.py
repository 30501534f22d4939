# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Verbs on many recordings: a process for each, several at once, and a table of what came out.

Each process runs the verb on one recording just as its user would, so that files are the same and
nothing that happens to one, be it out of memory, ends the others.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from av_perception import __version__
from av_perception.cli.output import wide_console, write_json
from av_perception.errors import UserError, describe
from av_perception.recording.collection import state_of_files

DONE = 'done'
LEFT = 'left as it was'
FAILED = 'failed'
MAX_JOBS = 64
# What tells nothing of the result, or is the recording's own and stands in its state of files.
_NO_SETTINGS = ('run', 'verb', 'jobs', 'resume', 'json', 'recording', 'recordings', 'output')

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
    if resumable:
        parser.add_argument(
            '--resume',
            action='store_true',
            help='leave recordings whose output is of this version, these settings and files '
            'that have not changed since',
        )


def is_many(options: argparse.Namespace, paths: Sequence[Path], found: Sequence) -> bool:
    """Tell whether several recordings were asked for, or one as if it were several."""
    return (
        len(paths) > 1
        or getattr(options, 'resume', False)
        or [one.path for one in found] != list(paths)
    )


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
        As they were given: jobs, json, and resume where the verb can.
    columns
        Of the table, between the state and the note.

    Returns
    -------
    int
        Exit status: 0, or 1 if any failed.
    """
    if not 1 <= options.jobs <= MAX_JOBS:
        raise UserError(f'--jobs must lie in 1..{MAX_JOBS}, not {options.jobs}')
    _refuse_equal_outputs(jobs)
    settings = {key: str(v) for key, v in vars(options).items() if key not in _NO_SETTINGS}
    entries: dict[int, dict] = {}
    if getattr(options, 'resume', False):
        earlier = {index: _earlier(job, settings) for index, job in enumerate(jobs)}
        entries = {index: entry for index, entry in earlier.items() if entry is not None}
    _work(jobs, [i for i in range(len(jobs)) if i not in entries], options.jobs, settings, entries)
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
    jobs: Sequence[Job], waiting: list[int], at_once: int, settings: dict, entries: dict[int, dict]
) -> None:
    """Work on those that wait, with a progress bar; fills entries."""
    from rich.progress import Progress

    running: dict[Connection, tuple[int, Any, dict]] = {}
    with Progress(transient=True, disable=not sys.stdout.isatty()) as bar:
        task = bar.add_task('recordings', total=len(jobs), completed=len(entries))
        try:
            while waiting or running:
                while waiting and len(running) < at_once:
                    index = waiting.pop(0)
                    state = state_of_files(jobs[index].inputs)
                    receiver, process = _start(jobs[index])
                    running[receiver] = (index, process, state)
                ready = wait(list(running))
                for receiver in [one for one in running if one in ready]:
                    index, process, state = running.pop(receiver)
                    entries[index] = _ended(jobs[index], receiver, process)
                    _keep_record(jobs[index], entries[index], settings, state)
                    bar.update(task, advance=1, description=jobs[index].name)
        finally:
            for _, process, _ in running.values():
                process.terminate()
            for _, process, _ in running.values():
                process.join()


def _start(job: Job) -> tuple[Connection, Any]:
    context = multiprocessing.get_context('spawn')  # fork would copy the threads' locks
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_run_one, args=(sender, job.options), daemon=True)
    process.start()
    sender.close()  # so that the receiver ends with the process
    return receiver, process


def _ended(job: Job, receiver: Connection, process) -> dict:
    """Make the entry of a recording whose process has answered, or ended without."""
    try:
        answer = receiver.recv()
    except EOFError:
        process.join()
        code = process.exitcode
        how = f'ended with status {code}: run it alone to see why'
        if code and code < 0:
            how = f'was ended by signal {-code}: is there enough memory? fewer --jobs?'
        answer = {'error': f'its process {how}'}
    finally:
        receiver.close()
    process.join()
    return _entry(job, FAILED if answer.get('error') else DONE, answer)


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


def _run_one(sender: Connection, options: argparse.Namespace) -> None:
    """In a process of its own: run the verb on one recording and send what came out."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the starter, which ends us
    threading.Thread(target=_end_with_starter, daemon=True).start()
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
    sender.send(answer)
    sender.close()


def _end_with_starter() -> None:
    starter = multiprocessing.parent_process()
    if starter is not None:
        wait([starter.sentinel])
        os._exit(2)


def _last_line(text: str) -> str:
    return next((line for line in reversed(text.splitlines()) if line.strip()), '')


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
