# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The tracker and its peers on planted faces of people who cross, hide each other and come back.

Every kind of crossing is drawn from seeds: walks, and the errors of a stereo face detector, which
misses faces, takes the depth of who is in front for that of a half-hidden face, and finds false
ones. Stone Soup's GNN and JPDA and a SORT-style baseline get the same faces in the same run, and
the true rates of missing and false faces. There is no sound. Faces come with looks, as on a robot:
clothes and hair in numbers, in another light whenever somebody comes back; only this tracker uses
them. With --disturb, this tracker sees every scene several times more, with each face moved by
about a pixel, and how far the figures spread is told. Needs: pip install
'av_perception[evaluation,comparison]'.

For example:
  av-perception benchmark crossings --json crossings.json
  av-perception benchmark crossings --alone --seeds 100
  av-perception benchmark crossings --alone --seeds 2 --disturb 5
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

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
from av_perception.benchmarks.disturbed_crossings import Spread, measure_disturbed, spreads
from av_perception.cli.output import check_writable, wide_console, write_json
from av_perception.errors import UserError
from av_perception.simulation.crossings import CROSSINGS

FIRST_SEED = 1000  # the tracker was tuned on smaller ones
_MOST_SWITCHES = 1.0  # a minute


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the benchmark."""
    parser.add_argument(
        '--seeds',
        type=int,
        default=10,
        metavar='N',
        help='scenes of each kind (default: %(default)s)',
    )
    parser.add_argument(
        '--first-seed',
        type=int,
        default=FIRST_SEED,
        metavar='S',
        help='of the scenes (default: %(default)s; the tracker was tuned on those from 0 on)',
    )
    parser.add_argument(
        '--kinds',
        nargs='+',
        choices=list(CROSSINGS),
        default=list(CROSSINGS),
        metavar='KIND',
        help=f'of crossings (default: {" ".join(CROSSINGS)})',
    )
    parser.add_argument(
        '--no-looks', action='store_true', help='faces come without clothes and hair'
    )
    parser.add_argument('--alone', action='store_true', help='without the other trackers')
    parser.add_argument(
        '--update',
        metavar='FILE',
        help='take the other trackers from the figures in FILE, of an earlier --json, where they '
        'are of the same scenes',
    )
    _add_disturbance(parser)
    parser.add_argument('--json', metavar='FILE', help='write the figures to FILE')


def _add_disturbance(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--disturb',
        type=int,
        default=0,
        metavar='N',
        help='see each scene N times more with small disturbances (default: %(default)s)',
    )


def run(args: argparse.Namespace) -> int:
    """Measure, print the table, write the figures; 1 when our ids switched too often."""
    check_writable(args.json)
    if not 1 <= args.seeds <= 10000 or args.first_seed < 0:
        raise UserError('--seeds must lie in 1..10000 and --first-seed must not be negative')
    if not 0 <= args.disturb <= 1000:
        raise UserError(f'--disturb must lie in 0..1000, not {args.disturb}')
    console = wide_console()
    results = _measure(args, console)
    summary = summarize(results)
    console.print(_table(summary, args.seeds))
    figures = {'summary': summary, 'scenes': [asdict(result) for result in results]}
    if args.disturb:
        seeds = range(args.first_seed, args.first_seed + args.seeds)
        scenes = measure_disturbed(args.kinds, seeds, args.disturb, not args.no_looks)
        spread = spreads(list(scenes))
        console.print(_spread_table(spread))
        figures['disturbed'] = [asdict(row) for row in spread]
    if args.json:
        write_json(args.json, figures)
    ours = [row for row in summary if row['kind'] == 'all' and row['tracker'] == OURS]
    return 0 if ours[0]['switches_per_minute'] <= _MOST_SWITCHES else 1


def _measure(args: argparse.Namespace, console: Console) -> list[CrossingResult]:
    """Measure with a progress bar."""
    trackers = (OURS,) if args.alone else (OURS, *PEERS)
    seeds = range(args.first_seed, args.first_seed + args.seeds)
    results = []
    with Progress(console=console, transient=True) as progress:
        total = len(args.kinds) * len(seeds) * len(trackers)
        task = progress.add_task('tracking', total=total)
        looks = not args.no_looks
        known = _read(args.update) if args.update else []
        for result in measure(args.kinds, seeds, trackers, looks=looks, known=known):
            results.append(result)
            progress.advance(task)
    return results


def _read(path: str) -> list[CrossingResult]:
    """Results in the figures of an earlier run. Raises UserError where they are none."""
    try:
        rows = json.loads(Path(path).read_text(encoding='utf-8'))['scenes']
        return [CrossingResult(**row) for row in rows]
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise UserError(f'{path} holds no figures of `benchmark crossings`: {error}') from error


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


def _spread_table(rows: list[Spread]) -> Table:
    table = Table(title='this tracker, each face moved by about a pixel', box=SIMPLE)
    table.add_column('crossing')
    headings = ('scenes', 'runs of each', 'spread of MOTA, %', 'worst MOTA, %', 'worst IDF1, %')
    for heading in (*headings, 'oldest ghost, s', 'right ids, %'):
        table.add_column(heading, justify='right')
    for row in rows:
        table.add_row(
            row.kind,
            str(row.scenes),
            str(row.runs),
            f'{100 * row.mota_sd:.2f}',
            f'{100 * row.worst_mota:.1f}',
            f'{100 * row.worst_idf1:.1f}',
            f'{row.oldest_ghost_s:.2f}',
            f'{100 * row.right_ids:.0f}',
        )
    return table
