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
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.progress import track
from rich.table import Table

from av_perception.benchmarks.attention_loop import half_view_deg
from av_perception.benchmarks.attention_trials import (
    HEAD,
    MOTOR_STRETCH_S,
    FalseLook,
    looks_at_motors,
    looks_at_noise,
    play_conversation,
)
from av_perception.benchmarks.noise_sounds import STRETCH_S, find_recordings
from av_perception.benchmarks.sensors import camera_of
from av_perception.cli.output import check_writable, wide_console, write_json
from av_perception.errors import UserError
from av_perception.evaluation.attention import LookHistory, LookScores, score_looks
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
        '--motors',
        type=float,
        default=60.0,
        help='seconds of fast and of slow turns, 12 of each seed (default: %(default)s)',
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
    played = _conversations(seeds, args.seconds, half_view_deg(camera_of(head)))
    scores = score_looks(played, half_view_deg(camera_of(head))) if played else None
    false_looks = looks_at_noise(head, recordings, args.seed, track(stretches, 'noise'))
    by_motors = _motor_trials(args.seed, args.motors)
    false_looks += [look for trial in by_motors for look in trial.false_looks]
    _print(scores, by_motors, false_looks)
    if args.json:
        figures = {
            'conversations': None if scores is None else scores.to_dict(),
            'motors': [asdict(trial) for trial in by_motors],
            'false_looks': [asdict(look) for look in false_looks],
            'arguments': {k: v for k, v in vars(args).items() if isinstance(v, (int, float))},
        }
        write_json(args.json, figures)
    return 1 if false_looks or (scores is not None and scores.false_turns) else 0


def _conversations(seeds: range, seconds: float, half_deg: float) -> list[LookHistory]:
    """Play them, and print of each how it went, as it takes its time."""
    console = wide_console()
    played = []
    for seed in seeds:
        played.append(play_conversation(seed, seconds))
        scores = score_looks(played[-1:], half_deg)
        console.print(
            f'conversation {seed}: {scores.out_of_view} onsets out of view, median '
            f'{_seconds(scores.delay_out_of_view_median_s)}, never faced {scores.missed}, '
            f'false turns {scores.false_turns}, ids changed {scores.ids_changed}'
        )
    return played


def _seconds(value: float | None) -> str:
    return '-' if value is None else f'{value:.2f} s'


@dataclass(frozen=True)
class MotorTrial:
    """One kind of turns: seconds and seeds that were played, and what was looked at."""

    turns: str
    seconds: float
    seeds: int
    false_looks: list[FalseLook]


def _motor_trials(first_seed: int, seconds: float) -> list[MotorTrial]:
    """Play motors alone, in stretches of their own seeds; the last one may be shorter."""
    starts = np.arange(0.0, seconds, MOTOR_STRETCH_S)
    trials = []
    for turns in ('fast', 'slow'):
        false_looks = []
        for index, start in enumerate(track(starts, f'{turns} turns')):
            length = max(1.0, min(MOTOR_STRETCH_S, seconds - start))
            false_looks += looks_at_motors(first_seed + index, length, turns == 'slow')
        if len(starts):
            trials.append(MotorTrial(turns, seconds, len(starts), false_looks))
    return trials


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


def _print(
    scores: LookScores | None, by_motors: list[MotorTrial], false_looks: list[FalseLook]
) -> None:
    console = wide_console()
    if scores is not None:
        table = Table('conversations', '')
        for name, value in scores.to_dict().items():
            text = f'{value:.2f}' if isinstance(value, float) else str(value)
            table.add_row(name.replace('_', ' '), text)
        console.print(table)
    if by_motors:
        table = Table('motors alone', 'seconds', 'seeds', 'false looks')
        for trial in by_motors:
            figures = (f'{trial.seconds:g}', str(trial.seeds), str(len(trial.false_looks)))
            table.add_row(f'{trial.turns} turns', *figures)
        console.print(table)
    console.print(f'looks at who does not speak, in noise and by motors: {len(false_looks)}')
    for look in false_looks:
        console.print(f'  {look.second:.1f} s, {look.sound}: {look.reason}')
