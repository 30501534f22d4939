# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""This tracker, Stone Soup's GNN and JPDA, and a SORT-style baseline on the same detections: accuracy and time of a step.

Heads walk before a camera, cross, hide each other, leave and come back; one detection in ten is missing and some are false. The detections are
tracked twice: as boxes in the image, and as the positions that a stereo pair gives. Everybody has the same model of motion and noise; the peers are
also told how many detections are missing and false. The truth holds everybody in the image, hidden or not. All without sound and appearance.
Needs: pip install 'av_perception[evaluation,comparison]'. Set OMP_NUM_THREADS=1 to measure one core.

example:
  OMP_NUM_THREADS=1 av-perception benchmark tracking --json tracking.json --plot tracking.png --picture tracks.png --scenes scenes
  av-perception evaluate mot --detections scenes/busy_0/det.txt --truth scenes/busy_0/gt.txt
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from rich.box import SIMPLE
from rich.progress import Progress
from rich.table import Table

from av_perception.benchmarks.comparison import SPACES, TRACKERS
from av_perception.cli.output import check_writable, wide_console, write_json
from av_perception.errors import UserError
from av_perception.robot_head.profile import load_head
from av_perception.simulation.box_scenes import BoxScene, BoxSceneConfig, box_scene

SCENES = {
    'calm': BoxSceneConfig(people=3, clutter=0.5),
    'busy': BoxSceneConfig(people=5, clutter=1.0),
}


@dataclass(frozen=True)
class Result:
    """One tracker on one scene. ospa in pixels for boxes, in metres for positions."""

    space: str
    scene: str
    seed: int
    tracker: str
    id_switches_per_minute: float
    mota: float
    idf1: float
    hota: float
    ospa: float
    median_ms: float
    p99_ms: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Command line of the benchmark."""
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
    parser.add_argument('--json', metavar='FILE', help='write the figures to FILE')
    parser.add_argument('--plot', metavar='FILE', help='draw the figures to FILE (png, svg, pdf)')
    parser.add_argument(
        '--picture',
        metavar='FILE',
        help='draw who was where in the first busy scene, by truth and by trackers',
    )


def run(args: argparse.Namespace) -> int:
    """Measures, prints the tables, writes the files."""
    for path in (args.json, args.plot, args.picture):
        check_writable(path)
    if args.seeds < 1 or not 1 <= args.seconds <= 3600:
        raise UserError('--seeds must be at least 1 and --seconds lie in 1..3600')
    scenes = _scenes(args)
    if args.scenes:
        for (kind, seed), scene in scenes.items():
            scene.write(args.scenes / f'{kind}_{seed}')
    console, results = wide_console(), []
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task('tracking', total=len(scenes) * len(SPACES) * len(TRACKERS))
        for result in measure(scenes):
            results.append(result)
            progress.advance(task)
    for space in SPACES:
        console.print(_table(space, results))
    if args.json:
        write_json(
            args.json,
            {'summary': summary(results), 'scenes': [asdict(result) for result in results]},
        )
    _draw(args, results, scenes)
    return 0


def _scenes(args: argparse.Namespace) -> dict[tuple[str, int], BoxScene]:
    """By kind and seed."""
    camera = load_head('simulated').camera
    return {
        (kind, seed): box_scene(replace(config, duration_s=args.seconds), camera, seed)
        for kind, config in SCENES.items()
        for seed in range(args.seeds)
    }


def measure(scenes: dict[tuple[str, int], BoxScene]) -> Iterator[Result]:
    """Every tracker on every scene, in both spaces."""
    head = load_head('simulated')
    for (kind, seed), scene in scenes.items():
        for space in (build(SCENES[kind], head) for build in SPACES.values()):
            for name in TRACKERS:
                tracks, step_s = space.run(name, scene)
                scores = space.score(tracks, scene)
                minutes = scene.info.length / scene.info.frame_rate / 60
                yield Result(
                    space.name,
                    kind,
                    seed,
                    name,
                    scores.id_switches / minutes,
                    scores.mota,
                    scores.idf1,
                    scores.hota,
                    scores.ospa,
                    float(np.median(step_s) * 1e3),
                    float(np.percentile(step_s, 99) * 1e3),
                )


def summary(results: list[Result]) -> list[dict]:
    """Means over the scenes of every space, kind and tracker."""
    groups = dict.fromkeys((r.space, r.scene, r.tracker) for r in results)
    figures = [
        name
        for name in Result.__dataclass_fields__
        if name not in ('space', 'scene', 'seed', 'tracker')
    ]
    return [
        {
            'space': space,
            'scene': kind,
            'tracker': tracker,
            **{
                name: float(
                    np.mean(
                        [
                            getattr(r, name)
                            for r in results
                            if (r.space, r.scene, r.tracker) == (space, kind, tracker)
                        ]
                    )
                )
                for name in figures
            },
        }
        for space, kind, tracker in groups
    ]


def _table(space: str, results: list[Result]) -> Table:
    unit = 'px' if space == 'boxes' else 'm'
    table = Table(
        title=f'{space}: means over {1 + max(r.seed for r in results)} scenes of each kind; median and 99 %: time of a step',
        box=SIMPLE,
    )
    for heading in (
        'scenes',
        'tracker',
        'switches a min',
        f'OSPA, {unit}',
        'MOTA, %',
        'IDF1, %',
        'HOTA, %',
        'median, ms',
        '99 %, ms',
    ):
        table.add_column(
            heading,
            justify='left' if heading in ('scenes', 'tracker') else 'right',
            no_wrap=heading == 'tracker',
        )
    last = None
    for row in (row for row in summary(results) if row['space'] == space):
        ospa = f'{row["ospa"]:.2f}' if unit == 'px' else f'{row["ospa"]:.3f}'
        table.add_row(
            row['scene'] if row['scene'] != last else '',
            row['tracker'],
            f'{row["id_switches_per_minute"]:.1f}',
            ospa,
            *(f'{100 * row[key]:.1f}' for key in ('mota', 'idf1', 'hota')),
            *(f'{row[key]:.2f}' for key in ('median_ms', 'p99_ms')),
        )
        last = row['scene']
    return table


def _draw(
    args: argparse.Namespace, results: list[Result], scenes: dict[tuple[str, int], BoxScene]
) -> None:
    from av_perception.benchmarks.comparison_plots import plot_figures, plot_tracks

    if args.plot:
        plot_figures([asdict(result) for result in results], args.plot)
    if args.picture:
        plot_tracks(scenes['busy', 0], SCENES['busy'], load_head('simulated'), args.picture)
