# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A voice per person out of a mixture: this project's methods and those of pyroomacoustics.

All methods hear the same scenes, with voices of the development data (AV_PERCEPTION_DATA) that
nothing was tuned on: speakers numbered 6500 and up. Those of this project are told where the
talkers are, 1.5 degrees wrong; the blind ones are told how many there are. Voices are compared
with what the talker alone gives the first microphone, room included.

For example:
  OMP_NUM_THREADS=1 av-perception benchmark separation --json separation.json --plot separation.png
  av-perception benchmark separation --json separation.json --resume --markdown separation.md
  av-perception benchmark separation --quick --examples sounds
  av-perception benchmark separation --recordings my_scene --methods 'live streams'
  av-perception benchmark separation --held-out --duration 8 --markdown classes.md \
      --methods 'best microphone' 'live streams' 'oracle masks'
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import soundfile
from rich.progress import Progress
from rich.table import Table

from av_perception.benchmarks.held_out_scenes import (
    KINDS,
    class_of,
    held_out_draws,
    held_out_voices,
)
from av_perception.benchmarks.separation_classes import HEADINGS, class_cells, class_table
from av_perception.benchmarks.separation_methods import BEST_MICROPHONE, METHODS
from av_perception.benchmarks.separation_recordings import recorded_scene
from av_perception.benchmarks.separation_rows import KeptRows
from av_perception.benchmarks.separation_scenes import (
    NUM_QUICK,
    RATE,
    SCENES,
    SceneKind,
    SeparationScene,
    make_scene,
)
from av_perception.benchmarks.separation_scores import SeparationRow, measure
from av_perception.benchmarks.separation_tables import separation_tables
from av_perception.cli.data_folder import data_folder
from av_perception.cli.output import check_picture, check_writable, wide_console, write_json
from av_perception.errors import UserError

_NUM_EXAMPLES = 5


@dataclass(frozen=True)
class _Planned:
    """A scene to hear: its name, its seed, which draw of its kind it is, and what makes it."""

    label: str
    seed: int
    draw: int
    make: Callable[[], SeparationScene]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the benchmark."""
    parser.add_argument('--quick', action='store_true', help=f'the first {NUM_QUICK} scenes only')
    parser.add_argument(
        '--scenes', default='', metavar='TEXT', help='only those with this in their name'
    )
    sounds = parser.add_mutually_exclusive_group()
    sounds.add_argument(
        '--held-out',
        action='store_true',
        help=f'instead: {len(KINDS)} scenes of all kinds with voices that no choice was made on, '
        'summed up by class',
    )
    sounds.add_argument(
        '--recordings',
        type=Path,
        nargs='+',
        metavar='FOLDER',
        help='instead of the scenes: recordings that simulate --images rendered',
    )
    parser.add_argument(
        '--methods', nargs='+', choices=list(METHODS), default=list(METHODS), help='(default: all)'
    )
    parser.add_argument(
        '--seeds', type=int, default=1, metavar='N', help='draws of each scene (default 1)'
    )
    parser.add_argument(
        '--duration', type=float, default=6.0, metavar='S', help='of a scene (default 6 s)'
    )
    parser.add_argument(
        '--words', action='store_true', help='let pocketsphinx count the words that change'
    )
    _add_results(parser)


def _add_results(parser: argparse.ArgumentParser) -> None:
    """Declare what is written, and how a run goes on."""
    parser.add_argument(
        '--json', type=Path, metavar='FILE', help='write all rows to FILE, each when it is done'
    )
    parser.add_argument(
        '--resume',
        action='store_true',
        help='go on with the rows that are in the file of --json, and measure what is not',
    )
    parser.add_argument(
        '--markdown', type=Path, metavar='FILE', help='write tables, with a mean per method'
    )
    parser.add_argument('--plot', type=Path, metavar='FILE', help='draw the gains (png, svg, pdf)')
    parser.add_argument(
        '--examples',
        type=Path,
        metavar='FOLDER',
        help=f'write {_NUM_EXAMPLES} scenes to listen to: mixture, truth and voices as FLAC',
    )


def run(args: argparse.Namespace) -> int:
    """Measure, print the table, write the files."""
    check_picture(args.plot)
    for path in (args.json, args.markdown):
        check_writable(path)
    if args.seeds < 1 or not 1.0 <= args.duration <= 60.0:
        raise UserError('--seeds must be at least 1, --duration from 1 to 60 s')
    kept = _kept_rows(args)
    planned = _planned(args)
    rows: list[SeparationRow] = []
    console = wide_console(150)
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task('separate', total=len(planned) * len(args.methods))
        for index, scene in enumerate(planned):
            progress.update(task, description=scene.label)
            is_example = scene.draw == 0 and index < _NUM_EXAMPLES * args.seeds
            methods = kept.missing(scene.label, scene.seed, args.methods)
            progress.advance(task, len(args.methods) - len(methods))
            for row in _heard(scene, args, methods, args.examples if is_example else None):
                kept.add(row, scene.seed)
                if args.json:
                    write_json(args.json, kept.figures())
                progress.advance(task)
            rows += kept.of(scene.label, scene.seed, args.methods)
    console.print(_table(rows))
    classes = {kind.label: class_of(kind) for kind in KINDS} if args.held_out else {}
    if args.held_out:
        console.print(_class_table(rows, classes))
    _write_results(args, rows, classes)
    return 0


def _write_results(args, rows: list[SeparationRow], classes: dict[str, str]) -> None:
    """Write tables and picture, where they are asked for."""
    if args.markdown:
        tables = separation_tables(rows)
        if args.held_out:
            tables = f'{class_table(rows, classes, BEST_MICROPHONE)}\n{tables}'
        args.markdown.write_text(tables, encoding='utf-8')
    if args.plot:
        from av_perception.benchmarks.separation_plot import plot_separation

        plot_separation(rows, args.plot)


def _kept_rows(args) -> KeptRows:
    """Rows of an earlier run, where it is to be resumed."""
    settings = {'duration_s': args.duration, 'words': args.words}
    if args.held_out:
        settings['held_out'] = True
    kept = KeptRows(settings)
    if args.resume:
        if args.json is None:
            raise UserError('--resume needs --json FILE, the rows of the earlier run')
        kept.read(args.json)
    return kept


def _planned(args) -> list[_Planned]:
    """List the scenes."""
    if args.recordings:
        return [_Planned(p.name, 0, 0, partial(recorded_scene, p)) for p in args.recordings]
    data = data_folder()
    kinds = _chosen(args)
    if args.held_out:
        files = held_out_voices(data)
        return [
            _Planned(
                kind.label,
                seed,
                index % args.seeds,
                partial(make_scene, kind, args.duration, data, seed, files=files),
            )
            for index, (kind, seed) in enumerate(held_out_draws(kinds, args.seeds))
        ]
    return [
        _Planned(kind.label, seed, seed, partial(make_scene, kind, args.duration, data, seed))
        for kind in kinds
        for seed in range(args.seeds)
    ]


def _chosen(args) -> tuple[SceneKind, ...]:
    """Pick the kinds of scenes by --held-out, --quick and --scenes."""
    kinds = KINDS if args.held_out else SCENES
    if args.quick:
        kinds = kinds[:NUM_QUICK]
    chosen = tuple(kind for kind in kinds if args.scenes in kind.label)
    if not chosen:
        raise UserError(f"no scene has '{args.scenes}' in its name")
    return chosen


def _heard(
    planned: _Planned, args, methods: list[str], examples: Path | None
) -> Iterator[SeparationRow]:
    """Yield the rows of one scene; write its sounds where examples are asked for."""
    if not methods:
        return
    scene = planned.make()
    folder = None
    if examples is not None:
        folder = examples / scene.label.replace(' ', '_').replace(',', '').replace('%', 'percent')
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / 'mixture.flac', scene.mixture[:, 0])
        for j, reference in enumerate(scene.references.T):
            _write(folder / f'talker_{j}_truth.flac', reference)

    def note(method: str, voices: np.ndarray) -> None:
        name = method.replace(' ', '_').replace(',', '')
        for j, voice in enumerate(voices.T):
            if folder is not None:
                _write(folder / f'talker_{j}_{name}.flac', voice)

    yield from measure(scene, methods, planned.seed, note, args.words)


def _write(path: Path, sound: np.ndarray) -> None:
    soundfile.write(path, np.clip(sound, -1, 1).astype(np.float32), RATE)


def _class_table(rows: list[SeparationRow], classes: dict[str, str]) -> Table:
    table = Table(title='by class of scene')
    for heading in HEADINGS:
        table.add_column(heading, justify='left' if heading in HEADINGS[:2] else 'right')
    for cells in class_cells(rows, classes, BEST_MICROPHONE):
        table.add_row(*cells)
    return table


def _table(rows: list[SeparationRow]) -> Table:
    table = Table(title='against what each talker alone gives the first microphone')
    table.add_column('scene')
    table.add_column('method')
    for heading in (
        'SI-SDR',
        'gain',
        'least gain',
        'SDR',
        'PESQ',
        'STOI',
        'least STOI gain',
        'silent',
        'words wrong',
        'CPU s per s',
    ):
        table.add_column(heading, justify='right')
    before = ''
    for row in rows:
        table.add_row(
            row.scene if row.scene != before else '',
            row.method,
            f'{row.si_sdr_db:.1f}',
            f'{row.gain_db:+.1f}',
            f'{row.least_gain_db:+.1f}',
            f'{row.sdr_db:.1f}',
            f'{row.pesq:.2f}',
            f'{row.stoi:.2f}',
            f'{row.least_stoi_gain:+.2f}',
            '-' if np.isnan(row.silent_db) else f'{row.silent_db:.0f}',
            '-' if np.isnan(row.word_errors) else f'{row.word_errors:.0%}',
            f'{row.cpu:.2f}',
        )
        before = row.scene
    return table
