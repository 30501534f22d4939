# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Figures of merit of tracks against the truth: where everybody was, under which id, and who spoke.

TRACKS is the tracks.csv that `av-perception track` writes. TRUTH is a truth.csv or a recording folder that holds one.
Each figure comes for everybody, for people the camera saw, and for people who could only be heard. `evaluate mot` is for boxes in images.

example:
  av-perception evaluate tracks.csv recordings/living_room --timeline timeline.png --json metrics.json
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from av_perception.cli.output import check_writable, write_json
from av_perception.errors import UserError
from av_perception.evaluation.metrics import Metrics, Scores, evaluate
from av_perception.recording import Recording, TrackTable, TruthTable


@dataclass(frozen=True)
class Figure:
    """One row of the table. Good: at least / at most `good`, by `higher_is_better`; bad: beyond `bad`; neither: fair."""

    name: str
    label: str
    form: str
    good: float
    bad: float
    factor: float = 1.0
    higher_is_better: bool = False

    def verdict(self, value: float) -> tuple[str, str]:
        """Colour and mark of a value."""
        sign = -1 if self.higher_is_better else 1
        if sign * value <= sign * self.good:
            return 'green', '✓'
        return ('red', '✗') if sign * value > sign * self.bad else ('yellow', '~')

    def wanted(self) -> str:
        """What is good, in the figure's unit."""
        return ('≥ ' if self.higher_is_better else '≤ ') + self.form.format(
            self.good * self.factor
        )


FIGURES = (
    Figure(
        'mota',
        'MOTA: 1 - (missed + false + id switches) / true',
        '{:.1f} %',
        0.95,
        0.75,
        100,
        True,
    ),
    Figure(
        'idf1', 'IDF1: share of the time under the right id', '{:.1f} %', 0.95, 0.75, 100, True
    ),
    Figure('id_switches', 'id switches', '{:.0f}', 0, 3),
    Figure('motp_m', 'MOTP: mean distance of matches', '{:.3f} m', 0.15, 0.3),
    Figure('position_rmse_m', 'position error (RMS)', '{:.3f} m', 0.15, 0.3),
    Figure('azimuth_error_deg', 'azimuth error (mean)', '{:.1f}°', 5, 10),
    Figure('ospa_m', 'OSPA: places and number of people', '{:.3f} m', 0.25, 0.5),
    Figure(
        'der', 'DER: speech missed, false or given to the wrong one', '{:.1f} %', 0.12, 0.3, 100
    ),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument('tracks', metavar='TRACKS', help='tracks.csv')
    parser.add_argument('truth', metavar='TRUTH', help='truth.csv, or a recording folder with one')
    parser.add_argument(
        '--match-distance',
        metavar='M',
        type=float,
        default=0.5,
        help='farther than this, an estimate is not of that person [m] (default: %(default)s)',
    )
    parser.add_argument('--timeline', metavar='PNG', help='also draw who was where and who spoke')
    parser.add_argument('--json', metavar='FILE', help='write all figures to FILE')


def run(args: argparse.Namespace) -> int:
    """Evaluate and report; 0."""
    if not (math.isfinite(args.match_distance) and args.match_distance > 0):
        raise UserError(
            f'--match-distance must be a positive number of metres, not {args.match_distance}'
        )
    check_writable(args.json)
    tracks, (truth, head) = TrackTable.read(args.tracks), _read_truth(Path(args.truth))
    metrics = evaluate(tracks, truth, args.match_distance)
    console = Console(highlight=False)
    console.print(figures_table(metrics))
    console.print(summary(metrics), soft_wrap=True)
    if len(tracks) and metrics.unscored_rows == len(tracks):
        console.print(
            f'[yellow]No track row was scored: {_why_unscored(tracks, truth)}[/]', soft_wrap=True
        )
    if args.timeline:
        from av_perception.visualization.timeline import plot_timeline

        plot_timeline(
            tracks,
            truth,
            args.timeline,
            metrics=metrics,
            head=head,
            match_distance_m=args.match_distance,
        )
    if args.json:
        write_json(args.json, metrics.to_dict())
    return 0


def figures_table(metrics: Metrics) -> Table:
    """The figures of everybody, of people seen and of people only heard; ✓ good, ~ fair, ✗ bad."""
    table = Table(
        title=f'{metrics.num_frames} frames, {metrics.duration_s:.1f} s, {len(metrics.people)} people; '
        f'matched within {metrics.match_distance_m:g} m',
        caption='✓ good  ~ fair  ✗ bad',
    )
    table.add_column('figure', overflow='fold')
    for column in ('all', 'seen', 'only heard', 'good is'):
        table.add_column(column, justify='right', no_wrap=True)
    for figure in FIGURES:
        cells = [_cell(figure, scores) for scores in (metrics, metrics.seen, metrics.heard_only)]
        table.add_row(figure.label, *cells, f'[dim]{figure.wanted()}[/dim]')
    by_direction = metrics.by_direction
    azimuth = next(figure for figure in FIGURES if figure.name == 'azimuth_error_deg')
    table.add_row(
        f'azimuth error, matched within {metrics.match_angle_deg:g}° at any distance',
        *(_cell(azimuth, by_direction[name]) for name in ('all', 'seen', 'heard_only')),
        f'[dim]{azimuth.wanted()}[/dim]',
    )
    return table


def summary(metrics: Metrics) -> str:
    """One line in plain words, and another if images were lost."""
    words = _summary_of_people(metrics) if metrics.truth_rows else _summary_of_ghosts(metrics)
    if metrics.held_images or metrics.lost_images:
        words += (
            f'\nWithout an answer: {metrics.held_images} images held the last status, '
            f'{metrics.lost_images} were lost.'
        )
    return words


def _summary_of_ghosts(metrics: Metrics) -> str:
    return (
        f'nobody was there; {metrics.false_positives} rows of tracks and '
        f'{metrics.diarization.false_alarm_s:.1f} s of speech were invented.'
    )


def _summary_of_people(metrics: Metrics) -> str:
    kept, people = sum(metrics.ids_kept.values()), len(metrics.ids_kept)
    found = metrics.matches / max(metrics.truth_rows, 1)
    words = (
        f'{_number(kept)} of {_number(people)} {"person" if people == 1 else "people"} kept one id throughout; '
        f'people were found {100 * found:.0f} % of the time'
    )
    if metrics.position_rmse_m is not None:
        words += (
            f', {100 * metrics.position_rmse_m:.0f} cm and {metrics.azimuth_error_deg:.1f}° off'
        )
    if metrics.der is None:
        return words + '; nobody spoke.'
    return (
        words
        + f'; {100 * metrics.der:.0f} s of 100 s of speech were missed, invented or given to the wrong person.'
    )


def _read_truth(path: Path):
    """The truth table and, from a recording, its head."""
    if not path.is_dir():
        return TruthTable.read(path), None
    recording = Recording.open(path)
    if recording.truth is None:
        raise UserError(f'the recording {path} has no truth.csv to compare with')
    return recording.truth, recording.head


def _why_unscored(tracks: TrackTable, truth: TruthTable) -> str:
    if not (tracks.status == 'active').any():
        return 'none has the status active.'
    spans = [
        f'{table.time_s.min():.2f} to {table.time_s.max():.2f} s' for table in (tracks, truth)
    ]
    return f'no active one is at a time of the truth (tracks: {spans[0]}, truth: {spans[1]}).'


def _cell(figure: Figure, scores: Scores) -> str:
    value = getattr(scores, figure.name)
    if value is None or not scores.truth_rows:
        return '[dim]-[/dim]'
    color, mark = figure.verdict(value)
    return f'[{color}]{figure.form.format(value * figure.factor)} {mark}[/]'


def _number(count: int) -> str:
    return (
        ('no', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine', 'ten')[
            count
        ]
        if count <= 10
        else str(count)
    )
