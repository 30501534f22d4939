# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Time and accuracy of the visual front end on rendered stereo pairs, and of face embeddings.

Photographs of four people stand at random places of the given distances before the head's cameras;
every pair goes through detection, stereo matching, triangulation and, where a model is installed,
the description of one face, on one thread. A pair of 640x480 images is to take 30 ms in the
median. Detections are compared with the truth: recall, false faces, error of the depth with two
cameras and with one, and the mean normalized error squared (NEES): 3 when the covariances are
right, and the band in which 95 % of such means lie.

Then couples of whom one stands behind the other: the accuracy of faces that somebody covers in
part, by how much of them is covered. Their depth may be uncertain; the NEES must not be above the
band.

Then every network for embeddings at hand tells the people of talking-face clips apart, at several
sizes of the face.

For example:
  OMP_NUM_THREADS=1 av-perception benchmark vision --json vision.json --plot vision.png
  av-perception benchmark vision --sizes 320x256 416x320 640x480 --detector centerface
  av-perception benchmark vision --clips data/av_grid --embedding-model MobileFaceNet.onnx
"""

from __future__ import annotations

import argparse
import dataclasses
import os
from dataclasses import asdict
from pathlib import Path

import cv2
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from av_perception.benchmarks.covered_faces import Couples, CoveredAccuracy, measure_covered
from av_perception.benchmarks.embedding_accuracy import Separation, read_clips, separation
from av_perception.benchmarks.sensors import camera_of
from av_perception.benchmarks.vision_accuracy import (
    LEAST_PAIRS,
    PEOPLE,
    WARM_UP,
    Accuracy,
    Measurement,
    PeopleBeforeCamera,
    measure,
    people_of_all_sizes,
)
from av_perception.cli.face_arguments import add_sizes_argument
from av_perception.cli.output import check_picture, check_writable, wide_console, write_json
from av_perception.errors import UserError
from av_perception.robot_head.profile import load_head
from av_perception.simulation.assets import PHOTOGRAPHS, ensure_assets
from av_perception.vision.face_detector import DETECTORS, FaceDetectorConfig, make_face_detector
from av_perception.vision.face_embedding import (
    FaceEmbedderConfig,
    make_face_embedder,
    packaged_dlib_model,
)
from av_perception.vision.face_search import FaceSearchConfig
from av_perception.vision.front_end import VisualFrontEnd, VisualFrontEndConfig

_MEDIAN_MS = 30.0
_DEPTH_ERROR = 0.05  # relative, at 2 m
EVERY_IMAGE = FaceSearchConfig(1)  # one image says nothing of the next here


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the benchmark."""
    _add_front_end_arguments(parser)
    _add_embedding_arguments(parser)
    parser.add_argument('--plot', type=Path, metavar='FILE', help='draw the figures (PNG)')
    parser.add_argument('--json', metavar='FILE', help='write the figures to FILE')


def _add_front_end_arguments(parser: argparse.ArgumentParser) -> None:
    default = 'x'.join(map(str, FaceDetectorConfig().input_size))
    parser.add_argument(
        '--pairs',
        type=int,
        default=40,
        help='timed pairs per size and distance (default: %(default)s)',
    )
    parser.add_argument(
        '--sizes',
        nargs='+',
        default=[default],
        metavar='WxH',
        help='input sizes of the detector (default: %(default)s)',
    )
    parser.add_argument(
        '--distances',
        nargs='+',
        type=float,
        default=[1.5, 2.0, 2.5, 3.0],
        metavar='M',
        help='of the people from the head, in meters (default: %(default)s)',
    )
    parser.add_argument(
        '--detector',
        default='centerface',
        choices=DETECTORS,
        help='face detector (default: %(default)s)',
    )
    parser.add_argument(
        '--model',
        default='',
        metavar='FILE',
        help="the detector's model file (default: that of its package)",
    )
    parser.add_argument(
        '--head', default='simulated', help='head profile with a camera (default: %(default)s)'
    )


def _add_embedding_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--clips',
        type=Path,
        default=Path(os.environ.get('AV_PERCEPTION_DATA', '')) / 'av_grid',
        metavar='FOLDER',
        help='videos with one talking face each, for the embeddings '
        '(default: $AV_PERCEPTION_DATA/av_grid)',
    )
    parser.add_argument(
        '--embedding-model',
        default='',
        metavar='FILE',
        help='compare this ONNX network (112x112) as well',
    )
    add_sizes_argument(
        parser,
        (90.0, 60.0, 40.0, 30.0, 24.0, 20.0),
        'widths of the faces for the embeddings (default: %(default)s)',
    )


def run(args: argparse.Namespace) -> int:
    """Measure, print the tables, write the files."""
    check_writable(args.json)
    check_picture(args.plot)
    cv2.setNumThreads(1)
    camera_of(load_head(args.head))
    ensure_assets(names=tuple(PHOTOGRAPHS))
    console = wide_console()
    measured = _measure_front_end(args, console)
    for size, measurements in measured.items():
        console.print(_speed_table(args.detector, size, measurements))
        console.print(_accuracy_table(size, measurements))
    covered = _measure_covered(args, console)
    if covered:
        console.print(_covered_table(covered))
    embeddings = _measure_embeddings(args, console)
    for name, separations in embeddings.items():
        console.print(_embedding_table(name, separations))
    if args.plot:
        from av_perception.benchmarks.vision_plot import draw_vision

        draw_vision(next(iter(measured.values())), embeddings, args.plot)
    if args.json:
        figures = {
            'target_ms': {'median': _MEDIAN_MS},
            'target_depth_error': _DEPTH_ERROR,
            'detector': args.detector,
            'front_end': {size: [asdict(m) for m in rows] for size, rows in measured.items()},
            'covered': [asdict(m) for m in covered],
            'embeddings': {name: [asdict(s) for s in rows] for name, rows in embeddings.items()},
        }
        write_json(args.json, figures)
    return 0


def _measure_front_end(args: argparse.Namespace, console: Console) -> dict[str, list[Measurement]]:
    """Measure all distances per input size of the detector."""
    camera = camera_of(load_head(args.head))
    pairs = max(args.pairs, LEAST_PAIRS)
    detectors = {
        size: FaceDetectorConfig(args.detector, args.model, _parse_size(size))
        for size in args.sizes
    }
    scene = PeopleBeforeCamera(camera)
    total = len(args.sizes) * len(args.distances) * (pairs + WARM_UP)
    measured: dict[str, list[Measurement]] = {}
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task('rendering and measuring', total=total)

        def advance() -> None:
            progress.advance(task)

        for size, detector in detectors.items():
            config = VisualFrontEndConfig(detector=detector, search=EVERY_IMAGE)
            front_end = VisualFrontEnd(config, camera)
            no_embedder = dataclasses.replace(config, embedder=FaceEmbedderConfig('none'))
            one_eyed = VisualFrontEnd(no_embedder, camera)
            measured[size] = [
                measure(front_end, one_eyed, scene, distance, pairs, advance)
                for distance in args.distances
            ]
    return measured


def _measure_covered(args: argparse.Namespace, console: Console) -> list[CoveredAccuracy]:
    """Measure faces that are covered in part; none with one camera."""
    camera = camera_of(load_head(args.head))
    if not camera.baseline:
        return []
    pairs = max(args.pairs, LEAST_PAIRS)
    detector = FaceDetectorConfig(args.detector, args.model, _parse_size(args.sizes[0]))
    config = VisualFrontEndConfig(
        detector=detector, search=EVERY_IMAGE, embedder=FaceEmbedderConfig('none')
    )
    front_end = VisualFrontEnd(config, camera)
    scene = Couples(camera, people_of_all_sizes())
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task('covered faces', total=len(args.distances) * pairs)
        return measure_covered(
            front_end, scene, args.distances, pairs, lambda: progress.advance(task)
        )


def _measure_embeddings(args: argparse.Namespace, console: Console) -> dict[str, list[Separation]]:
    """Measure all sizes of the face per network; say what is missing."""
    configs = {'dlib': FaceEmbedderConfig('dlib')} if packaged_dlib_model() else {}
    if args.embedding_model:
        configs[Path(args.embedding_model).stem] = FaceEmbedderConfig('onnx', args.embedding_model)
    if not configs:
        console.print(
            'no embeddings: pip install "av_perception\\[appearance]", '
            'or name a network by --embedding-model'
        )
        return {}
    if not args.clips.is_dir():
        console.print(
            'no embeddings: there are no clips, name a folder of talking faces by --clips'
        )
        return {}
    detector = make_face_detector(FaceDetectorConfig(args.detector, args.model))
    clips = read_clips(args.clips, detector)
    separations = {}
    for name, config in configs.items():
        embedder = make_face_embedder(config)
        separations[name] = [
            separation(clips, detector, embedder, size) for size in args.face_sizes
        ]
    return separations


def _parse_size(text: str) -> tuple[int, int]:
    width, _, height = text.partition('x')
    if not (width.isdigit() and height.isdigit()):
        raise UserError(f"the size '{text}' is not of the form 416x320")
    return int(width), int(height)


def _speed_table(detector: str, size: str, measurements: list[Measurement]) -> Table:
    table = Table(
        title=f'{detector}, input {size}: ms for a pair with {PEOPLE} faces '
        f'(target of the median: {_MEDIAN_MS:.0f}); stages: means'
    )
    for heading in ('distance', 'median', '99 %', *measurements[0].stages_ms):
        table.add_column(heading, justify='right')
    for m in measurements:
        table.add_row(
            f'{m.distance_m:.1f} m',
            _marked(f'{m.median_ms:.1f}', m.median_ms <= _MEDIAN_MS),
            f'{m.p99_ms:.1f}',
            *(f'{ms:.1f}' for ms in m.stages_ms.values()),
        )
    return table


def _accuracy_table(size: str, measurements: list[Measurement]) -> Table:
    table = Table(
        title=f'input {size}: accuracy (depth error at 2 m, target: {100 * _DEPTH_ERROR:.0f} %)'
    )
    for heading in ('distance', 'recall', 'false', 'depth error', 'NEES', '95 % band'):
        table.add_column(heading, justify='right')
    table.add_column('across, down, along', justify='right')
    for heading in ('one camera: depth error', 'NEES'):
        table.add_column(heading, justify='right')
    for m in measurements:
        low, high = m.stereo.nees_band
        table.add_row(
            f'{m.distance_m:.1f} m',
            f'{m.recall:.3f}',
            f'{m.false_faces:.2f}',
            _depth(m.stereo),
            _marked(f'{m.stereo.nees:.2f}', low <= m.stereo.nees <= high),
            f'{low:.2f}..{high:.2f}',
            ', '.join(f'{part:.2f}' for part in m.stereo.components),
            _depth(m.mono),
            f'{m.mono.nees:.2f}',
        )
    return table


def _covered_table(measurements: list[CoveredAccuracy]) -> Table:
    table = Table(title='faces behind somebody nearer (target of the NEES: not above the band)')
    for heading in ('face', 'people', 'found', 'depth error', 'stated', 'wrong', 'NEES', 'band'):
        table.add_column(heading, justify='right')
    for m in measurements:
        low, high = m.nees_band
        table.add_row(
            m.situation,
            str(m.people),
            f'{m.recall:.2f}',
            f'{100 * m.depth_rmse_m:.1f} cm',
            f'{100 * m.stated_std_m:.1f} cm',
            f'{100 * m.wrong_depths:.1f} %',
            _marked(f'{m.nees:.2f}', m.nees <= high),
            f'{low:.2f}..{high:.2f}',
        )
    return table


def _embedding_table(name: str, separations: list[Separation]) -> Table:
    table = Table(title=f'{name}: cosine between embeddings')
    for heading in ('face', 'found', 'same person: lowest', 'mean'):
        table.add_column(heading, justify='right')
    for heading in ('other people: mean', 'highest', 'time'):
        table.add_column(heading, justify='right')
    for s in separations:
        table.add_row(
            f'{s.face_px:.0f} px',
            str(s.faces),
            _marked(f'{s.same_lowest:.2f}', s.same_lowest > s.other_highest),
            f'{s.same_mean:.2f}',
            f'{s.other_mean:.2f}',
            f'{s.other_highest:.2f}',
            f'{s.median_ms:.1f} ms',
        )
    return table


def _depth(accuracy: Accuracy) -> str:
    return f'{100 * accuracy.depth_rmse_m:.1f} cm {100 * accuracy.depth_error:.1f} %'


def _marked(text: str, good: bool) -> str:
    color = 'green' if good else 'red'
    return f'[{color}]{text}[/]'
