# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Sound with known directions, to compare localization methods on.

It comes from simulated rooms, measured binaural responses and real recordings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np
import soundfile
from scipy.signal import fftconvolve

from av_perception.audio.acoustic_map import AcousticMap
from av_perception.audio.localization import ANALYSIS, map_config
from av_perception.audio.map_learning import learn_map
from av_perception.audio.responses import aligned
from av_perception.audio.sofa import read_sofa
from av_perception.audio.training_examples import measured_examples
from av_perception.benchmarks.sensors import microphones_of
from av_perception.geometry.rigid_transform import direction_from_angles
from av_perception.robot_head import HeadProfile, MicrophoneArray, load_head
from av_perception.simulation.assets import VOICES, asset_path, ensure_assets, resample

if TYPE_CHECKING:
    import pyroomacoustics

RATE = 16000
ROOM_M = (6.5, 5.5, 2.9)
SEPARATION_DEG = 30.0  # least distance in azimuth between two talkers of a simulated room
_WALL_M = 1.3  # least distance between the array and a wall
_HEIGHT_M = 1.2  # of the array over the floor
_DISTANCE_M = (1.0, 2.2)  # of a talker from the array
_RISE_M = (-0.1, 0.5)  # of a talker's mouth over the array
_MARGIN_M = 0.3  # least distance between a talker and a wall
_EARS_SNR_DB = 40.0  # of sound through the measured responses of ears
# Condition, responses that the map is learned from, responses that the sound comes through.
_DUMMY_HEADS = (
    (
        'two ears of a KEMAR, no room',
        'MIT_KEMAR_normal_pinna.sofa',
        'MIT_KEMAR_normal_pinna.sofa',
    ),
    (
        'two ears of a dummy head, measured room',
        'UniS_Anechoic_BRIR_16k.sofa',
        'UniS_Room_A_BRIR_16k.sofa',
    ),
)


@dataclass(frozen=True)
class Trial:
    """One piece of sound with known directions."""

    #: row of the table it belongs to
    condition: str
    #: head that heard it
    head: HeadProfile
    #: (samples, channels) at RATE
    sound: np.ndarray
    #: (sources,) azimuths in the array frame, counter-clockwise [deg]
    azimuths_deg: np.ndarray


def voices(data: Path | None) -> list[np.ndarray]:
    """Read voices.

    Parameters
    ----------
    data
        Data folder; without one the voices of the demo are taken.

    Returns
    -------
    list of np.ndarray
        Each (samples,) at RATE, of unit variance.
    """
    files = sorted((data / 'speech' / 'librispeech_train').glob('*.flac')) if data else []
    if not files:
        ensure_assets(names=tuple(VOICES))
        files = [asset_path(name) for name in VOICES]
    sounds = [soundfile.read(file)[0] for file in files]
    return [sound / sound.std() for sound in sounds]


def simulated_room(
    head: HeadProfile,
    reverberation_s: float,
    snrs_db: tuple[float, ...],
    num_sources: int,
    talkers: list[np.ndarray],
    random: np.random.Generator,
    duration_s: float,
) -> Iterator[Trial]:
    """Put talkers into a simulated room, the same at every signal-to-noise ratio.

    Parameters
    ----------
    head
        Its microphones listen.
    reverberation_s
        T60 [s]; the image sources reach as far.
    snrs_db
        Signal-to-noise ratios [dB] of white noise, a trial each.
    num_sources
        How many talkers there are.
    talkers
        Voices to choose from.
    random
        Draws the array's place, the talkers' and the noise.
    duration_s
        Length [s].

    Yields
    ------
    Trial
        One per signal-to-noise ratio.
    """
    azimuths, clean = _talk(head, reverberation_s, num_sources, talkers, random, duration_s)
    level = np.sqrt(np.mean(clean**2))
    talking = f'{num_sources} talker' + ('s' if num_sources > 1 else '')
    for snr_db in snrs_db:
        noisy = clean + level * 10 ** (-snr_db / 20) * random.standard_normal(clean.shape)
        condition = f'{head.name}, {talking}, T60 {reverberation_s} s, {snr_db:.0f} dB'
        yield Trial(condition, head, _scaled(noisy), np.degrees(azimuths))


def _talk(
    head: HeadProfile,
    reverberation_s: float,
    num_sources: int,
    talkers: list[np.ndarray],
    random: np.random.Generator,
    duration_s: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Let talkers talk at random places: their azimuths [rad] and the sound without noise."""
    room = _make_room(reverberation_s)
    center = np.append(random.uniform(_WALL_M, np.array(ROOM_M[:2]) - _WALL_M), _HEIGHT_M)
    azimuths = _separate_angles(num_sources, random)
    for azimuth, voice in zip(azimuths, random.permutation(len(talkers))):
        room.add_source(
            _place(center, azimuth, random), signal=_cut(talkers[voice], duration_s, random)
        )
    room.add_microphone_array((center + microphones_of(head).positions).T)
    room.simulate()
    return azimuths, room.mic_array.signals.T[: round(duration_s * RATE)]


def _make_room(reverberation_s: float) -> pyroomacoustics.ShoeBox:
    """Make a room; its image sources reach as far as the reverberation time."""
    import pyroomacoustics

    absorption, order = pyroomacoustics.inverse_sabine(reverberation_s, ROOM_M)
    walls = pyroomacoustics.Material(absorption)
    return pyroomacoustics.ShoeBox(ROOM_M, fs=RATE, materials=walls, max_order=order)


def real_recordings(data: Path) -> Iterator[Trial]:
    """Read the recordings of a ReSpeaker array.

    Parameters
    ----------
    data
        Data folder; the names of its folders hold azimuth and elevation of every source.

    Yields
    ------
    Trial
        One per recording.
    """
    head = load_head('respeaker')
    for file in sorted((data / 'array_respeaker4').glob('*/*/*.flac')):
        azimuths = np.array([float(a) for a in re.findall(r'a(\d+)e\d+', file.parts[-3])])
        sound, _ = soundfile.read(file, dtype='float32', always_2d=True)
        plural = 's' if len(azimuths) > 1 else ''
        condition = f'real recordings, {len(azimuths)} source{plural}'
        yield Trial(condition, head, sound, azimuths)


def dummy_heads(
    data: Path, talkers: list[np.ndarray], random: np.random.Generator, duration_s: float
) -> Iterator[tuple[Trial, AcousticMap]]:
    """Play speech through measured responses of two ears, from -60 to 60 degrees on the horizon.

    The heads are MIT's KEMAR without a room, and Surrey's dummy head in a room.

    Parameters
    ----------
    data
        Data folder.
    talkers
        Voices to choose from.
    random
        Draws the speech and the noise.
    duration_s
        Length [s].

    Yields
    ------
    trial : Trial
        One per direction.
    acoustic_map : AcousticMap
        Of the same head without a room.
    """
    head = load_head('kemar')
    for condition, taught, heard in _DUMMY_HEADS:
        acoustic_map = _map_of(data / 'hrtf' / taught, microphones_of(head))
        for azimuth, responses in frontal_responses(data / 'hrtf' / heard):
            dry = _cut(talkers[random.integers(len(talkers))], duration_s, random)
            clean = np.stack([fftconvolve(dry, ear)[: len(dry)] for ear in responses], axis=1)
            level = 10 ** (-_EARS_SNR_DB / 20) * clean.std()
            noisy = clean + level * random.standard_normal(clean.shape)
            yield Trial(condition, head, _scaled(noisy), np.array([azimuth])), acoustic_map


def _map_of(file: Path, array: MicrophoneArray) -> AcousticMap:
    config = map_config(array)
    frequencies = ANALYSIS.stft.frequencies
    measured, _ = aligned(read_sofa(file, array, frequencies), array, frequencies)
    directions, features = measured_examples(array, measured, config, ANALYSIS)
    return learn_map(array, directions, features, config, ANALYSIS, 'sofa', file.name)


def frontal_responses(file: Path) -> Iterator[tuple[float, np.ndarray]]:
    """Yield azimuth [deg] and (2, taps) responses at RATE, on the horizon within 60 degrees."""
    with h5py.File(file) as sofa:
        places = sofa['SourcePosition'][:]
        responses = sofa['Data.IR'][:]
        rate = float(np.ravel(sofa['Data.SamplingRate'][:])[0])
    sense = -1 if file.name.startswith('UniS') else 1  # Surrey's azimuths grow to the right
    azimuths = sense * ((places[:, 0] + 180) % 360 - 180)
    in_front = (np.abs(azimuths) <= 60.5) & (np.abs(places[:, 1]) < 0.5)
    for index in np.flatnonzero(in_front):
        yield float(azimuths[index]), resample(responses[index].T, round(rate), RATE).T


def _separate_angles(count: int, random: np.random.Generator) -> np.ndarray:
    """(count,) azimuths [rad] at least SEPARATION_DEG apart, uniform otherwise."""
    separation = np.radians(SEPARATION_DEG)
    free = 2 * np.pi - count * separation
    cuts = np.sort(random.uniform(0, free, count)) + np.arange(count) * separation
    return (cuts + random.uniform(0, 2 * np.pi) + np.pi) % (2 * np.pi) - np.pi


def _place(center: np.ndarray, azimuth: float, random: np.random.Generator) -> np.ndarray:
    """(3,) [m] a talker's mouth: within the range of distances, as far as the room allows."""
    direction = direction_from_angles(azimuth, 0.0)
    # Where the ray leaves the room, less the margin.
    upper = np.array(ROOM_M[:2]) - _MARGIN_M - center[:2]
    lower = _MARGIN_M - center[:2]
    bounds = np.where(direction[:2] > 0, upper, lower)
    steepness = np.where(np.abs(direction[:2]) > 1e-9, direction[:2], 1e-9)
    farthest = np.min(bounds / steepness)
    nearest, limit = _DISTANCE_M
    distance = random.uniform(nearest, max(nearest, min(limit, farthest)))
    return center + distance * direction + np.array([0.0, 0.0, random.uniform(*_RISE_M)])


def _cut(voice: np.ndarray, duration_s: float, random: np.random.Generator) -> np.ndarray:
    """Cut a piece of a voice from anywhere; what is too short is repeated."""
    count = round(duration_s * RATE)
    start = random.integers(0, max(1, len(voice) - count))
    if len(voice) - start < count:
        return np.resize(voice[start:], count)
    return voice[start : start + count]


def _scaled(sound: np.ndarray) -> np.ndarray:
    """Scale to a peak of one half, as float32."""
    return (0.5 * sound / np.abs(sound).max()).astype(np.float32)
