# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The tracker, Stone Soup's GNN and JPDA, and a SORT-style baseline on the same detections.

Heads walk before a camera, cross, hide each other, leave and come back; one detection in ten is
missing and some are false. The detections are tracked twice: as boxes in the image, and as the
positions that a stereo pair gives. Every tracker has the same model of motion and noise; the
others are also told how many detections are missing and false. The truth holds everybody in the
image, hidden or not. There is no sound and no appearance. Reported are accuracy and the time of a
step. With --sequences the boxes are those of recorded sequences: folders with det/det.txt and
gt/gt.txt, as of the MOT challenge. Needs: pip install 'av_perception[evaluation,comparison]'. Set
OMP_NUM_THREADS=1 to measure one core.

For example:
  OMP_NUM_THREADS=1 av-perception benchmark tracking --json tracking.json --plot tracking.png
  av-perception benchmark tracking --seeds 1 --picture tracks.png --scenes scenes
  av-perception benchmark tracking --sequences MOT15/train/TUD-Campus MOT15/train/TUD-Stadtmitte
  av-perception evaluate mot --detections scenes/busy_0/det.txt --truth scenes/busy_0/gt.txt
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from rich.box import SIMPLE
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from av_perception.benchmarks.comparison import SPACES, TRACKERS
from av_perception.benchmarks.tracking import (
    HEAD,
    SCENES,
    TrackerResult,
    make_scenes,
    measure,
    summarize,
)
from av_perception.cli.output import check_picture, check_writable, wide_console, write_json
from av_perception.errors import UserError
from av_perception.robot_head.profile import load_head
from av_perception.simulation.box_scenes import BoxScene

_UNITS = {'boxes': 'px', 'positions': 'm'}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the benchmark."""
    parser.add_argument(
        '--seeds',
        type=int,
        default=4,
        metavar='N',
        help='scenes of each kind (default: %(default)s)',
    )
    parser.add_argument(
        '--seconds',
        type=float,
        default=30.0,
        metavar='S',
        help='length of a scene (default: %(default)s)',
    )
    parser.add_argument(
        '--scenes',
        metavar='DIR',
        type=Path,
        help='also write every scene there: det.txt, gt.txt, seqinfo.ini',
    )
    parser.add_argument(
        '--sequences',
        metavar='FOLDER',
        type=Path,
        nargs='+',
        help='instead of the scenes: recorded sequences, each with det/det.txt and gt/gt.txt',
    )
    parser.add_argument('--json', metavar='FILE', help='write the figures to FILE')
    parser.add_argument('--plot', metavar='FILE', help='draw the figures to FILE (png, svg, pdf)')
    parser.add_argument(
        '--picture',
        metavar='FILE',
        help='draw who was where in the first busy scene, by the truth and by the trackers',
    )


def run(args: argparse.Namespace) -> int:
    """Measure, print the tables, write the files."""
    check_writable(args.json)
    for path in (args.plot, args.picture):
        check_picture(path)
    if args.seeds < 1 or not 1 <= args.seconds <= 3600:
        raise UserError('--seeds must be at least 1 and --seconds lie in 1..3600')
    if args.sequences:
        return _compare_sequences(args)
    scenes = make_scenes(args.seeds, args.seconds)
    if args.scenes:
        for (kind, seed), scene in scenes.items():
            scene.write(args.scenes / f'{kind}_{seed}')
    console = wide_console()
    number = len(scenes) * len(SPACES) * len(TRACKERS)
    results = _with_progress(measure(scenes), number, console)
    summary = summarize(results)
    for space in SPACES:
        console.print(_table(space, f'means over {args.seeds} scenes of each kind', summary))
    if args.json:
        rows = [asdict(result) for result in results]
        write_json(args.json, {'summary': summary, 'scenes': rows})
    _draw(args, results, scenes)
    return 0


def _compare_sequences(args: argparse.Namespace) -> int:
    """Measure recorded sequences, print the table, write the files."""
    from av_perception.benchmarks.box_sequences import measure_sequences, read_sequences

    if args.scenes or args.picture:
        raise UserError('--scenes and --picture are of generated scenes: leave out --sequences')
    sequences = read_sequences(args.sequences)
    console = wide_console()
    number = len(sequences) * len(TRACKERS)
    results = _with_progress(measure_sequences(sequences), number, console)
    summary = summarize(results)
    console.print(_table('boxes', 'recorded sequences', summary))
    if args.json:
        rows = [asdict(result) for result in results]
        write_json(args.json, {'summary': summary, 'sequences': rows})
    if args.plot:
        from av_perception.benchmarks.comparison_plots import plot_figures

        plot_figures([asdict(result) for result in results], args.plot)
    return 0


def _with_progress(
    measured: Iterable[TrackerResult], number: int, console: Console
) -> list[TrackerResult]:
    """Collect so many results, with a progress bar."""
    results = []
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task('tracking', total=number)
        for result in measured:
            results.append(result)
            progress.advance(task)
    return results


def _table(space: str, what: str, summary: list[dict]) -> Table:
    unit = _UNITS[space]
    table = Table(
        title=f'{space}: {what}; median and 99 %: time of a step',
        box=SIMPLE,
    )
    table.add_column('scenes')
    table.add_column('tracker', no_wrap=True)
    for heading in ('switches a min', f'OSPA, {unit}', 'MOTA, %', 'IDF1, %', 'HOTA, %'):
        table.add_column(heading, justify='right')
    for heading in ('median, ms', '99 %, ms'):
        table.add_column(heading, justify='right')
    decimals = 2 if unit == 'px' else 3
    last = None
    for row in summary:
        if row['space'] != space:
            continue
        table.add_row(
            row['scene'] if row['scene'] != last else '',
            row['tracker'],
            f'{row["id_switches_per_minute"]:.1f}',
            f'{row["ospa"]:.{decimals}f}',
            *(f'{100 * row[key]:.1f}' for key in ('mota', 'idf1', 'hota')),
            *(f'{row[key]:.2f}' for key in ('median_ms', 'p99_ms')),
        )
        last = row['scene']
    return table


def _draw(
    args: argparse.Namespace,
    results: list[TrackerResult],
    scenes: dict[tuple[str, int], BoxScene],
) -> None:
    from av_perception.benchmarks.comparison_plots import plot_figures, plot_tracks

    if args.plot:
        plot_figures([asdict(result) for result in results], args.plot)
    if args.picture:
        plot_tracks(scenes['busy', 0], SCENES['busy'], load_head(HEAD), args.picture)
