"""Time and accuracy of the visual front end on rendered stereo pairs with four faces.

Photographs stand at random places of the given distances before the head's cameras; every pair goes through detection, stereo matching and
triangulation on one OpenCV thread. A pair of 640x480 images is to take 30 ms in the median. Detections are compared with the truth:
recall, false faces, error of the depth, and the mean normalised error squared (NEES), 3 when the covariances are right.

example:
  OMP_NUM_THREADS=1 av-perception benchmark vision --sizes 320x256 416x320 640x480 --json vision.json
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from dataclasses import asdict, dataclass

import cv2
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from av_perception.cli.output import check_writable, write_json
from av_perception.errors import UserError
from av_perception.heads.profile import CameraGeometry, load_head
from av_perception.simulation.assets import PHOTOGRAPHS, asset_path, ensure_assets
from av_perception.simulation.cutout import cut_out
from av_perception.simulation.rendering import StereoRenderer
from av_perception.simulation.simulator import face_surfaces
from av_perception.vision.face_detector import FaceDetectorConfig
from av_perception.vision.frontend import VisualFrontEnd, VisualFrontEndConfig

_MEDIAN_MS = 30.0
_PEOPLE, _WALL_M, _EYE_HEIGHT_M, _WARM_UP = 4, 5.0, 1.4, 3


@dataclass(frozen=True)
class Result:
    """Figures of one input size of the detector at one distance. recall in [0, 1]; false_faces per image."""

    input_size: tuple[int, int]
    distance_m: float
    median_ms: float
    p99_ms: float
    recall: float
    false_faces: float
    depth_rmse_m: float
    nees: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Command line of the benchmark."""
    default = 'x'.join(map(str, FaceDetectorConfig().input_size))
    parser.add_argument('--pairs', type=int, default=40, help='timed pairs per size and distance (default: %(default)s)')
    parser.add_argument('--sizes', nargs='+', default=[default], metavar='WxH', help='input sizes of the detector (default: %(default)s)')
    parser.add_argument('--distances', nargs='+', type=float, default=[1.5, 2.0, 2.5, 3.0], metavar='M',
                        help='of the people from the head, in metres (default: %(default)s)')
    parser.add_argument('--detector', default='centerface', choices=('centerface', 'yunet'), help='face detector (default: %(default)s)')
    parser.add_argument('--model', default='', metavar='FILE', help="the detector's ONNX file (default: CenterFace's from its package)")
    parser.add_argument('--head', default='simulated', help='head profile with a camera (default: %(default)s)')
    parser.add_argument('--json', metavar='FILE', help='write the figures to FILE')


def run(args: argparse.Namespace) -> int:
    """Measures, prints the table, writes the file."""
    check_writable(args.json)
    cv2.setNumThreads(1)
    camera, console = load_head(args.head).camera, Console()
    if camera is None:
        raise UserError(f"head '{args.head}' has no camera: name another one")
    ensure_assets(names=tuple(PHOTOGRAPHS))
    work = [(_parse_size(size), distance) for size in args.sizes for distance in args.distances]
    results = [measure(FaceDetectorConfig(args.detector, args.model, size), distance, camera, max(args.pairs, 5))
               for size, distance in track(work, description='rendering and measuring', console=console, transient=True)]
    console.print(_table(args.detector, results))
    if args.json:
        write_json(args.json, {'target_ms': {'median': _MEDIAN_MS}, 'detector': args.detector, 'results': [asdict(r) for r in results]})
    return 0


def measure(detector: FaceDetectorConfig, distance_m: float, camera: CameraGeometry, pairs: int) -> Result:
    """Renders and processes `pairs` pairs of four people at about `distance_m`."""
    names = (list(PHOTOGRAPHS) * _PEOPLE)[:_PEOPLE]
    people = [cut_out([cv2.imread(str(asset_path(name)))], PHOTOGRAPHS[name].face, name)[0] for name in names]
    front_end = VisualFrontEnd(dataclasses.replace(VisualFrontEndConfig(), detector=detector), camera)
    renderer, random = StereoRenderer(camera, _WALL_M, _EYE_HEIGHT_M, 0), np.random.default_rng(0)
    times, scores = [], []
    for index in range(_WARM_UP + pairs):
        positions = _places(distance_m, camera, random)
        pair = renderer.render(index, people, face_surfaces(positions))
        start = time.perf_counter()
        features = front_end.process(index, pair.left, pair.right)
        times.append((time.perf_counter() - start) * 1e3)
        scores.append(_compare(features.faces, positions, camera))
    found, false, depth_errors, nees = (np.concatenate(column) for column in zip(*scores))
    timed = times[_WARM_UP:]
    return Result(detector.input_size, distance_m, float(np.median(timed)), float(np.percentile(timed, 99)), float(found.mean()),
                  float(false.mean()), float(np.sqrt(np.mean(depth_errors ** 2))) if len(depth_errors) else float('nan'),
                  float(nees.mean()) if len(nees) else float('nan'))


def _places(distance_m: float, camera: CameraGeometry, random: np.random.Generator) -> np.ndarray:
    """(people, 3) head centres [m] in the left optical frame, side by side over the width both images show."""
    share = (random.permutation(_PEOPLE) + 0.5) / _PEOPLE
    margin = camera.disparity(0.95 * distance_m) + 40
    u = margin + share * (camera.width - margin - 40) + random.uniform(-8, 8, _PEOPLE)
    v = camera.height * random.uniform(0.3, 0.6, _PEOPLE)
    z = distance_m * random.uniform(0.95, 1.05, _PEOPLE)
    return np.column_stack([(u - camera.center[0]) / camera.focal[0] * z, (v - camera.center[1]) / camera.focal[1] * z, z])


def _compare(faces, positions: np.ndarray, camera: CameraGeometry):
    """Found (people,), false faces (1,), errors of the depth [m] and NEES of the faces found."""
    found, errors, nees = np.zeros(len(positions)), [], []
    for face in faces:
        distance = np.linalg.norm(camera.project(positions) - face.box[:2] - face.box[2:] / 2, axis=1)
        nearest = int(np.argmin(distance))
        if distance[nearest] < face.box[2] / 2 and not found[nearest]:
            found[nearest] = 1
            error = face.position - positions[nearest]
            errors.append(error[2])
            nees.append(error @ np.linalg.solve(face.covariance, error))
    return found, np.array([len(faces) - found.sum()]), np.array(errors), np.array(nees)


def _parse_size(text: str) -> tuple[int, int]:
    width, _, height = text.partition('x')
    if not (width.isdigit() and height.isdigit()):
        raise UserError(f"the size '{text}' is not of the form 416x320")
    return int(width), int(height)


def _table(detector: str, results: list[Result]) -> Table:
    table = Table(title=f'{detector}: stereo visual features, {_PEOPLE} faces (median to reach: {_MEDIAN_MS:.0f} ms)')
    for heading in ('input', 'distance', 'median', '99th percentile', 'recall', 'false per image', 'depth RMSE', 'NEES'):
        table.add_column(heading, justify='right')
    for r in results:
        color = 'green' if r.median_ms <= _MEDIAN_MS else 'red'
        table.add_row(f'{r.input_size[0]}x{r.input_size[1]}', f'{r.distance_m:.1f} m', f'[{color}]{r.median_ms:.1f} ms',
                      f'{r.p99_ms:.1f} ms', f'{r.recall:.3f}', f'{r.false_faces:.2f}', f'{100 * r.depth_rmse_m:.1f} cm', f'{r.nees:.1f}')
    return table
