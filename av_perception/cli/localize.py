# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Directions of the sound sources in a multichannel recording, without ROS.

  av-perception localize talk.wav --head respeaker --max-sources 2
  av-perception localize my_recording --json directions.json --plot directions.png

RECORDING is a WAV or FLAC file with one channel per microphone, in the order of the head profile,
or with all channels of a device, of which the profile names the microphones' (device_channels); or
a recording folder, which names its head. Azimuth counts counter-clockwise (to the left) from
straight ahead, elevation upward, both in degrees and in the head's base frame.

A source's confidence is the share of its sound that comes from its direction as closely as it
should. What is wrong with the sound (a dead or clipped channel, sound that fits no direction, ...)
is printed and, with --json, listed under `problems`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

from av_perception.cli.output import add_sound_arguments, check_picture, check_writable, write_json
from av_perception.errors import UserError
from av_perception.geometry.time import seconds

_AZIMUTHS_DEG = (0, 45, 90, 135, 180, -135, -90, -45)  # around the circle, counter-clockwise


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    add_sound_arguments(parser)
    parser.add_argument(
        '--max-sources',
        type=int,
        default=1,
        metavar='N',
        help='at most so many sources (default 1)',
    )
    parser.add_argument(
        '--map',
        type=Path,
        metavar='FILE',
        help="acoustic map (default: the profile's, else learned from the geometry)",
    )
    parser.add_argument(
        '--json',
        type=Path,
        metavar='FILE',
        help='write sources, directions per 40 ms and problems to this file',
    )
    parser.add_argument(
        '--plot',
        type=Path,
        metavar='FILE',
        help='draw the directions on a circle, seen from above (png, svg, pdf)',
    )


def run(options: argparse.Namespace) -> int:
    """Localize, print a table, write the files that were asked for."""
    if options.max_sources < 1:
        raise UserError(f'--max-sources must be at least 1, not {options.max_sources}')
    check_writable(options.json)
    check_picture(options.plot)
    from av_perception.pipelines.localization import open_sound_and_array

    sound, array = open_sound_and_array(options.recording, options.head)
    try:
        result = localized(sound, array, options.max_sources, options.map)
    except UserError as error:
        if options.json:
            empty = {'sources': [], 'frames': [], 'fit': None, 'problems': [str(error)]}
            write_json(options.json, empty)
        raise
    _print_table(result['sources'])
    for limit in result['limits']:
        print(f'note: {limit}')
    for problem in result['problems']:
        print(f'problem: {problem}', file=sys.stderr)
    if options.json:
        write_json(options.json, result)
    if options.plot:
        _plot(result, options.plot)
    return 0


def localized(sound, array, max_sources: int, map_file: Path | None = None) -> dict:
    """Localize; the result as written to JSON. Raises UserError where there is nothing to hear."""
    from av_perception.audio.hearing_limits import hearing_limits
    from av_perception.pipelines.localization import localize_sound

    found, problems = localize_sound(sound, array, max_sources, map_file)
    result = _result(found, sound.audio_start_s, problems)
    result['limits'] = [] if map_file or array.acoustic_map else hearing_limits(array)
    return result


def _result(found, start_s: float, problems: list[str]) -> dict:
    """Lay out the figures as written to JSON: degrees, in the head's base frame."""

    def angles(entry) -> dict:
        return {
            'azimuth_deg': round(float(np.degrees(entry.azimuth)), 2),
            'elevation_deg': round(float(np.degrees(entry.elevation)), 2),
        }

    sources = [
        {
            **angles(s),
            'confidence': round(s.confidence, 3),
            'share_of_time': round(s.share_of_time, 3),
        }
        for s in found.sources
    ]
    frames = [
        {'time': round(start_s + seconds(f.stamp_ns), 3), **angles(f), 'source': f.source}
        for f in found.frames
    ]
    return {'sources': sources, 'frames': frames, 'fit': round(found.fit, 3), 'problems': problems}


def _print_table(sources: list[dict]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table('source', 'azimuth [deg]', 'elevation [deg]', 'confidence', 'share of time')
    for index, source in enumerate(sources):
        table.add_row(
            str(index),
            f'{source["azimuth_deg"]:.1f}',
            f'{source["elevation_deg"]:.1f}',
            f'{source["confidence"]:.2f}',
            f'{source["share_of_time"]:.0%}',
        )
    Console().print(table)


def draw_directions(result: dict, path: Path) -> None:
    """Draw frames as a histogram, sources as spokes; ahead is up, left is left."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 5.4), layout='constrained')
    axes: Any = figure.add_subplot(projection='polar')  # its stubs lack the polar methods
    axes.set_theta_zero_location('N')
    azimuths = np.radians([frame['azimuth_deg'] for frame in result['frames']])
    counts, edges = np.histogram(azimuths, bins=72, range=(-np.pi, np.pi))
    axes.bar(
        edges[:-1],
        counts / max(1, counts.max()),
        width=np.diff(edges),
        align='edge',
        alpha=0.4,
        label='frames',
    )
    for index, source in enumerate(result['sources']):
        azimuth = np.radians(source['azimuth_deg'])
        label = f'{source["azimuth_deg"]:.0f}°'
        axes.plot([azimuth, azimuth], [0, 1.05], color=f'C{index + 1}', label=label)
    axes.set_yticks([])
    # The angles of the table: to the left counts up to 180, to the right down to -180.
    axes.set_thetagrids(range(0, 360, 45), [f'{angle}°' for angle in _AZIMUTHS_DEG])
    figure.legend(loc='outside lower center', ncols=4, frameon=False)
    figure.savefig(path)


def _plot(result: dict, path: Path) -> None:
    try:
        draw_directions(result, path)
    except (OSError, ValueError) as error:
        reason = getattr(error, 'strerror', None) or error
        raise UserError(f'cannot write {path}: {reason}') from error
