# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Time of one tracker step, and how it grows with people, faces and sub-bands.

People stand in front of a stereo head; some faces are false; one person speaks. The nominal size
is 8 people, 10 faces, 16 sub-bands of 48 components, 32 pieces, 4 iterations; the step is to take
2 ms in the median and 5 ms at the 99th percentile on one core. Set OMP_NUM_THREADS=1 to measure
one core.

For example:
  OMP_NUM_THREADS=1 av-perception benchmark tracker --steps 500 --json t.json --plot t.png
"""

from __future__ import annotations

import argparse
from dataclasses import asdict

from rich.progress import track
from rich.table import Table

from av_perception.benchmarks import tracker_speed
from av_perception.benchmarks.tracker_speed import ProblemSize, Timing, measure
from av_perception.cli.output import check_picture, check_writable, wide_console, write_json
from av_perception.robot_head.profile import load_head

_MEDIAN_MS = 2.0
_P99_MS = 5.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the benchmark."""
    parser.add_argument(
        '--steps', type=int, default=400, help='timed steps per size (default: %(default)s)'
    )
    parser.add_argument(
        '--head', default='simulated', help='head profile with a camera (default: %(default)s)'
    )
    parser.add_argument('--json', metavar='FILE', help='write the figures to FILE')
    parser.add_argument('--plot', metavar='FILE', help='draw the growth to FILE (png, svg, pdf)')


def run(args: argparse.Namespace) -> int:
    """Measure, print the tables, write the files."""
    check_writable(args.json)
    check_picture(args.plot)
    head = load_head(args.head)
    console = wide_console()
    steps = max(args.steps, tracker_speed.LEAST_STEPS)
    nominal = measure(ProblemSize(), head, steps)
    sweeps = {}
    for name, sizes in tracker_speed.SWEEPS.items():
        with_bar = track(sizes, description=f'by {name}', console=console, transient=True)
        sweeps[name] = [measure(size, head, steps) for size in with_bar]
    console.print(_nominal_table(nominal))
    for name, timings in sweeps.items():
        console.print(_sweep_table(name, timings))
    if args.json:
        figures = {
            'nominal': asdict(nominal),
            'target_ms': {'median': _MEDIAN_MS, 'p99': _P99_MS},
            'sweeps': {name: [asdict(t) for t in timings] for name, timings in sweeps.items()},
        }
        write_json(args.json, figures)
    if args.plot:
        tracker_speed.plot_sweeps(sweeps, args.plot)
    return 0


def _nominal_table(timing: Timing) -> Table:
    size = timing.size
    table = Table(
        title=f'tracker step: {size.people} people, {size.faces} faces, '
        f'{size.subbands} sub-bands x {size.components}, '
        f'{size.pieces} pieces, {size.iterations} iterations'
    )
    for heading in ('figure', 'measured', 'target', ''):
        table.add_column(heading, justify='left' if heading == 'figure' else 'right')
    for name, value, target in (
        ('median', timing.median_ms, _MEDIAN_MS),
        ('99th percentile', timing.p99_ms, _P99_MS),
    ):
        mark = '[green]✓' if value <= target else '[red]✗'
        table.add_row(name, f'{value:.2f} ms', f'{target:.1f} ms', mark)
    return table


def _sweep_table(name: str, timings: list[Timing]) -> Table:
    table = Table(title=f'growth with {name}')
    for heading in (name, 'median', '99th percentile', 'time ratio', f'{name} ratio'):
        table.add_column(heading, justify='right')
    first = timings[0]
    for timing in timings:
        count = getattr(timing.size, name)
        table.add_row(
            str(count),
            f'{timing.median_ms:.2f} ms',
            f'{timing.p99_ms:.2f} ms',
            f'{timing.median_ms / first.median_ms:.2f}',
            f'{count / getattr(first.size, name):.1f}',
        )
    return table
