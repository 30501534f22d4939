# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""How far boxes of faces lie from where the faces are, by the size of the face.

People of clips or photographs are drawn with faces of known widths before a wall, in clothes and
light that change. The detectors look at them as whole images, CenterFace in crops and parts, too.
Of the errors, what `vision/box_noise.py` states is learnt anew and compared with it.

For example:
  av-perception benchmark box-errors --people data/av_grid t1.jpg --json box_errors.json
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from dataclasses import asdict

import cv2
import numpy as np
from rich.progress import track
from rich.table import Table

from av_perception.benchmarks.box_errors import (
    LARGEST_PX,
    LEAST_PX,
    BoxErrors,
    GroupOfSizes,
    Look,
    fit_noise,
    groups_of_sizes,
    measure_boxes,
    spread_between_people,
)
from av_perception.benchmarks.far_faces import StreamKind, read_people
from av_perception.benchmarks.sensors import camera_of
from av_perception.cli.face_arguments import (
    add_people_argument,
    add_sizes_argument,
    check_sizes,
)
from av_perception.cli.output import check_writable, wide_console, write_json
from av_perception.errors import UserError
from av_perception.robot_head.profile import load_head
from av_perception.vision.box_noise import BoxNoise
from av_perception.vision.face_decoding import FaceDetections
from av_perception.vision.face_detector import (
    DETECTORS,
    CenterFaceDetector,
    FaceDetectorConfig,
    make_face_detector,
)
from av_perception.vision.face_search import chosen, merged
from av_perception.vision.face_windows import crop_windows, lie_inside, part_around

HEAD = 'simulated'
FACE_SIZES = (14, 18, 22, 27, 33, 40, 50, 62)
SIZES = {
    'centerface': ((320, 256), (416, 320), (640, 480)),
    'yunet': ((320, 256), (640, 480)),
    'blazeface': ((192, 192),),
}
PART_SCALES = (1.0, 2.0)
_BESIDE = 2  # people who are looked at in one part


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the benchmark."""
    add_people_argument(parser)
    parser.add_argument(
        '--detectors',
        nargs='+',
        default=['centerface', 'blazeface'],
        choices=DETECTORS,
        help='whose boxes (default: centerface blazeface)',
    )
    parser.add_argument('--yunet-model', default='', metavar='FILE', help="YuNet's model file")
    add_sizes_argument(parser, FACE_SIZES, 'widths of the faces (default: 14 to 62 pixels)')
    parser.add_argument(
        '--streams', type=int, default=14, help='groups of people per width (default: 14)'
    )
    parser.add_argument('--json', metavar='FILE', help='write the figures to FILE')


def run(args: argparse.Namespace) -> int:
    """Measure, print a table for each detector, write the file."""
    check_writable(args.json)
    check_sizes(args.face_sizes, LEAST_PX, LARGEST_PX)
    if args.streams < 1:
        raise UserError('--streams must be at least 1')
    cv2.setNumThreads(1)
    camera = camera_of(load_head(HEAD))
    size = np.array([camera.width, camera.height])
    looks: dict[str, Look] = {}
    noises: dict[str, BoxNoise] = {}
    for kind in args.detectors:
        model = args.yunet_model if kind == 'yunet' else ''
        looks |= _looks(kind, model, size)
        noises[kind] = make_face_detector(FaceDetectorConfig(kind, model)).box_noise
    people = read_people(args.people)
    errors = {name: BoxErrors() for name in looks}
    console = wide_console()
    for face_px in track(args.face_sizes, 'faces by width', console=console, transient=True):
        measure_boxes(StreamKind(camera, people, face_px), args.streams, looks, errors)
    across, down = spread_between_people(args.people)
    console.print(f'boxes from meshes, of the width: {across:.3f} across, {down:.3f} down')
    figures: dict = {'between_people': (across, down), 'detectors': {}}
    for kind, stated in noises.items():
        own = _pooled([errors[name] for name in looks if name.startswith(kind)])
        learnt = fit_noise(own, stated.small_px)
        groups = groups_of_sizes(own, stated)
        console.print(table_of(kind, learnt, stated, groups))
        figures['detectors'][kind] = {
            'learnt': asdict(learnt),
            'stated': asdict(stated),
            'groups': [asdict(group) for group in groups],
        }
    if args.json:
        write_json(args.json, figures)
    return 0


def _looks(kind: str, model: str, size: np.ndarray) -> dict[str, Look]:
    """All ways in which a detector looks at images of a size (2,) [px]."""
    looks: dict[str, Look] = {}
    for width, height in SIZES[kind]:
        detector = make_face_detector(FaceDetectorConfig(kind, model, (width, height)))
        looks[f'{kind} {width}x{height}'] = _whole(detector.detect)
    if kind == 'centerface':
        cropping = CenterFaceDetector()
        looks['centerface crops'] = lambda image, boxes: _in_crops(cropping, image, boxes, size)
        for scale in PART_SCALES:
            looks[f'centerface parts {scale}'] = _in_part(cropping, size, scale)
    return looks


def _whole(detect: Callable[[np.ndarray], FaceDetections]) -> Look:
    return lambda image, boxes: detect(image)


def _in_crops(
    detector: CenterFaceDetector, image: np.ndarray, boxes: np.ndarray, size: np.ndarray
) -> FaceDetections:
    windows = crop_windows(boxes, size, detector.crop_size)
    faces, index = detector.detect_in(image, windows)
    whole = chosen(faces, lie_inside(faces.boxes, windows[index], size))
    return merged([whole], detector.overlap_threshold)


def _in_part(detector: CenterFaceDetector, size: np.ndarray, scale: float) -> Look:
    def look(image: np.ndarray, boxes: np.ndarray) -> FaceDetections:
        part = part_around(boxes[:_BESIDE], size, detector.crop_size, scale)
        faces = detector.detect_part(image, part)
        windows = np.broadcast_to(part.window, (len(faces), 4))
        return chosen(faces, lie_inside(faces.boxes, windows, size))

    return look


def _pooled(errors: list[BoxErrors]) -> BoxErrors:
    """Errors of all ways of looking of a detector."""
    pooled = BoxErrors()
    for own in errors:
        pooled.widths += own.widths
        pooled.scales += own.scales
        pooled.errors += own.errors
    return pooled


def table_of(kind: str, learnt: BoxNoise, stated: BoxNoise, groups: list[GroupOfSizes]) -> Table:
    """One row for each group of widths."""
    table = Table(
        title=f'{kind}, across and down: learnt spread {_pair(learnt.spread, 3)}, '
        f'grid {_pair(learnt.grid_px)} px; stated {_pair(stated.spread, 3)}, '
        f'{_pair(stated.grid_px)} px'
    )
    for heading in (
        'face in the input',
        'faces',
        'RMS across, down',
        'of what is stated, squared',
    ):
        table.add_column(heading, justify='right')
    for group in groups:
        low, high = group.widths
        name = f'{low:.0f} to {high:.0f} px' if math.isfinite(high) else f'from {low:.0f} px'
        table.add_row(name, str(group.count), f'{_pair(group.rms)} px', _pair(group.normalized))
    return table


def _pair(values: tuple[float, float], digits: int = 2) -> str:
    return f'{values[0]:.{digits}f}, {values[1]:.{digits}f}'
