# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Where people will be: forecasts of paths and of skeletons, against simple ones.

Paths: simulated people in a hall who stand, walk, turn, approach and avoid (social), who pass
(passing), who stay (standing), who cross (crossings), seen by a simulated stereo head; and
crossing people as this project's tracker tracks them (tracked). None of these seeds was trained
on. Text files of ground-plane truth (frame, person, x, y) join them. Skeletons: clips of the
development data (AV_PERCEPTION_DATA) that nothing was trained on.

For example:
  OMP_NUM_THREADS=1 av-perception benchmark motion --json motion.json --plot motion.png
  av-perception benchmark motion --quick --no-skeletons
"""

from __future__ import annotations

import argparse
import os
from dataclasses import asdict
from pathlib import Path

from rich.table import Table

from av_perception.benchmarks.motion_paths import (
    LINE,
    OURS,
    PathRow,
    live_cpu_s,
    measure_paths,
)
from av_perception.benchmarks.motion_plot import plot_motion
from av_perception.benchmarks.motion_skeletons import (
    BASELINES,
    HIT_DVAE,
    SkeletonRow,
    forecasts_of,
    latent_nats,
    rows_of,
)
from av_perception.benchmarks.motion_walks import (
    HORIZONS_S,
    SETS,
    Windows,
    file_walks,
    find_walk_files,
    joined,
    simulated_sets,
    windows_of,
)
from av_perception.cli.output import check_picture, check_writable, wide_console, write_json
from av_perception.errors import UserError
from av_perception.motion_forecast.skeleton_forecaster import SkeletonForecaster
from av_perception.motion_forecast.skeletons import UNSEEN, load_clips

ALL = 'all simulated'
_FIRST_SEED = 1000  # training used those below


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the benchmark."""
    parser.add_argument('--quick', action='store_true', help='a quarter of the scenes')
    parser.add_argument(
        '--seeds', type=int, default=8, metavar='N', help='scenes of each kind (default 8)'
    )
    parser.add_argument(
        '--paths', type=Path, nargs='+', metavar='FILE', help='ground-plane truth to forecast too'
    )
    parser.add_argument(
        '--rate',
        type=float,
        default=2.5,
        metavar='HZ',
        help='of its frame numbers (default 2.5; 25 where they count by tens)',
    )
    parser.add_argument('--no-skeletons', action='store_true', help='paths only')
    parser.add_argument('--no-paths', action='store_true', help='skeletons only')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write all rows to FILE')
    parser.add_argument('--plot', type=Path, metavar='FILE', help='draw fans (png, svg, pdf)')


def run(args: argparse.Namespace) -> int:
    """Measure, print, write; 1 when our paths are worse than the line."""
    check_writable(args.json)
    check_picture(args.plot)
    if args.seeds < 1 or not 0.1 <= args.rate <= 1000.0:
        raise UserError('--seeds must be at least 1, --rate from 0.1 to 1000 Hz')
    if args.no_paths and (args.no_skeletons or args.plot):
        raise UserError('--no-paths leaves nothing to measure or to draw')
    console = wide_console(130)
    rows: list[PathRow] = []
    figures: dict = {}
    if not args.no_paths:
        sets, rows = _paths(args)
        console.print(_path_table(rows))
        console.print(_regions_table([row for row in rows if row.method == OURS]))
        cpu_s = live_cpu_s()
        console.print(f'three people: {1e3 * cpu_s:.1f} ms, {5 * cpu_s:.3f} of a core at 5 Hz')
        figures = {'paths': [asdict(row) for row in rows], 'three_people_cpu_s': cpu_s}
    if not args.no_skeletons:
        skeletons, nats = _skeletons(args.quick)
        console.print(_skeleton_table(skeletons))
        console.print(f'nats of z a frame, unseen clips: {nats:.2f}')
        figures |= {'skeletons': [asdict(row) for row in skeletons], 'nats_of_z': nats}
    if args.json:
        write_json(args.json, figures)
    if args.plot:
        plot_motion(sets['social'], rows, args.plot)
    return 1 if _is_worse_somewhere(rows) else 0


def _paths(args: argparse.Namespace) -> tuple[dict[str, Windows], list[PathRow]]:
    seeds = max(args.seeds // 4, 1) if args.quick else args.seeds
    files = _of_files(args.paths or find_walk_files(), args.rate)
    sets = dict(simulated_sets(seeds, _FIRST_SEED)) | files
    rows = [row for name, windows in sets.items() for row in measure_paths(name, windows)]
    everything = joined([sets[name] for name in SETS])
    return sets, [*rows, *measure_paths(ALL, everything)]


def _of_files(paths: list[Path], rate: float) -> dict[str, Windows]:
    found = {path.stem: windows_of(file_walks(path, rate)) for path in paths}
    for name, windows in found.items():
        if not len(windows):
            raise UserError(f'{name} holds nobody long enough: 1.6 s before and 2 s after now')
    return found


def _is_worse_somewhere(rows: list[PathRow]) -> bool:
    by_key = {(row.walks, row.method): row for row in rows}
    for row in rows:
        base = by_key[row.walks, LINE]
        if row.method == OURS and (row.ade_m > base.ade_m or row.fde_m > base.fde_m):
            return True
    return False


def _skeletons(quick: bool) -> tuple[list[SkeletonRow], float]:
    folder = os.environ.get('AV_PERCEPTION_DATA')
    path = Path(folder or '.') / 'mocap' / 'cmu_positions_train.npz'
    if folder is None or not path.is_file():
        raise UserError(
            'skeletons need AV_PERCEPTION_DATA, the folder of the development data with '
            'mocap/cmu_positions_train.npz; --no-skeletons leaves them out'
        )
    clips = [clip for clip in load_clips(path) if clip.name in UNSEEN]
    clips = clips[::3] if quick else clips
    forecaster = SkeletonForecaster()
    rows = []
    for method in (*BASELINES, HIT_DVAE):
        rows += rows_of(method, list(forecasts_of(method, clips, forecaster)))
    return rows, latent_nats(forecaster.net, clips)


def _path_table(rows: list[PathRow]) -> Table:
    table = Table(title='paths: errors of the mean, of the best of 10 walks, regions that hold')
    for name in ('walks', 'method'):
        table.add_column(name)
    headings = 'windows', 'ADE', 'FDE', 'best ADE', 'best FDE', '68 %', '95 %', 'ms a person'
    for heading in headings:
        table.add_column(heading, justify='right')
    before = ''
    for row in rows:
        table.add_row(
            row.walks if row.walks != before else '',
            row.method,
            str(row.windows),
            *(f'{value:.3f}' for value in (row.ade_m, row.fde_m)),
            *('-' if v != v else f'{v:.3f}' for v in (row.best_ade_m, row.best_fde_m)),
            *(_span(held) for held in (row.held_68, row.held_95)),
            f'{row.cpu_ms:.2f}',
        )
        before = row.walks
    return table


def _regions_table(rows: list[PathRow]) -> Table:
    """How often the regions of our paths hold, by walks and horizon."""
    table = Table(title='ours: how often [%] the regions hold after so many seconds')
    table.add_column('walks')
    table.add_column('region', justify='right')
    for horizon_s in HORIZONS_S:
        table.add_column(f'{horizon_s:.1f}', justify='right')
    for row in rows:
        for level, held in (('68 %', row.held_68), ('95 %', row.held_95)):
            name = row.walks if level == '68 %' else ''
            table.add_row(name, level, *(f'{100 * share:.0f}' for share in held))
    return table


def _span(held: tuple[float, ...]) -> str:
    return f'{100 * min(held):.0f} to {100 * max(held):.0f}' if held else '-'


def _skeleton_table(rows: list[SkeletonRow]) -> Table:
    table = Table(title='skeletons: best of 10 in m; joints in mm after 0.2, 0.4, 1 and 2 s')
    for name in ('action', 'method'):
        table.add_column(name)
    for heading in ('windows', 'ADE', 'FDE', 'APD', 'joints', 'fell back', 'CPU s'):
        table.add_column(heading, justify='right')
    before = ''
    for row in sorted(rows, key=lambda row: row.action):
        table.add_row(
            row.action if row.action != before else '',
            row.method,
            str(row.windows),
            *(f'{value:.3f}' for value in (row.ade_m, row.fde_m, row.apd_m)),
            ' '.join(f'{value:.0f}' for value in row.mpjpe_mm),
            str(row.fallbacks),
            f'{row.cpu_s:.3f}',
        )
        before = row.action
    return table
