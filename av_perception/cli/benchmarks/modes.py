# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Which mode for which robot: accuracy and processor time of every mode on the same scenes.

The modes are the variational tracker, the two-microphone face fusion and audio-visual events.
Every mode gets the same images' faces and the same sound. Accuracy is against the truth of the
scene; time is processor time per image of everything after the faces were found (sound, tracking,
who speaks). The live figures are those of the nodes' processes over DDS while a scene plays, faces
not counted. The last line is the minimal mode with four faces at 30 Hz.

For example:
  OMP_NUM_THREADS=1 av-perception benchmark modes --scenes short three_talkers --json modes.json
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from av_perception.benchmarks.modes import MODES, ModeResult, find_faces, measure
from av_perception.benchmarks.nominal_load import RATE_HZ, NominalLoad, nominal_load
from av_perception.cli.output import check_writable, wide_console, write_json
from av_perception.recording import Recording
from av_perception.simulation.cache import simulated_recording

_NODES = {
    'full': ('audio_features', 'tracker', 'speaking_status'),
    'minimal': ('face_itd_fusion',),
    'events': ('av_events',),
}
_CORE_SHARE = 0.05
Report = Callable[[float, str], None]  # fraction in [0, 1], what is going on


@dataclass(frozen=True)
class Live:
    """The processes of one mode while a scene plays."""

    #: one of MODES
    mode: str
    #: processor time over time
    cores: float
    #: memory, sum of the peaks [MiB]
    mib: float
    #: from image to status, median [ms]
    latency_median_ms: float | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the benchmark."""
    parser.add_argument(
        '--scenes',
        nargs='+',
        default=['short', 'three_talkers'],
        metavar='SCENE',
        help='names of config/scenes or YAML files (default: %(default)s)',
    )
    parser.add_argument(
        '--live',
        default='short',
        metavar='SCENE',
        help='scene that is played through the nodes; an empty word leaves it out '
        '(default: %(default)s)',
    )
    parser.add_argument('--json', metavar='FILE', help='write the figures to FILE')


def run(args: argparse.Namespace) -> int:
    """Measure, print the tables, write the file."""
    import cv2

    check_writable(args.json)
    cv2.setNumThreads(1)
    console = wide_console()
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task('', total=1.0)

        def report(fraction: float, text: str) -> None:
            progress.update(task, completed=fraction, description=text)

        results = [result for scene in args.scenes for result in _measure_offline(scene, report)]
        live = _play(simulated_recording(args.live), report) if args.live else []
        nominal = nominal_load(_described(report, 'four faces at 30 Hz'))
    console.print(_table(results))
    if live:
        console.print(_live_table(live))
    _print_nominal(console, nominal)
    if args.json:
        figures = {
            'scenes': [asdict(result) for result in results],
            'live': [asdict(entry) for entry in live],
            'four_faces_at_30_hz': asdict(nominal),
            'target_core_share': _CORE_SHARE,
        }
        write_json(args.json, figures)
    return 0


def _measure_offline(scene: str, report: Report) -> list[ModeResult]:
    """Measure all modes on one scene."""
    recording = simulated_recording(
        scene, None, lambda fraction, text: report(fraction, f'{scene}: {text}')
    )
    features = find_faces(recording, _described(report, f'{scene}: finding the faces'))
    return [
        measure(recording, scene, mode, features, _described(report, f'{scene}: {mode}'))
        for mode in MODES
    ]


def _play(recording: Recording, report: Report) -> list[Live]:
    """Play through the nodes: the full graph, then the minimal one with the events beside it."""
    from av_perception.ros.bringup.graph import Selection
    from av_perception.ros.bringup.session import play_through_graph

    live = []
    with tempfile.TemporaryDirectory() as folder:
        for mode, others in (('full', ()), ('minimal', ('events',))):
            session = play_through_graph(
                recording,
                Path(folder) / mode,
                progress=_prefixed(report, f'live, {mode}: '),
                selection=Selection(mode, events='events' in others),
            )
            latency = float(np.median(session.latency_ms)) if session.latency_ms else None
            live.append(_live(mode, session.usage, recording.duration_s, latency))
            live += [_live(name, session.usage, recording.duration_s, None) for name in others]
    return live


def _described(report: Report, text: str) -> Callable[[float], None]:
    return lambda fraction: report(fraction, text)


def _prefixed(report: Report, prefix: str) -> Report:
    return lambda fraction, text: report(fraction, prefix + text)


def _live(mode: str, usage: dict, duration_s: float, latency_ms: float | None) -> Live:
    """Add up the processes of a mode."""
    used = [usage[node] for node in _NODES[mode]]
    cores = sum(entry.cpu_s for entry in used) / duration_s
    return Live(mode, cores, sum(entry.peak_mib for entry in used), latency_ms)


def _table(results: list[ModeResult]) -> Table:
    table = Table(title='accuracy and processor time per image (after the faces)')
    for heading in ('scene', 'mode'):
        table.add_column(heading)
    for heading in ('MOTA', 'id switches', 'position RMSE', 'azimuth error', 'DER'):
        table.add_column(heading, justify='right')
    for heading in ('CPU per image', 'tracking, 99 %'):
        table.add_column(heading, justify='right')
    for r in results:
        table.add_row(
            r.scene,
            MODES[r.mode],
            _text(r.mota, '{:.1%}'),
            str(r.id_switches),
            _text(r.position_rmse_m, '{:.2f} m'),
            _text(r.azimuth_error_deg, '{:.1f}°'),
            _text(r.der, '{:.1%}'),
            f'{r.cpu_ms:.2f} ms',
            f'{r.tracking_p99_ms:.2f} ms',
        )
    return table


def _live_table(live: list[Live]) -> Table:
    table = Table(title='live, the nodes that differ (25 images a second)')
    for heading in ('mode', 'of a core', 'memory', 'image to status'):
        table.add_column(heading, justify='left' if heading == 'mode' else 'right')
    for entry in live:
        table.add_row(
            MODES[entry.mode],
            f'{entry.cores:.1%}',
            f'{entry.mib:.0f} MiB',
            _text(entry.latency_median_ms, '{:.0f} ms'),
        )
    return table


def _print_nominal(console: Console, nominal: NominalLoad) -> None:
    reached = nominal.core_share <= _CORE_SHARE and nominal.highest_rate_hz >= RATE_HZ
    color = 'green' if reached else 'red'
    console.print(
        f'minimal mode, {nominal.faces:.0f} faces at {RATE_HZ:.0f} Hz: '
        f'{nominal.core_share:.1%} of a core ([{color}]target: {_CORE_SHARE:.0%}[/]), '
        f'{nominal.cpu_ms_per_image:.2f} ms per image, '
        f'at most {nominal.highest_rate_hz:.0f} Hz'
    )


def _text(value: float | None, form: str) -> str:
    return '-' if value is None else form.format(value)
