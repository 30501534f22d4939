# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Ids, places and speech in rendered scenes of people who cross, hide, leave or are only heard.

Each scene is rendered once (and kept in the cache), goes through the whole suite offline, and is
compared with its truth. Seeds draw other turns of speech and other noise on the same paths. An id
switch counts when a person found in the direction of the truth has another id than before, whether
seen or heard; at most one a minute is to happen.

`--scenes` also takes kinds of crossings: behind, before, two_at_once, stop_hidden, turn_back,
hide_5s, leave_2s, leave_5s, leave_10s, stranger, child, dark. The same kinds without pixels,
in hundreds, beside other trackers: `benchmark crossings`.

For example:
  av-perception benchmark scenes --json scenes.json
  av-perception benchmark scenes --scenes behind hide_5s --seeds 0 1 2 3 4
  av-perception benchmark scenes --scenes crossing --seeds 1 2 3 --timelines pictures
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

import cv2
from rich.progress import Progress
from rich.table import Table

from av_perception.benchmarks.rendered_scenes import (
    SCENES,
    SceneResult,
    measure,
    switches_per_minute,
)
from av_perception.cli.output import check_writable, wide_console, write_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the benchmark."""
    parser.add_argument(
        '--scenes',
        nargs='+',
        default=list(SCENES),
        metavar='SCENE',
        help=f'names, files, or kinds of crossings (default: {" ".join(SCENES)})',
    )
    parser.add_argument(
        '--seeds',
        nargs='+',
        type=int,
        default=[],
        metavar='N',
        help="of turns and noise (default: each scene's own)",
    )
    parser.add_argument(
        '--timelines',
        type=Path,
        metavar='FOLDER',
        help='draw who was where and who spoke, one picture per scene and seed',
    )
    parser.add_argument('--json', metavar='FILE', help='write the figures to FILE')


def run(args: argparse.Namespace) -> int:
    """Measure, print the table, write the files; 1 when ids switched more than once a minute."""
    check_writable(args.json)
    cv2.setNumThreads(1)
    if args.timelines:
        args.timelines.mkdir(parents=True, exist_ok=True)
    console = wide_console()
    results = []
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task('', total=1.0)

        def report(fraction: float, text: str) -> None:
            progress.update(task, completed=fraction, description=text)

        for scene in args.scenes:
            for seed in args.seeds or [None]:
                results.append(measure(scene, seed, report, args.timelines))
    console.print(_table(results))
    rate = switches_per_minute(results)
    if args.json:
        rows = [asdict(result) for result in results]
        write_json(args.json, {'results': rows, 'id_switches_per_minute': rate})
    return 0 if rate <= 1 else 1


def _table(results: list[SceneResult]) -> Table:
    table = Table(
        title=f'{switches_per_minute(results):.2f} id switches a minute (target: at most 1)'
    )
    table.add_column('scene', no_wrap=True)
    for heading in (
        'length',
        'people',
        'ids',
        'id switches',
        'faces found',
        'MOTA seen',
        'IDF1 seen',
    ):
        table.add_column(heading, justify='right')
    for heading in ('ghost', 'position error seen', 'azimuth error heard', 'DER'):
        table.add_column(heading, justify='right')
    for r in results:
        table.add_row(
            r.scene if r.seed is None else f'{r.scene} (seed {r.seed})',
            f'{60 * r.minutes:.0f} s',
            str(r.people),
            str(r.ids),
            str(r.id_switches),
            _shown(r.faces_found, 100, ' %'),
            _shown(r.mota_seen, 100, ' %'),
            _shown(r.idf1_seen, 100, ' %'),
            f'{r.oldest_ghost_s:.2f} s',
            _shown(r.position_rmse_seen_m, 100, ' cm'),
            _shown(r.azimuth_error_heard_deg, 1, '°'),
            _shown(r.der, 100, ' %'),
        )
    return table


def _shown(value: float | None, factor: float, unit: str) -> str:
    return '-' if value is None else f'{factor * value:.1f}{unit}'
