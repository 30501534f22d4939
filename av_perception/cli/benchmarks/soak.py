# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Whether something grows over a long time: memory, open files, threads, shared memory.

People come and go by the hundred before the offline pipeline, and before all nodes on simulated
time, in lock-step. Faces are planted, five images a second; somebody talks for eight seconds of
every minute. After a warm-up (a quarter of the time) nothing may grow, and what was sent must be
what was answered and what was dropped for a reason. The exit status is 1 when it is not so. Linux.

For example:
  av-perception benchmark soak --minutes 60 --json docs/soak.json
  av-perception benchmark soak --minutes 2 --only offline
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

from rich.progress import Progress, TaskID
from rich.table import Table

from av_perception.benchmarks.soak import LIMITS, Soak, soak_offline
from av_perception.cli.output import check_writable, wide_console, write_json
from av_perception.errors import UserError
from av_perception.simulation.cache import simulated_recording

MAX_MINUTES = 24 * 60.0
WAYS = ('offline', 'nodes')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the benchmark."""
    parser.add_argument(
        '--minutes',
        type=float,
        default=60.0,
        metavar='N',
        help="how long, of the sensors' time (default 60)",
    )
    parser.add_argument('--only', choices=WAYS, help='one of both')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the figures to FILE')
    parser.add_argument(
        '--update', action='store_true', help='with --json: keep the other one that FILE holds'
    )


def run(args: argparse.Namespace) -> int:
    """Run one or both, print the table, write the file; 1 when something grew."""
    check_writable(args.json)
    if not 0.5 <= args.minutes <= MAX_MINUTES:
        raise UserError(f'--minutes must lie in 0.5..{MAX_MINUTES:g}, not {args.minutes}')
    if not Path('/proc/self/smaps_rollup').exists():
        raise UserError('this system does not tell what a process holds: Linux is needed')
    recording = simulated_recording('short')
    soaks = []
    with Progress(transient=True) as progress:
        for way in [args.only] if args.only else WAYS:
            task = progress.add_task(way, total=1.0)
            tell = partial(_tell, progress, task)
            soaks.append(_runner(way)(recording, args.minutes, tell))
    console = wide_console()
    console.print(_table(soaks))
    for soak in soaks:
        for complaint in soak.complaints:
            console.print(f'{soak.what}: {complaint}', style='red')
    if args.json:
        figures = {soak.what: soak.figures for soak in soaks}
        write_json(args.json, (_known(args.json) if args.update else {}) | figures)
    return int(any(soak.complaints for soak in soaks))


def _tell(progress: Progress, task: TaskID, fraction: float) -> None:
    progress.update(task, completed=fraction)


def _runner(way: str) -> Callable[..., Soak]:
    if way == 'offline':
        return soak_offline
    from av_perception.ros.soak_graph import soak_graph

    return soak_graph


def _known(path: Path) -> dict:
    """Read what a file holds of earlier runs."""
    if not path.is_file():
        return {}
    try:
        known = json.loads(path.read_text(encoding='utf-8'))
        return {way: known[way] for way in WAYS if way in known}
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f'{path} holds no figures of a soak: leave out --update') from error


def _table(soaks: list[Soak]) -> Table:
    table = Table(title='a long run: what grew once it was warm')
    for heading in ('', 'minutes', 'people', 'ids', 'images', 'answered', 'dropped', *LIMITS):
        table.add_column(heading)
    for soak in soaks:
        grown = [f'{soak.growth(name):+.2f}' for name in LIMITS]
        counts = (soak.people, soak.ids, soak.sent, soak.answered, sum(soak.dropped.values()))
        cells = [soak.what, f'{soak.minutes:g}', *map(str, counts), *grown]
        table.add_row(*cells, style='red' if soak.complaints else '')
    return table
