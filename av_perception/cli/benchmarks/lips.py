# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Whether lips pass their own gate: on planted mouths they have to, on photographs they must not.

Needs the development data (AV_PERCEPTION_DATA). Scenes are rendered once and kept in the cache.
With --who-speaks, in place of that: who speaks in scenes, by sound alone, with planted lips, and
with the lips of the images. With --cost: what hearing with eyes takes of a core.

example:
  OMP_NUM_THREADS=1 av-perception benchmark lips --json lips.json
  av-perception benchmark lips --who-speaks three_talkers:1 grid
  OMP_NUM_THREADS=1 av-perception benchmark lips --cost
"""

from __future__ import annotations

import argparse
import os
import tempfile
from dataclasses import asdict
from functools import partial
from pathlib import Path

import cv2
from rich.progress import Progress
from rich.table import Table

from av_perception.benchmarks.lips import PHOTOGRAPHS, PLANTED, measure
from av_perception.cli.output import check_writable, wide_console, write_json
from av_perception.errors import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command line of the benchmark."""
    parser.add_argument(
        '--mouths',
        nargs='+',
        choices=(PLANTED, PHOTOGRAPHS),
        default=[PLANTED, PHOTOGRAPHS],
        help='(default: both)',
    )
    parser.add_argument(
        '--who-speaks', nargs='+', metavar='SCENE[:SEED]', help='names or files of scenes'
    )
    parser.add_argument('--cost', action='store_true', help='measure processor time, live')
    parser.add_argument('--json', metavar='FILE', help='write the figures to FILE')


def run(args: argparse.Namespace) -> int:
    """Measure, print the table and write the file."""
    check_writable(args.json)
    if args.who_speaks:
        return _who_speaks(args)
    if args.cost:
        return _cost(args)
    data = os.environ.get('AV_PERCEPTION_DATA')
    if not data:
        raise UserError('benchmark lips needs faces and voices: set AV_PERCEPTION_DATA')
    cv2.setNumThreads(1)
    console = wide_console()
    results = []
    work = Path(tempfile.gettempdir()) / f'av_perception_stills_{os.getuid()}'
    with Progress(console=console, transient=True) as progress:
        for mouths in args.mouths:
            task = progress.add_task(mouths, total=1.0)

            def show(done: float, text: str, task=task) -> None:
                progress.update(task, completed=done, description=text)

            results.append(measure(mouths, Path(data), work, show))
            progress.remove_task(task)
    table = Table(title='log density of latents over a fixed Gaussian, each person left out once')
    for heading in ('mouths', 'speech [s]', 'people', 'least', 'mean [nat a frame]', 'verdict'):
        table.add_column(heading)
    for r in results:
        gains = list(r.gains.values())
        verdict = 'passes' if r.passes else 'refused'
        cells = (f'{r.seconds:.0f}', str(len(gains)), f'{min(gains):.2f}', f'{r.gain:.2f}')
        table.add_row(r.mouths, *cells, verdict)
    console.print(table)
    if args.json:
        write_json(args.json, {'results': [asdict(r) for r in results]})
    return 0


def _cost(args: argparse.Namespace) -> int:
    """Measure the processor time of all stages."""
    from av_perception.benchmarks.lip_cost import lip_costs

    cv2.setNumThreads(1)
    rows = list(lip_costs())
    table = Table('stage', 'cores', title='two people, 25 images a second')
    for row in rows:
        table.add_row(row.stage, f'{row.cores:.3f}')
    wide_console().print(table)
    if args.json:
        write_json(args.json, {'costs': [asdict(row) for row in rows]})
    return 0


def _advance(progress: Progress, task, done: float) -> None:
    progress.update(task, completed=done)


def _who_speaks(args: argparse.Namespace) -> int:
    """Judge scenes with lips and without."""
    from av_perception.benchmarks.diarization import Scene
    from av_perception.benchmarks.lip_diarization import compare
    from av_perception.cli.benchmarks.diarization import _recording, _table
    from av_perception.interfaces import MouthFrame
    from av_perception.pipelines.full import START_NS, OfflinePipeline

    cv2.setNumThreads(1)
    console = wide_console()
    results = []
    with Progress(console=console, transient=True) as progress:
        for name in args.who_speaks:
            task = progress.add_task(name, total=1.0)
            recording = _recording(name, lambda done, text: None)
            pipeline = OfflinePipeline(recording)
            mouths: list[MouthFrame] = []
            pipeline.watch_mouths(mouths.append)
            answers = pipeline.run(partial(_advance, progress, task))
            scene = Scene(recording, [frame for frame, _ in answers], START_NS)
            results += compare(name, scene, {frame.stamp_ns: frame for frame in mouths})
            progress.remove_task(task)
    console.print(_table(results))
    if args.json:
        write_json(args.json, {'results': [asdict(r) for r in results]})
    return 0
