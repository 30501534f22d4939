# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Train lips on recordings of yours: what mouths tell of the speech that is heard with them.

  av-perception train lips talk_1 talk_2 talk_3 -o lips.npz
  ros2 run av_perception voices --ros-args -p enhance:=vae -p visual:=cvae -p lips_file:=lips.npz

RECORDING is a recording folder, or a bag with images (av-perception record --images; a bag does
not know its head: --head NAME). Used are the moments in which one person speaks alone, clear (15
dB over the noise) and well seen; four people or more are needed. Each is left out once: only
when lips tell 1 nat a frame more of people who were left out than a fixed Gaussian does, the
weights are written, and beside them a model card (lips.json). Nothing leaves this machine: the
weights hold neither faces nor voices, and no file but these two is written.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from av_perception.cli.output import check_writable, staged_progress, write_json
from av_perception.errors import UserError

_PRIOR = 'vae'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        'recordings', type=Path, nargs='+', metavar='RECORDING', help='recording folders or bags'
    )
    parser.add_argument(
        '-o', '--output', type=Path, required=True, metavar='FILE', help='the weights (.npz)'
    )
    parser.add_argument(
        '--head', default='', help='with bags: the head they were recorded with, a name or a file'
    )
    parser.add_argument(
        '--prior',
        default=_PRIOR,
        metavar='NAME',
        help='of speech, frame by frame, whose latents lips tell: vae (default), wide_vae or the '
        'file of one of yours',
    )
    parser.add_argument(
        '--data', default='', metavar='TEXT', help='what the recordings are, and who agreed'
    )
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the figures to FILE')


def run(options: argparse.Namespace) -> int:
    """Choose moments, train, and write the weights when they pass; 1 when they do not."""
    if options.output.suffix != '.npz':
        raise UserError(f'cannot write {options.output}: name a file that ends in .npz')
    card_path = options.output.with_suffix('.json')
    for path in (options.output, card_path, options.json):
        check_writable(path)
    from av_perception.dvae.speech_prior import load_prior

    prior = load_prior(options.prior)
    if not prior.is_frame_wise:
        raise UserError(f'--prior {options.prior} has a memory: lips need vae or wide_vae')
    examples, lost = _examples(options.recordings, options.head)
    from av_perception.training.lips import train_lips

    _tell(examples, lost)
    with staged_progress() as bar:
        task = bar.add_task('learn', total=1.0, text='')
        trained = train_lips(
            examples, prior, lambda done, text: bar.update(task, completed=done, text=text)
        )
    if options.json:
        gains = {name: float(gain) for name, gain in trained.gains.items()}
        write_json(options.json, {'passes': bool(trained.passes), 'nats_a_frame': gains})
    for name, gain in trained.gains.items():
        print(f'{name}: {gain:+.2f} nat a frame, left out')
    if not trained.passes:
        print(
            f'refused: lips tell {trained.gain:.2f} nat a frame of people who were left out, 1 is '
            'needed; nothing is written. More people and larger faces help.',
            file=sys.stderr,
        )
        return 1
    _write(options, card_path, examples, trained)
    return 0


def _examples(paths: list[Path], head: str) -> tuple[list, dict[str, float]]:
    """Moments of all recordings."""
    import cv2

    from av_perception.pipelines.lip_recordings import examples_of

    cv2.setNumThreads(1)
    found: list = []
    lost: dict[str, float] = {}
    with staged_progress() as bar:
        for path in paths:
            task = bar.add_task(path.name, total=1.0, text='')

            recording, run = _opened(path, head, partial(_advance, bar, task))
            examples, without = examples_of(recording, path.name, run)
            found += examples
            for reason, length_s in without.items():
                lost[reason] = lost.get(reason, 0.0) + length_s
    return found, lost


def _advance(bar, task, done: float) -> None:
    bar.update(task, completed=done)


def _opened(path: Path, head: str, show: Callable[[float], None]) -> tuple:
    """Open a recording folder or a bag; also what feeds it to its pipeline. Raises UserError."""
    from av_perception.recording import Recording

    if (path / 'recording.yaml').is_file() or not head:
        return Recording.open(path), partial(_run, show=show)
    from av_perception.ros.bringup.environment import prepare_environment

    prepare_environment()
    from av_perception.ros.bags.bag_offline import BagRecording, BagRunner

    bag = BagRecording(path, head)
    return bag, lambda pipeline: BagRunner(bag, pipeline).run(show)


def _run(pipeline, show: Callable[[float], None]) -> list:
    return pipeline.run(show)


def _tell(examples: list, lost: dict[str, float]) -> None:
    total_s = sum(example.duration_s for example in examples)
    print(f'{len(examples)} people speak alone, clear and well seen, {total_s:.1f} s in all')
    reasons = ', '.join(f'{reason} {length:.1f} s' for reason, length in lost.items() if length)
    if reasons:
        print(f'left out: {reasons}')


def _write(options: argparse.Namespace, card_path: Path, examples: list, trained) -> None:
    from av_perception import __version__
    from av_perception.lips.lip_model import GAIN, SPEECH_PRIOR, save_lips

    card = {
        SPEECH_PRIOR: options.prior,
        GAIN: round(trained.gain, 3),
        'nats_per_frame_by_person': [round(gain, 3) for gain in trained.gains.values()],
        'people': len(trained.gains),
        'seconds': round(sum(example.duration_s for example in examples), 1),
        'data': options.data or 'recordings of the user',
        'checked_by': 'each person left out once; fixed Gaussian of the latents of the others',
        'use': 'voices and enhance of av_perception, for people like those of the recordings',
        'privacy': 'learnt on this machine; holds averages over people, no image and no sound',
        'version': __version__,
    }
    save_lips(options.output, trained.encoder, trained.visual, card)
    write_json(card_path, card)
    print(
        f'wrote {options.output} and {card_path}: lips tell {trained.gain:.2f} nat a frame of '
        'people who were left out'
    )
