# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Render a scene (a room, talkers who move and speak) to a recording folder with its truth.

  av-perception simulate three_talkers -o demo_recording
      the scene of the demo; fetches its photographs and voices once
  av-perception simulate my_scene.yaml -o out --seed 7
      other turns and other noise, the same paths
  av-perception simulate short -o out --duration 3
      only the first three seconds
  av-perception simulate short -o out --images
      also what each person, and the noise, gives the microphones, to score separated voices
  av-perception track demo_recording
      then: run the tracker on it

Scenes that ship: three_talkers, short, crossing, partial_view, grid (needs AV_PERCEPTION_DATA).
The folder then holds recording.yaml, audio.flac, left.mp4, right.mp4 and truth.csv (time, id, x,
y, z, speaking, visible); with --images also sources/person_<id>.flac, sources/noise.flac, whose
sum is the mixture, and sources/dry_<id>.flac.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

from av_perception.cli.output import check_writable, write_json

if TYPE_CHECKING:
    from av_perception.recording import Recording


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    parser.add_argument(
        'scene', metavar='SCENE', help='name of a shipped scene, or a scene file (.yaml)'
    )
    parser.add_argument(
        '-o',
        '--output',
        type=Path,
        required=True,
        metavar='FOLDER',
        help='folder to write; an older recording there is replaced',
    )
    parser.add_argument(
        '--seed', type=seed, help="seed of turns and noise instead of the scene's own (0 or more)"
    )
    parser.add_argument(
        '--duration',
        type=float,
        metavar='S',
        help="seconds to render instead of the scene's own duration",
    )
    parser.add_argument(
        '--images',
        action='store_true',
        help='also write what the mixture is made of: the sound of each person at the microphones '
        '(their images), the noise, and the dry voices',
    )
    parser.add_argument(
        '--json', type=Path, metavar='FILE', help='write the figures of the run to this file'
    )


def run(options: argparse.Namespace) -> int:
    """Render and say what came out."""
    import cv2
    from rich.console import Console
    from rich.progress import Progress
    from rich.table import Table

    from av_perception.simulation import load_scene, simulate

    check_writable(options.json, made_folder=options.output)
    cv2.setNumThreads(1)
    scene = load_scene(options.scene)
    if options.duration is not None:
        scene = scene.with_duration(options.duration)
    started = time.monotonic()
    with Progress() as progress:
        task = progress.add_task('simulate', total=1.0)
        recording = simulate(
            scene,
            options.output,
            options.seed,
            lambda fraction, text: progress.update(task, completed=fraction, description=text),
            keep_parts=options.images,
        )
    figures = {**_figures(recording), 'seconds_to_render': round(time.monotonic() - started, 2)}
    table = Table('what', 'value', title=f'recording {options.output}')
    for name, value in figures.items():
        table.add_row(name.replace('_', ' '), str(value))
    Console().print(table)
    if options.json:
        write_json(options.json, figures)
    return 0


def seed(text: str) -> int:
    """Read a seed from the command line."""
    if int(text) < 0:
        raise argparse.ArgumentTypeError('must not be negative')
    return int(text)


def _figures(recording: Recording) -> dict:
    """Count what is in the recording, by its truth."""
    truth = recording.truth
    assert truth is not None  # a rendered recording has it
    people = len(set(truth.id.tolist()))
    speaking = truth.speaking.reshape(-1, people).sum(axis=1)
    num_speech = max(1, (speaking > 0).sum())
    return {
        'scene': recording.origin['scene'],
        'seed': recording.origin['seed'],
        'duration_s': recording.duration_s,
        'talkers': people,
        'channels': recording.num_channels,
        'images': recording.num_frames,
        'speech_share': round(float((speaking > 0).mean()), 4),
        'overlap_share_of_speech': round(float((speaking > 1).sum() / num_speech), 4),
        'visible_share': round(float(truth.visible.mean()), 4),
    }
