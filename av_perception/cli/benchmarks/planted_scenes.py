# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The part of `benchmark scenes` that needs no pixels: planted faces of people who cross."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from rich.box import SIMPLE
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from av_perception.benchmarks.crossing_faces import (
    OURS,
    PEERS,
    CrossingResult,
    measure,
    summarize,
)
from av_perception.cli.output import wide_console, write_json
from av_perception.errors import UserError
from av_perception.simulation.crossing_faces import FaceSensorConfig
from av_perception.simulation.crossings import CROSSINGS

FIRST_SEED = 1000  # the tracker was tuned on smaller ones
_MOST_SWITCHES = 1.0  # a minute


def add_planted_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of planted scenes."""
    parser.add_argument(
        '--planted',
        type=int,
        metavar='N',
        help='N scenes of planted faces of each kind of crossing, in place of rendered ones',
    )
    parser.add_argument(
        '--first-seed',
        type=int,
        default=FIRST_SEED,
        metavar='S',
        help='of the planted scenes (default: %(default)s; from 0 on the tracker was tuned)',
    )
    parser.add_argument(
        '--looks', action='store_true', help='planted faces have embeddings that tell people apart'
    )
    parser.add_argument('--alone', action='store_true', help='planted faces without the peers')


def run_planted(args: argparse.Namespace) -> int:
    """Measure, print the table, write the figures; 1 when our ids switched too often.

    Parameters
    ----------
    args
        planted, first_seed, looks, alone and json of `benchmark scenes`.

    Raises
    ------
    UserError
        For a senseless number, or Stone Soup missing.
    """
    if not 1 <= args.planted <= 10000 or args.first_seed < 0:
        raise UserError('--planted must lie in 1..10000 and --first-seed must not be negative')
    console = wide_console()
    results = _measure(args, console)
    summary = summarize(results)
    console.print(_table(summary, args.planted))
    if args.json:
        rows = [asdict(result) for result in results]
        write_json(args.json, {'summary': summary, 'scenes': rows})
    ours = [row for row in summary if row['kind'] == 'all' and row['tracker'] == OURS]
    return 0 if ours[0]['switches_per_minute'] <= _MOST_SWITCHES else 1


def _measure(args: argparse.Namespace, console: Console) -> list[CrossingResult]:
    """Measure with a progress bar."""
    trackers = (OURS,) if args.alone else (OURS, *PEERS)
    seeds = range(args.first_seed, args.first_seed + args.planted)
    results = []
    with Progress(console=console, transient=True) as progress:
        total = len(CROSSINGS) * len(seeds) * len(trackers)
        task = progress.add_task('tracking', total=total)
        sensor = FaceSensorConfig(looks=args.looks)
        for result in measure(list(CROSSINGS), seeds, trackers, sensor):
            results.append(result)
            progress.advance(task)
    return results


def _table(summary: list[dict], num_scenes: int) -> Table:
    table = Table(title=f'means over {num_scenes} scenes of each kind', box=SIMPLE)
    table.add_column('crossing')
    table.add_column('tracker', no_wrap=True)
    headings = ('MOTA, %', 'IDF1, %', 'OSPA, m', 'switches a min', 'error, cm', 'oldest ghost, s')
    for heading in (*headings, 'right ids, %'):
        table.add_column(heading, justify='right')
    last = None
    for row in summary:
        table.add_row(
            row['kind'] if row['kind'] != last else '',
            row['tracker'],
            f'{100 * row["mota"]:.1f}',
            f'{100 * row["idf1"]:.1f}',
            f'{row["ospa_m"]:.3f}',
            f'{row["switches_per_minute"]:.2f}',
            f'{100 * row["position_rmse_m"]:.1f}',
            f'{row["oldest_ghost_s"]:.2f}',
            f'{100 * row["right_ids"]:.0f}',
        )
        last = row['kind']
    return table
