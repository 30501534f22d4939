# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Who speaks in rendered scenes: both methods of this project and SRP-PHAT on the same tracks.

Each scene is rendered once (and kept in the cache) and tracked by the whole suite offline; every
method then gets the same tracks and the same sound. Errors are shares of the true speech; DER with
a collar of 0.25 s, and without, where it is the sum of missed, false and confused speech.
Last, what audio_features, tracker and speaking_status take together with each method of theirs,
and which part of it takes how much.
The scenes of the array of 4.6 cm, and grid, need the development data (AV_PERCEPTION_DATA).

example:
  OMP_NUM_THREADS=1 av-perception benchmark diarization --json diarization.json
  av-perception benchmark diarization --scenes three_talkers:5 small_array/overlap a_recording
"""

from __future__ import annotations

import argparse
import os
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rich.progress import Progress
from rich.table import Table

from av_perception.benchmarks.diarization import METHODS, Figures, Scene, measure, sound_chunks
from av_perception.benchmarks.hearing_cost import (
    STAGES,
    HearingCost,
    KeepingPipeline,
    hearing_cost,
)
from av_perception.cli.output import check_writable, wide_console, write_json
from av_perception.errors import UserError
from av_perception.pipelines.full import START_NS
from av_perception.recording import Recording
from av_perception.simulation.cache import simulated_recording

SCENES = ('three_talkers:1', 'three_talkers:5', 'three_talkers:6')
SCENES_OF_DATA = (
    'grid',
    'small_array/turns',
    'small_array/overlap',
    'small_array/moving',
    'small_array/reverberant',
    'small_array/ringing',
    'small_array/crowd',
    'small_array/noisy',
    'small_array/kitchen',
)
FIGURES = [f.name for f in fields(Figures) if f.name not in ('scene', 'method')]
_COST_S = 6.0  # of each scene's beginning


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command line of the benchmark."""
    parser.add_argument(
        '--scenes',
        nargs='+',
        metavar='SCENE[:SEED]',
        help='names or files of scenes, or folders of recordings with truth (default: '
        f'{" ".join(SCENES)}; with AV_PERCEPTION_DATA also {" ".join(SCENES_OF_DATA)})',
    )
    parser.add_argument(
        '--methods', nargs='+', choices=list(METHODS), default=list(METHODS), help='(default: all)'
    )
    parser.add_argument('--json', metavar='FILE', help='write the figures to FILE')


def run(args: argparse.Namespace) -> int:
    """Measure, print the table and write the file."""
    check_writable(args.json)
    cv2.setNumThreads(1)
    console = wide_console()
    results: list[Figures] = []
    costs: list[HearingCost] = []
    with Progress(console=console, transient=True) as progress:
        for name in args.scenes or _default_scenes(console):
            scene, cost = _tracked(name, progress)
            costs.append(cost)
            task = progress.add_task(f'judge {name}', total=len(args.methods))
            for method in args.methods:
                results.append(measure(name, scene, method))
                progress.advance(task)
            progress.remove_task(task)
            if args.json:  # after every scene: all of them take long
                figures = [asdict(r) for r in results]
                write_json(args.json, {'results': figures, 'costs': [asdict(c) for c in costs]})
    console.print(_table(results))
    console.print(_means(results))
    console.print(_cost_table(costs))
    return 0


def _default_scenes(console) -> tuple[str, ...]:
    if os.environ.get('AV_PERCEPTION_DATA'):
        return SCENES + SCENES_OF_DATA
    console.print('AV_PERCEPTION_DATA is not set: only the scenes with the voices of the demo')
    return SCENES


def _tracked(name: str, progress: Progress) -> tuple[Scene, HearingCost]:
    """Render a scene, or open a recording, and track it; what that costs. Raises UserError."""
    task = progress.add_task(f'render {name}', total=1.0)
    recording = _recording(name, lambda done, text: progress.update(task, completed=done))
    if recording.truth is None or not recording.truth.speaking.any():
        raise UserError(f'{name} has no truth in which somebody speaks: nothing to compare with')
    if not recording.head.can_hear_directions:
        raise UserError(f'{name} has fewer than two microphones: no method can hear directions')
    progress.update(task, completed=0.0, description=f'track {name}')
    pipeline = KeepingPipeline(recording)
    answers = pipeline.run(lambda done: progress.update(task, completed=done))
    progress.update(task, description=f'time {name}')
    chunks = list(sound_chunks(recording, START_NS))
    cost = hearing_cost(name, recording, pipeline.faces, chunks, _COST_S)
    progress.remove_task(task)
    return Scene(recording, [frame for frame, _ in answers], START_NS), cost


def _recording(name: str, progress) -> Recording:
    if (Path(name) / 'recording.yaml').is_file():
        return Recording.open(Path(name))
    scene, _, seed = name.rpartition(':')
    if not scene:
        return simulated_recording(name, None, progress)
    if not seed.isdigit():
        raise UserError(f"'{name}': write a scene as NAME or NAME:SEED with a number as seed")
    return simulated_recording(scene, int(seed), progress)


def _table(results: list[Figures]) -> Table:
    table = _table_of_figures('share of the true speech, collar 0.25 s / none', 'scene', 'method')
    for before, r in zip([None, *results], results):
        is_new = before is None or before.scene != r.scene
        table.add_row(r.scene if is_new else '', r.method, *_cells(r))
    return table


def _means(results: list[Figures]) -> Table:
    """Means over the scenes, by method."""
    table = _table_of_figures('mean over the scenes', 'method')
    for method in dict.fromkeys(r.method for r in results):
        own = [r for r in results if r.method == method]
        means = {name: _mean([getattr(r, name) for r in own]) for name in FIGURES}
        table.add_row(method, *_cells(replace(own[0], **means)))
    return table


def _table_of_figures(title: str, *names: str) -> Table:
    table = Table(title=title)
    for name in names:
        table.add_column(name)
    for heading in ('DER', 'missed', 'false', 'confused', 'turns per true turn', 'CPU per s'):
        table.add_column(heading, justify='right')
    return table


def _cells(r: Figures) -> list[str]:
    return [
        f'{_percent(r.der_collar)} / {_percent(r.der)} %',
        f'{100 * r.missed:.1f} %',
        f'{100 * r.false_alarm:.1f} %',
        f'{100 * r.confusion:.1f} %',
        f'{r.turns:.2f}',
        f'{r.cpu:.3f}',
    ]


def _cost_table(costs: list[HearingCost]) -> Table:
    """Show what the three nodes take, and each part of it with method `joint`."""
    table = Table(title='audio_features + tracker + speaking_status, processor time per second')
    headings = ('method:=joint', *STAGES, 'method:=vavit')
    table.add_column('scene')
    for heading in headings:
        table.add_column(heading, justify='right')
    rows = [(c.joint, *(c.stages[stage] for stage in STAGES), c.vavit) for c in costs]
    for cost, row in zip(costs, rows, strict=True):
        table.add_row(cost.scene, *(f'{value:.3f}' for value in row))
    table.add_row('mean', *(f'{mean:.3f}' for mean in np.mean(rows, axis=0)))
    return table


def _mean(figures: list[float | None]) -> Any:
    """Average those that there are; None where there is none."""
    known = [figure for figure in figures if figure is not None]
    return float(np.mean(known)) if known else None


def _percent(share: float | None) -> str:
    return '-' if share is None else f'{100 * share:.1f}'
