# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Sensors on a robot, the rest on a computer, and a bad network between them (Linux, as root).

Both are namespaces of the network on this machine, with a cable whose faults are chosen. On each
runs what the docs say (`up HEAD --where robot`, `up HEAD --where computer`), with two people who
sit before planted sensors, one of them talking. Reported are the rate of images and their latency,
what was lost, whether people kept their ids, how soon all was right again after the link was gone,
and which sentences on /diagnostics named the cause. The exit status is 1 when something was not as
it must be.

First, what JPEG costs: faces found, depth and looks by the quality of the images.

Everything together takes about one and a half cores. On a machine that has not so much to spare,
--slower 4 lets clocks, sensors and network go at a quarter of their pace.

For example:
  sudo av-perception benchmark two-machines --json docs/two_machines.json
  sudo av-perception benchmark two-machines --only loss away-5
  av-perception benchmark two-machines --list
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from av_perception.cli.output import TrialBar, check_writable, wide_console, write_json
from av_perception.errors import UserError

if TYPE_CHECKING:
    from rich.console import Console

    from av_perception.benchmarks.image_compression import CompressedVision
    from av_perception.ros.two_machines.trials import Result, Trial

QUALITIES = (0, 95, 80, 60, 40, 20)
DISTANCES_M = (2.0, 4.0)
COMPRESSION = 'compression'  # the name, for --only, of what JPEG costs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the benchmark."""
    parser.add_argument(
        '--only', nargs='+', metavar='NAME', help=f'these alone; {COMPRESSION}: what JPEG costs'
    )
    parser.add_argument('--list', action='store_true', help='name everything and do nothing')
    parser.add_argument(
        '--slower', type=float, default=1.0, metavar='N', help='go at 1/N of the real pace'
    )
    parser.add_argument(
        '--pairs', type=int, default=20, help='image pairs for each quality (default 20)'
    )
    parser.add_argument(
        '--logs', type=Path, metavar='FOLDER', help='keep the logs of both machines in FOLDER'
    )
    parser.add_argument('--json', metavar='FILE', help='write the figures to FILE')
    parser.add_argument(
        '--update',
        action='store_true',
        help='with --json: keep the other figures that FILE holds',
    )


def run(args: argparse.Namespace) -> int:
    """Do the trials, print the tables, write the file; 1 when something is not as it must be."""
    from av_perception.ros.two_machines.namespaces import why_not

    check_writable(args.json)
    trials, is_compression_wanted = _chosen(args.only)
    console = wide_console()
    if args.list:
        for trial in trials:
            console.print(f'{trial.name:12} {trial.what}')
        return 0
    if not (math.isfinite(args.slower) and args.slower >= 1.0):
        raise UserError(f'--slower must be at least 1, not {args.slower}')
    if trials and why_not():
        raise UserError(why_not())
    figures: dict[str, Any] = {}
    if is_compression_wanted:
        compression = _measure_compression(args.pairs)
        console.print(_compression_table(compression))
        figures[COMPRESSION] = [asdict(row) for row in compression]
    results = _do(trials, args, console) if trials else []
    if results:
        console.print(_table(results))
        figures['trials'] = [result.row() for result in results]
    if args.json:
        write_json(args.json, updated(Path(args.json), figures) if args.update else figures)
    return 1 if any(result.complaints for result in results) else 0


def updated(path: Path, figures: dict[str, Any]) -> dict[str, Any]:
    """Add the other figures that a file holds. Raises UserError."""
    from av_perception.ros.two_machines.trials import TRIALS

    if not path.is_file():
        return figures
    try:
        kept = json.loads(path.read_text('utf-8'))
        rows = {row['name']: row for row in kept.get('trials', [])}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f'{path} holds no figures of two machines: leave out --update') from error
    rows |= {row['name']: row for row in figures.get('trials', [])}
    trials = [rows[trial.name] for trial in TRIALS if trial.name in rows]
    return {**kept, **figures, 'trials': trials}


def _chosen(names: list[str] | None) -> tuple[list[Trial], bool]:
    """Find the trials that are asked for, and whether compression is. Raises UserError."""
    from av_perception.ros.two_machines.trials import chosen

    if names is None:
        return chosen(None), True
    try:
        return chosen([name for name in names if name != COMPRESSION]), COMPRESSION in names
    except KeyError as unknown:
        raise UserError(f'no trial is called {unknown}: see --list') from None


def _measure_compression(pairs: int) -> list[CompressedVision]:
    from av_perception.benchmarks.image_compression import measure_compression
    from av_perception.benchmarks.sensors import camera_of
    from av_perception.benchmarks.vision_accuracy import PeopleBeforeCamera
    from av_perception.robot_head import load_head
    from av_perception.vision.face_search import FaceSearchConfig
    from av_perception.vision.front_end import VisualFrontEnd, VisualFrontEndConfig

    camera = camera_of(load_head('simulated'))
    config = VisualFrontEndConfig(search=FaceSearchConfig(1))  # an image says nothing of the next
    scene = PeopleBeforeCamera(camera)
    return [
        row
        for distance_m in DISTANCES_M
        for row in measure_compression(
            lambda: VisualFrontEnd(config, camera), scene, QUALITIES, distance_m, pairs
        )
    ]


def _do(trials: list[Trial], args: argparse.Namespace, console: Console) -> list[Result]:
    """Do the trials with a progress bar."""
    from av_perception.ros.two_machines.trials import try_all
    from av_perception.simulation.cache import simulated_recording

    with tempfile.TemporaryDirectory() as scratch, TrialBar(console, len(trials)) as bar:
        return try_all(
            trials,
            simulated_recording('short'),
            args.logs or Path(scratch),
            args.slower,
            lambda trial: bar.begin(trial.name),
            lambda result: bar.end(result.trial.name, result.complaints, 'as it must be'),
        )


def _compression_table(rows: list[CompressedVision]) -> Table:
    table = Table(title='images as JPEG')
    for heading in (
        'distance',
        'quality',
        'Mbit/s',
        'faces',
        'false per image',
        'depth',
        'looks moved',
    ):
        table.add_column(heading, justify='right')
    for row in rows:
        table.add_row(
            f'{row.distance_m:.0f} m',
            str(row.quality or 'raw'),
            f'{row.mbit_s:.1f}',
            f'{100 * row.recall:.1f} %',
            f'{row.false_faces:.2f}',
            f'{100 * row.depth_error:.1f} %',
            f'{100 * row.looks_moved:.1f} %',
        )
    return table


def _table(results: list[Result]) -> Table:
    table = Table(title='two machines')
    headings = ('network', 'images', 'latency', 'oldest', 'sound lost', 'left out, lost', 'ids')
    for heading in (*headings, 'right again', 'Mbit/s', 'named'):
        table.add_column(heading)
    for result in results:
        figures = result.figures
        recovery = '-' if figures.recovery_s is None else f'{figures.recovery_s:.2f} s'
        table.add_row(
            result.trial.name,
            f'{figures.images_hz:.1f} Hz',
            f'{figures.latency_ms[0]:.0f}, {figures.latency_ms[1]:.0f} ms',
            f'{figures.oldest_image_ms:.0f} ms',
            str(figures.sound_lost),
            f'{figures.images_left_out}, {figures.images_lost}',
            'kept' if figures.ids_kept else 'lost',
            recovery,
            f'{figures.mbit_s:.1f}',
            '; '.join(said for said in result.told.values() if said) or '-',
        )
    return table
