# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Noise, motors and voices as the microphones of a head hear them in a simulated room."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from math import gcd
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import resample_poly

from av_perception.audio.bin_stream import BinStream, direction_likelihood
from av_perception.audio.direction_bins import BinBlock
from av_perception.audio.front_end import AudioFrontEnd, AudioFrontEndConfig
from av_perception.benchmarks.sensors import microphones_of
from av_perception.errors import UserError
from av_perception.geometry.rigid_transform import direction_from_angles
from av_perception.geometry.time import nanoseconds
from av_perception.interfaces import AudioChunk, AudioFeatures
from av_perception.robot_head.profile import HeadProfile
from av_perception.simulation.noise import fan, from_all_around, from_place, servo
from av_perception.simulation.scene import RoomConfig
from av_perception.synchronization.block_queue import BlockQueue

RATE = 16000
STRETCH_S = 30.0  # of each noise
LEVEL = 0.05  # root mean square of a sound
START_NS = 1_000_000_000  # stamp of the first sample
ROOM = RoomConfig(size=(6.0, 5.0, 2.8), t60=0.3, head_position=(2.5, 2.5, 1.2))
DISTANCE_M = (0.8, 2.0)  # of a source from the head
_SERVO_DISTANCE_M = 0.2
_ELEVATION_RAD = 0.05  # of every source
_CHUNK = 640
Motor = Callable[[int, int, np.random.Generator], np.ndarray]  # (samples, rate, random)
_SENSOR_NOISE_DB = -40.0  # of the microphones, relative to LEVEL


@dataclass(frozen=True)
class PlayedNoise:
    """What noise is on, and how it is played."""

    #: name of the recording or the motor
    noise: str
    #: 'one place' or 'all around'
    played: str


def find_recordings(folder: Path) -> list[Path]:
    """List the sound files in a folder and below.

    Parameters
    ----------
    folder
        Where to look.

    Returns
    -------
    list of Path
        WAV, FLAC and Ogg files.

    Raises
    ------
    UserError
        There are none.
    """
    files = sorted(p for p in folder.rglob('*') if p.suffix in ('.wav', '.flac', '.ogg'))
    if not files:
        raise UserError(
            f'no recordings in {folder}: '
            'name the folder of the data with --data or AV_PERCEPTION_DATA'
        )
    return files


def noise_features(
    head: HeadProfile, noises: list[Path], random: np.random.Generator, stretches: Iterable[int]
) -> Iterator[tuple[PlayedNoise, AudioFeatures, list[BinBlock] | None]]:
    """Play one stretch of noise after the other through one pair of ears.

    Parameters
    ----------
    head
        Its microphones listen.
    noises
        Recordings; a fan and servos are added to them.
    random
        Draws places, motors and sensor noise.
    stretches
        Numbers of the stretches of STRETCH_S; each second round is played from all around.

    Yields
    ------
    played : PlayedNoise
        What is on.
    features : AudioFeatures
        What is heard; time starts at START_NS.
    blocks : list of BinBlock or None
        Bins of direction with them.
    """
    listener = Listener(head)
    num_written = 0
    for played, sound in play_stretches(head, noises, random, stretches):
        for features, blocks in listener.hear(sound, num_written, random):
            yield played, features, blocks
        num_written += len(sound)


def play_stretches(
    head: HeadProfile, noises: list[Path], random: np.random.Generator, stretches: Iterable[int]
) -> Iterator[tuple[PlayedNoise, np.ndarray]]:
    """Play one stretch of noise after the other, as `noise_features`; gives (N, channels) each."""
    recorded: list[tuple[str, Path | Motor]] = [(path.stem, path) for path in noises]
    kinds = [*recorded, ('fan', fan), ('servo', servo)]
    for number in stretches:
        name, source = kinds[number % len(kinds)]
        is_servo = source is servo
        is_diffuse = number // len(kinds) % 2 == 1 and not is_servo
        samples = take_samples(source, int(STRETCH_S * RATE), random)
        sound = play_noise(head, samples, is_diffuse, is_servo, random)
        yield PlayedNoise(name, 'all around' if is_diffuse else 'one place'), sound


def take_samples(source: Path | Motor, count: int, random: np.random.Generator) -> np.ndarray:
    """Take samples of a recording, repeated as often as it takes, or of a generated motor.

    Parameters
    ----------
    source
        A sound file, or a function of (count, rate, random).
    count
        How many samples at RATE.
    random
        For the motor.

    Returns
    -------
    np.ndarray
        (count,) of root mean square one.
    """
    if isinstance(source, Path):
        recorded, rate = soundfile.read(source, dtype='float64', always_2d=True)
        common = gcd(rate, RATE)
        mono = resample_poly(recorded.mean(axis=1), RATE // common, rate // common)
        samples = np.resize(mono, count)
    else:
        samples = source(count, RATE, random)
    return samples / max(samples.std(), 1e-9)


def play_noise(
    head: HeadProfile,
    samples: np.ndarray,
    is_diffuse: bool,
    is_servo: bool,
    random: np.random.Generator,
) -> np.ndarray:
    """(N, channels) at LEVEL of (N,) samples, from all around or from a place."""
    if is_diffuse:
        sound = from_all_around(ROOM, _microphones(head), samples, RATE, random)
    else:
        distance_m = _SERVO_DISTANCE_M if is_servo else random.uniform(*DISTANCE_M)
        sound = play_from(head, samples, random.uniform(-np.pi, np.pi), distance_m)
    return sound * (LEVEL / sound.std())


def play_from(
    head: HeadProfile, samples: np.ndarray, azimuth: float, distance_m: float
) -> np.ndarray:
    """Play samples from a place in the room.

    Parameters
    ----------
    head
        Its microphones listen.
    samples
        (N,) at RATE.
    azimuth
        Of the place, in the base frame [rad].
    distance_m
        Of the place from the head [m].

    Returns
    -------
    np.ndarray
        (N, channels).
    """
    direction = direction_from_angles(azimuth, _ELEVATION_RAD)
    place = np.array(ROOM.head_position) + distance_m * direction
    return from_place(ROOM, _microphones(head), samples, place, RATE)


def _microphones(head: HeadProfile) -> np.ndarray:
    """(channels, 3) [m] in the room."""
    array = microphones_of(head)
    return array.base_from_array.apply(array.positions) + np.array(ROOM.head_position)


class Listener:
    """Ears of a head: features of sub-bands and bins of direction, as the tracker gets them.

    Parameters
    ----------
    head
        Its microphones listen.
    """

    def __init__(self, head: HeadProfile):
        array = microphones_of(head)
        self._front_end = AudioFrontEnd(AudioFrontEndConfig(), len(array.coordinates), RATE)
        self._bins = BinStream(direction_likelihood(array), RATE)
        self._blocks = BlockQueue()

    def hear(
        self, sound: np.ndarray, first: int, random: np.random.Generator
    ) -> Iterator[tuple[AudioFeatures, list[BinBlock] | None]]:
        """Add sensor noise and run both front ends.

        Parameters
        ----------
        sound
            (N, channels) at RATE.
        first
            Number of its first sample in the stream.
        random
            Draws the sensor noise.

        Yields
        ------
        features : AudioFeatures
            As they come.
        blocks : list of BinBlock or None
            Those that a frame at their stamp gets.
        """
        sensor_noise = random.normal(0.0, LEVEL * 10 ** (_SENSOR_NOISE_DB / 20), sound.shape)
        noisy = np.clip(sound + sensor_noise, -1, 1).astype(np.float32)
        for start in range(0, len(noisy), _CHUNK):
            stamp_ns = START_NS + nanoseconds((first + start) / RATE)
            chunk = AudioChunk(stamp_ns, RATE, first + start, noisy[start : start + _CHUNK])
            self._blocks.push(self._bins.push(chunk))
            for features in self._front_end.push(chunk):
                yield features, self._blocks.take(features.stamp_ns)
