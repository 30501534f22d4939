# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Whether people who come back are known by their clothes and hair, and strangers are not.

People whose faces are cut out of the clips of a folder stand side by side in drawn clothes, in
light that is drawn for every image; what differs between two images of one person, and between
two people, is learned from them. It is measured on the people of the simulation's photographs, in
other clothes: pairs of single images, and the tracker, which sees somebody for two seconds and
nobody for five; then the same person, or a stranger, is seen near that place. Every third group
of people wears the same clothes. `--pictures` adds the people of other pictures. To reach: the
same id in 95 % of the returns, a new one for 95 % of the strangers in different clothes.

For example:
  av-perception benchmark appearance --json appearance.json
  av-perception benchmark appearance --pictures group.jpg
  av-perception benchmark appearance --learn appearance_spread.npz
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import os
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from av_perception.benchmarks.appearance_accuracy import (
    AppearanceFigures,
    DescribedPeople,
    collect,
    judge,
    learn_spread,
)
from av_perception.benchmarks.dressed_people import Stage
from av_perception.benchmarks.returning_people import (
    STRANGERS,
    ReturnFigures,
    measure_returns,
)
from av_perception.benchmarks.sensors import camera_of
from av_perception.benchmarks.vision_accuracy import people_of_photographs
from av_perception.cli.output import check_writable, wide_console, write_json
from av_perception.errors import UserError
from av_perception.robot_head.profile import load_head
from av_perception.simulation.assets import PHOTOGRAPHS, ensure_assets
from av_perception.simulation.clips import read_clip_images
from av_perception.simulation.cutout import Cutout, cut_out
from av_perception.tracking.track_management.gallery import AppearanceModel
from av_perception.tracking.tracker_config import TrackerConfig
from av_perception.vision.face_detector import (
    FaceDetector,
    FaceDetectorConfig,
    make_face_detector,
)

_TO_REACH = 0.95
_LEARN_SEED = 1
_MEASURE_SEED = 2
_VIEWS = 8  # of every clip
_VIEW_EVERY = 8  # images of a clip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the benchmark."""
    parser.add_argument(
        '--groups', type=int, default=20, help='of three people (default: %(default)s)'
    )
    parser.add_argument(
        '--images', type=int, default=6, help='of every group (default: %(default)s)'
    )
    parser.add_argument(
        '--trials', type=int, default=60, help='returns of each kind (default: %(default)s)'
    )
    parser.add_argument(
        '--hidden', type=float, default=5.0, help='seconds of absence (default: %(default)s)'
    )
    parser.add_argument(
        '--clips',
        type=Path,
        default=Path(os.environ.get('AV_PERCEPTION_DATA', '../shared/data')) / 'av_grid',
        metavar='FOLDER',
        help='videos with one talking face each, to learn from '
        '(default: $AV_PERCEPTION_DATA/av_grid)',
    )
    parser.add_argument(
        '--learn',
        metavar='FILE',
        help='learn the spreads from the clips, judge the pairs by them and write them to FILE; '
        'the tracker takes those that ship',
    )
    parser.add_argument(
        '--pictures',
        type=Path,
        nargs='+',
        default=[],
        metavar='FILE',
        help='measure on everybody whose face is found in these as well',
    )
    parser.add_argument(
        '--head', default='simulated', help='head profile with a camera (default: %(default)s)'
    )
    parser.add_argument('--json', metavar='FILE', help='write the figures to FILE')


def run(args: argparse.Namespace) -> int:
    """Measure, print the tables, write the files; 1 when the aims are missed."""
    check_writable(args.json)
    check_writable(args.learn)
    if min(args.groups, args.images - 1, args.trials) < 1 or not 0 < args.hidden < math.inf:
        raise UserError(
            '--groups, --trials and --hidden must be positive numbers, --images at least 2'
        )
    cv2.setNumThreads(1)
    head = load_head(args.head)
    stage = Stage(camera_of(head))
    detector = make_face_detector(FaceDetectorConfig())
    console = wide_console()
    model = AppearanceModel.shipped()
    if args.learn:
        faces = _faces_of_clips(args.clips, detector)
        looks = _collect(args, faces, stage, detector, _LEARN_SEED, console)
        model = learn_spread(looks)
        np.savez(args.learn, within=np.float32(model.within), between=np.float32(model.between))
    ensure_assets(names=tuple(PHOTOGRAPHS))
    faces = {**people_of_photographs(), **_faces_of_pictures(args.pictures, detector)}
    looks = _collect(args, faces, stage, detector, _MEASURE_SEED, console)
    config = TrackerConfig()
    judged = judge(looks, model, config.identity.appearance_evidence)
    without = dataclasses.replace(config.identity, use_appearance=False)
    returns = {
        'by appearance': _returns(args, looks, config, console),
        'by place alone': _returns(
            args, looks, dataclasses.replace(config, identity=without), console
        ),
    }
    console.print(_pair_table(judged))
    console.print(_return_table(returns))
    if args.json:
        figures = {name: asdict(row) for name, row in returns.items()}
        write_json(args.json, {'pairs': asdict(judged), 'returns': figures})
    reached = returns['by appearance']
    return int(min(reached.same_id, reached.new_id_different) < _TO_REACH)


def _faces_of_clips(folder: Path, detector: FaceDetector) -> dict[str, list[Cutout]]:
    """Cut the people out of the clips of a folder. Raises UserError for fewer than two."""
    faces = {}
    for path in sorted(folder.glob('*.mpg')) if folder.is_dir() else []:
        images = read_clip_images(path)[0][::_VIEW_EVERY][:_VIEWS]
        found = detector.detect(images[0]).boxes
        if len(found):
            x, y, width, height = (float(v) for v in found[0])
            faces[path.stem] = cut_out(images, (x, y, width, height), str(path))
    if len(faces) < 2:
        raise UserError(f'{folder} holds {len(faces)} clips of faces: name a folder by --clips')
    return faces


def _faces_of_pictures(paths: list[Path], detector: FaceDetector) -> dict[str, list[Cutout]]:
    """Cut out everybody in some pictures. Raises UserError for a picture without a face."""
    faces = {}
    for path in paths:
        image = cv2.imread(str(path))
        boxes = np.zeros((0, 4)) if image is None else detector.detect(image).boxes
        if image is None or not len(boxes):
            raise UserError(f'{path} is no picture in which a face is found')
        for k, (x, y, width, height) in enumerate(boxes.tolist()):
            faces[f'{path.stem}_{k}'] = cut_out([image], (x, y, width, height), str(path))
    return faces


def _collect(
    args: argparse.Namespace,
    faces: dict[str, list[Cutout]],
    stage: Stage,
    detector: FaceDetector,
    seed: int,
    console: Console,
) -> DescribedPeople:
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task('describing people', total=args.groups * args.images)
        return collect(
            faces,
            stage,
            detector,
            args.groups,
            args.images,
            seed,
            lambda: progress.advance(task),
        )


def _returns(
    args: argparse.Namespace, looks: DescribedPeople, config: TrackerConfig, console: Console
) -> ReturnFigures:
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task('people come back', total=args.trials * len(STRANGERS))
        head = load_head(args.head)
        return measure_returns(
            looks, head, config, args.hidden, args.trials, lambda: progress.advance(task)
        )


def _pair_table(judged: AppearanceFigures) -> Table:
    table = Table(title=f'pairs of single images of {judged.people} people')
    for heading in ('described', 'same: one', 'different: two', 'clothes alike: two'):
        table.add_column(heading, justify='right')
    table.add_row(
        f'{100 * judged.described:.1f} %',
        f'{100 * judged.same_known:.1f} %',
        f'{100 * judged.different_told_apart:.1f} %',
        f'{100 * judged.alike_told_apart:.1f} %',
    )
    return table


def _return_table(returns: dict[str, ReturnFigures]) -> Table:
    first = next(iter(returns.values()))
    table = Table(title=f'seen again after {first.hidden_s:g} s, {first.trials} of each kind')
    for heading in ('known', 'same: old id', 'stranger: new id', 'clothes alike: new id'):
        table.add_column(heading, justify='right')
    for name, row in returns.items():
        shares = (row.same_id, row.new_id_different, row.new_id_alike)
        table.add_row(name, *(f'{100 * share:.1f} %' for share in shares))
    return table
