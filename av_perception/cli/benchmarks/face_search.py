# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Looking at the whole image for faces every few images: what it saves, what it costs.

Rendered scenes are tracked offline with the whole image looked at in each image and in every fifth
(`detect_every`), with crops around the known faces in between. The time is processor time of the
visual features of an image pair.

With `--face-sizes`, also how faces of these widths are found: people of clips or photographs
(`--people`) walk slowly before a wall, in streams of sixteen images; and with `--empty`, how many
faces are found in pictures without people.

For example:
  av-perception benchmark face-search --scenes three_talkers crossing --json face_search.json
  av-perception benchmark face-search --every 1 3 5 10
  av-perception benchmark face-search --scenes --face-sizes 14 18 22 30 --people data/av_grid
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import cv2
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from av_perception.benchmarks.face_search import SearchResult, search_result
from av_perception.benchmarks.far_faces import (
    FarAccuracy,
    StreamKind,
    false_faces,
    measure_far_faces,
    read_people,
)
from av_perception.benchmarks.sensors import camera_of
from av_perception.cli.face_arguments import (
    add_people_argument,
    add_sizes_argument,
    check_sizes,
)
from av_perception.cli.output import check_writable, wide_console, write_json
from av_perception.errors import UserError
from av_perception.recording import Recording
from av_perception.recording.images import read_image
from av_perception.robot_head.profile import load_head
from av_perception.vision.face_detector import CenterFaceDetector
from av_perception.vision.face_search import FaceSearch, FaceSearchConfig

HEAD = 'simulated'
HEADINGS = (
    'whole image every',
    'looked at as a whole',
    'visual features of a pair',
    '99 %',
    'MOTA',
    'IDF1',
    'id switches',
    'position (RMS)',
    'depth of faces (RMS)',
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the benchmark."""
    parser.add_argument(
        '--scenes',
        nargs='*',
        default=['three_talkers'],
        help='names or files of scenes (default: three_talkers)',
    )
    parser.add_argument(
        '--every', nargs='+', type=int, default=[1, 5], help='settings (default: 1 5)'
    )
    _add_size_arguments(parser)
    parser.add_argument('--json', metavar='FILE', help='write the figures to FILE')


def _add_size_arguments(parser: argparse.ArgumentParser) -> None:
    add_sizes_argument(parser, (), 'also measure how faces of these widths are found, in pixels')
    add_people_argument(parser)
    parser.add_argument(
        '--streams', type=int, default=10, help='streams of images per width (default 10)'
    )
    parser.add_argument(
        '--empty',
        nargs='+',
        type=Path,
        default=[],
        metavar='FILE',
        help='count faces in these pictures without people',
    )


def run(args: argparse.Namespace) -> int:
    """Track, print a table for each scene, write the file."""
    from av_perception.simulation.cache import simulated_recording

    check_writable(args.json)
    if min(args.every) < 1 or args.streams < 1:
        raise UserError('--every and --streams must be at least 1')
    check_sizes(args.face_sizes, 8, 120)
    cv2.setNumThreads(1)
    console = wide_console()
    figures: dict = {}
    for scene in args.scenes:
        recording = simulated_recording(scene, None, lambda fraction, text: None)
        if recording.truth is None or not recording.num_frames:
            raise UserError(f'{scene} has no images or no truth: name another scene')
        results = [_measure(recording, scene, every, console) for every in args.every]
        console.print(table_of(scene, results))
        figures[scene] = [asdict(result) for result in results]
    if args.face_sizes or args.empty:
        figures['face_sizes'] = _measure_sizes(args, console)
    if args.json:
        write_json(args.json, figures)
    return 0


def _measure(recording: Recording, scene: str, every: int, console: Console) -> SearchResult:
    """Track once, with a progress bar."""
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task(f'{scene}, every {every}', total=1.0)
        return search_result(
            recording, every, lambda fraction: progress.update(task, completed=fraction)
        )


def _measure_sizes(args: argparse.Namespace, console: Console) -> dict:
    """Measure faces of given widths and pictures without people; print both."""
    detector = CenterFaceDetector()
    camera = camera_of(load_head(HEAD))

    def maker(every: int) -> Callable[[], FaceSearch]:
        return lambda: FaceSearch(detector, FaceSearchConfig(every))

    searches = {every: maker(every) for every in args.every}
    rows: list[FarAccuracy] = []
    people = read_people(args.people) if args.face_sizes else []
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task('faces by size', total=len(args.face_sizes))
        for size in args.face_sizes:
            kind = StreamKind(camera, people, size)
            rows += measure_far_faces(kind, args.streams, searches)
            progress.advance(task)
    if rows:
        console.print(table_of_sizes(rows))
    false = {}
    if args.empty:
        pictures = [read_image(path) for path in args.empty]
        false = {every: false_faces(pictures, camera, make()) for every, make in searches.items()}
        for every, (faces, images) in false.items():
            console.print(f'without people, every {every}: {faces} faces in {images} images')
    return {'by_size': [asdict(row) for row in rows], 'without_people': false}


def table_of_sizes(rows: list[FarAccuracy]) -> Table:
    """One row for each width and way of looking."""
    table = Table(title='faces by size')
    for heading in (
        'face',
        'whole image every',
        'found',
        'right',
        'first found in image: median, 90 %',
    ):
        table.add_column(heading, justify='right')
    for heading in ('center (RMS)', 'width (RMS)', 'landmarks'):
        table.add_column(heading, justify='right')
    for row in rows:
        median, late = (f'{n:.0f}' if math.isfinite(n) else 'never' for n in row.first_image)
        table.add_row(
            f'{row.face_px:.0f} px',
            str(row.every),
            f'{100 * row.recall:.1f} %',
            f'{100 * row.precision:.1f} %',
            f'{median}, {late}',
            f'{row.center_px:.2f} px',
            f'{100 * row.width_error:.0f} %',
            f'{100 * row.landmark_error:.1f} %',
        )
    return table


def table_of(scene: str, results: list[SearchResult]) -> Table:
    """One row for each setting."""
    table = Table(title=scene)
    for heading in HEADINGS:
        table.add_column(heading, justify='right')
    for result in results:
        table.add_row(
            str(result.every),
            f'{result.whole_images} of {result.images}',
            f'{result.pair_ms:.1f} ms',
            f'{result.pair_p99_ms:.1f} ms',
            f'{100 * result.mota:.1f} %',
            f'{100 * result.idf1:.1f} %',
            str(result.id_switches),
            f'{100 * result.position_rmse_m:.1f} cm',
            f'{100 * result.depth_rmse_m:.1f} cm',
        )
    return table
