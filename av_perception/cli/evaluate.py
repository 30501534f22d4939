# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Figures of merit of tracks against the truth: where everybody was, under which id, who spoke.

TRACKS is the tracks.csv that `av-perception track` writes. TRUTH is a truth.csv or a recording
folder that holds one. Each figure comes for everybody, for people the camera saw, and for people
who could only be heard. `evaluate mot` is for boxes in images.

For example:
  av-perception evaluate tracks.csv my_recording --timeline timeline.png --json metrics.json
  av-perception evaluate recordings                  each with its own tracks.csv and truth.csv
  av-perception evaluate recordings --tracks out     the tracks of `track recordings -o out`
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from av_perception.cli.many import Columns, Job, add_many_arguments, name_within, run_many
from av_perception.cli.output import check_picture, check_writable, write_json
from av_perception.errors import UserError
from av_perception.evaluation.metrics import Metrics, Scores, evaluate
from av_perception.recording import Recording, TrackTable, TruthTable
from av_perception.recording.collection import find_recordings
from av_perception.robot_head import HeadProfile

# Of the truth's images without a row of tracks: so many are no lost images but another rate.
# Of the speech: by so much fewer errors by direction than by place, ranges are the cause.
RANGE_COUNTS = 0.05
DENSE_SHARE = 0.3


@dataclass(frozen=True)
class Figure:
    """One row of the table; a value between `good` and `bad` is fair."""

    #: field of Scores
    name: str
    #: what the table calls it
    label: str
    #: format of a value
    form: str
    #: values at least (higher_is_better) or at most so large are good
    good: float
    #: values beyond are bad
    bad: float
    #: the table shows values times this
    factor: float = 1.0
    #: whether large values are good
    higher_is_better: bool = False

    def verdict(self, value: float) -> tuple[str, str]:
        """Choose color and mark of a value."""
        sign = -1 if self.higher_is_better else 1
        if sign * value <= sign * self.good:
            return 'green', '✓'
        return ('red', '✗') if sign * value > sign * self.bad else ('yellow', '~')

    def wanted(self) -> str:
        """Say what is good, in the figure's unit."""
        comparison = '≥' if self.higher_is_better else '≤'
        return f'{comparison} {self.form.format(self.good * self.factor)}'


def _share(name: str, label: str, good: float, bad: float, higher_is_better: bool) -> Figure:
    """Make a figure that is a fraction and shown in percent."""
    return Figure(name, label, '{:.1f} %', good, bad, 100, higher_is_better)


_AZIMUTH = Figure('azimuth_error_deg', 'azimuth error (mean)', '{:.1f}°', 5, 10)
FIGURES = (
    _share('mota', 'MOTA: 1 - (missed + false + id switches) / true', 0.95, 0.75, True),
    _share('idf1', 'IDF1: share of the time under the right id', 0.95, 0.75, True),
    Figure('id_switches', 'id switches', '{:.0f}', 0, 3),
    Figure('motp_m', 'MOTP: mean distance of matches', '{:.3f} m', 0.15, 0.3),
    Figure('position_rmse_m', 'position error (RMS)', '{:.3f} m', 0.15, 0.3),
    _AZIMUTH,
    Figure('ospa_m', 'OSPA: places and number of people', '{:.3f} m', 0.25, 0.5),
    _share('der', 'DER: speech missed, false or given to the wrong one', 0.12, 0.3, False),
)
_NAMES_OF_SEVERAL = ('mota', 'idf1', 'id_switches', 'azimuth_error_deg', 'der')
_NUMBERS = 'no one two three four five six seven eight nine ten'.split()


def _column(figure: Figure) -> Callable[[dict], str]:
    """Make the cell of a figure in the table of several recordings."""

    def cell(figures: dict) -> str:
        value = figures[figure.name]
        return '-' if value is None else figure.form.format(value * figure.factor)

    return cell


_COLUMNS: Columns = {
    figure.label.split(':')[0]: _column(figure)
    for figure in FIGURES
    if figure.name in _NAMES_OF_SEVERAL
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    parser.add_argument(
        'paths',
        type=Path,
        nargs='+',
        metavar='PATH',
        help='TRACKS (tracks.csv) and TRUTH (truth.csv, or a recording folder with one); '
        'or recording folders and folders of them',
    )
    parser.add_argument(
        '--tracks',
        type=Path,
        metavar='FOLDER',
        help='of several recordings: where `track -o FOLDER` has written their tracks',
    )
    parser.add_argument(
        '--match-distance',
        metavar='M',
        type=float,
        default=0.5,
        help='farther than this, an estimate is not of that person [m] (default: %(default)s)',
    )
    parser.add_argument('--timeline', metavar='PNG', help='also draw who was where and who spoke')
    parser.add_argument('--json', metavar='FILE', help='write all figures to FILE')
    add_many_arguments(parser, resumable=False)


def run(args: argparse.Namespace) -> int:
    """Evaluate tracks, or those of several recordings."""
    if all(path.is_dir() for path in args.paths):
        return _run_many(args)
    if len(args.paths) != 2:
        raise UserError(
            'name two files, TRACKS and TRUTH, or folders of recordings: '
            f'not {" ".join(map(str, args.paths))}'
        )
    if args.tracks:
        raise UserError('--tracks is for folders of recordings')
    return _run_one(args)


def _run_many(args: argparse.Namespace) -> int:
    """Evaluate the tracks of each recording against its own truth."""
    _check_match_distance(args.match_distance)
    check_writable(args.json)
    timeline = name_within('--timeline', args.timeline and Path(args.timeline))
    check_picture(timeline and Path(timeline.name))
    jobs = []
    for one in find_recordings(args.paths):
        folder = args.tracks / one.name if args.tracks else one.path
        own = {
            'paths': [folder / 'tracks.csv', one.path],
            'tracks': None,
            'timeline': timeline and folder / timeline,
        }
        jobs.append(Job(one.name, argparse.Namespace(**{**vars(args), **own}), ()))
    return run_many(jobs, args, _COLUMNS)


def _check_match_distance(distance_m: float) -> None:
    if not (math.isfinite(distance_m) and distance_m > 0):
        raise UserError(f'--match-distance must be a positive number of meters, not {distance_m}')


def _run_one(args: argparse.Namespace) -> int:
    """Evaluate and report."""
    _check_match_distance(args.match_distance)
    check_writable(args.json)
    check_picture(args.timeline)
    tracks = TrackTable.read(args.paths[0])
    truth, head = _read_truth(args.paths[1])
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
    """Lay out the figures of everybody, of people seen and of people only heard.

    Parameters
    ----------
    metrics
        Of tracks against the truth.

    Returns
    -------
    Table
        A row per figure with marks: ✓ good, ~ fair, ✗ bad.
    """
    table = Table(
        title=f'{metrics.num_frames} frames, {metrics.duration_s:.1f} s, '
        f'{len(metrics.people)} people; matched within {metrics.match_distance_m:g} m',
        caption='✓ good  ~ fair  ✗ bad',
    )
    table.add_column('figure', overflow='fold')
    for column in ('all', 'seen', 'only heard', 'target'):
        table.add_column(column, justify='right', no_wrap=True)
    for figure in FIGURES:
        cells = [_cell(figure, scores) for scores in (metrics, metrics.seen, metrics.heard_only)]
        table.add_row(figure.label, *cells, f'[dim]{figure.wanted()}[/dim]')
    by_direction = metrics.by_direction
    table.add_row(
        f'azimuth error, matched within {metrics.match_angle_deg:g}° at any distance',
        *(_cell(_AZIMUTH, by_direction[name]) for name in ('all', 'seen', 'heard_only')),
        f'[dim]{_AZIMUTH.wanted()}[/dim]',
    )
    return table


def summary(metrics: Metrics) -> str:
    """Sum up the figures in one line of plain words, and another if images were lost."""
    words = _summary_of_people(metrics) if metrics.truth_rows else _summary_of_ghosts(metrics)
    if metrics.held_images or metrics.lost_images:
        words += (
            f'\nWithout an answer: {metrics.held_images} images held the last status, '
            f'{metrics.lost_images} were lost.'
        )
    if metrics.held_images > DENSE_SHARE * metrics.num_frames:
        words += (
            '\nThe truth is denser than the tracks: where nothing was said, people count as '
            'missed. To score the places alone, write the truth at the times of the images.'
        )
    return words


def _summary_of_ghosts(metrics: Metrics) -> str:
    return (
        f'nobody was there; {metrics.false_positives} rows of tracks and '
        f'{metrics.diarization.false_alarm_s:.1f} s of speech were invented.'
    )


def _summary_of_people(metrics: Metrics) -> str:
    kept = sum(metrics.ids_kept.values())
    people = len(metrics.ids_kept)
    noun = 'person' if people == 1 else 'people'
    found_percent = 100 * metrics.matches / max(metrics.truth_rows, 1)
    words = (
        f'{_number(kept)} of {_number(people)} {noun} kept one id throughout; '
        f'people were found {found_percent:.0f} % of the time'
    )
    if metrics.position_rmse_m is not None:
        error_cm = 100 * metrics.position_rmse_m
        words += f', {error_cm:.0f} cm and {metrics.azimuth_error_deg:.1f}° off'
    if metrics.der is None:
        return f'{words}; nobody spoke.'
    words += (
        f'; {100 * metrics.der:.0f} s of 100 s of speech were missed, invented '
        'or given to the wrong person.'
    )
    by_direction = metrics.by_direction['all'].der
    if by_direction is not None and metrics.der - by_direction >= RANGE_COUNTS:
        words += (
            f'\nMatched by direction it is {100 * by_direction:.0f} s: who is only heard is '
            'published with a direction and hardly a distance.'
        )
    return words


def _read_truth(path: Path) -> tuple[TruthTable, HeadProfile | None]:
    """Read the truth table and, from a recording, its head."""
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
    return _NUMBERS[count] if count < len(_NUMBERS) else str(count)
