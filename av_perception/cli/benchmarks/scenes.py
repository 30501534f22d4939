# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Ids, places and speech in rendered scenes: people who cross, hide, leave the view and come back, or are only heard.

Each scene is rendered once (and kept in the cache), goes through the whole suite offline, and is compared with its truth. Seeds draw other
turns of speech and other noise on the same paths. An id switch counts when a person found in the direction of the truth has another id than
before, whether seen or heard; at most one a minute is to happen.

For example:
  av-perception benchmark scenes --json scenes.json
  av-perception benchmark scenes --scenes crossing --seeds 1 2 3 --timelines pictures
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
from rich.progress import Progress
from rich.table import Table

from av_perception.cli.output import check_writable, wide_console, write_json
from av_perception.evaluation.metrics import Metrics, evaluate
from av_perception.pipelines.full import START_NS, OfflinePipeline
from av_perception.recording import Recording
from av_perception.recording.collect import collect_tracks
from av_perception.simulation.cache import simulated_recording

_SCENES = ('three_talkers', 'crossing', 'partial_view')


@dataclass(frozen=True)
class Result:
    """Figures of one scene and seed. people: in truth; ids: different ids given to active tracks; the rest as in `evaluate`, places by
    position where people were seen, azimuths by direction where they were only heard.
    """

    scene: str
    seed: int | None
    minutes: float
    people: int
    ids: int
    id_switches: int
    mota_seen: float | None
    position_rmse_seen_m: float | None
    azimuth_error_heard_deg: float | None
    der: float | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Command line of the benchmark."""
    parser.add_argument(
        '--scenes',
        nargs='+',
        default=list(_SCENES),
        metavar='SCENE',
        help=f'names or files (default: {" ".join(_SCENES)})',
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
    """Measures, prints the table, writes the files; 1 when ids switched more than once a minute."""
    check_writable(args.json)
    cv2.setNumThreads(1)
    if args.timelines:
        args.timelines.mkdir(parents=True, exist_ok=True)
    results, console = [], wide_console()
    with Progress(console=console, transient=True) as progress:
        for scene in args.scenes:
            for seed in args.seeds or [None]:
                results.append(measure(scene, seed, progress, args.timelines))
    console.print(_table(results))
    if args.json:
        write_json(
            args.json,
            {
                'results': [asdict(r) for r in results],
                'id_switches_per_minute': _switches_per_minute(results),
            },
        )
    return 0 if _switches_per_minute(results) <= 1 else 1


def measure(scene: str, seed: int | None, progress: Progress, timelines: Path | None) -> Result:
    """Renders, tracks and compares one scene."""
    name = Path(scene).stem
    task = progress.add_task(f'render {name}', total=1.0)
    recording = simulated_recording(
        scene, seed, lambda fraction, text: progress.update(task, completed=fraction)
    )
    progress.update(task, completed=0.0, description=f'track {name}')
    frames = OfflinePipeline(recording).run(
        lambda fraction: progress.update(task, completed=fraction)
    )
    progress.remove_task(task)
    tracks = collect_tracks(frames, START_NS)
    metrics = evaluate(tracks, recording.truth)
    if timelines:
        from av_perception.visualization.timeline import plot_timeline

        path = timelines / f'{name}{"" if seed is None else f"_{seed}"}.png'
        plot_timeline(
            tracks, recording.truth, path, title=name, metrics=metrics, head=recording.head
        )
    return _result(
        name, seed, recording, metrics, len(np.unique(tracks.id[tracks.status == 'active']))
    )


def _result(
    name: str, seed: int | None, recording: Recording, metrics: Metrics, ids: int
) -> Result:
    return Result(
        name,
        seed,
        recording.duration_s / 60,
        len(metrics.people),
        ids,
        metrics.by_direction['all'].id_switches,
        metrics.seen.mota,
        metrics.seen.position_rmse_m,
        metrics.by_direction['heard_only'].azimuth_error_deg,
        metrics.der,
    )


def _switches_per_minute(results: list[Result]) -> float:
    return sum(r.id_switches for r in results) / sum(r.minutes for r in results)


def _table(results: list[Result]) -> Table:
    table = Table(
        title=f'{_switches_per_minute(results):.2f} id switches a minute (to reach: at most 1)'
    )
    for heading in (
        'scene',
        'length',
        'people',
        'ids',
        'id switches',
        'MOTA seen',
        'position error seen',
        'azimuth error heard',
        'DER',
    ):
        table.add_column(heading, justify='left' if heading == 'scene' else 'right')
    for r in results:
        table.add_row(
            r.scene + ('' if r.seed is None else f' (seed {r.seed})'),
            f'{60 * r.minutes:.0f} s',
            str(r.people),
            str(r.ids),
            str(r.id_switches),
            _shown(r.mota_seen, 100, ' %'),
            _shown(r.position_rmse_seen_m, 100, ' cm'),
            _shown(r.azimuth_error_heard_deg, 1, '°'),
            _shown(r.der, 100, ' %'),
        )
    return table


def _shown(value: float | None, factor: float, unit: str) -> str:
    return '-' if value is None else f'{factor * value:.1f}{unit}'
