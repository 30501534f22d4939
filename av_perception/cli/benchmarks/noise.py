# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""An hour of recorded noise and motors must give no person, and voices in it must.

The recordings of a folder, a generated fan and generated servos follow each other in a simulated
room, half a minute each, now from one place, now from all around; servos sit a hand's breadth from
the microphones. The sound goes through the audio front end into a tracker without camera. Every
person it finds is false. Three trackers hear the same features: with the voice activity as
detected, which must find nobody; with false alarms on top of it, bursts of 0.6 s on average that
fill a fifth of the time; and with the false alarms but without the learned noise model. A burst in
the first second of a new sound cannot be told from a voice.

Then real voices speak at random places, in quiet and 10 dB above such a noise that has been on for
a while: how much speech it takes until the person is found, and how far off in azimuth.

For example:
  av-perception benchmark noise --minutes 60 --json noise.json
  av-perception benchmark noise --data ../shared/data --minutes 5
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from av_perception.benchmarks.noise_people import (
    AS_DETECTED,
    QUIET,
    Birth,
    VoiceResult,
    find_voice,
    noise_births,
)
from av_perception.benchmarks.noise_sounds import STRETCH_S, find_recordings
from av_perception.cli.output import check_writable, wide_console, write_json
from av_perception.errors import UserError
from av_perception.robot_head.profile import HeadProfile, load_head


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the benchmark."""
    parser.add_argument(
        '--minutes', type=float, default=60.0, help='of noise (default: %(default)s)'
    )
    parser.add_argument(
        '--voices',
        type=int,
        default=12,
        help='how many voices, each in quiet and in noise; 0: noise alone (default: %(default)s)',
    )
    parser.add_argument(
        '--data',
        type=Path,
        default=Path(os.environ.get('AV_PERCEPTION_DATA', '../shared/data')),
        metavar='FOLDER',
        help='folder with the sub-folders noise and speech '
        '(default: $AV_PERCEPTION_DATA, else ../shared/data)',
    )
    parser.add_argument(
        '--head', default='simulated', help='head profile with microphones (default: %(default)s)'
    )
    parser.add_argument(
        '--seed',
        type=int,
        default=0,
        help='of places, motors and false alarms (default: %(default)s)',
    )
    parser.add_argument(
        '--alarms',
        action=argparse.BooleanOptionalAction,
        default=True,
        help='also with false alarms, which needs two more trackers (default: %(default)s)',
    )
    parser.add_argument('--json', metavar='FILE', help='write the figures to FILE')


def run(args: argparse.Namespace) -> int:
    """Measure, print the tables, write the file; 1 when noise gave a person."""
    check_writable(args.json)
    head = load_head(args.head)
    if not head.can_hear_directions:
        raise UserError(f"head '{args.head}' has no microphone array: name another one")
    if args.voices < 0:
        raise UserError(f'--voices {args.voices}: a number of voices is 0 or more')
    console = wide_console()
    noises = find_recordings(args.data / 'noise')
    voices = find_recordings(args.data / 'speech') if args.voices else []
    count = max(1, round(args.minutes * 60 / STRETCH_S))
    with_bar = track(range(count), 'noise', console=console, transient=True)
    births, voiced = noise_births(head, noises, args.seed, with_bar, args.alarms)
    chosen = [voices[i * len(voices) // args.voices] for i in range(args.voices)]
    results = _find_voices(head, chosen, noises, args.seed, console)
    minutes = count * STRETCH_S / 60
    console.print(_noise_table(births, minutes, voiced))
    if results:
        console.print(_voice_table(results))
    if args.json:
        figures = {
            'minutes': minutes,
            'voice_active_share': voiced,
            'false_people': {
                name: [asdict(birth) for birth in group] for name, group in births.items()
            },
            'voices': [asdict(result) for result in results],
        }
        write_json(args.json, figures)
    return 1 if births[AS_DETECTED] else 0


def _find_voices(
    head: HeadProfile, voices: list[Path], noises: list[Path], seed: int, console: Console
) -> list[VoiceResult]:
    """Let every voice speak in quiet and in one of the noises."""
    results = []
    for i, voice in enumerate(track(voices, 'voices', console=console, transient=True)):
        for noise in (None, noises[i % len(noises)]):
            results.append(find_voice(head, voice, noise, seed + i))
    return results


def _noise_table(births: dict[str, list[Birth]], minutes: float, voiced: float) -> Table:
    table = Table(
        title=f'{minutes:.1f} minutes of noise; '
        f'the detector hears voice in {100 * voiced:.2f} % of it'
    )
    for heading in ('voice activity', 'people found', 'target', 'in'):
        table.add_column(heading)
    for name, group in births.items():
        where = sorted({f'{birth.noise} ({birth.played})' for birth in group})
        target = '0' if name == AS_DETECTED else ''
        table.add_row(name, str(len(group)), target, ', '.join(where))
    return table


def _voice_table(results: list[VoiceResult]) -> Table:
    table = Table(title='voices that are only heard')
    table.add_column('')
    for heading in ('found', 'speech until found: median', 'largest'):
        table.add_column(heading, justify='right')
    for heading in ('azimuth error: mean', 'largest', 'people found: mean'):
        table.add_column(heading, justify='right')
    for name, group in (
        ('in quiet', [r for r in results if r.noise == QUIET]),
        ('in noise', [r for r in results if r.noise != QUIET]),
    ):
        delays_s = [r.speech_s for r in group if r.speech_s is not None]
        errors_deg = [
            r.azimuth_error_deg
            for r in group
            if r.speech_s is not None and r.azimuth_error_deg is not None
        ]
        table.add_row(
            name,
            f'{len(delays_s)} of {len(group)}',
            *_middle_and_largest(delays_s, np.median, '.2f', ' s'),
            *_middle_and_largest(errors_deg, np.mean, '.1f', '°'),
            f'{np.mean([r.people for r in group]):.2f}',
        )
    return table


def _middle_and_largest(
    values: list[float], middle: Callable[[list[float]], np.floating], form: str, unit: str
) -> tuple[str, str]:
    """Two cells; nothing was measured where no voice was found."""
    if not values:
        return '-', '-'
    return f'{middle(values):{form}}{unit}', f'{max(values):{form}}{unit}'
