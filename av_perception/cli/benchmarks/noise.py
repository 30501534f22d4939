# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""An hour of recorded noise and motors must give no person, and voices in it must.

The recordings of a folder, a generated fan and generated servos follow each other in a simulated room, half a minute each, now from one
place, now from all around; servos sit a hand's breadth from the microphones. The sound goes through the audio front end into a tracker
without camera.
Every person it finds is false. Three trackers hear the same features: with the voice activity as detected, which must find nobody; with
false alarms on top of it, bursts of 0.6 s on average that fill a fifth of the time; and with the false alarms but without the learnt noise
model. A burst in the first second of a new sound cannot be told from a voice.
Then real voices speak at random places, in quiet and 10 dB above such a noise that has been on for a while: how much speech until the person
is found, and how far off in azimuth.

For example:
  av-perception benchmark noise --minutes 60 --json noise.json
  av-perception benchmark noise --data ../shared/data --minutes 5
"""

from __future__ import annotations

import argparse
import dataclasses
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from math import gcd
from pathlib import Path

import numpy as np
import soundfile
from rich.progress import track
from rich.table import Table
from scipy.signal import resample_poly

from av_perception.audio.front_end import AudioFrontEnd, AudioFrontEndConfig
from av_perception.audio.map_learning import AcousticMapConfig, head_map
from av_perception.cli.output import check_writable, wide_console, write_json
from av_perception.errors import UserError
from av_perception.geometry.rigid_transform import direction_from_angles, wrap_angle
from av_perception.interfaces import AudioChunk, AudioFeatures, TrackFrame
from av_perception.robot_head.profile import HeadProfile, load_head
from av_perception.simulation.noise import fan, from_all_around, from_place, servo
from av_perception.simulation.scene import RoomConfig
from av_perception.tracking.association.noise_model import NoiseConfig
from av_perception.tracking.tracker import Tracker, TrackerConfig

RATE, STRETCH_S, CHUNK, LEVEL = 16000, 30.0, 640, 0.05
ALARM_DUTY, ALARM_S = 0.2, 0.6  # share of the time and mean length of false alarms
VOICE_S, LEAD_S, VOICE_SNR_DB = 6.0, 12.0, 10.0
ROOM = RoomConfig(size=(6.0, 5.0, 2.8), t60=0.3, head_position=(2.5, 2.5, 1.2))
SENSOR_NOISE_DB = -40.0


@dataclass(frozen=True)
class Birth:
    """A person who is none: second, the noise that was on and how it was played."""

    second: float
    noise: str
    played: str


@dataclass(frozen=True)
class VoiceResult:
    """speech_s: speech heard until the person was found, None: never; azimuth_error_deg: mean while heard; people: how many were found."""

    voice: str
    noise: str
    speech_s: float | None
    azimuth_error_deg: float | None
    people: int


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Command line of the benchmark."""
    parser.add_argument(
        '--minutes', type=float, default=60.0, help='of noise (default: %(default)s)'
    )
    parser.add_argument(
        '--voices',
        type=int,
        default=12,
        help='how many voices, each in quiet and in noise (default: %(default)s)',
    )
    parser.add_argument(
        '--data',
        type=Path,
        default=Path(os.environ.get('AV_PERCEPTION_DATA', '../shared/data')),
        metavar='FOLDER',
        help='folder with the sub-folders noise and speech (default: $AV_PERCEPTION_DATA, else ../shared/data)',
    )
    parser.add_argument(
        '--head', default='simulated', help='head profile with microphones (default: %(default)s)'
    )
    parser.add_argument(
        '--seed',
        type=int,
        default=0,
        help='of places, motors and false alarms (default: %(default)s)',
    )
    parser.add_argument('--json', metavar='FILE', help='write the figures to FILE')


def run(args: argparse.Namespace) -> int:
    """Measures, prints the tables, writes the file; 1 when noise gave a person."""
    check_writable(args.json)
    head, console = load_head(args.head), wide_console()
    if not head.can_hear_directions:
        raise UserError(f"head '{args.head}' has no microphone array: name another one")
    noises, voices = _sounds(args.data / 'noise'), _sounds(args.data / 'speech')
    count = max(1, round(args.minutes * 60 / STRETCH_S))
    births, alarms = noise_births(
        head, noises, args.seed, track(range(count), 'noise', console=console, transient=True)
    )
    chosen = [
        voices[i * len(voices) // max(1, args.voices) % len(voices)] for i in range(args.voices)
    ]
    results = [
        find_voice(head, voice, noise, args.seed + i)
        for i, voice in enumerate(track(chosen, 'voices', console=console, transient=True))
        for noise in (None, noises[i % len(noises)])
    ]
    console.print(_noise_table(births, count, alarms), _voice_table(results))
    if args.json:
        write_json(
            args.json,
            {
                'minutes': count * STRETCH_S / 60,
                'voice_active_share': alarms,
                'false_people': {
                    name: [asdict(b) for b in found] for name, found in births.items()
                },
                'voices': [asdict(r) for r in results],
            },
        )
    return 1 if births['as detected'] else 0


def _sounds(folder: Path) -> list[Path]:
    files = sorted(p for p in folder.rglob('*') if p.suffix in ('.wav', '.flac', '.ogg'))
    if not files:
        raise UserError(
            f'no recordings in {folder}: name the folder of the data with --data or AV_PERCEPTION_DATA'
        )
    return files


def noise_births(
    head: HeadProfile, noises: list[Path], seed: int, stretches: Iterable[int]
) -> tuple[dict[str, list[Birth]], float]:
    """False people by condition, and the share of the frames with (detected) voice activity. stretches: numbers of the half minutes."""
    acoustic_map = _map(head)
    deaf = dataclasses.replace(TrackerConfig(), noise=NoiseConfig(sources=0))
    trackers = {
        'as detected': Tracker(TrackerConfig(), head, acoustic_map),
        'with false alarms': Tracker(TrackerConfig(), head, acoustic_map),
        'with false alarms, no noise model': Tracker(deaf, head, acoustic_map),
    }
    births, known, voiced, frames = (
        {name: [] for name in trackers},
        {name: set() for name in trackers},
        0,
        0,
    )
    random, alarm = np.random.default_rng(seed), _false_alarms(np.random.default_rng(seed + 1))
    for (noise, played), features in _noise_features(head, noises, random, stretches):
        alarmed = dataclasses.replace(
            features, voice_activity=max(features.voice_activity, next(alarm))
        )
        frames, voiced = (
            frames + 1,
            voiced + (features.voice_activity >= TrackerConfig().audio.vad_threshold),
        )
        for name, tracker in trackers.items():
            frame = tracker.step(
                features.stamp_ns, None, features if name == 'as detected' else alarmed
            )
            for new in {t.id for t in frame.tracks} - known[name]:
                known[name].add(new)
                births[name].append(Birth(features.stamp_ns * 1e-9, noise, played))
    return births, voiced / max(frames, 1)


def _false_alarms(random: np.random.Generator) -> Iterator[float]:
    """Voice activity of a detector that is wrong in bursts, one value per 40 ms."""
    stop = 0.04 / ALARM_S
    start, on = stop * ALARM_DUTY / (1 - ALARM_DUTY), False
    while True:
        on = random.random() > stop if on else random.random() < start
        yield 0.9 if on else 0.0


def _noise_features(
    head: HeadProfile, noises: list[Path], random: np.random.Generator, stretches: Iterable[int]
) -> Iterator[tuple[tuple[str, str], AudioFeatures]]:
    """((noise, how it is played), features) of one stretch after the other, through one front end; time starts at 1 s."""
    front_end, written = (
        AudioFrontEnd(AudioFrontEndConfig(), len(head.microphones.coordinates), RATE),
        0,
    )
    kinds = [*noises, fan, servo]
    for number in stretches:
        source = kinds[number % len(kinds)]
        diffuse = number // len(kinds) % 2 == 1 and source is not servo
        sound = _play(
            head, _take(source, int(STRETCH_S * RATE), random), diffuse, source is servo, random
        )
        label = (
            getattr(source, 'stem', getattr(source, '__name__', '')),
            'all around' if diffuse else 'one place',
        )
        for features in _features(front_end, sound, written, random):
            yield label, features
        written += len(sound)


def _take(source, count: int, random: np.random.Generator) -> np.ndarray:
    """(count,) samples of a recording, repeated as often as it takes, or of a generated motor; root mean square one."""
    if callable(source):
        samples = source(count, RATE, random)
    else:
        samples, rate = soundfile.read(source, dtype='float64', always_2d=True)
        common = gcd(rate, RATE)
        samples = np.resize(
            resample_poly(samples.mean(axis=1), RATE // common, rate // common), count
        )
    return samples / max(samples.std(), 1e-9)


def _play(
    head: HeadProfile,
    samples: np.ndarray,
    diffuse: bool,
    at_hand: bool,
    random: np.random.Generator,
) -> np.ndarray:
    """(N, channels) at LEVEL."""
    microphones = _microphones(head)
    if diffuse:
        sound = from_all_around(ROOM, microphones, samples, RATE, random)
    else:
        distance = 0.2 if at_hand else random.uniform(0.8, 2.0)
        sound = from_place(
            ROOM, microphones, samples, _place(random.uniform(-np.pi, np.pi), distance), RATE
        )
    return sound * (LEVEL / sound.std())


def _microphones(head: HeadProfile) -> np.ndarray:
    return head.microphones.base_from_array.apply(head.microphones.positions) + np.array(
        ROOM.head_position
    )


def _place(azimuth: float, distance_m: float) -> np.ndarray:
    return np.array(ROOM.head_position) + distance_m * direction_from_angles(azimuth, 0.05)


def _features(
    front_end: AudioFrontEnd, sound: np.ndarray, first: int, random: np.random.Generator
) -> Iterator[AudioFeatures]:
    noisy = np.clip(
        sound + random.normal(0.0, LEVEL * 10 ** (SENSOR_NOISE_DB / 20), sound.shape), -1, 1
    ).astype(np.float32)
    for start in range(0, len(noisy), CHUNK):
        stamp_ns = 1_000_000_000 + round((first + start) * 1e9 / RATE)
        yield from front_end.push(
            AudioChunk(stamp_ns, RATE, first + start, noisy[start : start + CHUNK])
        )


def find_voice(head: HeadProfile, voice: Path, noise: Path | None, seed: int) -> VoiceResult:
    """One voice somewhere in the room, after LEAD_S of silence or noise."""
    random = np.random.default_rng(seed)
    azimuth = random.uniform(-np.pi, np.pi)
    speech = np.concatenate(
        [np.zeros(int(LEAD_S * RATE)), _take(voice, int(VOICE_S * RATE), random)]
    )
    sound = from_place(
        ROOM, _microphones(head), speech, _place(azimuth, random.uniform(0.8, 2.0)), RATE
    )
    sound *= LEVEL / sound[int(LEAD_S * RATE) :].std()
    if noise is not None:
        away = azimuth + random.choice([-1, 1]) * random.uniform(np.radians(40), np.pi)
        hum = from_place(
            ROOM,
            _microphones(head),
            _take(noise, len(speech), random),
            _place(away, random.uniform(0.8, 2.0)),
            RATE,
        )
        sound += hum * (LEVEL / hum.std() * 10 ** (-VOICE_SNR_DB / 20))
    front_end = AudioFrontEnd(AudioFrontEndConfig(), sound.shape[1], RATE)
    tracker = Tracker(TrackerConfig(), head, _map(head))
    heard = [
        (features, tracker.step(features.stamp_ns, None, features))
        for features in _features(front_end, sound, 0, random)
    ]
    return _judge(heard, azimuth, voice.stem, noise.stem if noise else 'quiet')


def _judge(
    heard: list[tuple[AudioFeatures, TrackFrame]], azimuth: float, voice: str, noise: str
) -> VoiceResult:
    began = 1_000_000_000 + int(LEAD_S * 1e9)
    speech_s, found = 0.0, False
    errors, ids = [], set()
    for features, frame in heard:
        mine = [t for t in frame.tracks if t.heard]
        error = [
            abs(np.degrees(wrap_angle(np.arctan2(t.mean[1], t.mean[0]) - azimuth))) for t in mine
        ]
        ids |= {t.id for t in frame.tracks}
        errors += error
        found = found or bool(error and min(error) <= 10.0)
        if (
            not found
            and features.stamp_ns >= began
            and features.voice_activity >= TrackerConfig().audio.vad_threshold
        ):
            speech_s += AudioFrontEndConfig().block_s
    return VoiceResult(
        voice,
        noise,
        speech_s if found else None,
        float(np.mean(errors)) if errors else None,
        len(ids),
    )


def _map(head: HeadProfile):
    return head_map(head.microphones, AcousticMapConfig(), AudioFrontEndConfig())


def _noise_table(births: dict[str, list[Birth]], stretches: int, voiced: float) -> Table:
    table = Table(
        title=f'{stretches * STRETCH_S / 60:.1f} minutes of noise; the detector hears voice in {100 * voiced:.2f} % of it'
    )
    for heading in ('voice activity', 'people found', 'to reach', 'in'):
        table.add_column(heading)
    for name, found in births.items():
        table.add_row(
            name,
            str(len(found)),
            '0' if name == 'as detected' else '',
            ', '.join(sorted({f'{b.noise} ({b.played})' for b in found})),
        )
    return table


def _voice_table(results: list[VoiceResult]) -> Table:
    table = Table(title='voices that are only heard')
    for heading in (
        '',
        'found',
        'speech until found: median',
        'largest',
        'azimuth error: mean',
        'largest',
        'people found: mean',
    ):
        table.add_column(heading, justify='left' if not heading else 'right')
    for name, group in (
        ('in quiet', [r for r in results if r.noise == 'quiet']),
        ('in noise', [r for r in results if r.noise != 'quiet']),
    ):
        found = [r for r in group if r.speech_s is not None]
        if found:
            delays, errors = [r.speech_s for r in found], [r.azimuth_error_deg for r in found]
            table.add_row(
                name,
                f'{len(found)} of {len(group)}',
                f'{np.median(delays):.2f} s',
                f'{max(delays):.2f} s',
                f'{np.mean(errors):.1f}°',
                f'{max(errors):.1f}°',
                f'{np.mean([r.people for r in group]):.2f}',
            )
    return table
