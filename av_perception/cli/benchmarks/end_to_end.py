# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""From an image's stamp to its speaking status in another process, all nodes over DDS.

All nodes in one process are compared with one process for each node. The scene plays in real time;
the observer is a process of its own. Cores are processor time of all nodes (the players of sound
and images among them) over the time of the scene; in one process the threads of each node count,
and `composed` is what remains (DDS). The ways take turns, so that a machine that
others use as well treats both alike; figures are those of all rounds together.

For example:
  av-perception benchmark end-to-end --json end_to_end.json
  av-perception benchmark end-to-end --rounds 3 --ways processes
  av-perception benchmark end-to-end --load 1      beside one busy process, as on a robot at work
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from av_perception.benchmarks.busy_processes import busy_processes
from av_perception.cli.output import check_writable, wide_console, write_json
from av_perception.errors import UserError
from av_perception.recording import Recording
from av_perception.recording.timing import image_stamp_ns

WAYS = ('composed', 'processes')
MEDIAN_MS = 50.0
TAIL_MS = 100.0
CORES = 0.9


@dataclass
class Result:
    """One way, all rounds."""

    #: one of WAYS
    way: str
    #: from image to status, of every image with a status [ms]
    latency_ms: list[float] = field(default_factory=list)
    #: how many images there were
    images: int = 0
    #: images without a status
    images_lost: int = 0
    #: length of what was played [s]
    seconds: float = 0.0
    #: processor time by node or process [s]
    cpu_s: dict[str, float] = field(default_factory=dict)
    #: peak memory by node or process [MiB]
    peak_mib: dict[str, float] = field(default_factory=dict)

    @property
    def figures(self) -> dict:
        """What is reported."""
        cores = {name: cpu / self.seconds for name, cpu in self.cpu_s.items()}
        return {
            'way': self.way,
            'median_ms': self._latency_ms(50),
            'p99_ms': self._latency_ms(99),
            'images': self.images,
            'images_lost': self.images_lost,
            'cores': sum(cores.values()),
            'cores_of': cores,
            'peak_mib': sum(self.peak_mib.values()),
            'peak_mib_of': self.peak_mib,
        }

    def _latency_ms(self, percentile: float) -> float:
        """Infinite where nothing was answered."""
        return float(np.percentile(self.latency_ms or [np.inf], percentile))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the benchmark."""
    parser.add_argument(
        '--scene', default='three_talkers', help='name or file of a scene (default: three_talkers)'
    )
    parser.add_argument(
        '--rounds', type=int, default=2, help='how often each way plays the scene (default 2)'
    )
    parser.add_argument(
        '--ways',
        nargs='+',
        choices=WAYS,
        default=list(WAYS),
        help='all nodes composed in one process, or a process for each',
    )
    parser.add_argument(
        '--load',
        type=int,
        default=0,
        metavar='N',
        help='so many busy processes take processor time meanwhile (default 0)',
    )
    parser.add_argument('--json', metavar='FILE', help='write the figures to FILE')


def run(args: argparse.Namespace) -> int:
    """Play, print the table, write the file; 1 when the nodes in one process are too slow."""
    check_writable(args.json)
    if args.load < 0 or args.rounds < 1:
        raise UserError('--load must not be negative, --rounds must be at least 1')
    console = wide_console()
    figures = [result.figures for result in _play_all(args, console)]
    console.print(_table(figures, args.load))
    console.print(_cores_table(figures))
    if args.json:
        setting = {'scene': args.scene, 'rounds': args.rounds, 'load': args.load}
        write_json(args.json, {**setting, 'results': figures})
    return 0 if all(is_fast_enough(f) for f in figures if f['way'] == WAYS[0]) else 1


def _play_all(args: argparse.Namespace, console: Console) -> list[Result]:
    """Play all rounds of all ways, in turns, with a progress bar."""
    from av_perception.simulation.cache import simulated_recording

    results = [Result(way) for way in args.ways]
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task('render', total=1.0)

        def report(prefix: str) -> Callable[[float, str], None]:
            return lambda fraction, text: progress.update(
                task, completed=fraction, description=prefix + text
            )

        recording = simulated_recording(args.scene, None, report('render '))
        for number in range(args.rounds):
            for result in results:
                prefix = f'{result.way}, round {number + 1}: '
                with busy_processes(args.load):
                    play(recording, result, report(prefix))
    return results


def play(recording: Recording, result: Result, progress: Callable[[float, str], None]) -> None:
    """Play one round of one way.

    Parameters
    ----------
    recording
        What is played.
    result
        The round is added to it.
    progress
        Told the fraction in [0, 1] that is done, and what is going on.
    """
    from av_perception.ros.bringup.session import play_through_graph

    with tempfile.TemporaryDirectory() as folder:
        session = play_through_graph(
            recording,
            Path(folder) / 'logs',
            progress=progress,
            composed=result.way == 'composed',
            truth=False,
        )
    images = {
        session.origin_ns + image_stamp_ns(recording, index)
        for index in range(recording.num_frames)
    }
    answered = session.latency_ms_by_stamp.keys() & images
    result.latency_ms += [session.latency_ms_by_stamp[stamp] for stamp in answered]
    result.images += len(images)
    result.images_lost += len(images - answered)
    result.seconds += recording.duration_s
    for name, usage in session.usage.items():
        result.cpu_s[name] = result.cpu_s.get(name, 0.0) + usage.cpu_s
        result.peak_mib[name] = max(result.peak_mib.get(name, 0.0), usage.peak_mib)


def is_fast_enough(figures: dict) -> bool:
    """Whether all that is to be reached was reached."""
    return (
        figures['median_ms'] <= MEDIAN_MS
        and figures['p99_ms'] <= TAIL_MS
        and figures['cores'] <= CORES
        and not figures['images_lost']
    )


def _table(figures: list[dict], load: int) -> Table:
    beside = f', beside {load} busy' if load else ''
    table = Table(title=f'image stamp to speaking status in another process{beside}')
    for heading in ('nodes as', 'median', '99th percentile', 'images lost', 'cores', 'memory'):
        table.add_column(heading, justify='left' if heading == 'nodes as' else 'right')
    for f in figures:
        table.add_row(
            f['way'],
            f'{f["median_ms"]:.0f} ms',
            f'{f["p99_ms"]:.0f} ms',
            f'{f["images_lost"]} of {f["images"]}',
            f'{f["cores"]:.2f}',
            f'{f["peak_mib"]:.0f} MiB',
        )
    targets = (f'{MEDIAN_MS:.0f} ms', f'{TAIL_MS:.0f} ms', '0', f'{CORES}', '')
    table.add_row('to reach', *targets, style='dim')
    return table


def _cores_table(figures: list[dict]) -> Table:
    table = Table(title='of each node')
    for heading in ('nodes as', 'node', 'cores', 'peak memory'):
        table.add_column(heading, justify='left' if heading.startswith('node') else 'right')
    for f in figures:
        for name, cores in f['cores_of'].items():
            peak_mib = f['peak_mib_of'][name]
            memory = f'{peak_mib:.0f} MiB' if peak_mib else 'shared'
            table.add_row(f['way'], name, f'{cores:.3f}', memory)
    return table
