# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A head that turns must soon face who speaks, and must turn to nothing else.

Three people around a simulated head talk in turns; the loop is closed without ROS, with drawn
images, rendered sound and the noise of the neck's motors. Then an hour of recorded noise, in
which nobody is there, and the motors alone, while people look on in silence: whoever is looked at
because they speak is false.

For example:
  av-perception benchmark attention --conversations 6 --minutes 60 --json attention.json
"""

from __future__ import annotations

import argparse
import math
import os
from dataclasses import asdict
from pathlib import Path

from rich.progress import track
from rich.table import Table

from av_perception.benchmarks.attention_loop import half_view_deg
from av_perception.benchmarks.attention_trials import (
    HEAD,
    FalseLook,
    looks_at_motors,
    looks_at_noise,
    play_conversation,
)
from av_perception.benchmarks.noise_sounds import STRETCH_S, find_recordings
from av_perception.benchmarks.sensors import camera_of
from av_perception.cli.output import check_writable, wide_console, write_json
from av_perception.errors import UserError
from av_perception.evaluation.attention import LookScores, score_looks
from av_perception.robot_head import load_head

_LONGEST_S = 7200.0  # of a scene


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the benchmark."""
    parser.add_argument(
        '--conversations', type=int, default=6, help='how many (default: %(default)s)'
    )
    parser.add_argument(
        '--seconds', type=float, default=20.0, help='of each conversation (default: %(default)s)'
    )
    parser.add_argument(
        '--minutes', type=float, default=60.0, help='of recorded noise (default: %(default)s)'
    )
    parser.add_argument(
        '--motors', type=float, default=60.0, help='seconds of fast and of slow turns'
    )
    parser.add_argument('--seed', type=int, default=100, help='of the first conversation')
    parser.add_argument(
        '--data',
        type=Path,
        default=Path(os.environ.get('AV_PERCEPTION_DATA', '../shared/data')),
        metavar='FOLDER',
        help='folder with the sub-folder noise (default: $AV_PERCEPTION_DATA)',
    )
    parser.add_argument('--json', metavar='FILE', help='write the figures to FILE')


def run(args: argparse.Namespace) -> int:
    """Measure, print, write; 1 when a look was false."""
    check_writable(args.json)
    _check_numbers(args)
    head = load_head(HEAD)
    stretches = range(round(60 * args.minutes / STRETCH_S))
    recordings = find_recordings(args.data / 'noise') if stretches else []
    seeds = range(args.seed, args.seed + args.conversations)
    played = [
        play_conversation(seed, args.seconds) for seed in track(seeds, description='conversations')
    ]
    scores = None
    if played:
        scores = score_looks(played, half_view_deg(camera_of(head)))
    false_looks = looks_at_noise(head, recordings, args.seed, track(stretches, 'noise'))
    if args.motors > 0:
        false_looks += looks_at_motors(args.seed, args.motors, is_slow=False)
        false_looks += looks_at_motors(args.seed, args.motors, is_slow=True)
    _print(scores, false_looks)
    if args.json:
        figures = {
            'conversations': None if scores is None else scores.to_dict(),
            'false_looks': [asdict(look) for look in false_looks],
            'arguments': {k: v for k, v in vars(args).items() if isinstance(v, (int, float))},
        }
        write_json(args.json, figures)
    return 1 if false_looks or (scores is not None and scores.false_turns) else 0


def _check_numbers(args: argparse.Namespace) -> None:
    """Refuse what no scene can be made of. Raises UserError."""
    if args.conversations < 0 or args.seed < 0:
        raise UserError('--conversations and --seed must not be negative')
    if not 1.0 <= args.seconds <= _LONGEST_S:
        raise UserError(f'--seconds must lie in 1..{_LONGEST_S:g}, not {args.seconds}')
    if not 0.0 <= args.minutes < math.inf:
        raise UserError(f'--minutes must be 0, for no noise, or positive, not {args.minutes}')
    if args.motors != 0 and not 1.0 <= args.motors <= _LONGEST_S:
        raise UserError(
            f'--motors must be 0, for no motors, or lie in 1..{_LONGEST_S:g}, not {args.motors}'
        )


def _print(scores: LookScores | None, false_looks: list[FalseLook]) -> None:
    console = wide_console()
    if scores is not None:
        table = Table('conversations', '')
        for name, value in scores.to_dict().items():
            text = f'{value:.2f}' if isinstance(value, float) else str(value)
            table.add_row(name.replace('_', ' '), text)
        console.print(table)
    console.print(f'looks at who does not speak, in noise and by motors: {len(false_looks)}')
    for look in false_looks:
        console.print(f'  {look.second:.1f} s, {look.sound}: {look.reason}')
