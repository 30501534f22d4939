# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What seeing is worth to enhancement and separation, with vision that is planted.

Features are planted that explain a part (R2) of the latents of clean speech and no more, so that
the worth of seeing is measured apart from how well mouths are read; voices are of talkers that
nothing was trained on (AV_PERCEPTION_DATA). Enhancement hears the clips of `benchmark enhancement`
(PEEM) with honest vision, with vision that lies for 40 % of the time, and with noise; believed
always, as far as the switch says, or live, with the switch of the streams. Separation hears
mixtures at 0 dB of one channel, and rooms beside methods that hear four microphones.

For example:
  OMP_NUM_THREADS=1 av-perception benchmark av-enhancement --json av.json --plot av.png
  av-perception benchmark av-enhancement --quick
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.progress import Progress
from rich.table import Table

from av_perception.benchmarks.av_enhancement import (
    ALWAYS,
    AUDIO,
    BELIEFS,
    R2,
    VISIONS,
    SeenBenchmark,
    SeenRow,
    SeenSummary,
    make_trials,
    summaries,
)
from av_perception.benchmarks.av_separation import (
    ROOMS,
    VoicesBenchmark,
    VoicesRow,
    array_rows,
    equal_voices,
    first_channel,
    in_a_room,
    voices_table,
)
from av_perception.cli.data_folder import data_folder
from av_perception.cli.output import check_picture, check_writable, wide_console, write_json
from av_perception.dvae.speech_prior import load_prior
from av_perception.enhancement.prior import SpeechPrior
from av_perception.errors import UserError

_ARRAY_METHODS = ('masks', 'VEMOVE')
_QUICK_CLIPS = 4
_QUICK_MIXTURES = 2
_QUICK_S = 2.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the benchmark."""
    parser.add_argument('--quick', action='store_true', help='a few clips of 2 s, no rooms')
    parser.add_argument('--clips', type=int, default=24, metavar='N', help='(default 24)')
    parser.add_argument(
        '--mixtures', type=int, default=20, metavar='N', help='of two and of three (default 20)'
    )
    parser.add_argument('--rooms', type=int, default=2, metavar='N', help='of each (default 2)')
    parser.add_argument(
        '--duration', type=float, default=2.5, metavar='S', help='of a clip (default 2.5 s)'
    )
    parser.add_argument(
        '--r2', type=float, nargs='+', default=list(R2), metavar='X', help='what is planted'
    )
    parser.add_argument(
        '--visions', nargs='+', choices=VISIONS, default=list(VISIONS), help='(default: all)'
    )
    parser.add_argument(
        '--believed', nargs='+', choices=BELIEFS, default=list(BELIEFS), help='(default: all)'
    )
    parser.add_argument(
        '--prior', default='wide_vae', metavar='NAME', help='vae, wide_vae (default) or a file'
    )
    parser.add_argument('--json', type=Path, metavar='FILE', help='write all rows to FILE')
    parser.add_argument('--plot', type=Path, metavar='FILE', help='draw gains (png, svg, pdf)')


def run(args: argparse.Namespace) -> int:
    """Measure, print the tables, write the files."""
    check_writable(args.json)
    check_picture(args.plot)
    _check(args)
    data = data_folder()
    prior = load_prior(args.prior)
    if not prior.is_frame_wise:
        raise UserError(f'{args.prior} has a memory: name vae, wide_vae or a file of such a prior')
    console = wide_console(150)
    with Progress(console=console, transient=True) as progress:
        seen = _enhance(args, data, prior, progress)
        voices = _separate(args, data, prior, progress)
    found = summaries(seen)
    if found:
        console.print(
            _seen_table(found, f'medians over {args.clips} clips; belief: median / mean')
        )
    if voices:
        console.print(_voices_table(voices))
    if args.json:
        figures = {
            'seen': [asdict(row) for row in seen],
            'voices': [asdict(row) for row in voices],
            'summaries': [asdict(row) for row in found],
        }
        write_json(args.json, figures)
    if args.plot:
        from av_perception.benchmarks.av_enhancement_plot import draw_gains

        draw_gains(found, args.plot)
    return 0


def _check(args: argparse.Namespace) -> None:
    if min(args.clips, args.mixtures, args.rooms) < 0 or not 1.0 <= args.duration <= 60.0:
        raise UserError(
            '--clips, --mixtures and --rooms must not be negative, --duration from 1 to 60 s'
        )
    if not all(0 <= one < 1 for one in args.r2):
        raise UserError('--r2 must lie from 0 to 1, and not be 1')
    if args.quick:
        args.clips = min(args.clips, _QUICK_CLIPS)
        args.mixtures = min(args.mixtures, _QUICK_MIXTURES)
        args.duration = min(args.duration, _QUICK_S)
        args.rooms = 0


def _enhance(
    args: argparse.Namespace, data: Path, prior: SpeechPrior, progress: Progress
) -> list[SeenRow]:
    """Run all clips."""
    if not args.clips:
        return []
    trials = make_trials(data, prior, args.clips, args.duration)
    benchmark = SeenBenchmark(data, prior, args.r2, args.visions, args.believed)
    task = progress.add_task('enhance', total=len(trials) * benchmark.num_rows)
    rows = []
    for seed, trial in enumerate(trials):
        progress.update(task, description=f'{trial.clip.kind} {trial.clip.snr_db:g} dB')
        for row in benchmark.rows(trial, seed):
            rows.append(row)
            progress.advance(task)
    return rows


def _separate(
    args: argparse.Namespace, data: Path, prior: SpeechPrior, progress: Progress
) -> list[VoicesRow]:
    """Run all mixtures and rooms."""
    benchmark = VoicesBenchmark(data, prior)
    planted = [r2 for r2 in args.r2 if r2 > 0]
    total = args.mixtures * 2 * len(planted) + args.rooms * len(ROOMS) * (1 + len(planted))
    task = progress.add_task('separate', total=total)
    rows = []
    for talkers in (2, 3):
        for seed in range(args.mixtures):
            mixture = equal_voices(data, talkers, args.duration, seed)
            for r2 in planted:
                rows.append(benchmark.row(mixture, r2, seed))
                progress.advance(task)
    for kind in ROOMS:
        for seed in range(args.rooms):
            scene = in_a_room(kind, data, 2 * args.duration, seed)
            rows.extend(array_rows(scene, _ARRAY_METHODS))
            progress.advance(task)
            for r2 in planted:
                rows.append(benchmark.row(first_channel(scene), r2, seed))
                progress.advance(task)
    return rows


def _seen_table(found: Sequence[SeenSummary], title: str) -> Table:
    table = Table('vision', 'R2', 'believed', title=title)
    figures = ('SI-SDR', 'ESTOI', 'gain', 'ESTOI gain', 'least gain')
    beliefs = ('seen: lies', 'honest', 'pauses too: lies', 'honest')
    for heading in figures + beliefs:
        table.add_column(heading, justify='right')
    for one in found:
        belief = [''] * 4
        if one.believed != ALWAYS and one.vision != AUDIO:
            both = (one.seen_lying, one.seen_honest, one.all_lying, one.all_honest)
            belief = [f'{median:.2f} / {mean:.2f}' for median, mean in both]
        table.add_row(
            one.vision,
            f'{one.r2:g}',
            one.believed,
            f'{one.si_sdr_db:.2f}',
            f'{one.estoi:.3f}',
            f'{one.gain_db:+.2f}',
            f'{one.estoi_gain:+.3f}',
            f'{one.least_gain_db:+.2f}',
            *belief,
        )
    return table


def _voices_table(rows: Sequence[VoicesRow]) -> Table:
    table = Table('mixture', 'method', title='voices: mean gain in SI-SDR, and whose is whose')
    for heading in ('R2', 'gain in dB', 'right', 'mixtures'):
        table.add_column(heading, justify='right')
    for name, method, r2, gain, right, count in voices_table(rows):
        planted = f'{r2:g}' if r2 == r2 else ''
        table.add_row(name, method, planted, f'{gain:.1f}', f'{right:.0%}', str(count))
    return table
