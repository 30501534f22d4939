# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Directions of talkers by the suite's method and by SRP-PHAT, MUSIC and NormMUSIC.

All methods hear the same sound: simulated rooms of three reverberation times and noise levels with
one to three talkers on several arrays; with AV_PERCEPTION_DATA set also recordings of a real array
and speech through the measured responses of dummy heads, one in a room. The methods of
pyroomacoustics are told how many sources there are; the suite's method is not. A source counts as
found when an azimuth lies within 10 degrees of it; every other azimuth is a ghost.

For example:
  OMP_NUM_THREADS=1 av-perception benchmark hearing --plot hearing.png --json hearing.json
"""

from __future__ import annotations

import argparse
import os
from collections import defaultdict
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from av_perception.benchmarks.hearing_methods import OURS
from av_perception.benchmarks.hearing_scores import (
    METHODS,
    TOLERANCE_DEG,
    HearingConfig,
    HearingRow,
    Outcomes,
    count_trials,
    front_end_share,
    make_trials,
    rows_of,
    summarize,
    try_method,
)
from av_perception.cli.output import check_picture, check_writable, wide_console, write_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the benchmark."""
    _add_room_arguments(parser)
    parser.add_argument(
        '--trials',
        type=int,
        default=2,
        metavar='N',
        help='rooms per array, reverberation and number of talkers (default: %(default)s)',
    )
    parser.add_argument(
        '--duration',
        type=float,
        default=4.0,
        metavar='S',
        help='seconds of each simulated sound (default: %(default)s)',
    )
    parser.add_argument(
        '--seed', type=int, default=0, help='of places, voices and noise (default: %(default)s)'
    )
    parser.add_argument('--json', type=Path, metavar='FILE', help='write all rows to FILE')
    parser.add_argument(
        '--plot', type=Path, metavar='FILE', help='draw what was found (png, svg, pdf)'
    )


def _add_room_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--heads',
        nargs='+',
        default=['respeaker', 'pepper', 'nao'],
        metavar='HEAD',
        help='arrays (default: %(default)s)',
    )
    parser.add_argument(
        '--reverberation',
        nargs='+',
        type=float,
        default=[0.2, 0.4, 0.7],
        metavar='S',
        help='T60 in seconds (default: %(default)s)',
    )
    parser.add_argument(
        '--snr',
        nargs='+',
        type=float,
        default=[20.0, 10.0, 5.0],
        metavar='DB',
        help='signal-to-noise ratios in decibels (default: %(default)s)',
    )
    parser.add_argument(
        '--talkers',
        nargs='+',
        type=int,
        default=[1, 2, 3],
        metavar='N',
        help='numbers of talkers (default: %(default)s)',
    )


def run(args: argparse.Namespace) -> int:
    """Measure, print the tables, write the files."""
    check_writable(args.json)
    check_picture(args.plot)
    console = wide_console()
    data = _data_folder()
    if data is None:
        console.print(
            'AV_PERCEPTION_DATA is not set: simulated rooms only, '
            'with the three voices of the demo'
        )
    outcomes = _measure(_config(args), data, console)
    summary = summarize(outcomes)
    console.print(_table(summary))
    share = front_end_share()
    console.print(
        'the audio front end of the nodes, 4 microphones at 16 kHz with voice activity: '
        f'{share:.1%} of one core (at most 10 %)'
    )
    if args.json:
        figures = {
            'tolerance_deg': TOLERANCE_DEG,
            'front_end_share': share,
            'summary': [asdict(row) for row in summary],
            'rows': [asdict(row) for row in rows_of(outcomes)],
        }
        write_json(args.json, figures)
    if args.plot:
        from av_perception.benchmarks.hearing_plot import plot_hearing

        plot_hearing(summary, args.plot)
    return 0


def _data_folder() -> Path | None:
    folder = os.environ.get('AV_PERCEPTION_DATA')
    if folder is None or not Path(folder).is_dir():
        return None
    return Path(folder)


def _config(args: argparse.Namespace) -> HearingConfig:
    return HearingConfig(
        heads=tuple(args.heads),
        reverberations_s=tuple(args.reverberation),
        snrs_db=tuple(args.snr),
        talkers=tuple(args.talkers),
        trials=args.trials,
        duration_s=args.duration,
        seed=args.seed,
    )


def _measure(config: HearingConfig, data: Path | None, console: Console) -> Outcomes:
    """Try all methods on all trials, with a progress bar."""
    outcomes: Outcomes = defaultdict(list)
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task('localizing', total=count_trials(config, data))
        for trial, acoustic_map in make_trials(config, data):
            for method in METHODS:
                outcome = try_method(method, trial, acoustic_map)
                outcomes[trial.condition, method].append(outcome)
            progress.advance(task)
    return outcomes


def _table(rows: list[HearingRow]) -> Table:
    table = Table(
        title=f'within {TOLERANCE_DEG:.0f} degrees; the others are told the number of sources'
    )
    table.add_column('sound', min_width=18)
    table.add_column('method', no_wrap=True)
    for heading in ('n', 'found', 'ghosts', 'all right', 'error', 'worst', 'real time'):
        table.add_column(heading, justify='right', no_wrap=True)
    for index, row in enumerate(rows):
        best = max(other.all_right for other in rows if other.condition == row.condition)
        all_right = f'{row.all_right:.0%}'
        if row.all_right >= best:
            all_right = f'[green]{all_right}[/]'
        is_first = row.method == OURS
        table.add_row(
            row.condition if is_first else '',
            row.method,
            str(row.sounds) if is_first else '',
            f'{row.recall:.0%}',
            f'{row.ghosts:.2f}',
            all_right,
            _degrees(row.error_deg),
            _degrees(row.worst_deg),
            f'{row.real_time_factor:.2f}',
            end_section=index + 1 == len(rows) or rows[index + 1].condition != row.condition,
        )
    return table


def _degrees(angle_deg: float | None) -> str:
    return '-' if angle_deg is None else f'{angle_deg:.1f}°'
