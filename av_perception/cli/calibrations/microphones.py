# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The positions of the microphones, from a loudspeaker that is shown to the cameras and heard.

Play white noise from a small loudspeaker with a printed face on it, hold it still for more than a
second at 30 places or more, and record sound and images (or write down the places yourself and
give them with --positions). What comes out is the head profile with the measured coordinates, and
how well they are known.

For example:
  av-perception calibrate microphones my_recording -o my_head.yaml
  av-perception calibrate microphones my_recording --positions places.csv -o my_head.yaml

places.csv has the header start,end,x,y,z: seconds of the recording, meters in the left camera's
optical frame (or in the head's base frame with --frame base). How far an array is from the sounds
shows in time differences only nearby: hold the loudspeaker at arm's length (0.2 to 0.6 m), at many
distances, to the sides as far as possible.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from av_perception.cli.output import check_writable, write_json
from av_perception.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from av_perception.calibration.microphone_calibration import Calibration, Measurements
    from av_perception.recording import Recording
    from av_perception.robot_head import MicrophoneArray

_LEAST_PLACES = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the calibration."""
    parser.add_argument(
        'recording',
        type=Path,
        metavar='RECORDING',
        help="recording folder; its head profile's coordinates are where the search starts",
    )
    parser.add_argument(
        '-o', '--output', type=Path, required=True, help='head profile to write (.yaml)'
    )
    parser.add_argument(
        '--positions',
        type=Path,
        metavar='CSV',
        help='where the loudspeaker was (default: the face in the images, where it was still)',
    )
    parser.add_argument(
        '--frame',
        choices=('camera', 'base'),
        default='camera',
        help='frame of the positions (default: %(default)s)',
    )
    _add_model_arguments(parser)
    parser.add_argument('--json', type=Path, help='write the figures to this file')


def _add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what is known beforehand."""
    parser.add_argument(
        '--position-sd',
        type=float,
        default=0.05,
        metavar='M',
        help="how well the profile's positions are known (default: %(default)s m)",
    )
    parser.add_argument(
        '--distance-sd',
        type=float,
        default=0.003,
        metavar='M',
        help='how well the distances between microphones are known (default: %(default)s m)',
    )
    parser.add_argument(
        '--temperature',
        type=float,
        default=20.0,
        metavar='C',
        help='of the air, for the speed of sound (default: %(default)s)',
    )


def run(options: argparse.Namespace) -> int:
    """Measure, calibrate, write, say how well; 1 when the result is not to be believed."""
    from av_perception.calibration.microphone_calibration import CalibrationConfig, calibrate
    from av_perception.recording import Recording
    from av_perception.two_microphones.microphone_pair import speed_of_sound

    for path in (options.json, options.output):
        check_writable(path)
    recording = Recording.open(options.recording)
    array = _microphones(recording)
    if len(array.coordinates) < 2:
        raise UserError(
            f"head '{recording.head_name}' has one microphone: "
            'there is no time difference to measure'
        )
    try:
        config = CalibrationConfig(
            distance_sd=options.distance_sd,
            position_sd=options.position_sd,
            sound_speed=speed_of_sound(options.temperature),
        )
    except ValueError as error:
        raise UserError(f'the options do not fit: {error}') from error
    start = array.base_from_array.apply(array.positions)
    measurements = _measure(recording, options)
    result = calibrate(measurements, start, config)
    figures = _figures(measurements, result, start)
    _print(figures)
    if result.accepted:
        _write_profile(recording, result, options.output)
        print(f'wrote {options.output}')
    if options.json:
        write_json(options.json, figures)
    return 0 if result.accepted else 1


def _microphones(recording: Recording) -> MicrophoneArray:
    array = recording.head.microphones
    if array is None:
        raise UserError(f"head '{recording.head_name}' has no microphones: nothing to calibrate")
    return array


def _measure(recording: Recording, options: argparse.Namespace) -> Measurements:
    """Measure places and time differences, with a progress bar; positions in the base frame."""
    from dataclasses import replace

    from rich.progress import Progress

    from av_perception.calibration.calibration_places import measure, read_places

    with Progress(transient=True) as progress:
        task = progress.add_task('looking for the loudspeaker', total=1.0)

        def report(fraction: float) -> None:
            progress.update(task, completed=fraction)

        if options.positions:
            places = read_places(options.positions)
        else:
            places = _places_in_images(recording, report)
        _require_places(places)
        progress.update(task, description='listening', completed=0.0)
        measurements = measure(
            places,
            lambda start, end: _sound(recording, start, end),
            recording.sample_rate,
            _microphones(recording).positions,
            report,
        )
    if options.frame == 'base':
        return measurements
    camera = recording.head.camera
    if camera is None:
        raise UserError(
            'the head has no camera: give the positions in its base frame, with --frame base'
        )
    sources = camera.base_from_optical.apply(measurements.sources)
    return replace(measurements, sources=sources)


def _require_places(places: list) -> None:
    if len(places) < _LEAST_PLACES:
        raise UserError(
            f'the loudspeaker was still at {len(places)} places, at least {_LEAST_PLACES} '
            'are needed (30 are good): hold it still for more than a second at each, '
            'or give --positions'
        )


def _places_in_images(recording: Recording, report: Callable[[float], None]) -> list:
    """Find where the printed face was still; report(fraction)."""
    import dataclasses

    from av_perception.calibration.calibration_places import still_places
    from av_perception.vision.front_end import VisualFrontEnd, VisualFrontEndConfig

    if recording.head.camera is None or not recording.num_frames:
        raise UserError(
            'the recording has no images: give the places of the loudspeaker with --positions'
        )
    default = VisualFrontEndConfig()
    # A print has no head behind it.
    flat_face = dataclasses.replace(default.triangulation, head_depth_offset_m=0.0)
    flat = dataclasses.replace(default, triangulation=flat_face)
    front_end = VisualFrontEnd(flat, recording.head.camera)

    def features():
        for index, time_s, left, right in recording.images():
            report((index + 1) / recording.num_frames)
            yield time_s, front_end.process(index + 1, left, right)

    return still_places(features())


def _sound(recording: Recording, start_s: float, end_s: float) -> np.ndarray:
    """Read the sound between two times of the recording, (N, channels)."""
    first = max(0, round((start_s - recording.audio_start_s) * recording.sample_rate))
    last = round((end_s - recording.audio_start_s) * recording.sample_rate)
    return recording.read_audio(first, max(0, last - first))


def _write_profile(recording: Recording, result: Calibration, output: Path) -> None:
    """Write the recording's profile with the new coordinates, in the array's own frame."""
    from av_perception.config import dump_yaml, read_yaml
    from av_perception.paths import resolve_resource

    profile = read_yaml(resolve_resource(recording.head_name, 'heads'))
    coordinates = _microphones(recording).base_from_array.inverse().apply(result.positions)
    profile['microphones']['coordinates'] = [
        [round(float(value), 5) for value in row] for row in coordinates
    ]
    comment = '# Microphones calibrated by: av-perception calibrate microphones\n'
    try:
        output.write_text(comment + dump_yaml(profile), encoding='utf-8')
    except OSError as error:
        raise UserError(f'cannot write {output}: {error.strerror or error}') from error


def _figures(measurements: Measurements, result: Calibration, start: np.ndarray) -> dict:
    """Collect what is reported; `start`: (M, 3) the profile's positions [m]."""
    import numpy as np

    heard = np.isfinite(measurements.itds)
    ahead = np.array([[r, r * side, 0.0] for r in (1.0, 2.0, 3.0) for side in (-0.5, 0.0, 0.5)])
    itd_sd = max(result.itd_sd(ahead, tuple(pair)).max() for pair in measurements.pairs)
    return {
        'places': int(heard.any(1).sum()),
        'measurements': int(heard.sum()),
        'residual_us': 1e6 * result.residual_rms,
        'inlier_share': result.inlier_share,
        'fits': result.fits,
        'plausible': result.plausible,
        'converged': result.converged,
        'moved_mm': (1e3 * np.linalg.norm(result.positions - start, axis=1)).tolist(),
        'sd_mm': (1e3 * result.position_sd).tolist(),
        'itd_sd_us': float(1e6 * itd_sd),
        'data_share': result.data_share.tolist(),
        'weakest_direction': result.weakest.tolist(),
    }


def _print(figures: dict) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(
        title=f'{figures["places"]} places, {figures["measurements"]} time differences, '
        f'residual {figures["residual_us"]:.1f} us'
    )
    for heading in ('microphone', 'moved', 'sd forward', 'sd left', 'sd up'):
        table.add_column(heading, justify='right')
    for channel, (moved, sd) in enumerate(zip(figures['moved_mm'], figures['sd_mm'])):
        table.add_row(str(channel), f'{moved:.1f} mm', *(f'{value:.1f} mm' for value in sd))
    console = Console()
    console.print(table)
    console.print(
        f'Time differences 1 to 3 m ahead are predicted to {figures["itd_sd_us"]:.1f} us.'
    )
    free = sum(share < 0.5 for share in figures['data_share'])
    if free:
        console.print(
            f'[yellow]Of {len(figures["data_share"])} directions {free} are known more from the '
            'profile than from these measurements '
            f'(the least to {100 * figures["data_share"][0]:.0f} %): '
            'nearer places and places to the sides tell more.'
        )
    if not figures['fits']:
        console.print(
            '[red]The residual is too large, nothing is written: '
            'was the loudspeaker the only sound, and still?'
        )
    if not figures['plausible']:
        console.print(
            '[red]The microphones came out far from where the profile has them, nothing is '
            'written: are the places in the right frame and the channels in order? '
            '(If the profile is only a guess, say so with --position-sd and --distance-sd.)'
        )
