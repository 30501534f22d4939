# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Track the detections of a MOT-challenge file in the image plane and score the tracks.

DET and GT are text with a line per box: frame,id,left,top,width,height,confidence and, as each
challenge has them, class and visibility or a position; det.txt and gt.txt of MOT15, 16, 17 and 20
are read as they are. Frames count from 1. A seqinfo.ini beside DET or in the folder above tells
the frame rate and the size of the image; without it say --frame-rate. Detections need no
embedding. The tracker sees one frame after the other. MOTA, IDF1, id switches and HOTA are
TrackEval's, at an overlap of one half as in the challenge, with its rules for boxes not to be
scored; OSPA is the distance of the boxes' centers, in pixels.

For example:
  av-perception evaluate mot --detections det.txt --truth gt.txt --json scores.json
  av-perception evaluate mot --detections det.txt --truth gt.txt --frame-rate 25 --boxes heads
  av-perception benchmark tracking --scenes DIR
      writes such files, and compares trackers on them
"""

from __future__ import annotations

import argparse
import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from av_perception.cli.output import check_writable, write_json
from av_perception.errors import UserError

if TYPE_CHECKING:
    from av_perception.pipelines.mot_tracking import Tracked
    from av_perception.recording.mot_text import MotTable
    from av_perception.robot_head import CameraGeometry

_BOXES = ('auto', 'heads', 'people')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    parser.add_argument(
        '--detections',
        metavar='DET',
        type=Path,
        required=True,
        help='MOT-challenge text with the boxes to track',
    )
    parser.add_argument(
        '--truth',
        metavar='GT',
        type=Path,
        required=True,
        help='MOT-challenge text with the true boxes and ids',
    )
    _add_tracking_arguments(parser)
    parser.add_argument(
        '--ospa-cutoff',
        metavar='PX',
        type=float,
        default=50.0,
        help='cutoff of OSPA in pixels (default: %(default)s)',
    )
    parser.add_argument(
        '--tracks', metavar='FILE', type=Path, help='write the tracks as MOT-challenge text'
    )
    parser.add_argument('--json', metavar='FILE', type=Path, help='write all figures to FILE')


def _add_tracking_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--frame-rate',
        metavar='HZ',
        type=float,
        help="images per second (default: the seqinfo.ini's, else 25)",
    )
    parser.add_argument(
        '--min-confidence',
        metavar='C',
        type=float,
        default=-math.inf,
        help='drop detections with less (default: keep all)',
    )
    parser.add_argument(
        '--boxes',
        choices=_BOXES,
        default='auto',
        help='what they enclose; it sets how fast they may move for their size '
        '(auto: people when they are slender)',
    )


def run(args: argparse.Namespace) -> int:
    """Track, score, report."""
    from av_perception.evaluation.mot import score_boxes

    _check(args)
    tracked, truth, last_frame, dropped = _track(args)
    scores = score_boxes(tracked.tracks, truth, last_frame, args.ospa_cutoff)
    figures = {
        **asdict(scores),
        'tracks': len(np.unique(tracked.tracks.id)),
        'step_ms_median': float(np.median(tracked.step_s) * 1e3),
        'dropped': dropped,
    }
    console = Console(highlight=False)
    console.print(_table(figures))
    if dropped:
        counts = ', '.join(f'{reason}: {count}' for reason, count in dropped.items())
        console.print(f'[yellow]dropped: {counts}[/]', soft_wrap=True)
    for line in _doubts(tracked.tracks, truth, scores):
        console.print(f'[yellow]{line}[/]', soft_wrap=True)
    if args.tracks:
        tracked.tracks.write(args.tracks)
    if args.json:
        write_json(args.json, figures)
    return 0


def _doubts(tracks, truth, scores) -> list[str]:
    """Say what makes the scores doubtful, one line each."""
    from av_perception.evaluation.mot import left_out, longest_gap

    doubts = []
    unscored = left_out(truth)
    if unscored:
        reasons = ', '.join(f'{count} with {reason}' for reason, count in unscored.items())
        doubts.append(f'rows of the truth that are not scored: {reasons}')
    gap = longest_gap(truth)
    if gap:
        doubts.append(
            f'the truth has nobody between the frames {gap[0]} and {gap[1]}: is {gap[1]} a slip?'
        )
    if len(tracks) and not scores.matches:
        doubts.append(
            'no box overlaps the truth by half: are they left,top,width,height (not x1,y1,x2,y2), '
            'of the same sequence, with frames that count from 1 in both?'
        )
    return doubts


def _check(args: argparse.Namespace) -> None:
    for name, value in (('--ospa-cutoff', args.ospa_cutoff), ('--frame-rate', args.frame_rate)):
        if value is not None and not (math.isfinite(value) and value > 0):
            raise UserError(f'{name} must be a positive number, not {value:g}')
    if math.isnan(args.min_confidence):
        raise UserError('--min-confidence must be a number')
    for path in (args.json, args.tracks):
        check_writable(path)


def _track(
    args: argparse.Namespace,
) -> tuple[Tracked, MotTable, int, dict[str, int]]:
    """Track; the boxes, the truth, the last frame to score, and what was dropped, by reason."""
    from av_perception.evaluation.mot import MotSequence
    from av_perception.pipelines.mot_tracking import image_of

    found = MotSequence.read(args.detections, args.truth)
    kept = found.detections.take(found.detections.confidence >= args.min_confidence)
    camera = image_of(found.info, kept, args.frame_rate)
    tracked = _run_tracker(kept, camera, found.last_frame, args.boxes)
    dropped = {
        'detections after the last frame of the truth': found.num_late,
        'detections without area': tracked.dropped['bad_faces'],
        'detections of too little confidence': len(found.detections) - len(kept),
    }
    return (
        tracked,
        found.truth,
        found.last_frame,
        {reason: n for reason, n in dropped.items() if n},
    )


def _run_tracker(
    detections: MotTable, camera: CameraGeometry, last_frame: int, boxes: str
) -> Tracked:
    """Track boxes that enclose one of _BOXES, with a progress bar."""
    from av_perception.pipelines.mot_tracking import (
        CONFIGS,
        guess_boxes,
        track_boxes,
    )

    config = CONFIGS[guess_boxes(detections) if boxes == 'auto' else boxes]
    with Progress(transient=True) as progress:
        task = progress.add_task('track', total=1.0)
        return track_boxes(
            detections,
            camera,
            last_frame,
            config,
            lambda fraction: progress.update(task, completed=fraction),
        )


def _table(figures: dict) -> Table:
    table = Table(
        title=f'{figures["frames"]} frames, {figures["people"]} people, '
        f'{figures["truth_rows"]} true boxes'
    )
    ospa = f'OSPA: places and number of people, cutoff {figures["ospa_cutoff"]:g} px'
    table.add_column('figure')
    table.add_column('value', justify='right')
    for name, key, form in (
        ('MOTA: 1 - (missed + false + id switches) / true', 'mota', '{:.1%}'),
        ('IDF1: share of the time under the right id', 'idf1', '{:.1%}'),
        ('HOTA: detection and association alike', 'hota', '{:.1%}'),
        ('id switches', 'id_switches', '{}'),
        (ospa, 'ospa', '{:.1f} px'),
        ('overlap of matches (mean)', 'mean_similarity', '{:.1%}'),
        ('missed boxes', 'misses', '{}'),
        ('false boxes', 'false_positives', '{}'),
        ('ids given', 'tracks', '{}'),
        ('time of a step (median)', 'step_ms_median', '{:.2f} ms'),
    ):
        table.add_row(name, '-' if figures[key] is None else form.format(figures[key]))
    return table
