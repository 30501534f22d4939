# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Head poses: how far they are off, how sure they are, what they cost.

Talking faces of clips are turned by known angles and drawn at several sizes; every method sees the
same meshes of them. Each talker is held out once, and everything is learned from the others. Needs
clips of talkers (GRID) and takes some minutes.

For example:
  OMP_NUM_THREADS=1 av-perception benchmark head-pose --clips $AV_PERCEPTION_DATA/av_grid
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from rich.box import SIMPLE
from rich.progress import Progress
from rich.table import Table

from av_perception.benchmarks.head_pose import (
    GAPS_S,
    SIZES_PX,
    Scores,
    TalkerData,
    compete,
    look_at,
)
from av_perception.benchmarks.head_pose_cost import face_cost_ms
from av_perception.benchmarks.head_pose_plot import plot_turning_head
from av_perception.benchmarks.head_pose_views import Talker, load_talkers
from av_perception.cli.output import check_picture, check_writable, wide_console, write_json
from av_perception.errors import UserError
from av_perception.head_pose.face_mesh import FaceMesh
from av_perception.head_pose.model import load_head_pose_model

GROUP = 3  # faces in view of the node
_TABLES = {
    'single images, |yaw| < 45 degrees': [
        ('all sizes', 'still'),
        ("less the person's median", 'centered'),
        *((f'{size} px', f'{size} px') for size in SIZES_PX),
        ('|yaw| 45 to 60', 'profiles'),
    ],
    'turning heads at 12.5 images a second': [
        ('turning', 'turning'),
        ('5 % outliers', 'outliers'),
        *((f'gaps of {gap} s', f'gap {gap}') for gap in GAPS_S),
    ],
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the benchmark."""
    default = os.environ.get('AV_PERCEPTION_DATA', '')
    parser.add_argument(
        '--clips',
        type=Path,
        default=Path(default) / 'av_grid' if default else None,
        metavar='DIR',
        help='folder with clips *.mpg of talkers (default: $AV_PERCEPTION_DATA/av_grid)',
    )
    parser.add_argument(
        '--held-out',
        type=int,
        default=0,
        metavar='N',
        help='so many talkers are held out, one after the other (default: all)',
    )
    parser.add_argument('--json', metavar='FILE', help='write the figures to FILE')
    parser.add_argument(
        '--plot', metavar='FILE', help='draw a turning head of the first talker (png, svg, pdf)'
    )


def run(args: argparse.Namespace) -> int:
    """Look at everybody, hold everybody out once, print the tables."""
    check_writable(args.json)
    check_picture(args.plot)
    if args.clips is None or not args.clips.is_dir():
        raise UserError('--clips must name a folder with clips *.mpg of talkers')
    if args.held_out < 0:
        raise UserError('--held-out must not be negative; 0 holds everybody out once')
    console = wide_console()
    mesh = FaceMesh()
    with Progress(console=console, transient=True) as progress:
        everybody = _look(args.clips, mesh, progress)
    chosen = list(range(len(everybody)))[: args.held_out or None]
    scores = compete(everybody, chosen)
    cost = face_cost_ms(everybody[0].talker, load_head_pose_model(), mesh)
    for title, columns in _TABLES.items():
        console.print(_table(title, columns, scores))
    console.print(_interval_table(scores))
    console.print('ms of a face: ' + ', '.join(f'{part} {ms:.2f}' for part, ms in cost.items()))
    share = _node_share([one.talker for one in everybody[:GROUP]])
    if share is not None:
        in_node_ms = 1e3 * share / (GROUP * 12.5)
        console.print(
            f'{GROUP} faces at 12.5 images a second, the node: {share:.2f} of a core, '
            f'{in_node_ms:.2f} ms a face'
        )
    if args.plot:
        plot_turning_head(everybody, 0, args.plot)
    if args.json:
        figures = {'methods': _figures(scores), 'ms_per_face': cost, 'node_share': share}
        write_json(args.json, figures)
    return 0


def _node_share(talkers: list[Talker]) -> float | None:
    """Share of a core that the node takes for them; None where there is no ROS."""
    try:
        from av_perception.cli.head_pose_node import node_share
    except ImportError:
        return None
    return node_share(talkers)


def _look(clips: Path, mesh: FaceMesh, progress: Progress) -> list[TalkerData]:
    talkers = load_talkers(clips, mesh)
    task = progress.add_task('looking at talkers', total=len(talkers))
    everybody = []
    for seed, talker in enumerate(talkers):
        everybody.append(look_at(talker, mesh, seed))
        progress.advance(task)
    return everybody


def _table(title: str, columns: list[tuple[str, str]], scores: dict[str, Scores]) -> Table:
    table = Table(title=f'{title}: mean error of yaw / pitch / roll, degrees', box=SIMPLE)
    table.add_column('method', no_wrap=True)
    for heading, _ in columns:
        table.add_column(heading, justify='right')
    for name, score in scores.items():
        cells = [_angles(score.mean_deg(what)) for _, what in columns]
        table.add_row(name, *cells)
    return table


def _angles(degrees: list[float]) -> str:
    return ' / '.join('-' if value != value else f'{value:.1f}' for value in degrees)


def _interval_table(scores: dict[str, Scores]) -> Table:
    table = Table(title='turning heads: truth within the 95 % interval', box=SIMPLE)
    table.add_column('method', no_wrap=True)
    for heading in ('yaw, %', 'pitch, %', 'roll, %'):
        table.add_column(heading, justify='right')
    for name, score in scores.items():
        shares = score.covered()
        if all(share == share for share in shares):
            table.add_row(name, *(f'{100 * share:.0f}' for share in shares))
    return table


def _figures(scores: dict[str, Scores]) -> dict:
    return {
        name: {
            'mean_error_deg': {what: score.mean_deg(what) for what in score.errors},
            'covered': score.covered(),
        }
        for name, score in scores.items()
    }
