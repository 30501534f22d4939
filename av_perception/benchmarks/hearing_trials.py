# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Sound with known directions to compare localisation methods on: simulated rooms, measured binaural responses, real recordings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

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
from av_perception.geometry.rigid_transform import direction_from_angles
from av_perception.robot_head import HeadProfile, MicrophoneArray, load_head
from av_perception.simulation.assets import VOICES, asset_path, ensure_assets, resample

RATE = 16000
ROOM_M = (6.5, 5.5, 2.9)
SEPARATION_DEG = 30.0  # least distance in azimuth between two talkers of a simulated room
_WALL_M, _DISTANCE_M, _RISE_M = 1.3, (1.0, 2.2), (-0.1, 0.5)


@dataclass(frozen=True)
class Trial:
    """One piece of sound. condition: the row of the table it belongs to; sound: (samples, channels) at RATE; azimuths_deg: of its
    sources in the array frame, counter-clockwise.
    """

    condition: str
    head: HeadProfile
    sound: np.ndarray
    azimuths_deg: np.ndarray


def voices(data: Path | None) -> list[np.ndarray]:
    """Voices at RATE, unit variance: those of the data folder, without one the demo's."""
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
    """The same talkers and places at every signal-to-noise ratio; the image sources reach as far as the reverberation time."""
    import pyroomacoustics

    absorption, order = pyroomacoustics.inverse_sabine(reverberation_s, ROOM_M)
    room = pyroomacoustics.ShoeBox(
        ROOM_M, fs=RATE, materials=pyroomacoustics.Material(absorption), max_order=order
    )
    center = np.append(random.uniform(_WALL_M, np.array(ROOM_M[:2]) - _WALL_M), 1.2)
    azimuths = _separate_angles(num_sources, random)
    for azimuth, voice in zip(azimuths, random.permutation(len(talkers))):
        room.add_source(
            _place(center, azimuth, random), signal=_cut(talkers[voice], duration_s, random)
        )
    room.add_microphone_array((center + head.microphones.positions).T)
    room.simulate()
    clean = room.mic_array.signals.T[: round(duration_s * RATE)]
    level = np.sqrt(np.mean(clean**2))
    for snr_db in snrs_db:
        noisy = clean + level * 10 ** (-snr_db / 20) * random.standard_normal(clean.shape)
        condition = f'{head.name}, {num_sources} talker{"s" if num_sources > 1 else ""}, T60 {reverberation_s} s, {snr_db:.0f} dB'
        yield Trial(condition, head, _scaled(noisy), np.degrees(azimuths))


def real_recordings(data: Path) -> Iterator[Trial]:
    """The recordings of a ReSpeaker array; the folder's name holds azimuth and elevation of every source."""
    head = load_head('respeaker')
    for file in sorted((data / 'array_respeaker4').glob('*/*/*.flac')):
        azimuths = np.array([float(a) for a in re.findall(r'a(\d+)e\d+', file.parts[-3])])
        sound, _ = soundfile.read(file, dtype='float32', always_2d=True)
        yield Trial(
            f'real recordings, {len(azimuths)} source{"s" if len(azimuths) > 1 else ""}',
            head,
            sound,
            azimuths,
        )


def dummy_heads(
    data: Path, talkers: list[np.ndarray], random: np.random.Generator, duration_s: float
) -> Iterator[tuple[Trial, AcousticMap]]:
    """Speech through measured responses of two ears, from -60 to 60 degrees on the horizon, and the map of the same head without a room:
    MIT's KEMAR without a room, Surrey's dummy head in a room.
    """
    head = load_head('kemar')
    for condition, taught, heard in (
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
    ):
        acoustic_map = _map_of(data / 'hrtf' / taught, head.microphones)
        for azimuth, responses in _frontal_responses(data / 'hrtf' / heard):
            dry = _cut(talkers[random.integers(len(talkers))], duration_s, random)
            clean = np.stack([fftconvolve(dry, ear)[: len(dry)] for ear in responses], axis=1)
            noisy = clean + 10 ** (-40 / 20) * clean.std() * random.standard_normal(clean.shape)
            yield Trial(condition, head, _scaled(noisy), np.array([azimuth])), acoustic_map


def _map_of(file: Path, array: MicrophoneArray) -> AcousticMap:
    config, frequencies = map_config(array), ANALYSIS.stft.frequencies
    measured, _ = aligned(read_sofa(file, array, frequencies), array, frequencies)
    return learn_map(
        array,
        *measured_examples(array, measured, config, ANALYSIS),
        config,
        ANALYSIS,
        'sofa',
        file.name,
    )


def _frontal_responses(file: Path) -> Iterator[tuple[float, np.ndarray]]:
    """(azimuth [deg], responses (2, taps) at RATE) of the places on the horizon within 60 degrees of straight ahead."""
    with h5py.File(file) as sofa:
        places, responses, rate = (
            sofa['SourcePosition'][:],
            sofa['Data.IR'][:],
            float(np.ravel(sofa['Data.SamplingRate'][:])[0]),
        )
    sense = -1 if file.name.startswith('UniS') else 1  # Surrey's azimuths grow to the right
    azimuths = sense * ((places[:, 0] + 180) % 360 - 180)
    for index in np.flatnonzero((np.abs(azimuths) <= 60.5) & (np.abs(places[:, 1]) < 0.5)):
        yield float(azimuths[index]), resample(responses[index].T, round(rate), RATE).T


def _separate_angles(count: int, random: np.random.Generator) -> np.ndarray:
    """(count,) azimuths [rad] at least SEPARATION_DEG apart, uniform otherwise."""
    free = 2 * np.pi - count * np.radians(SEPARATION_DEG)
    cuts = np.sort(random.uniform(0, free, count)) + np.arange(count) * np.radians(SEPARATION_DEG)
    return (cuts + random.uniform(0, 2 * np.pi) + np.pi) % (2 * np.pi) - np.pi


def _place(center: np.ndarray, azimuth: float, random: np.random.Generator) -> np.ndarray:
    """A talker's mouth: as far away as the room allows, within the range of distances."""
    direction = direction_from_angles(azimuth, 0.0)
    bounds = np.where(direction[:2] > 0, np.array(ROOM_M[:2]) - 0.3 - center[:2], 0.3 - center[:2])
    farthest = np.min(bounds / np.where(np.abs(direction[:2]) > 1e-9, direction[:2], 1e-9))
    distance = random.uniform(_DISTANCE_M[0], max(_DISTANCE_M[0], min(_DISTANCE_M[1], farthest)))
    return center + distance * direction + np.array([0.0, 0.0, random.uniform(*_RISE_M)])


def _cut(voice: np.ndarray, duration_s: float, random: np.random.Generator) -> np.ndarray:
    count = round(duration_s * RATE)
    start = random.integers(0, max(1, len(voice) - count))
    return (
        np.resize(voice[start:], count)
        if len(voice) - start < count
        else voice[start : start + count]
    )


def _scaled(sound: np.ndarray) -> np.ndarray:
    return (0.5 * sound / np.abs(sound).max()).astype(np.float32)
