# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
r"""A stereo pair, from images of a chessboard or ChArUco board.

Take 15 to 30 pairs with the board near and far, tilted, and in all corners of the images; nothing
may move while a pair is taken. Both sides are sorted by name: the k-th left image belongs to the
k-th right one. The output folder holds left.yaml and right.yaml (camera_info files as ROS knows
them) and rectified.png: the same things must lie on the same lines in both halves. Put the files
into the head profile:

  camera:
    calibration: [left.yaml, right.yaml]      in place of width, height, focal, center and baseline

For example:
  av-perception calibrate stereo --left 'shots/left*.jpg' --right 'shots/right*.jpg' \
      --board 9x6 --square 0.025 -o my_head
  av-perception calibrate stereo --left shots/left --right shots/right \
      --charuco --board 11x8 --square 0.03 --marker 0.022 -o my_head
"""

from __future__ import annotations

import argparse
import glob
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from av_perception.cli.output import check_writable, write_json
from av_perception.errors import UserError
from av_perception.files import opencv_name
from av_perception.recording.images import read_image

if TYPE_CHECKING:
    import numpy as np
    from rich.table import Table

    from av_perception.calibration.stereo_calibration import BoardConfig, StereoCalibration

ImagePair: TypeAlias = 'tuple[str, np.ndarray, np.ndarray]'  # name, left and right BGR

GOOD_EPIPOLAR_PX = 0.5
GOOD_COVERAGE = 0.5  # share of the image
IMAGE_SUFFIXES = ('.png', '.jpg', '.jpeg', '.bmp', '.pgm', '.tif', '.tiff')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the calibration."""
    parser.add_argument(
        '--left', required=True, help="folder or pattern ('left*.jpg') of the left images"
    )
    parser.add_argument('--right', required=True, help='the same for the right ones')
    parser.add_argument(
        '--board',
        required=True,
        metavar='CxR',
        help='inner corners of a chessboard, squares of a ChArUco board, such as 9x6',
    )
    parser.add_argument(
        '--square', required=True, type=float, metavar='M', help='side of a square in meters'
    )
    parser.add_argument('--charuco', action='store_true', help='it is a ChArUco board')
    parser.add_argument(
        '--marker',
        type=float,
        default=0.0,
        metavar='M',
        help='with --charuco: side of a marker in meters',
    )
    parser.add_argument(
        '--dictionary',
        default='5X5_100',
        help="with --charuco: of the markers, by OpenCV's name (default: %(default)s)",
    )
    parser.add_argument(
        '-o',
        '--output',
        type=Path,
        required=True,
        help='folder for left.yaml, right.yaml and rectified.png',
    )
    parser.add_argument('--json', type=Path, help='write the report to this file')


def run(options: argparse.Namespace) -> int:
    """Calibrate, write the files, print the report."""
    from rich.console import Console
    from rich.progress import Progress

    from av_perception.calibration.stereo_calibration import calibrate_stereo
    from av_perception.robot_head.camera_calibration import rectified_geometry

    check_writable(options.json, made_folder=options.output)
    board = _board(options)
    pairs = _read_pairs(options.left, options.right)
    console = Console()
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task('looking for the board', total=1.0)
        result = calibrate_stereo(
            [(name, _gray(left), _gray(right)) for name, left, right in pairs],
            board,
            lambda fraction: progress.update(task, completed=fraction),
        )
    try:
        geometry = rectified_geometry((result.left, result.right))
    except ValueError as error:
        raise UserError(f'{error}; is --square in meters?') from error
    figures = {**_write(options.output, result, pairs), **geometry}
    console.print(_table(result))
    console.print(_summary(figures, options.output))
    if options.json:
        write_json(options.json, figures)
    return 0


def _board(options: argparse.Namespace) -> BoardConfig:
    """Read the board from the options."""
    from av_perception.calibration.stereo_calibration import BoardConfig

    columns, _, rows = options.board.partition('x')
    if not (columns.isdigit() and rows.isdigit()):
        raise UserError(f"the board '{options.board}' is not of the form 9x6")
    try:
        return BoardConfig(
            int(columns),
            int(rows),
            options.square,
            'charuco' if options.charuco else 'chessboard',
            options.marker,
            options.dictionary,
        )
    except ValueError as error:
        raise UserError(str(error)) from error


def _read_pairs(left: str, right: str) -> list[ImagePair]:
    """Read the images of both sides; raise UserError where they do not belong together."""
    import numpy as np

    files = [_files(place) for place in (left, right)]
    if len(files[0]) != len(files[1]):
        raise UserError(
            f'{len(files[0])} left images but {len(files[1])} right ones: '
            'every left image needs its right one'
        )
    pairs = []
    for names in zip(*files):
        images = []
        for name in names:
            images.append(read_image(Path(name)))
        if np.array_equal(images[0], images[1]) and np.ptp(
            images[0]
        ):  # two covered lenses are alike too
            raise UserError(
                f'{names[0]} and {names[1]} are the same image: --left and --right '
                'must name those of two cameras'
            )
        label = f'{Path(names[0]).name} {Path(names[1]).name}'
        pairs.append((label, images[0], images[1]))
    return pairs


def _files(place: str) -> list[str]:
    names = glob.glob(f'{glob.escape(place)}/*' if Path(place).is_dir() else place)
    images = sorted(name for name in names if Path(name).suffix.lower() in IMAGE_SUFFIXES)
    if not images:
        raise UserError(
            f"no image at '{place}': "
            "name a folder or, in quotes, a pattern such as 'shots/left*.jpg'"
        )
    return images


def _gray(image: np.ndarray) -> np.ndarray:
    import cv2

    return cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)


def _write(folder: Path, result: StereoCalibration, pairs: list[ImagePair]) -> dict:
    """Write the three files; return the report's figures."""
    import cv2
    import numpy as np

    from av_perception.visualization.epipolar_picture import epipolar_picture

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f'cannot make the folder {folder}: {error.strerror}') from error
    result.left.write(folder / 'left.yaml', 'left')
    result.right.write(folder / 'right.yaml', 'right')
    # The picture shows a typical pair, of median error.
    off_median = np.abs(result.epipolar_error_px - np.median(result.epipolar_error_px))
    typical = result.names[int(np.argmin(off_median))]
    left, right = next((left, right) for name, left, right in pairs if name == typical)
    picture = epipolar_picture(left, right, result.left, result.right)
    if not cv2.imwrite(opencv_name(folder / 'rectified.png'), picture):
        raise UserError(f'cannot write {folder / "rectified.png"}')
    rms = {
        name: float(np.sqrt(np.mean(getattr(result, name) ** 2)))
        for name in ('left_error_px', 'right_error_px', 'epipolar_error_px')
    }
    return {
        'pairs': len(pairs),
        'used': len(result.names),
        'without_board': list(result.without_board),
        'outliers': list(result.outliers),
        **rms,
        'coverage': result.coverage,
    }


def _table(result: StereoCalibration) -> Table:
    from rich.table import Table

    table = Table('pair', title='RMS errors in pixels')
    for heading in ('left', 'right', 'off the row'):
        table.add_column(heading, justify='right')
    for name, left, right, row in zip(
        result.names, result.left_error_px, result.right_error_px, result.epipolar_error_px
    ):
        table.add_row(name, f'{left:.3f}', f'{right:.3f}', f'{row:.3f}')
    for name in result.without_board:
        table.add_row(name, '[yellow]board not found[/]', '', '')
    for name in result.outliers:
        table.add_row(name, '[yellow]fits badly, left out[/]', '', '')
    return table


def _summary(figures: dict, folder: Path) -> str:
    lines = [
        f'reprojection error {figures["left_error_px"]:.3f} px left, '
        f'{figures["right_error_px"]:.3f} px right; '
        f'off the row after rectification {figures["epipolar_error_px"]:.3f} px (RMS)',
        f'focal {figures["focal"][0]:.1f} px, baseline {figures["baseline"]:.4f} m, '
        f'corners in {100 * figures["coverage"]:.0f} % of the image',
    ]
    if figures['epipolar_error_px'] > GOOD_EPIPOLAR_PX:
        lines.append(
            f'[yellow]more than {GOOD_EPIPOLAR_PX} px off the row: '
            'did something move, is the board flat?[/]'
        )
    if figures['coverage'] < GOOD_COVERAGE:
        lines.append(
            '[yellow]much of the image shows no corner: '
            'take more pairs, with the board in the corners[/]'
        )
    floor = max(0.05, figures['epipolar_error_px'])
    lines.append(
        f'wrote left.yaml, right.yaml and rectified.png in {folder}; in the head profile, '
        'camera: calibration: \\[left.yaml, right.yaml], '
        f'and disparity_floor: {floor:.2f} for visual_features'
    )
    return '\n'.join(lines)
