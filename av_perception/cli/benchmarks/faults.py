# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What goes wrong on robots, done to the running graph: does it live, recover, and say so.

Every fault is done to the nodes over DDS, on simulated time, with two people before planted
sensors. It reports whether all nodes lived on without a traceback, how long after the end of the
cause the tracks were right again, whether people kept their ids, and which sentence on
/diagnostics named the cause. The exit status is 1 when one did not pass.

For example:
  av-perception benchmark faults --json docs/faults.json
  av-perception benchmark faults --list
  av-perception benchmark faults --only sound-nan images
      one fault, and all whose names begin with a word
  av-perception benchmark faults --only imu --json docs/faults.json --update
  av-perception benchmark faults --only halted --rounds 10
      each ten times; what is told of a fault is the worst of them
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from av_perception.cli.output import (
    TrialBar,
    check_picture,
    check_writable,
    wide_console,
    write_json,
)
from av_perception.errors import UserError

if TYPE_CHECKING:
    from av_perception.ros.faults.fault import Fault, FaultResult

LONGEST_TOLD = 60  # columns
MAX_ROUNDS = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the benchmark."""
    parser.add_argument(
        '--only', nargs='+', metavar='NAME', help='these faults: their names, or how they begin'
    )
    parser.add_argument(
        '--rounds', type=int, default=1, metavar='N', help='do each so often (default 1)'
    )
    parser.add_argument('--list', action='store_true', help='name all faults and do none')
    parser.add_argument(
        '--logs', type=Path, metavar='FOLDER', help="keep the nodes' logs in FOLDER"
    )
    parser.add_argument('--json', metavar='FILE', help='write the figures to FILE, as they come')
    parser.add_argument(
        '--update',
        action='store_true',
        help='with --json: keep the figures of other faults that FILE holds',
    )
    parser.add_argument(
        '--plot', metavar='FILE', help='draw how long each recovery took (.png, .svg or .pdf)'
    )


def run(args: argparse.Namespace) -> int:
    """Do the faults, print the table, write the files; 1 when one did not pass."""
    from av_perception.ros.faults.catalog import chosen

    if not 1 <= args.rounds <= MAX_ROUNDS:
        raise UserError(f'--rounds must lie in 1..{MAX_ROUNDS}, not {args.rounds}')
    check_writable(args.json)
    check_picture(args.plot)
    faults = chosen(args.only)
    console = wide_console()
    if args.list:
        console.print(_list(faults))
        return 0
    before = kept_figures(Path(args.json)) if args.update and args.json else []

    def keep(results: list[FaultResult]) -> None:
        if args.json:
            figures = in_order(before, figures_of(results, args.rounds))
            write_json(args.json, {'faults': figures})

    results = _do_all([f for f in faults for _ in range(args.rounds)], args.logs, console, keep)
    console.print(_table(faults, _worst(results, args.rounds)))
    console.print(_summary(results))
    if args.plot:
        from av_perception.visualization.fault_picture import draw_recoveries

        draw_recoveries(in_order(before, figures_of(results, args.rounds)), args.plot)
    return 0 if all(result.is_held for result in results) else 1


def _do_all(
    faults: list[Fault],
    logs: Path | None,
    console: Console,
    keep: Callable[[list[FaultResult]], None],
) -> list[FaultResult]:
    """Do all faults with a progress bar, print what did not pass at once, keep what is done."""
    from av_perception.ros.faults.trial import try_faults
    from av_perception.simulation.cache import simulated_recording

    results: list[FaultResult] = []
    with TrialBar(console, len(faults)) as bar:

        def end(result: FaultResult) -> None:
            bar.end(result.name, result.complaints, 'passed')
            results.append(result)
            keep(results)

        return try_faults(
            faults,
            simulated_recording('short'),
            logs,
            lambda fault: bar.begin(fault.name),
            end,
        )


def figures_of(results: list[FaultResult], rounds: int) -> list[dict]:
    """Give the figures of the faults that were done, of each its worst round so far."""
    return [result.figures | {'rounds': rounds} for result in _worst(results, rounds)]


def _worst(results: list[FaultResult], rounds: int) -> list[FaultResult]:
    return [worst_of(results[k : k + rounds]) for k in range(0, len(results), rounds)]


def worst_of(results: list[FaultResult]) -> FaultResult:
    """Choose what is told of a fault that was done several times."""

    def badness(result: FaultResult) -> tuple[bool, float]:
        frames = result.recovery_frames
        return not result.is_held, math.inf if frames is None else frames

    return max(results, key=badness)


def kept_figures(path: Path) -> list[dict]:
    """Read the figures that a file holds; none where there is no file.

    Raises
    ------
    UserError
        When it holds something else.
    """
    if not path.is_file():
        return []
    try:
        rows = json.loads(path.read_text('utf-8'))['faults']
        return [row for row in rows if row['name']]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f'{path} holds no figures of faults: leave out --update') from error


def in_order(before: list[dict], figures: list[dict]) -> list[dict]:
    """Put new figures in the place of those before, in the order of the list of faults."""
    from av_perception.ros.faults.catalog import chosen

    kept = {row['name']: row for row in [*before, *figures]}
    return [kept[fault.name] for fault in chosen(None) if fault.name in kept]


def _list(faults: list[Fault]) -> Table:
    table = Table(title=f'{len(faults)} faults')
    for heading in ('name', 'what goes wrong', 'graph'):
        table.add_column(heading)
    for fault in faults:
        table.add_row(fault.name, fault.what, fault.setup)
    return table


def _table(faults: list[Fault], results: list[FaultResult]) -> Table:
    table = Table(title='faults done to the running graph')
    for heading in ('fault', 'lives', 'right again', 'ids', 'told as'):
        table.add_column(heading)
    for fault, result in zip(faults, results):
        recovery = '-' if result.is_end else 'never'
        if result.recovery_s is not None:
            recovery = f'{result.recovery_s:.2f} s'
        ids = {True: 'kept', False: 'lost', None: '-'}[result.ids_kept]
        told = fault.excerpt(result.told) or ('NOTHING' if result.is_told_of else '-')
        cells = [
            result.name,
            'yes' if result.survived else '; '.join(result.problems),
            recovery,
            ids,
            shortened(told),
        ]
        table.add_row(*cells, style='' if result.is_held else 'red')
    return table


def shortened(sentence: str, longest: int = LONGEST_TOLD) -> str:
    """Cut a sentence that is too long for a table."""
    return sentence if len(sentence) <= longest else sentence[: longest - 3] + '...'


def _summary(results: list[FaultResult]) -> str:
    num_held = sum(result.is_held for result in results)
    minutes = sum(result.took_s for result in results) / 60.0
    return f'{num_held} of {len(results)} faults passed, in {minutes:.1f} min.'
