# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
r"""The acoustic map of a head: from direction to what its microphones hear.

For example:
  av-perception calibrate acoustic --head my_head.yaml -o map.npz
      from the geometry, a few seconds
  av-perception calibrate acoustic --head kemar --sofa kemar.sofa -o map.npz
      from measured responses
  av-perception calibrate acoustic --head my_head.yaml \
      --recording noise.wav --directions places.csv -o map.npz
      from a recorded session
  av-perception calibrate acoustic --head kemar --sofa kemar.sofa --for localize -o fine.npz
      for av-perception localize --map fine.npz

For a recorded session play white noise from known places, one after the other, at least a second
each, in a room that is rather dry; the robot stands still. places.csv has the columns
start,end,azimuth_deg,elevation_deg: seconds in the recording, degrees in the head's base frame
(azimuth to the left, elevation upward). Ten to thirty places around the head are enough.

Name the file in the head's profile (microphones: acoustic_map: map.npz) or give it to the tracker
(parameter acoustic_map). It names the geometry and the STFT it was learned for, and another head
refuses it.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from av_perception.cli.output import check_picture, check_writable, write_json
from av_perception.errors import UserError

if TYPE_CHECKING:
    from av_perception.audio.acoustic_map import AcousticMap
    from av_perception.audio.front_end import AudioFrontEndConfig
    from av_perception.audio.map_learning import AcousticMapConfig
    from av_perception.audio.responses import MeasuredTransfer
    from av_perception.robot_head import MicrophoneArray

_CHECKED = 200  # directions of the self-check


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the calibration."""
    parser.add_argument(
        '--head',
        required=True,
        help='head profile: a name of config/heads or the path of a YAML file',
    )
    parser.add_argument('-o', '--output', type=Path, required=True, help='file to write (.npz)')
    _add_source_arguments(parser)
    _add_map_arguments(parser)
    parser.add_argument(
        '--plot',
        type=Path,
        metavar='FILE',
        help='draw what the map learned and how well it points home (png, svg, pdf)',
    )
    parser.add_argument(
        '--json', type=Path, metavar='FILE', help='write what was learned to this file'
    )


def _add_source_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what is learned from."""
    parser.add_argument(
        '--model',
        choices=('free-field', 'rigid-sphere'),
        default='',
        help='default: what the profile says',
    )
    parser.add_argument(
        '--sofa',
        type=Path,
        metavar='FILE',
        help='measured responses, receivers in the order of the channels',
    )
    parser.add_argument(
        '--sofa-azimuth',
        choices=('auto', 'left', 'right'),
        default='auto',
        help="which way the file's azimuth grows; SOFA says left, some files have right "
        '(default: what fits the geometry)',
    )
    parser.add_argument(
        '--recording',
        type=Path,
        metavar='FILE',
        help='multichannel WAV or FLAC of white noise at known places',
    )
    parser.add_argument(
        '--directions',
        type=Path,
        metavar='CSV',
        help='where the noise was when: start,end,azimuth_deg,elevation_deg',
    )


def _add_map_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the map is like."""
    parser.add_argument(
        '--azimuths',
        type=float,
        nargs=2,
        metavar=('FROM', 'TO'),
        help='range that the map covers [deg] (default: all around, '
        'with two microphones the front)',
    )
    parser.add_argument(
        '--elevations',
        type=float,
        nargs=2,
        metavar=('FROM', 'TO'),
        help='the same for elevations (default -30 60, -15 15)',
    )
    parser.add_argument(
        '--pieces', type=int, help='affine pieces (default 32, with --for localize 64)'
    )
    parser.add_argument(
        '--for',
        dest='purpose',
        choices=('tracker', 'localize'),
        default='tracker',
        help='whose analysis: sub-bands for the nodes (default), or single bins for '
        'av-perception localize --map',
    )


def run(options: argparse.Namespace) -> int:
    """Learn, check on the directions learned from, save."""
    from av_perception.audio.map_learning import learn_map
    from av_perception.robot_head import load_head

    check_writable(options.json)
    check_writable(options.output)
    check_picture(options.plot)
    array = load_head(options.head).microphones
    if array is None:
        raise UserError(f"head '{options.head}' has no microphones: nothing to learn")
    config, front_end = _config(options, array)
    started = time.monotonic()
    directions, features, kind, source = _examples(options, array, config, front_end)
    acoustic_map = learn_map(array, directions, features, config, front_end, kind, source)
    acoustic_map.save(options.output)
    true, found = _self_check(acoustic_map, array, directions, features)
    error = np.abs((found - true + 180) % 360 - 180)
    figures = {
        'kind': kind,
        'source': source,
        'num_microphones': acoustic_map.num_microphones,
        'num_subbands': acoustic_map.num_subbands,
        'num_pieces': acoustic_map.num_pieces,
        'geometry_hash': acoustic_map.geometry_hash,
        'num_directions': len(directions),
        'median_azimuth_error_deg': float(np.median(error)),
        'worst_azimuth_error_deg': float(error.max()),
        'seconds': time.monotonic() - started,
    }
    print(f'{_in_words(figures)}; wrote {options.output}')
    if options.json:
        write_json(options.json, figures)
    if options.plot:
        from av_perception.visualization.acoustic_picture import draw_map

        draw_map(acoustic_map, array, front_end.stft.frequencies, (true, found), options.plot)
    return 0


def _in_words(figures: dict) -> str:
    words = []
    for name, value in figures.items():
        words.append(f'{name}: {value:.1f}' if isinstance(value, float) else f'{name}: {value}')
    return ', '.join(words)


def _config(
    options: argparse.Namespace, array: MicrophoneArray
) -> tuple[AcousticMapConfig, AudioFrontEndConfig]:
    """Choose what is learned, and for which analysis."""
    from av_perception.audio.front_end import AudioFrontEndConfig
    from av_perception.audio.localization import ANALYSIS, map_config
    from av_perception.audio.training_examples import AcousticMapConfig

    default = AcousticMapConfig()
    front_end = AudioFrontEndConfig()
    if options.purpose == 'localize':
        default = map_config(array)
        front_end = ANALYSIS
    chosen = {
        'num_pieces': options.pieces,
        'azimuth_range_deg': options.azimuths and tuple(options.azimuths),
        'elevation_range_deg': options.elevations and tuple(options.elevations),
    }
    changes = {name: value for name, value in chosen.items() if value is not None}
    try:
        return replace(default, **changes), front_end
    except ValueError as error:
        raise UserError(str(error)) from error


def _examples(
    options: argparse.Namespace,
    array: MicrophoneArray,
    config: AcousticMapConfig,
    front_end: AudioFrontEndConfig,
) -> tuple[np.ndarray, np.ndarray, str, str]:
    """Make directions, features, kind and source of the chosen way."""
    from av_perception.audio.propagation import geometric_model
    from av_perception.audio.training_examples import geometric_examples, measured_examples

    ways = [options.sofa is not None, options.recording is not None, bool(options.model)]
    if sum(ways) > 1:
        raise UserError('choose one of --model, --sofa and --recording')
    if (options.recording is None) != (options.directions is None):
        raise UserError('--recording and --directions belong together')
    if options.sofa:
        measured = _sofa(options, array, front_end)
        directions, features = measured_examples(array, measured, config, front_end)
        return directions, features, 'sofa', options.sofa.name
    if options.recording:
        measured = _session(options, array, front_end)
        directions, features = measured_examples(array, measured, config, front_end)
        return directions, features, 'recording', options.recording.name
    try:
        directions, features = geometric_examples(array, config, front_end, options.model)
        return directions, features, options.model or geometric_model(array), options.head
    except ValueError as error:
        raise UserError(f'{options.head}: {error}') from error


def _sofa(
    options: argparse.Namespace, array: MicrophoneArray, front_end: AudioFrontEndConfig
) -> MeasuredTransfer:
    """Read measured responses, mirrored where their azimuth grows to the right."""
    from av_perception.audio.responses import aligned
    from av_perception.audio.sofa import read_sofa

    measured = read_sofa(options.sofa, array, front_end.stft.frequencies)
    if options.sofa_azimuth != 'auto':
        return measured.mirrored(array) if options.sofa_azimuth == 'right' else measured
    measured, mirrored = aligned(measured, array, front_end.stft.frequencies)
    if mirrored:
        print(
            f'{options.sofa.name}: azimuth grows to the right, or the receivers are swapped; '
            'taken as to the right'
        )
    return measured


def _session(
    options: argparse.Namespace, array: MicrophoneArray, front_end: AudioFrontEndConfig
) -> MeasuredTransfer:
    """Measure the responses of a recorded session, with a progress bar."""
    from rich.progress import Progress

    from av_perception.audio.capture import AudioFile
    from av_perception.audio.responses import measure_session, read_schedule

    sound = AudioFile(str(options.recording), array)
    with Progress(transient=True) as bar:
        task = bar.add_task('listening', total=1.0)
        return measure_session(
            read_schedule(options.directions),
            array,
            front_end,
            sound.read_audio,
            sound.num_samples,
            sound.sample_rate,
            lambda fraction: bar.update(task, completed=fraction),
        )


def _self_check(
    acoustic_map: AcousticMap,
    array: MicrophoneArray,
    directions: np.ndarray,
    features: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Compare true azimuths with those that the map gives back for what it was taught with.

    Both are [deg] in the base frame.
    """
    from av_perception.audio.inverse_regression import posterior_tables, posteriors
    from av_perception.geometry.rigid_transform import angles_from_direction

    chosen = np.linspace(0, len(directions) - 1, min(_CHECKED, len(directions))).astype(int)
    heard = np.isfinite(features[chosen]).astype(float)
    values = np.nan_to_num(features[chosen])
    tables = posterior_tables(acoustic_map)
    mixtures = posteriors(acoustic_map, tables, heard, values, values**2)
    located = np.array([mixture.direction() for mixture in mixtures])
    true, estimated = (
        np.degrees(angles_from_direction(array.base_from_array.rotate(d))[0])
        for d in (directions[chosen], located)
    )
    return true, estimated
