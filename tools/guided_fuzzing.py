# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Coverage-guided fuzzing of readers: a process for each kind of file, begun again if it dies."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

from guided_reader import TOLD

MAX_DEATHS = 20  # of the processes of a kind
MAX_SAME_DEATHS = 3  # in one place: there is no way around it
PROGRESS_S = 10.0
LAST_LINES = 300  # of a process that died: a long stack of calls
_COVERAGE = re.compile(r'#\d+\s+[A-Za-z_]+\s+cov: (\d+) .*corp: (\d+)/')
_DIED_AT = re.compile(r'File "(.+)", line (\d+) in (\w+)')


@dataclass
class Budget:
    """What may be used on a kind of file.

    Attributes
    ----------
    files, seconds
        Whichever is used up first; seconds of processor time.
    slow_s, memory
        That one file may take: processor time [s], bytes.
    seed
        Another one mutates otherwise.
    first
        End with the first finding.
    """

    files: int
    seconds: float
    slow_s: float
    memory: int
    seed: int
    first: bool = False


@dataclass
class GuidedRun:
    """What came of fuzzing one kind of file.

    Attributes
    ----------
    findings
        What was wrong, by its key.
    coverage
        Edges of Python code that were reached: by the corpus, in the end.
    """

    kind: str
    files: int = 0
    seconds: float = 0.0
    coverage: tuple[int, int] = (0, 0)
    corpus: int = 0
    findings: dict[str, str] = field(default_factory=dict)
    skipped: str = ''

    def __str__(self) -> str:
        if self.skipped:
            return f'{self.kind}: left out: {self.skipped}'
        first, last = self.coverage
        return (
            f'{self.kind}: {self.files} files in {self.seconds:.0f} s of processor time, '
            f'coverage {first} -> {last}, corpus {self.corpus}, {len(self.findings)} findings'
        )


def fuzz_guided(kind: str, folder: Path, budget: Budget, module: str = 'mutations') -> GuidedRun:
    """Fuzz the reader of a kind of file, and print what is found.

    Parameters
    ----------
    kind
        A key of the module's ALL_READERS.
    folder
        In which the corpus and the findings of each kind are kept.
    budget
        What may be used.
    module
        That has the readers.
    """
    run = GuidedRun(kind)
    own = folder / kind.replace(' ', '_')
    (own / 'findings').mkdir(parents=True, exist_ok=True)
    deaths: list[str] = []
    for attempt in range(MAX_DEATHS):
        files = run.files
        seconds = run.seconds
        command = _command(module, run, own, budget, attempt)
        with subprocess.Popen(command, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL) as child:
            try:
                last = _listen(child, run, files, seconds)
            finally:
                child.kill()
        if last is None or (budget.first and run.findings):
            break
        if run.seconds >= budget.seconds or run.files >= budget.files:
            break
        if 'Traceback' in last and run.files == files:  # the whole file, or the reader's import
            print(last, file=sys.stderr)
            _note(run, 'start', f'{kind}: did not start: {last.splitlines()[-1]}')
            break
        deaths.append(_keep_what_killed(run, own, child.returncode, last))
        if deaths.count(deaths[-1]) >= MAX_SAME_DEATHS:
            break
    shutil.rmtree(own / 'work', ignore_errors=True)
    return run


def _command(module: str, run: GuidedRun, own: Path, budget: Budget, attempt: int) -> list[str]:
    """Give the command of the process for what is left of the budget."""
    return [
        sys.executable,
        str(Path(__file__).with_name('guided_reader.py')),
        module,
        run.kind,
        str(own.resolve()),
        f'--files={budget.files - run.files}',
        f'--seconds={budget.seconds - run.seconds}',
        f'--seed={budget.seed + attempt}',
        f'--slow={budget.slow_s}',
        f'--memory={budget.memory}',
        *(['--first'] if budget.first else []),
    ]


def _listen(child: subprocess.Popen, run: GuidedRun, files: int, seconds: float) -> str | None:
    """Follow a process until it ends: None where it is done, else its last lines."""
    last: deque[str] = deque(maxlen=LAST_LINES)
    shown_s = time.monotonic()
    is_done = False
    for line in child.stderr:
        text = line.decode(errors='replace').rstrip()
        covered = _COVERAGE.search(text)
        if covered:
            now = int(covered[1])
            run.coverage = (run.coverage[0] or now, max(now, run.coverage[1]))
            run.corpus = int(covered[2])
        elif not text.startswith(TOLD):
            last.append(text[:300])
            continue
        else:
            told = json.loads(text.removeprefix(TOLD))
            run.skipped = told.get('skipped', '')
            is_done = is_done or 'end' in told or 'skipped' in told
            run.files = max(run.files, files + told.get('files', 0))
            run.seconds = max(run.seconds, seconds + told.get('seconds', 0.0))
            if 'finding' in told:
                _note(run, told['key'], f'{told["kept"]}: {told["finding"]}')
        if time.monotonic() > shown_s + PROGRESS_S:
            shown_s = time.monotonic()
            print(f'... {run}', flush=True)
    child.wait()
    return None if is_done else '\n'.join(last)


def _note(run: GuidedRun, key: str, text: str) -> None:
    """Print a finding that is new to the run."""
    if key not in run.findings:
        run.findings[key] = text
        print(text, flush=True)


def _keep_what_killed(run: GuidedRun, own: Path, code: int, last: str) -> str:
    """Keep the file at which the process died, and say how and where. Gives the key."""
    # The frame that died is first, the whole of the program around it follows.
    place = _DIED_AT.search(last, max(0, last.rfind('Current thread')))
    where = f'{place[1]}:{place[2]} ({place[3]})' if place else ' '.join(last.split())[-300:]
    how = signal.Signals(-code).name if code < 0 else f'exit status {code}'
    key = how if how == 'SIGXCPU' else f'{how} {where}'  # a loop is met anywhere in it
    digest = hashlib.sha1(key.encode()).hexdigest()[:8]
    for read in sorted((own / 'work').glob('*')):
        if read.is_file():
            shutil.copyfile(read, own / 'findings' / f'{digest}_{read.name}')
    why = ': it takes too much processor time' * (how == 'SIGXCPU')
    kept = own / 'findings' / f'{digest}_*'
    _note(run, key, f'{kept}: the process ended by {how}{why} at {where}')
    return key
