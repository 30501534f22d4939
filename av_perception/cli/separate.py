# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A voice per person out of a multichannel recording, without ROS.

  av-perception separate talk.wav --head respeaker --people 2 -o voices
  av-perception separate talk.wav --head respeaker --directions 40 -75 -o voices --plot voices.png
  av-perception separate my_recording --tracks tracks.csv --method vemove -o voices

  av-perception separate recordings --tracks tracks.csv --jobs 4 -o voices    all in a folder

RECORDING is what `localize` takes. Where people are is found from the sound (--people: how many
at most), or said as azimuths in degrees (counter-clockwise from straight ahead, in the
head's base frame) for people who stay, or read from a table that `track` wrote. FOLDER gets
person_<id>.flac: what each person gives the first microphone, 16 kHz, as long as the recording.
Of several recordings, --tracks is a name in the folder of each, and FOLDER/<its name> gets its
voices.

  masks   those of the live streams: fast, follows people
  wiener  a filter of all microphones by these masks: sounds less gated
  vemove  filters that move and spectra of each voice, fitted to the whole: slow, refines the masks
  av-vae  one channel and what mouths show, for people whom the microphones cannot tell apart:

  av-perception separate talk.wav --method av-vae --visual seen.npz --visual-prior lips.npz -o out
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from av_perception.cli.faces import BY_FACES, add_face_arguments, check_faces, separate_by_faces
from av_perception.cli.localize import localized
from av_perception.cli.many import (
    Columns,
    Job,
    add_many_arguments,
    check_folder_of_several,
    name_within,
    run_many,
    run_one_or_many,
)
from av_perception.cli.output import add_sound_arguments, check_picture, check_writable, write_json
from av_perception.errors import UserError
from av_perception.recording.collection import Found, find_recordings, input_files, own_folder

MAX_PEOPLE = 8
_COLUMNS: Columns = {
    'people': lambda figures: ' '.join(str(entry['id']) for entry in figures['people']),
    'method': lambda figures: figures['method'],
}


@dataclass(frozen=True)
class _People:
    """ids: (J,); directions: (T, J, 3) in the array frame every 40 ms, NaN while unknown.

    azimuths_deg: (J,) of the middle of each person's time, in the head's base frame; None where
    nobody asked for it.
    """

    ids: list[int]
    directions: np.ndarray
    azimuths_deg: Sequence[float | None]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    add_sound_arguments(parser, several=True)
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        '--people', type=int, metavar='N', help='look for at most N people (default 4)'
    )
    where.add_argument(
        '--directions', type=float, nargs='+', metavar='DEG', help='azimuths of the people'
    )
    where.add_argument('--tracks', type=Path, metavar='FILE', help='tracks.csv of this recording')
    parser.add_argument(
        '--method',
        choices=('masks', 'wiener', 'vemove', BY_FACES),
        default='masks',
        help='(default masks)',
    )
    add_face_arguments(parser)
    parser.add_argument(
        '--iterations', type=int, default=10, metavar='N', help='of vemove (default 10)'
    )
    parser.add_argument(
        '-o', '--output', type=Path, required=True, metavar='FOLDER', help='for the voices'
    )
    parser.add_argument('--json', type=Path, metavar='FILE', help='write who is where to FILE')
    parser.add_argument(
        '--plot', type=Path, metavar='FILE', help='draw the spectrograms (png, svg, pdf)'
    )
    add_many_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Separate one recording or several."""
    return run_one_or_many(options, find_recordings(options.recordings), _run_one, _run_many)


def _run_many(found: list[Found], options: argparse.Namespace) -> int:
    """Separate each in a process of its own."""
    if options.method == BY_FACES:
        raise UserError(f'--method {BY_FACES} is for one recording: --visual is of its people')
    check_writable(options.json)
    check_folder_of_several(options.output)
    _check_numbers(options)
    tracks = name_within('--tracks', options.tracks)
    plot = name_within('--plot', options.plot)
    jobs = []
    for one in found:
        own = {
            'recordings': [one.path],
            'output': options.output / one.name,
            'tracks': tracks and own_folder(one.path) / tracks,
            'plot': plot and options.output / one.name / plot,
            'resume': False,
        }
        inputs = [*input_files(one.path), *filter(None, [own['tracks']])]
        single = argparse.Namespace(**{**vars(options), **own})
        jobs.append(Job(one.name, single, inputs, options.output / one.name))
    return run_many(jobs, options, _COLUMNS)


def _run_one(options: argparse.Namespace) -> int:
    """Separate, write the voices, say what came out."""
    _check(options)
    if options.method == BY_FACES:
        return _run_by_faces(options)
    from av_perception.pipelines.localization import open_sound_and_array

    sound, array = open_sound_and_array(options.recording, options.head)
    samples = _at_16_khz(sound)
    people = _people(sound, array, len(samples), options)
    started = time.process_time()
    voices = _separate(samples, array, people, options)
    spent_s = time.process_time() - started
    result = _write(voices, people, options)
    result['cpu_s'] = round(spent_s, 2)
    if options.json:
        write_json(options.json, result)
    if options.plot:
        from av_perception.visualization.separation_picture import draw_voices

        names = [f'person {i}' for i in people.ids]
        draw_voices(samples[:, 0], voices, names, options.plot)
    _print_table(result)
    return 0


def _run_by_faces(options: argparse.Namespace) -> int:
    """Separate one channel by what mouths show."""
    started = time.process_time()
    ids, samples, voices = separate_by_faces(options)
    people = _People(ids, np.zeros((0, len(ids), 3)), [None] * len(ids))
    result = _write(voices, people, options)
    result['cpu_s'] = round(time.process_time() - started, 2)
    if options.json:
        write_json(options.json, result)
    if options.plot:
        from av_perception.visualization.separation_picture import draw_voices

        draw_voices(samples, voices, [f'person {i}' for i in ids], options.plot)
    _print_table(result)
    return 0


def _check(options: argparse.Namespace) -> None:
    check_faces(options)
    check_writable(options.json, made_folder=options.output)
    check_picture(options.plot, made_folder=options.output)
    _check_folder(options.output)
    _check_numbers(options)


def _check_numbers(options: argparse.Namespace) -> None:
    if options.people is not None and not 1 <= options.people <= MAX_PEOPLE:
        raise UserError(f'--people must lie in 1..{MAX_PEOPLE}, not {options.people}')
    if options.directions is not None:
        if len(options.directions) > MAX_PEOPLE:
            raise UserError(f'--directions takes at most {MAX_PEOPLE} people')
        if not np.isfinite(options.directions).all():
            raise UserError('--directions must be numbers: azimuths in degrees')
    if not 1 <= options.iterations <= 500:
        raise UserError(f'--iterations must lie in 1..500, not {options.iterations}')


def _check_folder(folder: Path) -> None:
    """Check that a folder is there or can be made; touch nothing."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f'cannot write to {folder}: it is a file, name a folder')
    nearest = next(path for path in folder.absolute().parents if path.exists())
    if not nearest.is_dir():
        raise UserError(f'cannot write to {folder}: {nearest.name} is a file, name a folder')


def _at_16_khz(sound) -> np.ndarray:
    """(N, I) of the whole recording."""
    from av_perception.separation.offline import RATE

    samples = sound.read_audio(0, sound.num_samples)
    if sound.sample_rate == RATE:
        return samples
    import soxr

    return soxr.resample(samples, sound.sample_rate, RATE)


def _people(sound, array, num_samples: int, options: argparse.Namespace) -> _People:
    from av_perception.geometry.rigid_transform import direction_from_angles
    from av_perception.separation.offline import DIRECTION_STEP_S, RATE

    times = sound.audio_start_s + DIRECTION_STEP_S * np.arange(
        1 + int(num_samples / RATE / DIRECTION_STEP_S)
    )
    if options.tracks is not None:
        return _tracked(options.tracks, array, times)
    if options.directions is not None:
        azimuths = np.radians(options.directions)
        elevations = np.zeros_like(azimuths)
    else:
        sources = localized(sound, array, options.people or 4)['sources']
        if not sources:
            raise UserError('nobody is heard clearly enough: say where people are (--directions)')
        azimuths = np.radians([source['azimuth_deg'] for source in sources])
        elevations = np.radians([source['elevation_deg'] for source in sources])
    towards = array.base_from_array.inverse().rotate(direction_from_angles(azimuths, elevations))
    return _placed(list(range(len(towards))), np.tile(towards, (len(times), 1, 1)), array)


def _placed(ids: list[int], directions: np.ndarray, array) -> _People:
    from av_perception.geometry.rigid_transform import angles_from_direction

    azimuths = []
    for column in range(len(ids)):
        known = directions[np.isfinite(directions[:, column]).all(axis=1), column]
        middle = array.base_from_array.rotate(known[len(known) // 2]) if len(known) else np.ones(3)
        azimuth = float(np.degrees(angles_from_direction(middle)[0]))
        azimuths.append(round(azimuth, 1) if len(known) else float('nan'))
    return _People(ids, directions, azimuths)


def _tracked(path: Path, array, times: np.ndarray) -> _People:
    """People of a table of tracks: between their first and last row, interpolated."""
    from av_perception.recording.tables import TrackTable

    table = TrackTable.read(path)
    ids = sorted({int(i) for i in table.id})
    directions = []
    for person in ids:
        own = table.id == person
        stamps = table.time_s[own]
        places = array.base_from_array.inverse().apply(table.position[own])
        order = np.argsort(stamps)
        stamps, places = stamps[order], places[order]
        at = np.stack([np.interp(times, stamps, column) for column in places.T], axis=1)
        length = np.linalg.norm(at, axis=1, keepdims=True)
        at = np.where(length > 1e-6, at / np.maximum(length, 1e-6), np.nan)
        at[(times < stamps[0] - 0.2) | (times > stamps[-1] + 0.2)] = np.nan
        directions.append(at)
    if not ids or not np.isfinite(directions).any():
        raise UserError(f'{path} has nobody at the time of the sound: is it of this recording?')
    return _placed(ids, np.stack(directions, axis=1), array)


def _separate(samples, array, people: _People, options: argparse.Namespace) -> np.ndarray:
    """(N, J) by the method that was asked for, with a progress bar."""
    from rich.progress import Progress

    from av_perception.separation.first_guess import GuessConfig
    from av_perception.separation.offline import (
        in_pieces,
        mask_streams,
        vemove_streams,
        wiener_streams,
    )
    from av_perception.separation.vemove import VemoveConfig

    with Progress(transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task('masks', total=1.0)

        def show(fraction: float) -> None:
            bar.update(task, completed=fraction)

        voices = mask_streams(samples, array, people.directions, progress=show)
        bar.update(task, description=options.method, completed=0.0)
        if options.method == 'wiener':
            voices = in_pieces(wiener_streams, samples, voices, progress=show)
        if options.method == 'vemove':
            config = VemoveConfig(iterations=options.iterations, guess=GuessConfig(powers='tied'))
            voices = vemove_streams(samples, voices, config, progress=show)
    return voices


def _write(voices: np.ndarray, people: _People, options: argparse.Namespace) -> dict:
    """Write a file per person; the result as written to JSON."""
    from av_perception.separation.offline import RATE

    peak = float(np.abs(voices).max(initial=0.0))
    gain = 1.0 if peak <= 1 else 1 / peak  # FLAC cannot hold more than full scale
    total = float(np.sum(voices**2)) or 1.0
    entries = []
    try:
        options.output.mkdir(parents=True, exist_ok=True)
        for column, person in enumerate(people.ids):
            file = options.output / f'person_{person}.flac'
            soundfile.write(file, gain * voices[:, column], RATE)
            share = float(np.sum(voices[:, column] ** 2)) / total
            entry = {'id': person, 'azimuth_deg': people.azimuths_deg[column]}
            entries.append({**entry, 'file': str(file), 'share': round(share, 3)})
    except (OSError, RuntimeError) as error:
        reason = getattr(error, 'strerror', None) or error
        raise UserError(f'cannot write to {options.output}: {reason}') from error
    return {'method': options.method, 'gain': gain, 'people': entries}


def _print_table(result: dict) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table('person', 'azimuth [deg]', 'share of the sound', 'file')
    for entry in result['people']:
        known = entry['azimuth_deg']
        azimuth = '' if known is None else f'{known:.0f}'
        table.add_row(str(entry['id']), azimuth, f'{entry["share"]:.0%}', entry['file'])
    Console().print(table)
