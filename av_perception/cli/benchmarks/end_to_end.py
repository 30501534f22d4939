# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""From an image's stamp to its speaking status in another process, all nodes over DDS.

All nodes in one process are compared with one process for each node. The scene plays in real time;
the observer is a process of its own. Cores are processor time of all nodes (the players of sound
and images among them) over the time of the scene; in one process the threads of each node count,
and `composed` is what remains (DDS). The nodes voices and head_pose have processes of their own in
either way. The ways take turns, so that a machine that others use as well treats both alike;
figures are those of all rounds together.

For example:
  av-perception benchmark end-to-end --json end_to_end.json
  av-perception benchmark end-to-end --rounds 3 --ways processes
  av-perception benchmark end-to-end --load 1      beside one busy process, as on a robot at work
  av-perception benchmark end-to-end --ways composed --voices
      a row with the node voices, and how old sound is when it comes as somebody's voice
  av-perception benchmark end-to-end --ways composed --options
      a row with each node that is not there by default, and with all of them: what they cost
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
VOICE_MS = 60.0
OPTIONS = ('voices', 'head_pose', 'attention')  # nodes that are not there by default


@dataclass
class Result:
    """One way, all rounds."""

    #: one of WAYS
    way: str
    #: those of OPTIONS that run as well
    extra: tuple[str, ...] = ()
    #: how old the oldest sample of each chunk of a voice was when it came [ms]
    voice_ms: list[float] = field(default_factory=list)
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
    def name(self) -> str:
        """What it is called in tables."""
        return ' + '.join((self.way, *self.extra))

    @property
    def figures(self) -> dict:
        """What is reported."""
        cores = {name: cpu / self.seconds for name, cpu in self.cpu_s.items()}
        return {
            'name': self.name,
            'way': self.way,
            'extra': list(self.extra),
            'median_ms': _percentile(self.latency_ms, 50),
            'p99_ms': _percentile(self.latency_ms, 99),
            'voice_median_ms': _percentile(self.voice_ms, 50) if self.voice_ms else None,
            'voice_p99_ms': _percentile(self.voice_ms, 99) if self.voice_ms else None,
            'images': self.images,
            'images_lost': self.images_lost,
            'cores': sum(cores.values()),
            'cores_of': cores,
            'peak_mib': sum(self.peak_mib.values()),
            'peak_mib_of': self.peak_mib,
        }


def _percentile(values: list[float], percentile: float) -> float:
    """Infinite where nothing was answered."""
    return float(np.percentile(values, percentile)) if values else float('inf')


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
        help='all nodes in one process (composed), or a process for each',
    )
    parser.add_argument(
        '--load',
        type=int,
        default=0,
        metavar='N',
        help='so many busy processes take processor time meanwhile (default 0)',
    )
    parser.add_argument(
        '--voices',
        action='store_true',
        help='a row with the node voices beside the process of the others',
    )
    parser.add_argument(
        '--options',
        action='store_true',
        help=f'a row with each of {", ".join(OPTIONS)}, and one with all, beside or in the '
        'process of the others',
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
    for sentence in _advice(figures):
        console.print(sentence, soft_wrap=True)
    if args.json:
        setting = {'scene': args.scene, 'rounds': args.rounds, 'load': args.load}
        write_json(args.json, {**setting, 'results': figures})
    judged = [f for f in figures if f['way'] == WAYS[0] and not f['extra']]
    return 0 if all(is_fast_enough(f) for f in judged) else 1


def _wanted(args: argparse.Namespace) -> list[Result]:
    """Make the rows that are asked for, still empty."""
    extras: list[tuple[str, ...]] = []
    if args.options:
        extras = [*((name,) for name in OPTIONS), OPTIONS]
    elif args.voices:
        extras = [('voices',)]
    return [Result(way) for way in args.ways] + [Result(WAYS[0], extra) for extra in extras]


def _play_all(args: argparse.Namespace, console: Console) -> list[Result]:
    """Play all rounds of all ways, in turns, with a progress bar."""
    from av_perception.simulation.cache import simulated_recording

    results = _wanted(args)
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task('render', total=1.0)

        def report(prefix: str) -> Callable[[float, str], None]:
            return lambda fraction, text: progress.update(
                task, completed=fraction, description=prefix + text
            )

        recording = simulated_recording(args.scene, None, report('render '))
        for number in range(args.rounds):
            for result in results:
                prefix = f'{result.name}, round {number + 1}: '
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
    from av_perception.ros.bringup.graph import Selection
    from av_perception.ros.bringup.session import play_through_graph

    with tempfile.TemporaryDirectory() as folder:
        session = play_through_graph(
            recording,
            Path(folder) / 'logs',
            progress=progress,
            selection=Selection.from_words(**dict.fromkeys(result.extra, 'true')),
            composed=result.way == 'composed',
            truth=False,
        )
    images = {
        session.origin_ns + image_stamp_ns(recording, index)
        for index in range(recording.num_frames)
    }
    answered = session.latency_ms_by_stamp.keys() & images
    result.latency_ms += [session.latency_ms_by_stamp[stamp] for stamp in answered]
    result.voice_ms += session.voice_latency_ms
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
    headings = ['nodes as', 'median', '99th percentile', 'images lost', 'cores', 'memory']
    if any('voices' in f['extra'] for f in figures):
        headings.append('sample to voice')
    for heading in headings:
        table.add_column(heading, justify='left' if heading == 'nodes as' else 'right')
    for f in figures:
        voice = 'none came' if 'voices' in f['extra'] else ''
        if f['voice_median_ms'] is not None:
            voice = f'{f["voice_median_ms"]:.0f} ms, 99 % within {f["voice_p99_ms"]:.0f} ms'
        cells = [
            f['name'],
            f'{f["median_ms"]:.0f} ms',
            f'{f["p99_ms"]:.0f} ms',
            f'{f["images_lost"]} of {f["images"]}',
            f'{f["cores"]:.2f}',
            f'{f["peak_mib"]:.0f} MiB',
            voice,
        ]
        table.add_row(*cells[: len(headings)])
    targets = (f'{MEDIAN_MS:.0f} ms', f'{TAIL_MS:.0f} ms', '0', f'{CORES}', '')
    cells = ['target', *targets, f'{VOICE_MS:.0f} ms']
    table.add_row(*cells[: len(headings)], style='dim')
    return table


def _advice(figures: list[dict]) -> list[str]:
    """Say what each option costs, dearest first, and which to switch off where it is too much."""
    plain = next((f for f in figures if f['way'] == WAYS[0] and not f['extra']), None)
    if plain is None:
        return []
    costs = {f['extra'][0]: f['cores'] - plain['cores'] for f in figures if len(f['extra']) == 1}
    dearest = sorted(costs, key=lambda name: -costs[name])
    if costs and any(f['images_lost'] for f in figures):
        return ['Images were lost: what the options cost cannot be told from what was left.']
    sentences = [f'{name}:=true costs {costs[name]:.2f} of a core.' for name in dearest]
    whole = next((f for f in figures if len(f['extra']) > 1), None)
    if whole is not None and whole['cores'] > CORES:
        sentences.append(
            f'All together take {whole["cores"]:.2f} cores, more than {CORES}: where that is too '
            f'much, switch off {dearest[0]} first.'
        )
    return sentences


def _cores_table(figures: list[dict]) -> Table:
    table = Table(title='of each node')
    for heading in ('nodes as', 'node', 'cores', 'peak memory'):
        table.add_column(heading, justify='left' if heading.startswith('node') else 'right')
    for f in figures:
        for name, cores in f['cores_of'].items():
            peak_mib = f['peak_mib_of'][name]
            memory = f'{peak_mib:.0f} MiB' if peak_mib else 'shared'
            table.add_row(f['name'], name, f'{cores:.3f}', memory)
    return table
