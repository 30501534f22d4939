# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A voice in noise made clear: priors of speech, the classic gain, networks trained on noise.

Voices of talkers that no prior was trained on, in noise of ten kinds (AV_PERCEPTION_DATA), from -5
to 10 dB; medians over the clips. Nothing of this project was trained on any noise. GTCRN runs
where models/gtcrn_simple.onnx is at hand.

For example:
  OMP_NUM_THREADS=1 av-perception benchmark enhancement --json enhancement.json
  av-perception benchmark enhancement --quick --priors vae --methods amortized peem
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from rich.progress import Progress
from rich.table import Table

from av_perception.benchmarks.enhancement_clips import KINDS, ODD_KINDS, make_clips
from av_perception.benchmarks.enhancement_methods import GTCRN, LIVE, Gtcrn, Method, make_methods
from av_perception.benchmarks.enhancement_scores import EnhancementRow, measure, medians
from av_perception.cli.data_folder import data_folder
from av_perception.cli.output import check_writable, wide_console, write_json
from av_perception.dvae.speech_prior import PRIORS, load_prior
from av_perception.enhancement.latent_steps import AMORTIZED, METHODS, PEEM, VEM
from av_perception.enhancement.prior import SpeechPrior
from av_perception.errors import UserError

_NUM_QUICK = 6
_WAYS = (AMORTIZED, PEEM, VEM, LIVE)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the benchmark."""
    parser.add_argument('--quick', action='store_true', help=f'{_NUM_QUICK} clips of 2 s')
    parser.add_argument('--clips', type=int, default=24, metavar='N', help='(default 24)')
    parser.add_argument(
        '--duration', type=float, default=4.0, metavar='S', help='of a clip (default 4 s)'
    )
    parser.add_argument('--seed', type=int, default=0, help='of the noises (default 0)')
    parser.add_argument(
        '--priors', nargs='+', metavar='NAME', help='names or files (default: all that ship)'
    )
    parser.add_argument(
        '--methods',
        nargs='+',
        choices=(*METHODS, LIVE),
        default=list(_WAYS),
        help=f'how priors are used (default: {" ".join(_WAYS)})',
    )
    parser.add_argument('--json', type=Path, metavar='FILE', help='write all rows to FILE')


def run(args: argparse.Namespace) -> int:
    """Measure, print the tables, write the file."""
    check_writable(args.json)
    if args.clips < 1 or not 1.0 <= args.duration <= 60.0:
        raise UserError('--clips must be at least 1, --duration from 1 to 60 s')
    data = data_folder()
    if args.quick:
        args.clips = min(args.clips, _NUM_QUICK)
        args.duration = min(args.duration, 2.0)
    methods = _methods(args, data)
    clips = make_clips(data, args.clips, args.duration, args.seed)
    rows: list[EnhancementRow] = []
    console = wide_console(110)
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task('enhance', total=len(clips) * len(methods))
        for clip in clips:
            for name, method in methods.items():
                progress.update(task, description=f'{clip.kind} {clip.snr_db:g} dB: {name}')
                rows.append(measure(clip, name, method))
                progress.advance(task)
    console.print(_table(rows, f'medians over {len(clips)} clips'))
    console.print(_table_of_kinds(rows))
    if args.json:
        write_json(args.json, {'medians': medians(rows), 'rows': [asdict(row) for row in rows]})
    return 0


def _methods(args: argparse.Namespace, data: Path) -> dict[str, Method]:
    """All that can run here."""
    priors: dict[str, SpeechPrior] = {}
    for name in args.priors or PRIORS:
        try:
            priors[Path(name).stem if '.' in name else name.upper()] = load_prior(name)
        except (UserError, KeyError):
            if args.priors:
                raise
    methods = make_methods(priors, args.methods)
    try:
        methods[GTCRN] = Gtcrn(data / 'models' / 'gtcrn_simple.onnx')
    except (UserError, ImportError):
        pass  # the table has a row less
    return methods


def _table(rows: list[EnhancementRow], title: str) -> Table:
    table = Table('method', title=title)
    for heading in ('SI-SDR in dB', 'PESQ', 'ESTOI', 'CPU s per s'):
        table.add_column(heading, justify='right')
    for method, found in medians(rows).items():
        table.add_row(
            method,
            f'{found["si_sdr_db"]:.1f}',
            f'{found["pesq"]:.2f}',
            f'{found["estoi"]:.3f}',
            f'{found["cpu"]:.3f}',
        )
    return table


def _table_of_kinds(rows: list[EnhancementRow]) -> Table:
    """Gains over the noisy recording where noise is steady, and where it is not."""
    table = Table('method', title='means of SI-SDR in dB / ESTOI by kind of noise')
    groups = {
        'steady noise': [kind for kind in KINDS if kind not in ODD_KINDS],
        **{kind: [kind] for kind in ODD_KINDS},
    }
    for heading in groups:
        table.add_column(heading, justify='right')
    for method in dict.fromkeys(row.method for row in rows):
        cells = []
        for kinds in groups.values():
            own = [row for row in rows if row.method == method and row.kind in kinds]
            count = max(len(own), 1)
            si_sdr_db = sum(row.si_sdr_db for row in own) / count
            estoi = sum(row.estoi for row in own) / count
            cells.append(f'{si_sdr_db:.1f} / {estoi:.3f}' if own else '-')
        table.add_row(method, *cells)
    return table
