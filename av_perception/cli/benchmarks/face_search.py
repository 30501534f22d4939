# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Looking at the whole image for faces every few images: what it saves, what it costs.

Rendered scenes are tracked offline with the whole image looked at in each image and in every fifth
(`detect_every`), with crops around the known faces in between. The time is processor time of the
visual features of an image pair.

For example:
  av-perception benchmark face-search --scenes three_talkers crossing --json face_search.json
  av-perception benchmark face-search --every 1 3 5 10
"""

from __future__ import annotations

import argparse
from dataclasses import asdict

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from av_perception.benchmarks.face_search import SearchResult, search_result
from av_perception.cli.output import check_writable, wide_console, write_json
from av_perception.errors import UserError
from av_perception.recording import Recording

HEADINGS = (
    'whole image every',
    'looked at as a whole',
    'visual features of a pair',
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
        nargs='+',
        default=['three_talkers'],
        help='names or files of scenes (default: three_talkers)',
    )
    parser.add_argument(
        '--every', nargs='+', type=int, default=[1, 5], help='settings (default: 1 5)'
    )
    parser.add_argument('--json', metavar='FILE', help='write the figures to FILE')


def run(args: argparse.Namespace) -> int:
    """Track, print a table for each scene, write the file."""
    from av_perception.simulation.cache import simulated_recording

    check_writable(args.json)
    if min(args.every) < 1:
        raise UserError('--every must be at least 1')
    console = wide_console()
    figures = {}
    for scene in args.scenes:
        recording = simulated_recording(scene, None, lambda fraction, text: None)
        if recording.truth is None or not recording.num_frames:
            raise UserError(f'{scene} has no images or no truth: name another scene')
        results = [_measure(recording, scene, every, console) for every in args.every]
        console.print(table_of(scene, results))
        figures[scene] = [asdict(result) for result in results]
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
            f'{100 * result.mota:.1f} %',
            f'{100 * result.idf1:.1f} %',
            str(result.id_switches),
            f'{100 * result.position_rmse_m:.1f} cm',
            f'{100 * result.depth_rmse_m:.1f} cm',
        )
    return table
