# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Whether streams stay with their people who cross, hide each other, leave and come back.

Walks and faces are those of `benchmark crossings`, tracked live; the sound of the same people in a
room goes through the live streams. A swap is a stream that carries another's voice than its
owner's for longer than half a second, while both stand apart. While they stand in one line for the
microphones, within 15 degrees, directions cannot tell whose a voice is: another's voice is shared
then, and counted by itself. A stream that ends with another person than it began with is passed
on.

For example:
  av-perception benchmark crossing-voices --json swaps.json
  av-perception benchmark crossing-voices --kinds behind leave_5s --seeds 5
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from av_perception.benchmarks.crossing_voices import CrossingVoices, measure_crossings
from av_perception.cli.output import check_writable, wide_console, write_json
from av_perception.errors import UserError
from av_perception.evaluation.voice_owners import STEP_S
from av_perception.simulation.crossings import CROSSINGS

FIRST_SEED = 1000  # the tracker was tuned on smaller ones
_HEADING = (
    'scene',
    'minutes',
    'streams',
    'seconds',
    'shared',
    "another's",
    'swaps',
    'passed on',
)
_ROW = '{:18} {:>8} {:>8} {:>10} {:>10} {:>12} {:>6} {:>10}'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the benchmark."""
    parser.add_argument(
        '--seeds', type=int, default=1, metavar='N', help='scenes of each kind (default 1)'
    )
    parser.add_argument(
        '--kinds',
        nargs='+',
        choices=list(CROSSINGS),
        default=list(CROSSINGS),
        metavar='KIND',
        help=f'of {", ".join(CROSSINGS)} (default: all)',
    )
    parser.add_argument('--json', type=Path, metavar='FILE', help='write all rows to FILE')


def run(args: argparse.Namespace) -> int:
    """Measure, print a line of each scene as it is done, and the sum."""
    check_writable(args.json)
    if args.seeds < 1:
        raise UserError('--seeds must be at least 1')
    console = wide_console(100)
    console.print(_ROW.format(*_HEADING))
    rows: list[CrossingVoices] = []
    for row in measure_crossings(args.kinds, range(FIRST_SEED, FIRST_SEED + args.seeds)):
        rows.append(row)
        console.print(_line(f'{row.kind}_{row.seed}', [row]))
        if args.json:
            # What is done stays, should the rest be given up.
            write_json(args.json, {'rows': [asdict(row) for row in rows]})
    console.print(_line('all', rows))
    minutes = sum(row.minutes for row in rows)
    often = 10 * sum(row.swaps for row in rows) / minutes
    lasting = 10 * sum(row.passed_on for row in rows) / minutes
    console.print(f'in ten minutes: {often:.1f} swaps, {lasting:.1f} streams passed on')
    return 0


def _line(name: str, rows: list[CrossingVoices]) -> str:
    def total(field: str) -> int:
        return sum(getattr(row, field) for row in rows)

    def share(count: int) -> str:
        return f'{count / total("windows"):.1%}' if total('windows') else '-'

    minutes = sum(row.minutes for row in rows)
    return _ROW.format(
        name,
        f'{minutes:.2f}',
        total('streams'),
        round(total('windows') * STEP_S),
        share(total('shared')),
        share(total('wrong')),
        total('swaps'),
        total('passed_on'),
    )
