# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Priors of speech: how unseen talkers sound after them, their size and cost.

Every prior that ships encodes talkers whom no training has seen and decodes them; the decoded
variance gives magnitudes, the recording its phases. SI-SDR and ESTOI are means over the talkers.
Priors that remember past data remember what they decoded; 'true past' gives them the recording's.
Misfit and KL divergence are the parts of the bound that training lowers, in nats per frame.

For example:
  OMP_NUM_THREADS=1 av-perception benchmark speech-priors --speech my_librispeech
"""

from __future__ import annotations

import argparse
import os
from dataclasses import asdict
from pathlib import Path

from rich.box import SIMPLE
from rich.progress import Progress
from rich.table import Table

from av_perception.benchmarks.speech_priors import TEST, PriorRow, compare, unseen_talkers
from av_perception.cli.output import check_writable, wide_console, write_json
from av_perception.dvae.speech_prior import PRIORS, load_prior
from av_perception.errors import UserError

QUICK = 5  # talkers


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the benchmark."""
    default = os.environ.get('AV_PERCEPTION_DATA', '')
    parser.add_argument(
        '--speech',
        type=Path,
        default=Path(default) / 'speech' / 'librispeech_train' if default else None,
        metavar='DIR',
        help='the folder that the weights were trained on, of which the test talkers are '
        '(default: $AV_PERCEPTION_DATA/speech/librispeech_train)',
    )
    parser.add_argument('--quick', action='store_true', help=f'{QUICK} talkers of {TEST}')
    parser.add_argument('--json', metavar='FILE', help='write the figures to FILE')


def run(args: argparse.Namespace) -> int:
    """Resynthesize, print the table."""
    check_writable(args.json)
    if args.speech is None or not args.speech.is_dir():
        raise UserError('--speech must name the folder of speech that the priors were trained on')
    console = wide_console()
    sounds = unseen_talkers(args.speech, QUICK if args.quick else TEST)
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task('priors', total=1.0)
        rows = compare(
            {name: load_prior(name) for name in PRIORS},
            sounds,
            lambda fraction: progress.update(task, completed=fraction),
        )
    console.print(_table(rows, len(sounds)))
    if args.json:
        write_json(args.json, {'talkers': len(sounds), 'priors': [asdict(row) for row in rows]})
    return 0


def _table(rows: list[PriorRow], talkers: int) -> Table:
    table = Table(title=f'resynthesis of {talkers} unseen talkers', box=SIMPLE)
    headings = (
        'prior',
        'latents',
        'parameters',
        'file [kB]',
        'SI-SDR [dB]',
        'ESTOI',
        'true past [dB]',
        'misfit',
        'KL',
        'encode [CPU s/s]',
        'decode [CPU s/s]',
    )
    for heading in headings:
        table.add_column(heading, justify='left' if heading == 'prior' else 'right')
    for row in rows:
        table.add_row(
            row.name,
            str(row.latents),
            f'{row.parameters:,}',
            f'{row.file_bytes / 1e3:.0f}',
            f'{row.mean_si_sdr_db:.2f}',
            f'{row.mean_estoi:.3f}',
            '' if row.true_past_db != row.true_past_db else f'{row.true_past_db:.2f}',
            f'{row.misfit:.0f}',
            f'{row.divergence:.1f}',
            f'{row.encode_cpu:.3f}',
            f'{row.decode_cpu:.3f}',
        )
    return table
