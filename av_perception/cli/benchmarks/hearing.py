# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Directions of talkers by this project's method and by SRP-PHAT, MUSIC and NormMUSIC, on the same sound.

Simulated rooms of three reverberation times and noise levels with one to three talkers on several arrays; with AV_PERCEPTION_DATA set also
recordings of a real array and speech through the measured responses of dummy heads, one in a room. The others (of pyroomacoustics) are told how many
sources there are; this project's method is not. A source counts as found when an azimuth lies within 10 degrees of it; every other azimuth is a ghost.

For example:
  OMP_NUM_THREADS=1 av-perception benchmark hearing --plot docs/hearing.png --json hearing.json
"""

from __future__ import annotations

import argparse
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

import numpy as np
from rich.progress import Progress
from rich.table import Table
from scipy.optimize import linear_sum_assignment

from av_perception.audio.front_end import AudioFrontEnd, AudioFrontEndConfig
from av_perception.benchmarks.hearing_methods import OURS, PEERS, by_map, by_peer, free_field
from av_perception.benchmarks.hearing_trials import (
    RATE,
    Trial,
    dummy_heads,
    real_recordings,
    simulated_room,
    voices,
)
from av_perception.cli.output import check_writable, wide_console, write_json
from av_perception.interfaces import AudioChunk
from av_perception.robot_head import load_head

TOLERANCE_DEG = 10.0


@dataclass(frozen=True)
class Row:
    """One method in one condition. recall: share of the sources found; ghosts: per sound; all_right: share of the sounds with all sources
    and no ghost; error_deg, worst_deg: median and largest over the sources found; real_time_factor: processor time per second of sound.
    """

    condition: str
    method: str
    sounds: int
    recall: float
    ghosts: float
    all_right: float
    error_deg: float | None
    worst_deg: float | None
    real_time_factor: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Command line of the benchmark."""
    parser.add_argument(
        '--heads',
        nargs='+',
        default=['respeaker', 'pepper', 'nao'],
        metavar='HEAD',
        help='arrays (default: %(default)s)',
    )
    parser.add_argument(
        '--reverberation',
        nargs='+',
        type=float,
        default=[0.2, 0.4, 0.7],
        metavar='S',
        help='T60 in seconds (default: %(default)s)',
    )
    parser.add_argument(
        '--snr',
        nargs='+',
        type=float,
        default=[20.0, 10.0, 5.0],
        metavar='DB',
        help='(default: %(default)s)',
    )
    parser.add_argument(
        '--talkers',
        nargs='+',
        type=int,
        default=[1, 2, 3],
        metavar='N',
        help='(default: %(default)s)',
    )
    parser.add_argument(
        '--trials',
        type=int,
        default=2,
        metavar='N',
        help='rooms per array, reverberation and number of talkers (default: %(default)s)',
    )
    parser.add_argument(
        '--duration',
        type=float,
        default=4.0,
        metavar='S',
        help='seconds of each simulated sound (default: %(default)s)',
    )
    parser.add_argument('--seed', type=int, default=0, help='(default: %(default)s)')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write all rows to FILE')
    parser.add_argument(
        '--plot', type=Path, metavar='FILE', help='draw what was found (png, svg, pdf)'
    )


def run(args: argparse.Namespace) -> int:
    """Measures, prints the tables, writes the files."""
    check_writable(args.json)
    check_writable(args.plot)
    folder = Path(os.environ.get('AV_PERCEPTION_DATA', ''))
    data = folder if 'AV_PERCEPTION_DATA' in os.environ and folder.is_dir() else None
    console, outcomes = wide_console(), defaultdict(list)
    if data is None:
        console.print(
            'AV_PERCEPTION_DATA is not set: simulated rooms only, with the three voices of the demo'
        )
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task('localising', total=_count(args, data))
        for trial, acoustic_map in _trials(args, data):
            for method in (OURS, *PEERS):
                outcomes[trial.condition, method].append(_outcome(method, trial, acoustic_map))
            bar.advance(task)
    rows = [_row(condition, method, results) for (condition, method), results in outcomes.items()]
    _print(summary := _summary(outcomes))
    share = front_end_share()
    console.print(
        f'the audio front end of the nodes, 4 microphones at 16 kHz with voice activity: {share:.1%} of one core (at most 10 %)'
    )
    if args.json:
        write_json(
            args.json,
            {
                'tolerance_deg': TOLERANCE_DEG,
                'front_end_share': share,
                'summary': [asdict(r) for r in summary],
                'rows': [asdict(r) for r in rows],
            },
        )
    if args.plot:
        _plot(summary, args.plot)
    return 0


def _trials(args: argparse.Namespace, data: Path | None) -> Iterator[tuple[Trial, object]]:
    """(trial, the acoustic map to use or None for the head's)."""
    random, talkers = np.random.default_rng(args.seed), voices(data)
    for name, reverberation_s, count in product(args.heads, args.reverberation, args.talkers):
        for _ in range(args.trials):
            rooms = simulated_room(
                free_field(load_head(name)),
                reverberation_s,
                tuple(args.snr),
                count,
                talkers,
                random,
                args.duration,
            )
            yield from ((trial, None) for trial in rooms)
    if data is not None:
        yield from ((trial, None) for trial in real_recordings(data))
        yield from dummy_heads(data, talkers, random, args.duration)


def _count(args: argparse.Namespace, data: Path | None) -> int:
    simulated = (
        len(args.heads) * len(args.reverberation) * len(args.talkers) * args.trials * len(args.snr)
    )
    return simulated + (9 + 2 * 25 if data else 0)


def _outcome(method: str, trial: Trial, acoustic_map) -> tuple[int, int, int, list[float], float]:
    """Number of sources, found, ghosts, errors of the found [deg], real-time factor."""
    find: Callable = (
        (lambda: by_map(trial.sound, trial.head, len(trial.azimuths_deg), acoustic_map))
        if method == OURS
        else (lambda: by_peer(method, trial.sound, trial.head, len(trial.azimuths_deg)))
    )
    if method == OURS:  # the map is learnt once for a head and kept
        by_map(trial.sound[: RATE // 2], trial.head, 1, acoustic_map)
    started = time.process_time()
    azimuths = find()
    seconds = time.process_time() - started
    errors = compare(azimuths, trial.azimuths_deg)
    return (
        len(trial.azimuths_deg),
        len(errors),
        len(azimuths) - len(errors),
        errors,
        seconds * RATE / len(trial.sound),
    )


def front_end_share(seconds: float = 10.0, repetitions: int = 5) -> float:
    """Processor time of the streaming front end per second of sound in chunks of 16 ms, median of the repetitions."""
    random, size = np.random.default_rng(0), round(0.016 * RATE)
    sound = 0.05 * random.standard_normal((round(seconds * RATE), 4)).astype(np.float32)
    sound *= np.repeat(random.random(round(8 * seconds)) < 0.6, RATE // 8)[: len(sound), None]
    shares = []
    for _ in range(repetitions):
        front_end = AudioFrontEnd(AudioFrontEndConfig(), 4, RATE)
        started = time.process_time()
        for start in range(0, len(sound), size):
            front_end.push(
                AudioChunk(round(start * 1e9 / RATE), RATE, start, sound[start : start + size])
            )
        shares.append((time.process_time() - started) / seconds)
    return float(np.median(shares))


def compare(azimuths_deg: np.ndarray, true_deg: np.ndarray) -> list[float]:
    """Errors [deg] of the one-to-one pairs within the tolerance, as many as possible and as near as possible."""
    error = np.abs((np.subtract.outer(azimuths_deg, true_deg) + 180) % 360 - 180)
    rows, columns = linear_sum_assignment(np.where(error <= TOLERANCE_DEG, error, 1e3))
    return [float(e) for e in error[rows, columns] if e <= TOLERANCE_DEG]


def _row(condition: str, method: str, results: list) -> Row:
    sources, found, ghosts, errors, factors = zip(*results)
    sources, found, ghosts = np.array(sources), np.array(found), np.array(ghosts)
    errors = [e for part in errors for e in part]
    return Row(
        condition,
        method,
        len(results),
        float(found.sum() / sources.sum()),
        float(ghosts.mean()),
        float(((found == sources) & (ghosts == 0)).mean()),
        float(np.median(errors)) if errors else None,
        max(errors, default=None),
        float(np.median(factors)),
    )


def _summary(outcomes: dict) -> list[Row]:
    """Simulated rooms by number of talkers and reverberation, over arrays and noise; the rest as it is."""
    grouped = defaultdict(list)
    for (condition, method), results in outcomes.items():
        parts = condition.split(', ')
        grouped[', '.join(parts[1:3]) if len(parts) == 4 else condition, method] += results
    return [_row(condition, method, results) for (condition, method), results in grouped.items()]


def _print(rows: list[Row]) -> None:
    table = Table(
        title=f'within {TOLERANCE_DEG:.0f} degrees; the others are told the number of sources'
    )
    for heading in (
        'sound',
        'method',
        'n',
        'found',
        'ghosts',
        'all right',
        'error',
        'worst',
        'real time',
    ):
        table.add_column(
            heading,
            justify='left' if heading in ('sound', 'method') else 'right',
            no_wrap=heading != 'sound',
            min_width=18 if heading == 'sound' else None,
        )
    for index, r in enumerate(rows):
        best = max(o.all_right for o in rows if o.condition == r.condition)
        share = f'{r.all_right:.0%}' if r.all_right < best else f'[green]{r.all_right:.0%}[/]'
        table.add_row(
            r.condition if r.method == OURS else '',
            r.method,
            str(r.sounds) if r.method == OURS else '',
            f'{r.recall:.0%}',
            f'{r.ghosts:.2f}',
            share,
            *('-' if e is None else f'{e:.1f}°' for e in (r.error_deg, r.worst_deg)),
            f'{r.real_time_factor:.2f}',
            end_section=index + 1 == len(rows) or rows[index + 1].condition != r.condition,
        )
    wide_console().print(table)


def _plot(rows: list[Row], path: Path) -> None:
    """Sounds with every source found and no ghost, by condition and method."""
    from matplotlib.figure import Figure

    conditions = list(dict.fromkeys(r.condition for r in rows))
    figure = Figure(figsize=(9, 0.55 * len(conditions) + 1.2), layout='constrained')
    axes = figure.add_subplot()
    for index, method in enumerate((OURS, *PEERS)):
        shares = [
            next(r.all_right for r in rows if r.condition == c and r.method == method)
            for c in conditions
        ]
        place = np.arange(len(conditions)) + 0.2 * (index - 1.5)
        axes.barh(
            place,
            [100 * s + 0.8 for s in shares],
            height=0.19,
            label=method,
            color=('#d55e00', '#56b4e9', '#0072b2', '#999999')[index],
        )
    axes.set_yticks(range(len(conditions)), conditions)
    axes.invert_yaxis()
    axes.set_xlabel(f'sounds with every source within {TOLERANCE_DEG:.0f}° and no ghost [%]')
    axes.set_xlim(0, 102)
    figure.legend(loc='outside upper right', ncols=4, frameon=False)
    figure.savefig(path, dpi=110)
